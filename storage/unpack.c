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

#include <archive.h>
#include <archive_entry.h>

#include "base/cleanup.h"
#include "ingest.h"
#include "object.h"
#include "path.h"
#include "proven.h"
#include "stream.h"

enum { GAP_BYTES = 16384 };

/* What is inside a packed archive besides contents: headers, padding, long names. */
static const uint64_t stream_bytes_an_entry = 4096;

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
	struct archive *archive;
	struct proven *file;   /* what is read */
	struct stream *stream; /* NULL when it is read in any order */
	struct err read_err;   /* why reading failed */
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

static void cleanup_archive(struct archive **archive)
{
	if (*archive)
		(void)archive_read_free(*archive);
}

static void cleanup_gathering(struct gathering *gathering)
{
	free(gathering->bytes);
}

DEFINE_CLEANUP(cleanup_writer, struct object_writer, object_writer_free);
DEFINE_CLEANUP(cleanup_tree, struct tree, tree_free);
DEFINE_CLEANUP(cleanup_ingest, struct ingest, ingest_free);
DEFINE_CLEANUP(cleanup_proven, struct proven, proven_free);

static int archive_error(struct unpacking *u, struct err *err)
{
	const char *text = archive_error_string(u->archive);

	if (u->read_err.kind) {
		*err = u->read_err;
		return u->path[0] ? err_context(err, "after entry \"%.160s\"", u->path) : -1;
	}

	return err_set(err, ERR_FORMAT, "the archive is broken%s%.160s: %.200s",
	               u->path[0] ? " after entry " : "", u->path, text ? text : "unknown reason");
}

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
		la_int64_t offset;
		int result = archive_read_data_block(u->archive, &block, &length, &offset);

		if (result == ARCHIVE_EOF)
			return 0;
		/* Here a warning is about a checksum or a size (of zip). */
		if (result != ARCHIVE_OK)
			return archive_error(u, err);
		if (offset < 0 || (uint64_t)offset < g->size)
			return err_set(err, ERR_FORMAT, "entry \"%.160s\" overlaps itself",
			               u->path);
		if (gather_gap(u, g, (uint64_t)offset, err) ||
		    (length && gather(u, g, block, length, err)))
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
	if (g.size < (uint64_t)claim &&
	    (archive_format(u->archive) & ARCHIVE_FORMAT_BASE_MASK) != ARCHIVE_FORMAT_TAR)
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
	if (node == TREE_NONE || tree_item(u->tree, node)->kind == TREE_FOLDER)
		return err_set(err, ERR_FORMAT,
		               "hard link \"%.160s\" to \"%.160s\" points at no file before it",
		               u->path, path);
	*item = *tree_item(u->tree, node);
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

	if (!name)
		return err_set(err, ERR_FORMAT, "an entry after \"%.160s\" has no name", u->path);
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

static la_ssize_t give(struct archive *archive, void *ctx, const void **out_bytes)
{
	struct unpacking *u = ctx;
	size_t size;

	if (u->stream ? stream_read(u->stream, out_bytes, &size, &u->read_err)
	              : proven_next(u->file, out_bytes, &size, &u->read_err)) {
		archive_set_error(archive, EIO, "%s", u->read_err.msg);
		return ARCHIVE_FATAL;
	}
	return (la_ssize_t)size;
}

static la_int64_t seek(struct archive *archive, void *ctx, la_int64_t offset, int whence)
{
	struct unpacking *u = ctx;
	const uint64_t from = whence == SEEK_SET   ? 0
	                      : whence == SEEK_CUR ? proven_at(u->file)
	                                           : proven_size(u->file);

	if (offset < 0 ? from < (uint64_t)-offset : (uint64_t)offset > INT64_MAX - from) {
		archive_set_error(archive, EINVAL, "it says that it goes on where nothing can be");
		return ARCHIVE_FATAL;
	}
	proven_seek(u->file, from + (uint64_t)offset);
	return (la_int64_t)proven_at(u->file);
}

/* How the file is read: in order by a thread, or as a zip archive asks for it. */
static int prepare_reading(struct unpacking *u, enum stream_format format, struct err *err)
{
	const struct store_limits *limits = u->limits;
	const uint64_t packed_max = limits->total_bytes + limits->entries * stream_bytes_an_entry;

	if (format == STREAM_ZIP || format == STREAM_UNKNOWN) {
		if (archive_read_set_seek_callback(u->archive, seek) != ARCHIVE_OK)
			return archive_error(u, err);
		return proven_index(u->file, u->cancel, err);
	}
	u->stream = stream_new(u->file, format, format == STREAM_TAR ? UINT64_MAX : packed_max,
	                       err);
	return u->stream ? 0 : -1;
}

static int open_archive(struct unpacking *u, int fd, struct err *err)
{
	enum stream_format format;

	if (stream_format(fd, &format, err))
		return -1;
	u->archive = archive_read_new();
	if (!u->archive)
		return err_set_sys(err, ENOMEM, "archive reader");
	if (archive_read_support_format_tar(u->archive) != ARCHIVE_OK ||
	    archive_read_support_format_zip(u->archive) != ARCHIVE_OK)
		return archive_error(u, err);
	if (prepare_reading(u, format, err))
		return -1;
	return archive_read_open(u->archive, u, NULL, give, NULL) == ARCHIVE_OK
	               ? 0
	               : archive_error(u, err);
}

/*
 * Warnings about names that don't fit the locale (they stay bytes here) and
 * about access lists. Others say that a part of the header was passed over.
 */
static bool is_harmless(struct archive *archive)
{
	const char *text = archive_error_string(archive);

	return text && (strstr(text, "converted") || strstr(text, "ACL") || strstr(text, "acl"));
}

/* libarchive can take a part that it could not read for an archive's end. */
static int end_entries(struct unpacking *u, struct err *err)
{
	if (u->read_err.kind)
		return archive_error(u, err);
	return u->stream ? stream_drain(u->stream, u->cancel, err) : 0;
}

static int read_entries(struct unpacking *u, struct err *err)
{
	struct archive_entry *entry;

	for (;;) {
		int result = archive_read_next_header(u->archive, &entry);

		if (cancel_check(u->cancel, err))
			return -1;
		if (result == ARCHIVE_EOF)
			return end_entries(u, err);
		if (result != ARCHIVE_OK && !(result == ARCHIVE_WARN && is_harmless(u->archive)))
			return archive_error(u, err);
		if (read_entry(u, entry, err))
			return -1;
	}
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

/* End the reading. What seems wrong with the archive may be what the disk made of it. */
static int close_archive(struct unpacking *u, int failed, struct err *err)
{
	cleanup_archive(&u->archive);
	u->archive = NULL;
	stream_free(STEAL(u->stream));
	if (failed && err->kind != ERR_FORMAT && err->kind != ERR_LIMIT)
		return -1;
	return proven_end(u->file, u->cancel, err) || failed ? -1 : 0;
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
	u->file = file;
	u->path[0] = '\0';
	failed = open_archive(u, fd, err) || read_entries(u, err);
	if (close_archive(u, failed, err) || ingest_finish(ingest, err))
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
	const struct tree_item *item = tree_item(outer, tree_find(outer, u->only));
	CLEANUP(cleanup_fd) int fd = object_open(u->layout, &item->content, item->size, err);
	char object[LAYOUT_OBJECT_SIZE], name[LAYOUT_OBJECT_SIZE + 8];
	struct tree *tree;

	(void)snprintf(name, sizeof(name), "object %s", layout_object_name(&item->content, object));
	u->is_inner = true;
	tree = fd < 0 ? NULL : unpack_level(u, fd, &item->content, name, err);
	if (tree)
		return tree;
	/* Other releases may name it, and so may the next try. */
	if (err->kind == ERR_DIGEST)
		object_put_aside(u->layout, &item->content);
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
