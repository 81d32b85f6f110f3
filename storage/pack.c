/*
 * Packing a folder into an archive, and trying whether an archive would be
 * unpacked (see storage.h). A folder is walked twice: first everything is looked
 * at, and held against the rules of unpacking; then it is read.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <archive.h>
#include <archive_entry.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "pack.h"
#include "path.h"
#include "remove_tree.h"
#include "tree.h"
#include "unpack.h"

enum { BLOCK_BYTES = 128 * 1024 };

struct packing {
	const struct store_limits *limits;
	const struct cancel *cancel;
	const struct store_export_observer *observer;
	struct tree *tree;       /* of the first walk, else NULL */
	struct archive *archive; /* of the second */
	int out;
	bool is_over;       /* nothing more goes out */
	uint64_t done, all; /* bytes */
	uint64_t packed;
	struct store_contents contents;
	char path[2 + PATH_ROOM]; /* "./a/b" */
	char block[BLOCK_BYTES];
};

DEFINE_CLEANUP(cleanup_tree, struct tree, tree_free);

static void cleanup_packing(struct packing **packing)
{
	free(*packing);
}

/* The path within the folder, "" for itself. */
static const char *inner(const struct packing *p)
{
	return p->path[1] ? p->path + 2 : "";
}

/* ---- names of a folder ---- */

struct names {
	char **at;
	size_t count, room;
};

static void names_release(struct names *names)
{
	for (size_t i = 0; i < names->count; i++)
		free(names->at[i]);
	free(names->at);
}

static int names_add(struct names *names, const char *name, struct err *err)
{
	if (names->count == names->room) {
		size_t room = names->room ? 2 * names->room : 64;
		char **more = realloc(names->at, room * sizeof(*more));

		if (!more)
			return err_set_sys(err, ENOMEM, "folder of %zu entries", room);
		names->at = more;
		names->room = room;
	}
	names->at[names->count] = strdup(name);
	if (!names->at[names->count])
		return err_set_sys(err, ENOMEM, "folder");
	names->count++;
	return 0;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Sorted by bytes. fd stays the caller's. */
static int names_read(const struct packing *p, int fd, struct names *names, struct err *err)
{
	int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CLEANUP(cleanup_dir) DIR *dir = copy < 0 ? NULL : fdopendir(copy);
	const struct dirent *entry;

	if (!dir) {
		int reason = errno;

		cleanup_fd(&copy);
		return err_set_sys(err, reason, "read folder \"%.200s\"", p->path);
	}
	while (errno = 0, (entry = readdir(dir))) {
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
		    names_add(names, entry->d_name, err))
			return -1;
		if (names->count > p->limits->entries)
			break; /* refused when the entries are counted */
	}
	if (!entry && errno)
		return err_set_sys(err, errno, "read folder \"%.200s\"", p->path);
	if (names->count)
		qsort(names->at, names->count, sizeof(*names->at), compare_names);
	return 0;
}

/* ---- an entry ---- */

struct entry {
	const char *name;
	int folder; /* that it is in */
	int fd;     /* of a file or folder */
	struct stat st;
	char target[PATH_ROOM]; /* of a link */
};

static void entry_release(struct entry *entry)
{
	cleanup_fd(&entry->fd);
}

static const char *type_name(mode_t mode)
{
	return S_ISBLK(mode)    ? "block device"
	       : S_ISCHR(mode)  ? "character device"
	       : S_ISFIFO(mode) ? "fifo"
	       : S_ISSOCK(mode) ? "socket"
	                        : "entry of unknown type";
}

static int read_target(const struct packing *p, struct entry *entry, struct err *err)
{
	ssize_t size = readlinkat(entry->folder, entry->name, entry->target,
	                          sizeof(entry->target) - 1);

	if (size < 0)
		return err_set_sys(err, errno, "read link \"%.200s\"", inner(p));
	entry->target[size] = '\0';
	if (!size || (size_t)size > p->limits->path_bytes)
		return err_set(err, ERR_FORMAT, "link \"%.160s\" has no usable target", inner(p));
	return 0;
}

/* Look at what is there, and open it: that it can be read is known before anything is sent. */
static int entry_open(const struct packing *p, struct entry *entry, struct err *err)
{
	if (fstatat(entry->folder, entry->name, &entry->st, AT_SYMLINK_NOFOLLOW))
		return err_set_sys(err, errno, "look at \"%.200s\"", inner(p));
	if (S_ISLNK(entry->st.st_mode))
		return read_target(p, entry, err);
	if (!S_ISREG(entry->st.st_mode) && !S_ISDIR(entry->st.st_mode))
		return err_set(err, ERR_FORMAT, "entry \"%.160s\" is a %s", inner(p),
		               type_name(entry->st.st_mode));
	entry->fd = openat(entry->folder, entry->name,
	                   O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (entry->fd < 0 || fstat(entry->fd, &entry->st))
		return err_set_sys(err, errno, "read \"%.200s\"", inner(p));
	if (!S_ISREG(entry->st.st_mode) && !S_ISDIR(entry->st.st_mode))
		return err_set(err, ERR_IO, "\"%.160s\" has become something else meanwhile",
		               inner(p));
	return 0;
}

/* ---- the first walk: the rules ---- */

static int count(struct packing *p, const struct entry *entry, struct err *err)
{
	struct store_contents *contents = &p->contents;
	uint64_t entries;

	contents->folders += S_ISDIR(entry->st.st_mode);
	contents->links += S_ISLNK(entry->st.st_mode);
	contents->files += S_ISREG(entry->st.st_mode);
	entries = 1 + contents->folders + contents->links + contents->files; /* the root is one */
	if (entries > p->limits->entries)
		return err_set(err, ERR_LIMIT, "there are over %" PRIu64 " entries",
		               p->limits->entries);
	if (!S_ISREG(entry->st.st_mode))
		return 0;
	contents->bytes += (uint64_t)entry->st.st_size;
	if ((uint64_t)entry->st.st_size > p->limits->file_bytes)
		return err_set(err, ERR_LIMIT, "file \"%.160s\" is over %" PRIu64 " bytes",
		               inner(p), p->limits->file_bytes);
	if (contents->bytes > p->limits->total_bytes)
		return err_set(err, ERR_LIMIT,
		               "with file \"%.160s\" all are over %" PRIu64 " bytes", inner(p),
		               p->limits->total_bytes);
	return 0;
}

static int judge(struct packing *p, const struct entry *entry, struct err *err)
{
	const struct tree_item item = { .kind = S_ISDIR(entry->st.st_mode)   ? TREE_FOLDER
		                                : S_ISLNK(entry->st.st_mode) ? TREE_LINK
		                                                             : TREE_FILE,
		                        .target = entry->target };
	char path[PATH_ROOM];

	if (path_normalise(inner(p), p->limits, path, err) || count(p, entry, err))
		return -1;
	return tree_put(p->tree, path, &item, err);
}

/* ---- the second walk: the bytes ---- */

static int archive_failed(const struct packing *p, struct err *err)
{
	int reason = archive_errno(p->archive);
	const char *text = archive_error_string(p->archive);

	if (reason == ENOSPC || reason == EDQUOT)
		return err_set_sys(err, reason, "write the archive");
	return err_set(err, ERR_IO, "write the archive: %s", text ? text : "unknown reason");
}

static int write_header(const struct packing *p, const struct entry *entry, struct err *err)
{
	struct archive_entry *header = archive_entry_new();
	mode_t mode = entry->st.st_mode;
	bool may_run = S_ISDIR(mode) || (mode & 0111);
	int failed;

	if (!header)
		return err_set_sys(err, ENOMEM, "archive");
	archive_entry_set_pathname(header, p->path);
	archive_entry_set_filetype(header, mode & S_IFMT);
	archive_entry_set_perm(header, S_ISLNK(mode) ? 0777 : may_run ? 0755 : 0644);
	archive_entry_set_mtime(header, 0, 0);
	archive_entry_set_size(header, S_ISREG(mode) ? entry->st.st_size : 0);
	if (S_ISLNK(mode))
		archive_entry_set_symlink(header, entry->target);
	failed = archive_write_header(p->archive, header) != ARCHIVE_OK;
	archive_entry_free(header);
	return failed ? archive_failed(p, err) : 0;
}

static int write_content(struct packing *p, const struct entry *entry, struct err *err)
{
	uint64_t left = (uint64_t)entry->st.st_size;

	for (;;) {
		/* One byte more than is left shows that a file has grown. */
		size_t wanted = left < BLOCK_BYTES ? (size_t)left + 1 : BLOCK_BYTES;
		ssize_t size = read(entry->fd, p->block, wanted);

		if (size < 0 && errno == EINTR)
			continue;
		if (size < 0)
			return err_set_sys(err, errno, "read \"%.200s\"", inner(p));
		if ((uint64_t)size > left || (!size && left))
			return err_set(err, ERR_IO, "\"%.160s\" was changed while it was read",
			               inner(p));
		if (!size)
			return 0;
		if (archive_write_data(p->archive, p->block, (size_t)size) != size)
			return archive_failed(p, err);
		left -= (uint64_t)size;
		p->done += (uint64_t)size;
		p->observer->progress(p->observer->ctx, p->done, p->all);
		if (cancel_check(p->cancel, err))
			return -1;
	}
}

static int write_entry(struct packing *p, const struct entry *entry, struct err *err)
{
	if (write_header(p, entry, err))
		return -1;
	return S_ISREG(entry->st.st_mode) ? write_content(p, entry, err) : 0;
}

static la_ssize_t write_out(struct archive *archive, void *ctx, const void *bytes, size_t size)
{
	struct packing *p = ctx;
	struct err err;

	if (p->is_over)
		return -1;
	if (io_write_all(p->out, bytes, size, "the archive", &err)) {
		archive_set_error(archive, err.sys, "%s", err.msg);
		return -1;
	}
	p->packed += size;
	return (la_ssize_t)size;
}

/* ---- the walk ---- */

static int walk(struct packing *p, int folder, struct err *err)
{
	CLEANUP(names_release) struct names names = { .at = NULL };
	size_t length = strlen(p->path);

	if (names_read(p, folder, &names, err))
		return -1;
	for (size_t i = 0; i < names.count; i++) {
		CLEANUP(entry_release)
		struct entry entry = { .name = names.at[i], .folder = folder, .fd = -1 };
		size_t size = strlen(entry.name);

		if (length + 1 + size + 1 > sizeof(p->path))
			return err_set(err, ERR_LIMIT, "a path below \"%.100s\" is too long",
			               inner(p));
		p->path[length] = '/';
		memcpy(p->path + length + 1, entry.name, size + 1);
		if (cancel_check(p->cancel, err) || entry_open(p, &entry, err) ||
		    (p->tree ? judge(p, &entry, err) : write_entry(p, &entry, err)) ||
		    (S_ISDIR(entry.st.st_mode) && walk(p, entry.fd, err)))
			return -1;
		p->path[length] = '\0';
	}
	return 0;
}

static int survey(struct packing *p, int root, struct err *err)
{
	CLEANUP(cleanup_tree) struct tree *tree = tree_new(p->limits->entries * 2, err);
	int failed;

	if (!tree)
		return -1;
	p->tree = tree;
	failed = walk(p, root, err) || tree_resolve_links(tree, p->limits, err);
	p->tree = NULL;
	if (failed)
		return -1;
	p->all = p->contents.bytes;
	return p->contents.files ? 0 : err_set(err, ERR_FORMAT, "there is no file in it");
}

static int write_all(struct packing *p, int root, struct err *err)
{
	struct entry entry = { .fd = -1 };

	if (fstat(root, &entry.st))
		return err_set_sys(err, errno, "look at the folder");
	return write_entry(p, &entry, err) || walk(p, root, err) ? -1 : 0;
}

static int check_ratio(const struct packing *p, struct err *err)
{
	if (p->done <= p->limits->ratio_from || p->done / p->limits->ratio <= p->packed)
		return 0;
	return err_set(err, ERR_LIMIT, "it unpacks to over %" PRIu64 " times its size",
	               p->limits->ratio);
}

static int write_archive(struct packing *p, int root, struct err *err)
{
	struct archive *archive = archive_write_new();
	int failed;

	if (!archive)
		return err_set_sys(err, ENOMEM, "archive");
	p->archive = archive;
	/* GNU's format takes names as the bytes that they are, of any length. */
	if (archive_write_set_format_gnutar(archive) || archive_write_add_filter_gzip(archive) ||
	    archive_write_set_filter_option(archive, "gzip", "timestamp", NULL) ||
	    archive_write_set_bytes_in_last_block(archive, 1) ||
	    archive_write_open(archive, p, NULL, write_out, NULL))
		failed = archive_failed(p, err);
	else
		failed = write_all(p, root, err);
	/*
	 * Closing fills up a file that was broken off. It gives that up at the first write, and
	 * releases zlib's state, which archive_write_fail would not.
	 */
	p->is_over = failed != 0;
	if (archive_write_close(archive) && !failed)
		failed = archive_failed(p, err);
	(void)archive_write_free(archive);
	return failed ? -1 : check_ratio(p, err);
}

int store_pack(const char *folder, int fd, const struct store_limits *limits,
               const struct cancel *cancel, const struct store_export_observer *observer,
               struct store_contents *out_contents, struct err *err)
{
	CLEANUP(cleanup_fd) int root = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CLEANUP(cleanup_packing) struct packing *p = calloc(1, sizeof(*p));

	if (root < 0)
		return err_set_sys(err, errno, "open folder %s", folder);
	if (!p)
		return err_set_sys(err, ENOMEM, "pack");
	p->limits = limits;
	p->cancel = cancel;
	p->observer = observer;
	p->out = fd;
	p->path[0] = '.';
	if (survey(p, root, err) || write_archive(p, root, err))
		return err_context(err, "%s", folder);
	*out_contents = p->contents;
	return 0;
}

int store_try_archive(int fd, const char *scratch, const struct store_limits *limits,
                      const struct cancel *cancel, struct err *err)
{
	CLEANUP(cleanup_tree) struct tree *tree = NULL;
	char dir[PATH_MAX];
	struct layout layout;
	int failed;

	if ((size_t)snprintf(dir, sizeof(dir), "%s/specman-try-XXXXXX", scratch) >= sizeof(dir))
		return err_set(err, ERR_CONFIG, "the name of the folder %.100s is too long",
		               scratch);
	if (!mkdtemp(dir))
		return err_set_sys(err, errno, "create folder %s", dir);
	failed = layout_open(dir, &layout, err);
	if (!failed) {
		tree = unpack(fd, NULL, &layout, limits, cancel, err);
		layout_close(&layout);
	}
	remove_tree(dir);
	return tree ? 0 : -1;
}
