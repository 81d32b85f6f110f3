/* Unpacking; see unpack.h. */
#include "unpack.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <archive.h>
#include <archive_entry.h>

#include "base/cleanup.h"
#include "object.h"
#include "path.h"

enum { READ_BLOCK = 128 * 1024 };

struct unpacking {
	struct archive *archive;
	const struct store_limits *limits;
	const struct cancel *cancel;
	struct object_writer *writer;
	struct tree *tree;
	uint64_t packed; /* bytes of the archive file */
	uint64_t total;  /* bytes unpacked */
	uint64_t entries;
	char path[PATH_ROOM]; /* of the entry at hand */
};

static void cleanup_archive(struct archive **archive)
{
	if (*archive)
		(void)archive_read_free(*archive);
}

DEFINE_CLEANUP(cleanup_writer, struct object_writer, object_writer_free);
DEFINE_CLEANUP(cleanup_tree, struct tree, tree_free);

static int archive_error(struct unpacking *u, struct err *err)
{
	const char *text = archive_error_string(u->archive);

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

/* Sparse files come as blocks with gaps: a gap is zeros. */
static int add_gap(struct unpacking *u, uint64_t *size, uint64_t offset, struct err *err)
{
	static const unsigned char zeros[16384];

	while (*size < offset) {
		size_t part = offset - *size < sizeof(zeros) ? (size_t)(offset - *size)
		                                             : sizeof(zeros);

		*size += part;
		u->total += part;
		if (check_size(u, *size, err) || object_writer_add(u->writer, zeros, part, err))
			return -1;
	}
	return 0;
}

static int read_file(struct unpacking *u, struct archive_entry *entry, struct tree_item *item,
                     struct err *err)
{
	uint64_t size = 0;

	for (;;) {
		const void *block;
		size_t length;
		la_int64_t offset;
		int result = archive_read_data_block(u->archive, &block, &length, &offset);

		if (result == ARCHIVE_EOF)
			break;
		if (result != ARCHIVE_OK && result != ARCHIVE_WARN)
			return archive_error(u, err);
		if (offset < 0 || (uint64_t)offset < size)
			return err_set(err, ERR_FORMAT, "entry \"%.160s\" overlaps itself",
			               u->path);
		if (add_gap(u, &size, (uint64_t)offset, err))
			return -1;
		size += length;
		u->total += length;
		if (check_size(u, size, err) || object_writer_add(u->writer, block, length, err))
			return -1;
	}
	if (archive_entry_size_is_set(entry) &&
	    add_gap(u, &size, (uint64_t)archive_entry_size(entry), err))
		return -1;
	return object_writer_end(u->writer, &item->content, &item->size, err);
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
		return "entry of unknown type";
	}
}

static int read_item(struct unpacking *u, struct archive_entry *entry, struct tree_item *item,
                     struct err *err)
{
	mode_t type = archive_entry_filetype(entry);
	const char *hard = archive_entry_hardlink(entry);
	const char *symbolic = archive_entry_symlink(entry);

	*item = (struct tree_item){ .kind = TREE_FOLDER,
		                    .mode = (uint16_t)(archive_entry_perm(entry) & 0777),
		                    .mtime = archive_entry_mtime(entry) };
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
	bool replaced;

	if (!name)
		return err_set(err, ERR_FORMAT, "an entry after \"%.160s\" has no name", u->path);
	if (++u->entries > u->limits->entries)
		return err_set(err, ERR_LIMIT, "the archive has over %" PRIu64 " entries",
		               u->limits->entries);
	if (path_normalise(name, u->limits, u->path, err) || read_item(u, entry, &item, err))
		return -1;
	return tree_put(u->tree, u->path, &item, TREE_STRICT, &replaced, err);
}

static int open_archive(struct unpacking *u, int fd, struct err *err)
{
	struct stat st;

	if (fstat(fd, &st))
		return err_set_sys(err, errno, "read the archive");
	u->packed = (uint64_t)st.st_size;
	if (lseek(fd, 0, SEEK_SET) < 0)
		return err_set_sys(err, errno, "read the archive");
	u->archive = archive_read_new();
	if (!u->archive)
		return err_set_sys(err, ENOMEM, "archive reader");
	if (archive_read_support_filter_gzip(u->archive) != ARCHIVE_OK ||
	    archive_read_support_filter_xz(u->archive) != ARCHIVE_OK ||
	    archive_read_support_filter_zstd(u->archive) != ARCHIVE_OK ||
	    archive_read_support_format_tar(u->archive) != ARCHIVE_OK ||
	    archive_read_support_format_zip(u->archive) != ARCHIVE_OK ||
	    archive_read_open_fd(u->archive, fd, READ_BLOCK) != ARCHIVE_OK)
		return archive_error(u, err);
	return 0;
}

static int read_entries(struct unpacking *u, struct err *err)
{
	struct archive_entry *entry;

	for (;;) {
		int result = archive_read_next_header(u->archive, &entry);

		if (cancel_check(u->cancel, err))
			return -1;
		if (result == ARCHIVE_EOF)
			return 0;
		/* A warning is about names that don't fit the locale: they stay bytes here. */
		if (result != ARCHIVE_OK && result != ARCHIVE_WARN)
			return archive_error(u, err);
		if (read_entry(u, entry, err))
			return -1;
	}
}

struct tree *unpack(int fd, const struct layout *layout, const struct store_limits *limits,
                    const struct cancel *cancel, struct err *err)
{
	CLEANUP(cleanup_archive) struct archive *archive = NULL;
	CLEANUP(cleanup_writer) struct object_writer *writer = object_writer_new(layout, err);
	CLEANUP(cleanup_tree) struct tree *tree = NULL;
	struct unpacking u = { .limits = limits, .cancel = cancel, .writer = writer };
	int failed;

	if (!writer)
		return NULL;
	/* Folders that no entry names, and what links copy, count too: each path has `depth` at
	 * most. */
	tree = tree_new(limits->entries * 2, err);
	if (!tree)
		return NULL;
	u.tree = tree;
	failed = open_archive(&u, fd, err) || read_entries(&u, err);
	archive = u.archive;
	if (failed || tree_resolve_links(tree, limits, err))
		return NULL;
	if (u.entries == 0) {
		(void)err_set(err, ERR_FORMAT, "the archive is empty");
		return NULL;
	}
	return STEAL(tree);
}
