/* Unpacking; see unpack.h. */
#include "unpack.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include <archive_entry.h>

#include "base/cleanup.h"
#include "entry_reader.h"
#include "ingest.h"
#include "object.h"
#include "path.h"
#include "proven.h"
#include "stream.h"

enum { GAP_BYTES = 16384 };

struct unpacking {
	const struct layout *layout;
	const struct store_limits *limits;
	const struct cancel *cancel;
	struct object_writer *writer; /* for contents that are too large for memory */
	/* Over both levels: */
	uint64_t packed; /* bytes of the outer archive file */
	uint64_t total;  /* bytes unpacked */
	uint64_t entries;
	/* Of the level at hand: */
	struct entry_reader *reader;
	struct ingest *ingest;
	struct tree *tree;
	char path[PATH_ROOM]; /* of the entry at hand */
	bool is_inner;
	/* Of the outer level: */
	uint64_t files;                        /* all entries but folders */
	char only[PATH_ROOM];                  /* the first of these */
	unsigned char head[STREAM_HEAD_BYTES]; /* its first bytes, as they came */
};

/* A file's content as it comes: in memory, or in the writer once it is too large for that. */
struct gathering {
	unsigned char *bytes;
	size_t room;
	uint64_t size;
	bool is_large;
};

static void cleanup_gathering(struct gathering *gathering)
{
	free(gathering->bytes);
}

DEFINE_CLEANUP(cleanup_writer, struct object_writer, object_writer_free);
DEFINE_CLEANUP(cleanup_tree, struct tree, tree_free);
DEFINE_CLEANUP(cleanup_ingest, struct ingest, ingest_free);
DEFINE_CLEANUP(cleanup_reader, struct entry_reader, entry_reader_free);
DEFINE_CLEANUP(cleanup_proven, struct proven, proven_free);

static int check_size(struct unpacking *u, uint64_t file_bytes, struct err *err)
{
	if (file_bytes > u->limits->file_bytes)
		return err_set(err, ERR_LIMIT, "entry \"%.160s\" is over %" PRIu64 " bytes",
		               u->path, u->limits->file_bytes);
	if (u->total > u->limits->total_bytes)
		return err_set(err, ERR_LIMIT,
		               "entry \"%.160s\": the archive unpacks to over %" PRIu64 " bytes",
		               u->path, u->limits->total_bytes);
	if (u->total > u->limits->ratio_from && u->total / u->limits->ratio > u->packed)
		return err_set(err, ERR_LIMIT,
		               "entry \"%.160s\": the archive unpacks to over %" PRIu64
		               " times its size",
		               u->path, u->limits->ratio);
	return cancel_check(u->cancel, err);
}

static int spill(struct unpacking *u, struct gathering *g, struct err *err)
{
	g->is_large = true;
	if (object_writer_add(u->writer, g->bytes, (size_t)g->size, err))
		return -1;
	free(STEAL(g->bytes));
	g->room = 0;
	return 0;
}

static int grow(struct gathering *g, size_t room, struct err *err)
{
	unsigned char *bytes = realloc(g->bytes, room);

	if (!bytes)
		return err_set_sys(err, ENOMEM, "content of %zu bytes", room);
	g->bytes = bytes;
	g->room = room;
	return 0;
}

/* What the first file begins with is kept. */
static void keep_head(struct unpacking *u, const struct gathering *g, const void *bytes,
                      size_t size)
{
	size_t room = g->size < sizeof(u->head) ? sizeof(u->head) - (size_t)g->size : 0;

	if (!u->is_inner && !u->files && bytes)
		memcpy(u->head + (sizeof(u->head) - room), bytes, size < room ? size : room);
}

/* Add bytes to the content, zeros where bytes is NULL. */
static int gather(struct unpacking *u, struct gathering *g, const void *bytes, size_t size,
                  struct err *err)
{
	static const unsigned char zeros[GAP_BYTES];

	u->total += size;
	if (check_size(u, g->size + size, err))
		return -1;
	keep_head(u, g, bytes, size);
	if (!g->is_large && g->size + size > INGEST_BYTES_MAX && spill(u, g, err))
		return -1;
	if (g->is_large) {
		g->size += size;
		return object_writer_add(u->writer, bytes ? bytes : zeros, size, err);
	}
	if (g->size + size > g->room && grow(g, (size_t)(g->size + size) * 2, err))
		return -1;
	if (bytes)
		memcpy(g->bytes + g->size, bytes, size);
	else
		memset(g->bytes + g->size, 0, size);
	g->size += size;
	return 0;
}

/* Sparse files come as blocks with gaps: a gap is zeros. */
static int gather_gap(struct unpacking *u, struct gathering *g, uint64_t offset, struct err *err)
{
	while (g->size < offset) {
		uint64_t gap = offset - g->size;

		if (gather(u, g, NULL, gap < GAP_BYTES ? (size_t)gap : GAP_BYTES, err))
			return -1;
	}
	return 0;
}

/* What an entry says of its size is refused before a byte of it is taken. */
static int check_claim(struct unpacking *u, la_int64_t claim, struct err *err)
{
	uint64_t total = u->total;
	int failed;

	if (claim < 0)
		return err_set(err, ERR_FORMAT, "entry \"%.160s\" has a negative size", u->path);
	u->total += (uint64_t)claim;
	failed = check_size(u, (uint64_t)claim, err);
	u->total = total;
	return failed;
}

static int read_blocks(struct unpacking *u, struct gathering *g, struct err *err)
{
	for (;;) {
		const void *block;
		size_t length;
		uint64_t offset;
		int more = entry_reader_block(u->reader, &block, &length, &offset, err);

		if (more <= 0)
			return more;
		if (offset < g->size)
			return err_set(err, ERR_FORMAT, "entry \"%.160s\" overlaps itself",
			               u->path);
		if (gather_gap(u, g, offset, err) || (length && gather(u, g, block, length, err)))
			return -1;
	}
}

/* Hand the content on; its number stands for it until all are written. */
static int end_file(struct unpacking *u, struct gathering *g, uint32_t *out_number, struct err *err)
{
	struct digest digest;
	uint64_t size;

	if (!g->is_large)
		return ingest_take(u->ingest, STEAL(g->bytes), (size_t)g->size, out_number, err);
	return object_writer_end(u->writer, &digest, &size, err) ||
	                       ingest_add(u->ingest, &digest, size, out_number, err)
	               ? -1
	               : 0;
}

static int read_file(struct unpacking *u, struct archive_entry *entry, struct tree_item *item,
                     struct err *err)
{
	CLEANUP(cleanup_gathering) struct gathering g = { .bytes = NULL };
	la_int64_t claim = archive_entry_size_is_set(entry) ? archive_entry_size(entry) : 0;

	if (check_claim(u, claim, err))
		return -1;
	if (claim && claim <= INGEST_BYTES_MAX && grow(&g, (size_t)claim, err))
		return -1;
	if (read_blocks(u, &g, err))
		return -1;
	/* A sparse file may end in a gap. */
	if (g.size < (uint64_t)claim && !entry_reader_has_gaps(u->reader))
		return err_set(err, ERR_FORMAT, "entry \"%.160s\" is shorter than it says",
		               u->path);
	if (gather_gap(u, &g, (uint64_t)claim, err))
		return -1;
	return end_file(u, &g, &item->release, err);
}

/* What a hard link points at stands in the tree already (POSIX pax, linkpath). */
static int link_hard(struct unpacking *u, const char *target, struct tree_item *item,
                     struct err *err)
{
	char path[PATH_ROOM];
	uint32_t node;

	if (path_normalise(target, u->limits, path, err))
		return err_context(err, "hard link \"%.160s\"", u->path);
	node = tree_find(u->tree, path);
	if (node == TREE_NONE || tree_item(u->tree, node).kind == TREE_FOLDER)
		return err_set(err, ERR_FORMAT,
		               "hard link \"%.160s\" to \"%.160s\" points at no file before it",
		               u->path, path);
	*item = tree_item(u->tree, node);
	return 0;
}

static const char *type_name(mode_t type)
{
	switch (type) {
	case AE_IFBLK:
		return "block device";
	case AE_IFCHR:
		return "character device";
	case AE_IFIFO:
		return "fifo";
	case AE_IFSOCK:
		return "socket";
	default:
		return "file of unknown type";
	}
}

/* What no calendar has (a number of the archive's, of 64 bits) becomes the nearest that one has. */
static int64_t time_of(struct archive_entry *entry)
{
	const int64_t first = -62167219200, last = 253402300799; /* of the years 0 to 9999 */
	int64_t time = archive_entry_mtime(entry);

	return time < first ? first : time > last ? last : time;
}

static int read_item(struct unpacking *u, struct archive_entry *entry, struct tree_item *item,
                     struct err *err)
{
	mode_t type = archive_entry_filetype(entry);
	const char *hard = archive_entry_hardlink(entry);
	const char *symbolic = archive_entry_symlink(entry);

	*item = (struct tree_item){ .kind = TREE_FOLDER,
		                    .mode = (uint16_t)(archive_entry_perm(entry) & 0777),
		                    .mtime = time_of(entry) };
	if (hard)
		return link_hard(u, hard, item, err);
	if (type == AE_IFLNK) {
		item->kind = TREE_LINK;
		item->target = symbolic ? symbolic : "";
		if (!*item->target || strlen(item->target) > u->limits->path_bytes)
			return err_set(err, ERR_FORMAT, "link \"%.160s\" has no usable target",
			               u->path);
		return 0;
	}
	if (type == AE_IFREG) {
		item->kind = TREE_FILE;
		return read_file(u, entry, item, err);
	}
	if (type != AE_IFDIR)
		return err_set(err, ERR_FORMAT, "entry \"%.160s\" is a %s", u->path,
		               type_name(type));
	return 0;
}

static int read_entry(struct unpacking *u, struct archive_entry *entry, struct err *err)
{
	const char *name = archive_entry_pathname(entry);
	struct tree_item item;

	if (++u->entries > u->limits->entries)
		return err_set(err, ERR_LIMIT, "the archive has over %" PRIu64 " entries",
		               u->limits->entries);
	if (path_normalise(name, u->limits, u->path, err) || read_item(u, entry, &item, err))
		return -1;
	if (!u->is_inner && item.kind != TREE_FOLDER && u->files++ == 0)
		memcpy(u->only, u->path, sizeof(u->only));
	return tree_put(u->tree, u->path, &item, err);
}

/* ---- one level ---- */

static int read_entries(struct unpacking *u, int fd, struct proven *file, struct err *err)
{
	CLEANUP(cleanup_reader)
	struct entry_reader *reader = entry_reader_new(fd, file, u->limits, u->cancel, u->path,
	                                               err);
	struct archive_entry *entry;
	int more;

	if (!reader)
		return -1;
	u->reader = reader;
	while ((more = entry_reader_next(reader, &entry, err)) > 0)
		if (read_entry(u, entry, err))
			return -1;
	return more;
}

/* Put what became of a file's content in the place of its number. */
static void fill_in(void *ctx, struct tree_item *item)
{
	struct ingested done;

	ingest_result(ctx, item->release, &done);
	item->release = 0;
	item->content = done.content;
	item->size = done.size;
	item->twin = done.twin;
	item->twin_size = done.twin_size;
}

/* What seems wrong with the archive may be what the disk made of it. */
static int end_reading(struct unpacking *u, struct proven *file, int failed, struct err *err)
{
	if (failed && err->kind != ERR_FORMAT && err->kind != ERR_LIMIT)
		return -1;
	return proven_end(file, u->cancel, err) || failed ? -1 : 0;
}

/* The tree of the archive in fd; see unpack. name is the file's, for errors. */
static struct tree *unpack_level(struct unpacking *u, int fd, const struct digest *digest,
                                 const char *name, struct err *err)
{
	/* Folders that no entry names, and what links copy, count too: each path has `depth` at
	 * most. */
	CLEANUP(cleanup_tree) struct tree *tree = tree_new(u->limits->entries * 2, err);
	CLEANUP(cleanup_ingest) struct ingest *ingest = tree ? ingest_new(u->layout, err) : NULL;
	CLEANUP(cleanup_proven)
	struct proven *file = ingest ? proven_new(fd, digest, name, err) : NULL;
	uint64_t before = u->entries;
	int failed;

	if (!file)
		return NULL;
	u->tree = tree;
	u->ingest = ingest;
	u->path[0] = '\0';
	failed = read_entries(u, fd, file, err);
	if (end_reading(u, file, failed, err) || ingest_finish(ingest, err))
		return NULL;
	tree_fill_files(tree, fill_in, ingest);
	if (tree_resolve_links(tree, u->limits, err))
		return NULL;
	if (u->entries == before) {
		(void)err_set(err, ERR_FORMAT, "the archive is empty");
		return NULL;
	}
	return STEAL(tree);
}

/* ---- an archive in an archive ---- */

static bool is_archive_name(const char *name)
{
	static const char *const endings[] = { ".tgz",     ".tar.gz", ".tar",  ".tar.xz",
		                               ".tar.zst", ".txz",    ".tzst", ".zip" };
	size_t length = strlen(name);

	for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
		size_t size = strlen(endings[i]);

		if (length > size && !strcasecmp(name + length - size, endings[i]))
			return true;
	}
	return false;
}

/* Whether the archive at hand is but the wrapping of another. */
static bool is_wrapping(const struct unpacking *u)
{
	return u->files == 1 && is_archive_name(u->only) &&
	       stream_format_of(u->head) != STREAM_UNKNOWN;
}

/* The tree of the archive that is all of `outer`. */
static struct tree *unpack_inner(struct unpacking *u, const struct tree *outer, struct err *err)
{
	const struct tree_item item = tree_item(outer, tree_find(outer, u->only));
	CLEANUP(cleanup_fd) int fd = object_open(u->layout, &item.content, item.size, err);
	char object[LAYOUT_OBJECT_SIZE], name[LAYOUT_OBJECT_SIZE + 8];
	struct tree *tree;

	(void)snprintf(name, sizeof(name), "object %s", layout_object_name(&item.content, object));
	u->is_inner = true;
	tree = fd < 0 ? NULL : unpack_level(u, fd, &item.content, name, err);
	if (tree)
		return tree;
	/* Other releases may name it, and so may the next try. */
	if (err->kind == ERR_DIGEST)
		(void)object_put_aside(u->layout, &item.content, item.size, fd);
	(void)err_context(err, "%.160s in the archive", u->only);
	return NULL;
}

struct tree *unpack(int fd, const struct digest *digest, const struct layout *layout,
                    const struct store_limits *limits, const struct cancel *cancel, struct err *err)
{
	CLEANUP(cleanup_writer) struct object_writer *writer = object_writer_new(layout, err);
	CLEANUP(cleanup_tree) struct tree *outer = NULL;
	struct unpacking u = {
		.layout = layout, .limits = limits, .cancel = cancel, .writer = writer
	};
	struct stat st;

	if (!writer)
		return NULL;
	if (fstat(fd, &st)) {
		(void)err_set_sys(err, errno, "read the archive");
		return NULL;
	}
	u.packed = (uint64_t)st.st_size;
	outer = unpack_level(&u, fd, digest, "the download", err);
	return outer && is_wrapping(&u) ? unpack_inner(&u, outer, err) : STEAL(outer);
}
