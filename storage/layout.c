/* The store's folder; see layout.h. */
#include "layout.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/io.h"
#include "storage.h"

enum {
	/* For a release's own file, its folders and what comes between two looks at the room. */
	SPARE_INODES = 512,
	LOOK_BYTES_MIN = 256 * 1024,
	LOOK_BYTES_MAX = 8 * 1024 * 1024,
};

static const struct layout no_layout = { .root = -1,
	                                 .objects = -1,
	                                 .blocks = -1,
	                                 .releases = -1,
	                                 .quarantine = -1,
	                                 .tmp = -1,
	                                 .lock = -1 };

static const char format_text[] = "specman-store 1\n";

static int open_folder(int at, const char *name, int *out_fd, struct err *err)
{
	if (mkdirat(at, name, 0750) && errno != EEXIST)
		return err_set_sys(err, errno, "create folder %s", name);
	*out_fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (*out_fd < 0)
		return err_set_sys(err, errno, "open folder %s", name);
	return 0;
}

/* For others to read; a full disk is no reason not to serve what is there. */
static void write_holder(int lock)
{
	char text[32];
	int length = snprintf(text, sizeof(text), "%ld\n", (long)getpid());

	if (ftruncate(lock, 0) || write(lock, text, (size_t)length) < 0)
		return;
}

static int take_lock(struct layout *layout, struct err *err)
{
	char text[32] = "";

	layout->lock = openat(layout->root, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0640);
	/* What a disk that takes no writes any more has is served all the same. */
	if (layout->lock < 0 && errno == EROFS)
		layout->lock = openat(layout->root, "lock", O_RDONLY | O_CLOEXEC);
	if (layout->lock < 0)
		return err_set_sys(err, errno, "open lock");
	layout->is_locked = !flock(layout->lock, LOCK_EX | LOCK_NB);
	if (!layout->is_locked && errno != ENOLCK && errno != EOPNOTSUPP && errno != ENOSYS) {
		if (errno != EWOULDBLOCK)
			return err_set_sys(err, errno, "lock");
		if (pread(layout->lock, text, sizeof(text) - 1, 0) <= 0)
			(void)strcpy(text, "unknown");
		text[strcspn(text, "\n")] = '\0';
		return err_set(err, ERR_CONFIG,
		               "the data directory is in use by another specman, process %s: "
		               "end that one, or give each its own --data-dir",
		               text);
	}
	write_holder(layout->lock);
	return 0;
}

/* ERR_NOT_FOUND where there is no store yet. */
static int check_format(int root, struct err *err)
{
	CLEANUP(buf_release) struct buf text = BUF_INIT(256);

	if (io_read_file(root, "format", &text, err))
		return -1;
	if (strcmp(buf_text(&text), format_text) != 0)
		return err_set(err, ERR_CONFIG,
		               "the store's format is \"%.40s\", and this version knows only "
		               "\"specman-store 1\": run the version that wrote it",
		               buf_text(&text));
	return 0;
}

static int make_format(int root, struct err *err)
{
	struct err reason;

	if (!check_format(root, &reason))
		return 0;
	if (reason.kind == ERR_NOT_FOUND)
		return io_replace_file(root, "format", format_text, sizeof(format_text) - 1, 0640,
		                       err);
	*err = reason;
	return -1;
}

int store_check_format(const char *dir, struct err *err)
{
	CLEANUP(cleanup_fd) int root = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct err reason;

	if (root < 0)
		return err_set_sys(err, errno, "open folder %s", dir);
	if (!check_format(root, &reason) || reason.kind == ERR_NOT_FOUND)
		return 0;
	*err = reason;
	return err_context(err, "data directory %s", dir);
}

static bool is_download(const char *name)
{
	return !strncmp(name, LAYOUT_DOWNLOAD, sizeof(LAYOUT_DOWNLOAD) - 1);
}

/*
 * Remove what was under way when the last writer ended: in tmp/ everything but
 * downloads, in releases/ the files that were not renamed yet.
 */
static int remove_leftovers(int folder, const char *name, const char *ending, struct err *err)
{
	int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;

	if (!dir) {
		(void)err_set_sys(err, errno, "list %s", name);
		cleanup_fd(&fd);
		return -1;
	}
	while ((entry = readdir(dir))) {
		size_t length = strlen(entry->d_name);

		/* A busy NFS leftover may stay. */
		if (entry->d_name[0] != '.' && length >= strlen(ending) &&
		    (*ending || !is_download(entry->d_name)) &&
		    !strcmp(entry->d_name + length - strlen(ending), ending))
			(void)unlinkat(folder, entry->d_name, 0);
	}
	(void)closedir(dir);
	return 0;
}

static int open_all(struct layout *layout, const char *dir, struct err *err)
{
	if (open_folder(AT_FDCWD, dir, &layout->root, err) || take_lock(layout, err) ||
	    make_format(layout->root, err) ||
	    open_folder(layout->root, "objects", &layout->objects, err) ||
	    open_folder(layout->root, "blocks", &layout->blocks, err) ||
	    open_folder(layout->root, "releases", &layout->releases, err) ||
	    open_folder(layout->root, "quarantine", &layout->quarantine, err) ||
	    open_folder(layout->root, "tmp", &layout->tmp, err))
		return -1;
	if (remove_leftovers(layout->tmp, "tmp", "", err))
		return -1;
	if (remove_leftovers(layout->releases, "releases", ".proof.new", err))
		return -1;
	return remove_leftovers(layout->releases, "releases", ".mtree.new", err);
}

int layout_open(const char *dir, struct layout *out_layout, struct err *err)
{
	struct layout layout = no_layout;

	if (open_all(&layout, dir, err)) {
		layout_close(&layout);
		return err_context(err, "data directory %s", dir);
	}
	*out_layout = layout;
	return 0;
}

static int open_to_read(int at, const char *name, int *out_fd, struct err *err)
{
	*out_fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (*out_fd < 0 && errno == ENOENT)
		return err_set(err, ERR_NOT_FOUND, "there is no %s", name);
	return *out_fd < 0 ? err_set_sys(err, errno, "open folder %s", name) : 0;
}

int layout_open_reader(const char *dir, struct layout *out_layout, struct err *err)
{
	struct layout layout = no_layout;

	if (open_to_read(AT_FDCWD, dir, &layout.root, err) || check_format(layout.root, err) ||
	    open_to_read(layout.root, "objects", &layout.objects, err) ||
	    open_to_read(layout.root, "releases", &layout.releases, err)) {
		layout_close(&layout);
		return err_context(err, "data directory %s", dir);
	}
	*out_layout = layout;
	return 0;
}

void layout_close(struct layout *layout)
{
	cleanup_fd(&layout->tmp);
	cleanup_fd(&layout->quarantine);
	cleanup_fd(&layout->releases);
	cleanup_fd(&layout->blocks);
	cleanup_fd(&layout->objects);
	cleanup_fd(&layout->lock);
	cleanup_fd(&layout->root);
}

char *layout_object_name(const struct digest *digest, char name[static LAYOUT_OBJECT_SIZE])
{
	char hex[DIGEST_TEXT_SIZE];

	(void)digest_hex(digest, hex);
	(void)snprintf(name, LAYOUT_OBJECT_SIZE, "%.2s/%.62s", hex, hex + 2);
	return name;
}

int layout_place(int from_fd, const char *from, int to_fd, const struct digest *digest,
                 struct err *err)
{
	char name[LAYOUT_OBJECT_SIZE];
	char folder[3];

	(void)snprintf(folder, sizeof(folder), "%.2s", layout_object_name(digest, name));
	if (!renameat(from_fd, from, to_fd, name))
		return 0;
	/* The folder is made on demand, which is 256 times in a store's life. */
	if (errno == ENOENT) {
		if (mkdirat(to_fd, folder, 0750) && errno != EEXIST)
			return err_set_sys(err, errno, "create folder %s for %s", folder, name);
		if (!renameat(from_fd, from, to_fd, name))
			return 0;
	}
	return err_set_sys(err, errno, "rename %s to %s", from, name);
}

int layout_tmp_create(const struct layout *layout, char out_name[static LAYOUT_TMP_SIZE],
                      struct err *err)
{
	static atomic_uint_fast64_t counter;
	int fd;

	(void)snprintf(out_name, LAYOUT_TMP_SIZE, "new-%llu",
	               (unsigned long long)atomic_fetch_add(&counter, 1));
	fd = openat(layout->tmp, out_name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0440);
	if (fd < 0)
		return err_set_sys(err, errno, "create tmp/%s", out_name);
	return fd;
}

DIR *layout_list(int at, const char *name, struct err *err)
{
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (!dir) {
		(void)err_set_sys(err, errno, "list folder %s of the store", name);
		cleanup_fd(&fd);
	}
	return dir;
}

int layout_next(DIR *dir, const struct dirent **out_entry, const char *name, struct err *err)
{
	errno = 0;
	*out_entry = readdir(dir);
	if (*out_entry)
		return 1;
	return errno ? err_set_sys(err, errno, "list folder %s of the store", name) : 0;
}

int layout_check_room(const struct layout *layout, uint64_t needed, struct err *err)
{
	const uint64_t reserve = layout->reserve_bytes;
	struct statvfs fs;
	uint64_t room;

	if (fstatvfs(layout->root, &fs))
		return err_set_sys(err, errno, "free space of the data directory");
	room = (uint64_t)fs.f_bavail * fs.f_frsize;
	if (room < reserve || room - reserve < needed)
		return err_set(err, ERR_NO_SPACE,
		               "no room: %" PRIu64 " bytes needed, %" PRIu64 " free, %" PRIu64
		               " of them kept in reserve",
		               needed, room, reserve);
	/* Some file systems have no fixed number of inodes, and say 0. */
	if (fs.f_files && fs.f_favail < SPARE_INODES)
		return err_set(err, ERR_NO_SPACE,
		               "no room: %" PRIu64 " inodes free, %d of them kept in reserve",
		               (uint64_t)fs.f_favail, SPARE_INODES);
	return 0;
}

uint64_t layout_look_bytes(const struct layout *layout)
{
	uint64_t part = layout->reserve_bytes / 8; /* of each of several writers */

	if (part > LOOK_BYTES_MAX)
		return LOOK_BYTES_MAX;
	return part < LOOK_BYTES_MIN ? LOOK_BYTES_MIN : part;
}

void layout_explain(const struct layout *layout, struct err *err)
{
	struct statvfs fs;

	if (err->kind != ERR_NO_SPACE || !err->sys || fstatvfs(layout->root, &fs))
		return;
	(void)err_context(err, "%" PRIu64 " bytes free, %" PRIu64 " of them kept in reserve",
	                  (uint64_t)fs.f_bavail * fs.f_frsize, layout->reserve_bytes);
}
