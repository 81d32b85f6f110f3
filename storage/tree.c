/*
 * A tree under construction. Nodes lie in one array and are found through one
 * hash table of (parent, name), so a folder of a million entries costs no more
 * than a million folders of one. A replaced node keeps its number and loses its
 * place in the table; what was below it can't be reached any more.
 */
#include "tree.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "pool.h"

/* With a struct tree_item, whose digests have room for other algorithms, it would be 216 bytes. */
struct node {
	const char *name; /* in the pool */
	char *target;     /* of a link */
	uint64_t size;    /* from here on as in struct tree_item */
	uint64_t twin_size;
	int64_t mtime;
	unsigned char content[STORE_CONTENT_BYTES];
	unsigned char twin[STORE_CONTENT_BYTES];
	uint32_t release;
	uint32_t parent;
	uint32_t first; /* of a folder's children, newest first */
	uint32_t next;  /* sibling */
	uint32_t goal;  /* of a link: where it leads, once that is known; else TREE_NONE */
	uint16_t mode;
	unsigned hops : 8;     /* links on the way there, itself included */
	unsigned kind : 2;     /* enum tree_kind */
	unsigned visiting : 1; /* a link on the way being resolved */
};

_Static_assert(sizeof(struct node) <= 128, "there may be two million");

struct tree {
	struct node *nodes;
	size_t count;
	size_t room;
	uint64_t max_nodes;
	uint64_t seed;   /* nobody can choose names that all have one place in the table */
	uint32_t *table; /* node numbers, TREE_NONE where free */
	size_t places;   /* a power of two */
	struct pool names;
	uint64_t target_bytes; /* of all links now */
};

enum {
	LINK_HOPS_MAX = 40,
	/* Links pack well: without a bound a small archive of long targets would fill the memory.
	 */
	TARGET_BYTES_A_NODE = 128,
	TARGET_BYTES_MIN = 64 * 1024, /* whatever the number of nodes is */
};

static uint64_t hash_of(const struct tree *tree, uint32_t parent, const char *name, size_t length)
{
	uint64_t hash = tree->seed ^ parent; /* FNV-1a, but for its start */

	for (size_t i = 0; i < length; i++)
		hash = (hash ^ (unsigned char)name[i]) * 1099511628211ULL;
	return hash ^ hash >> 29;
}

static size_t place_of(const struct tree *tree, uint32_t parent, const char *name, size_t length)
{
	size_t place = (size_t)hash_of(tree, parent, name, length) & (tree->places - 1);

	for (; tree->table[place] != TREE_NONE; place = (place + 1) & (tree->places - 1)) {
		const struct node *node = &tree->nodes[tree->table[place]];

		if (node->parent == parent && !strncmp(node->name, name, length) &&
		    !node->name[length])
			break;
	}
	return place;
}

static int grow_table(struct tree *tree, struct err *err)
{
	size_t places = tree->places ? tree->places * 2 : 256;
	uint32_t *old = tree->table;
	size_t old_places = tree->places;

	tree->table = malloc(places * sizeof(*tree->table));
	if (!tree->table) {
		tree->table = old;
		return err_set_sys(err, ENOMEM, "tree of %zu places", places);
	}
	memset(tree->table, 0xff, places * sizeof(*tree->table));
	tree->places = places;
	for (size_t i = 0; i < old_places; i++) {
		const struct node *node;

		if (old[i] == TREE_NONE)
			continue;
		node = &tree->nodes[old[i]];
		tree->table[place_of(tree, node->parent, node->name, strlen(node->name))] = old[i];
	}
	free(old);
	return 0;
}

static int new_node(struct tree *tree, uint32_t parent, const char *name, size_t length,
                    uint32_t *out_node, struct err *err)
{
	struct node *node;

	if (tree->count >= tree->max_nodes)
		return err_set(err, ERR_LIMIT, "more than %llu entries",
		               (unsigned long long)tree->max_nodes);
	if (tree->count == tree->room) {
		size_t room = tree->room ? tree->room * 2 : 128;
		struct node *nodes = realloc(tree->nodes, room * sizeof(*nodes));

		if (!nodes)
			return err_set_sys(err, ENOMEM, "tree of %zu nodes", room);
		tree->nodes = nodes;
		tree->room = room;
	}
	node = &tree->nodes[tree->count];
	*node = (struct node){
		.parent = parent, .first = TREE_NONE, .next = TREE_NONE, .goal = TREE_NONE
	};
	node->name = pool_keep(&tree->names, name, length);
	if (!node->name)
		return err_set_sys(err, ENOMEM, "tree");
	*out_node = (uint32_t)tree->count++;
	return 0;
}

struct tree *tree_new(uint64_t max_nodes, struct err *err)
{
	struct tree *tree = calloc(1, sizeof(*tree));
	uint32_t root;

	if (!tree) {
		(void)err_set_sys(err, ENOMEM, "tree");
		return NULL;
	}
	/* Without randomness it is the time since the start, which is not known outside either. */
	if (getrandom(&tree->seed, sizeof(tree->seed), GRND_NONBLOCK) != sizeof(tree->seed))
		tree->seed = 14695981039346656037ULL ^ (uint64_t)clock_now_ms();
	tree->max_nodes = max_nodes < TREE_NONE - 1 ? max_nodes + 1 : TREE_NONE;
	if (grow_table(tree, err) || new_node(tree, TREE_NONE, "", 0, &root, err)) {
		tree_free(tree);
		return NULL;
	}
	tree->nodes[root].mode = 0755;
	return tree;
}

void tree_free(struct tree *tree)
{
	if (!tree)
		return;
	for (size_t i = 0; i < tree->count; i++)
		free(tree->nodes[i].target);
	pool_release(&tree->names);
	free(tree->nodes);
	free(tree->table);
	free(tree);
}

/* All but the target. */
static void fill_node(struct node *node, const struct tree_item *item)
{
	node->kind = item->kind & 3;
	node->release = item->release;
	node->size = item->size;
	node->mtime = item->mtime;
	node->mode = item->mode;
	node->twin_size = item->twin_size;
	memcpy(node->content, item->content.bytes, STORE_CONTENT_BYTES);
	memcpy(node->twin, item->twin.bytes, STORE_CONTENT_BYTES);
}

static uint32_t child_of(const struct tree *tree, uint32_t parent, const char *name, size_t length)
{
	return tree->table[place_of(tree, parent, name, length)];
}

/* Add a child of a name that is not there yet. */
static int place_child(struct tree *tree, uint32_t parent, const char *name, size_t length,
                       uint32_t *out_node, struct err *err)
{
	uint32_t node;
	size_t place;

	if (tree->count * 2 >= tree->places && grow_table(tree, err))
		return -1;
	if (new_node(tree, parent, name, length, &node, err))
		return -1;
	place = place_of(tree, parent, name, length);
	assert(tree->table[place] == TREE_NONE);
	tree->table[place] = node;
	tree->nodes[node].next = tree->nodes[parent].first;
	tree->nodes[parent].first = node;
	*out_node = node;
	return 0;
}

/* Go down to, or make, the folder `name` of parent. */
static int enter(struct tree *tree, uint32_t *node, const char *path, size_t start, size_t length,
                 const struct tree_item *item, struct err *err)
{
	uint32_t child = child_of(tree, *node, path + start, length);

	if (child != TREE_NONE && tree->nodes[child].kind != TREE_FOLDER)
		return err_set(err, ERR_FORMAT, "entry \"%.200s\" lies below \"%.*s\", a %s", path,
		               (int)(start + length < 200 ? start + length : 200), path,
		               tree->nodes[child].kind == TREE_LINK ? "link" : "file");
	if (child == TREE_NONE) {
		if (place_child(tree, *node, path + start, length, &child, err))
			return -1;
		tree->nodes[child].mode = 0755;
		tree->nodes[child].mtime = item->mtime;
		tree->nodes[child].release = item->release;
	}
	*node = child;
	return 0;
}

static void drop_target(struct tree *tree, uint32_t node)
{
	char *target = STEAL(tree->nodes[node].target);

	tree->target_bytes -= target ? strlen(target) + 1 : 0;
	free(target);
}

/* A copy of a link's target, which is counted. */
static char *keep_target(struct tree *tree, const char *target, struct err *err)
{
	const uint64_t max = TARGET_BYTES_MIN + tree->max_nodes * TARGET_BYTES_A_NODE;
	const uint64_t bytes = strlen(target) + 1;
	char *copy;

	if (tree->target_bytes + bytes > max) {
		(void)err_set(err, ERR_LIMIT,
		              "what the links point at is over %llu bytes long in all",
		              (unsigned long long)max);
		return NULL;
	}
	copy = strdup(target);
	if (!copy)
		(void)err_set_sys(err, ENOMEM, "tree");
	else
		tree->target_bytes += bytes;
	return copy;
}

static int set_item(struct tree *tree, uint32_t node, const struct tree_item *item, struct err *err)
{
	char *target = item->kind == TREE_LINK ? keep_target(tree, item->target, err) : NULL;

	if (item->kind == TREE_LINK && !target)
		return -1;
	drop_target(tree, node);
	tree->nodes[node].target = target;
	fill_node(&tree->nodes[node], item);
	return 0;
}

int tree_put(struct tree *tree, const char *path, const struct tree_item *item, struct err *err)
{
	uint32_t node = TREE_ROOT, child;
	size_t start = 0, length;

	for (; length = strcspn(path + start, "/"), path[start + length]; start += length + 1)
		if (enter(tree, &node, path, start, length, item, err))
			return -1;
	if (!length) { /* the root itself */
		if (item->kind != TREE_FOLDER)
			return err_set(err, ERR_FORMAT, "the archive's root is no folder");
		return set_item(tree, TREE_ROOT, item, err);
	}
	child = child_of(tree, node, path + start, length);
	if (child != TREE_NONE && item->kind != TREE_FOLDER &&
	    tree->nodes[child].first != TREE_NONE)
		return err_set(err, ERR_FORMAT, "entry \"%.200s\" is a file and a folder", path);
	if (child == TREE_NONE && place_child(tree, node, path + start, length, &child, err))
		return -1;
	return set_item(tree, child, item, err) ? err_context(err, "entry \"%.160s\"", path) : 0;
}

uint32_t tree_find(const struct tree *tree, const char *path)
{
	uint32_t node = TREE_ROOT;

	while (*path && node != TREE_NONE) {
		size_t length = strcspn(path, "/");

		node = child_of(tree, node, path, length);
		path += length + (path[length] == '/');
	}
	return node;
}

void tree_fill_files(struct tree *tree, void (*fill)(void *ctx, struct tree_item *item), void *ctx)
{
	for (size_t i = 0; i < tree->count; i++)
		if (tree->nodes[i].kind == TREE_FILE) {
			struct tree_item item = tree_item(tree, (uint32_t)i);

			fill(ctx, &item);
			fill_node(&tree->nodes[i], &item);
		}
}

size_t tree_count(const struct tree *tree)
{
	return tree->count;
}

struct tree_item tree_item(const struct tree *tree, uint32_t number)
{
	const struct node *node = &tree->nodes[number];
	struct tree_item item = { .kind = node->kind,
		                  .release = node->release,
		                  .size = node->size,
		                  .mtime = node->mtime,
		                  .mode = node->mode,
		                  .content = { .algorithm = DIGEST_SHA256 },
		                  .twin = { .algorithm = DIGEST_SHA256 },
		                  .twin_size = node->twin_size,
		                  .target = node->target };

	memcpy(item.content.bytes, node->content, STORE_CONTENT_BYTES);
	memcpy(item.twin.bytes, node->twin, STORE_CONTENT_BYTES);
	return item;
}

const char *tree_name(const struct tree *tree, uint32_t node)
{
	return tree->nodes[node].name;
}

static int compare_names(const void *a, const void *b, void *ctx)
{
	const struct tree *tree = ctx;

	return strcmp(tree->nodes[*(const uint32_t *)a].name,
	              tree->nodes[*(const uint32_t *)b].name);
}

int tree_children(const struct tree *tree, uint32_t folder, uint32_t **out_children,
                  size_t *out_count, struct err *err)
{
	uint32_t *children = NULL;
	size_t count = 0;

	for (uint32_t n = tree->nodes[folder].first; n != TREE_NONE; n = tree->nodes[n].next)
		count++;
	if (count) {
		children = malloc(count * sizeof(*children));
		if (!children)
			return err_set_sys(err, ENOMEM, "folder of %zu entries", count);
		count = 0;
		for (uint32_t n = tree->nodes[folder].first; n != TREE_NONE;
		     n = tree->nodes[n].next)
			children[count++] = n;
		qsort_r(children, count, sizeof(*children), compare_names, (void *)(uintptr_t)tree);
	}
	*out_children = children;
	*out_count = count;
	return 0;
}

/* The path of a node, for errors: the last 200 bytes or so. */
static void describe(const struct tree *tree, uint32_t node, char text[static 256])
{
	size_t at = 255;

	text[at] = '\0';
	for (; node != TREE_ROOT; node = tree->nodes[node].parent) {
		size_t length = strlen(tree->nodes[node].name);

		if (length + 1 > at)
			break;
		at -= length;
		memcpy(text + at, tree->nodes[node].name, length);
		text[--at] = '/';
	}
	memmove(text, text + at + (text[at] == '/'), 256 - at - (text[at] == '/'));
}

static int bad_link(const struct tree *tree, uint32_t link, const char *why, struct err *err)
{
	char path[256];

	describe(tree, link, path);
	return err_set(err, ERR_FORMAT, "link \"%s\" to \"%.160s\" %s", path,
	               tree->nodes[link].target, why);
}

/*
 * Follow a link's target to a file or folder, and note that. `hops` counts all the
 * links on the way, as path_resolution(7) does. Each is gone through once: else 40 of
 * them, each with two of the next in its path, would take for ever.
 */
static int follow(struct tree *tree, uint32_t link, unsigned *hops, struct err *err)
{
	struct node *const self = &tree->nodes[link];
	const char *path = self->target;
	const unsigned before = *hops;
	uint32_t node = self->parent;

	*hops += self->goal == TREE_NONE ? 1 : self->hops;
	if (*hops > LINK_HOPS_MAX)
		return bad_link(tree, link, "goes round in a circle, or over 40 links", err);
	if (self->goal != TREE_NONE)
		return 0;
	if (*path == '/')
		return bad_link(tree, link, "leaves the archive", err);
	while (*path) {
		size_t length = strcspn(path, "/");

		if (length == 2 && !memcmp(path, "..", 2)) {
			if (node == TREE_ROOT)
				return bad_link(tree, link, "leaves the archive", err);
			node = tree->nodes[node].parent;
		} else if (length && !(length == 1 && *path == '.')) {
			if (tree->nodes[node].kind != TREE_FOLDER)
				return bad_link(tree, link, "points below a file", err);
			node = child_of(tree, node, path, length);
			if (node == TREE_NONE)
				return bad_link(tree, link, "points at nothing in the archive",
				                err);
			if (tree->nodes[node].kind == TREE_LINK) {
				if (follow(tree, node, hops, err))
					return -1;
				node = tree->nodes[node].goal;
			}
		}
		path += length + (path[length] == '/');
	}
	self->goal = node;
	self->hops = (*hops - before) & 0xff;
	return 0;
}

static int copy_into(struct tree *tree, uint32_t from, uint32_t to, unsigned depth,
                     const struct store_limits *limits, struct err *err);

/* Make node, a link, what it points at. */
static int become_target(struct tree *tree, uint32_t node, unsigned depth,
                         const struct store_limits *limits, struct err *err)
{
	const uint32_t target = tree->nodes[node].goal;
	struct tree_item item;

	for (uint32_t above = node; above != TREE_NONE; above = tree->nodes[above].parent)
		if (above == target)
			return bad_link(tree, node, "points at a folder that it is in", err);
	if (tree->nodes[target].visiting)
		return bad_link(tree, node, "goes round in a circle", err);
	item = tree_item(tree, target);
	if (item.kind == TREE_FOLDER) {
		int failed;

		tree->nodes[target].visiting = 1;
		tree->nodes[node].visiting = 1;
		drop_target(tree, node);
		fill_node(&tree->nodes[node], &item);
		failed = copy_into(tree, target, node, depth, limits, err);
		tree->nodes[target].visiting = 0;
		tree->nodes[node].visiting = 0;
		return failed;
	}
	return set_item(tree, node, &item, err);
}

static int copy_into(struct tree *tree, uint32_t from, uint32_t to, unsigned depth,
                     const struct store_limits *limits, struct err *err)
{
	CLEANUP(cleanup_free) uint32_t *children = NULL;
	size_t count;

	if (depth >= limits->depth)
		return err_set(err, ERR_LIMIT, "links make folders over %u deep", limits->depth);
	if (tree_children(tree, from, &children, &count, err))
		return -1;
	for (size_t i = 0; i < count; i++) {
		const char *name = tree->nodes[children[i]].name;
		uint32_t source = children[i];
		struct tree_item item;
		uint32_t copy;

		if (tree->nodes[source].visiting)
			return err_set(err, ERR_FORMAT,
			               "links through \"%.200s\" go round in a circle", name);
		if (tree->nodes[source].kind == TREE_LINK &&
		    become_target(tree, source, depth + 1, limits, err))
			return -1;
		item = tree_item(tree, source);
		if (place_child(tree, to, name, strlen(name), &copy, err))
			return -1;
		fill_node(&tree->nodes[copy], &item);
		if (item.kind == TREE_FOLDER &&
		    copy_into(tree, source, copy, depth + 1, limits, err))
			return -1;
	}
	return 0;
}

static unsigned depth_of(const struct tree *tree, uint32_t node)
{
	unsigned depth = 0;

	for (; node != TREE_ROOT; node = tree->nodes[node].parent)
		depth++;
	return depth;
}

int tree_resolve_links(struct tree *tree, const struct store_limits *limits, struct err *err)
{
	size_t count = tree->count; /* copies hold no links */

	/* All of them first: behind a folder that was a link, ".." would lead elsewhere. */
	for (uint32_t node = 1; node < count; node++) {
		unsigned hops = 0;

		if (tree->nodes[node].kind == TREE_LINK && follow(tree, node, &hops, err))
			return -1;
	}
	for (uint32_t node = 1; node < count; node++)
		if (tree->nodes[node].kind == TREE_LINK &&
		    become_target(tree, node, depth_of(tree, node), limits, err))
			return -1;
	return 0;
}
