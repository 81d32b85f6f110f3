/* Laying releases over one another; see merge.h. */
#include "merge.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "path.h"
#include "path_order.h"
#include "release_reader.h"

/* The entries of a release, or of what the turn before has made. */
struct source {
	struct release_reader *reader; /* or NULL */
	const struct store_view *view;
	size_t at;                         /* number of the view's next entry */
	char path[PATH_ROOM];              /* of the view's last entry */
	size_t lengths[PATH_ROOM / 2 + 1]; /* of the paths of the folders above it and its own */
	uint32_t above[PATH_ROOM / 2 + 1]; /* their numbers */
	size_t depth;
	size_t part;
	bool has_reserved;
	struct release_entry entry;
};

/* A folder, or what is in the place of one, above the entries that come. */
struct frame {
	size_t length; /* of its path */
	uint32_t node;
	size_t floor; /* sources before this one are hidden below */
};

struct merging {
	const struct layout *layout;
	const struct merge_observer *observer;
	struct merge_part *parts;
	struct view_builder *builder;
	struct source *sources[MERGE_MAX + 1];
	size_t count;
	size_t heap[MERGE_MAX +
	            1]; /* sources that have an entry; the one whose turn it is on top */
	size_t heap_size;
	/* The path that is being judged, and what is above it: */
	char path[PATH_ROOM];
	size_t length;
	struct frame frames[PATH_ROOM / 2 + 2];
	size_t depth;
	/* What is known of it: */
	bool has_winner, is_folder, has_conflict;
	const char *winner; /* its tag */
};

static void source_free(struct source *source)
{
	if (!source)
		return;
	if (source->reader)
		release_reader_free(source->reader);
	free(source);
}

/* ---- sources ---- */

/* Step to the view's next entry: like release_reader_next. */
static int next_of_view(struct source *source)
{
	size_t count, size, length;
	const struct store_entry *entries = view_entries(source->view, &count);
	const struct store_entry *entry = &entries[source->at];
	uint32_t parent;

	if (source->at == count)
		return 0;
	parent = view_parent(source->view, (uint32_t)source->at);
	while (source->above[source->depth] != parent)
		source->depth--;
	length = source->lengths[source->depth];
	size = strlen(entry->name);
	if (length)
		source->path[length++] = '/';
	memcpy(source->path + length, entry->name, size + 1);
	length += size;
	if (entry->is_folder) {
		source->depth++;
		source->above[source->depth] = (uint32_t)source->at;
		source->lengths[source->depth] = length;
	}
	source->entry = (struct release_entry){
		.path = source->path,
		.length = length,
		.item = { .kind = entry->is_folder ? TREE_FOLDER : TREE_FILE,
		          .release = entry->release,
		          .size = entry->size,
		          .mtime = entry->mtime,
		          .mode = entry->mode,
		          .content = store_content_digest(entry) },
	};
	source->at++;
	return 1;
}

static int next_entry(struct source *source, struct err *err)
{
	int more;

	if (!source->reader)
		return next_of_view(source);
	more = release_reader_next(source->reader, &source->entry, err);
	source->entry.item.release = (uint32_t)source->part;
	return more;
}

/* Whether a's entry comes before b's: by its path, and of one path the newest first. */
static bool goes_before(const struct merging *merging, size_t a, size_t b)
{
	const struct release_entry *x = &merging->sources[a]->entry;
	const struct release_entry *y = &merging->sources[b]->entry;
	int order = path_order(x->path, x->length, y->path, y->length);

	return order ? order < 0 : a > b;
}

/* Let what is at this place of the heap go down to where it belongs. */
static void sift(struct merging *merging, size_t place)
{
	size_t *heap = merging->heap;

	for (;;) {
		size_t child = 2 * place + 1, moved = heap[place];

		if (child >= merging->heap_size)
			return;
		if (child + 1 < merging->heap_size &&
		    goes_before(merging, heap[child + 1], heap[child]))
			child++;
		if (!goes_before(merging, heap[child], moved))
			return;
		heap[place] = heap[child];
		heap[child] = moved;
		place = child;
	}
}

/* The source on top to its next entry, or out of the heap at its end. */
static int advance(struct merging *merging, struct err *err)
{
	int more = next_entry(merging->sources[merging->heap[0]], err);

	if (more < 0)
		return -1;
	if (!more)
		merging->heap[0] = merging->heap[--merging->heap_size];
	if (merging->heap_size)
		sift(merging, 0);
	return 0;
}

/* ---- one path ---- */

static void end_path(struct merging *merging)
{
	if (merging->has_winner && merging->has_conflict)
		merging->observer->conflict(merging->observer->ctx, merging->path, merging->winner);
	merging->has_winner = merging->has_conflict = false;
}

static void begin_path(struct merging *merging, const struct release_entry *entry)
{
	while (!path_is_below(entry->path, entry->length, merging->path,
	                      merging->frames[merging->depth].length))
		merging->depth--;
	memcpy(merging->path, entry->path, entry->length + 1);
	merging->length = entry->length;
}

/* `.specman` is the server's own name space. */
static bool is_reserved(const char *path)
{
	return !strncmp(path, ".specman", 8) && (path[8] == '/' || !path[8]);
}

static int add_winner(struct merging *merging, size_t number, const struct release_entry *entry,
                      struct err *err)
{
	const struct frame above = merging->frames[merging->depth];
	size_t start = above.length ? above.length + 1 : 0;
	uint32_t node = view_builder_add(merging->builder, above.node, entry->path + start,
	                                 entry->length - start, &entry->item, err);

	if (node == VIEW_NONE)
		return -1;
	merging->has_winner = true;
	merging->is_folder = entry->item.kind == TREE_FOLDER;
	merging->winner = merging->parts[entry->item.release].tag;
	merging->frames[++merging->depth] = (struct frame){
		.length = entry->length,
		.node = node,
		.floor = merging->is_folder ? above.floor : number,
	};
	return 0;
}

/* The entry of the source on top; those of one path come newest first. */
static int judge(struct merging *merging, struct err *err)
{
	size_t number = merging->heap[0];
	struct source *source = merging->sources[number];
	const struct release_entry *entry = &source->entry;
	bool is_folder = entry->item.kind == TREE_FOLDER;
	struct frame *own = &merging->frames[merging->depth];

	if (merging->observer->reserved && is_reserved(entry->path)) {
		source->has_reserved = true;
		return 0;
	}
	/* With a winner, its own frame lies on that of its folder. */
	if (number < (merging->has_winner ? own[-1].floor : own->floor))
		return 0;
	if (!merging->has_winner)
		return add_winner(merging, number, entry, err);
	merging->has_conflict |= is_folder != merging->is_folder;
	if (!is_folder && number > own->floor)
		own->floor = number;
	return 0;
}

static int run(struct merging *merging, size_t *out_failed, struct err *err)
{
	while (merging->heap_size) {
		const struct source *source = merging->sources[merging->heap[0]];

		if (!merging->length || path_order(source->entry.path, source->entry.length,
		                                   merging->path, merging->length)) {
			end_path(merging);
			begin_path(merging, &source->entry);
		}
		if (judge(merging, err))
			return -1;
		if (advance(merging, err)) {
			*out_failed = source->part;
			return -1;
		}
	}
	end_path(merging);
	return 0;
}

/* ---- one turn ---- */

static int add_source(struct merging *merging, size_t part, const struct store_view *view,
                      struct err *err)
{
	struct source *source = malloc(sizeof(*source));
	int more;

	if (!source)
		return err_set_sys(err, ENOMEM, "merge releases");
	memset(source, 0, offsetof(struct source, path));
	source->depth = 0;
	source->above[0] = VIEW_ROOT;
	source->lengths[0] = 0;
	source->part = part;
	source->has_reserved = false;
	source->view = view;
	source->at = 1;
	merging->sources[merging->count++] = source;
	if (!view) {
		source->reader = release_reader_open(merging->layout, merging->parts[part].tag,
		                                     err);
		if (!source->reader)
			return -1;
	}
	more = next_entry(source, err);
	if (more > 0)
		merging->heap[merging->heap_size++] = merging->count - 1;
	return more < 0 ? -1 : 0;
}

static int open_sources(struct merging *merging, size_t first, size_t end,
                        const struct store_view *below, size_t *out_failed, struct err *err)
{
	if (below && add_source(merging, SIZE_MAX, below, err))
		return -1;
	for (size_t i = first; i < end; i++)
		if (add_source(merging, i, NULL, err)) {
			*out_failed = i;
			return -1;
		}
	for (size_t place = merging->heap_size; place-- > 0;)
		sift(merging, place);
	return 0;
}

static void note_parts(struct merging *merging)
{
	for (size_t i = 0; i < merging->count; i++) {
		const struct source *source = merging->sources[i];
		struct merge_part *part = &merging->parts[source->part];

		if (!source->reader)
			continue;
		part->info = *release_reader_info(source->reader);
		part->fingerprint = release_reader_fingerprint(source->reader);
		if (source->has_reserved)
			merging->observer->reserved(merging->observer->ctx, part->tag);
	}
}

static void merging_free(struct merging *merging)
{
	for (size_t i = 0; i < merging->count; i++)
		source_free(merging->sources[i]);
	view_builder_free(merging->builder);
	free(merging);
}

DEFINE_CLEANUP(cleanup_merging, struct merging, merging_free);
DEFINE_CLEANUP(cleanup_builder, struct view_builder, view_builder_free);

/* Lay the parts from first up to end over what is below. */
static struct view_builder *go_turn(const struct layout *layout, const struct store_view *below,
                                    struct merge_part *parts, size_t first, size_t end,
                                    const struct merge_observer *observer, size_t *out_failed,
                                    struct err *err)
{
	CLEANUP(cleanup_merging) struct merging *merging = malloc(sizeof(*merging));

	if (!merging) {
		(void)err_set_sys(err, ENOMEM, "merge releases");
		return NULL;
	}
	memset(merging, 0, sizeof(*merging));
	merging->layout = layout;
	merging->observer = observer;
	merging->parts = parts;
	merging->builder = view_builder_new(err);
	if (!merging->builder || open_sources(merging, first, end, below, out_failed, err) ||
	    run(merging, out_failed, err))
		return NULL;
	note_parts(merging);
	return STEAL(merging->builder);
}

struct view_builder *merge(const struct layout *layout, const struct store_view *below, size_t laid,
                           struct merge_part *parts, size_t count,
                           const struct merge_observer *observer, size_t *out_failed,
                           struct err *err)
{
	CLEANUP(cleanup_builder) struct view_builder *last = NULL;

	*out_failed = count;
	do {
		size_t end = count - laid > MERGE_MAX ? laid + MERGE_MAX : count;
		struct view_builder *next = go_turn(layout, below, parts, laid, end, observer,
		                                    out_failed, err);

		view_builder_free(last);
		last = next;
		below = next ? view_builder_view(next) : NULL;
		laid = end;
	} while (last && laid < count);
	return STEAL(last);
}
