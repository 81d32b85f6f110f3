/* The store's folder; see layout.h. */
#include "layout.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
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

static int take_lock(struct layout *layout, struct err *err)
{
	char text[32] = "";
	int length;

	layout->lock = openat(layout->root, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0640);
	if (layout->lock < 0)
		return err_set_sys(err, errno, "open lock");
	if (flock(layout->lock, LOCK_EX | LOCK_NB)) {
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
	length = snprintf(text, sizeof(text), "%ld\n", (long)getpid());
	if (ftruncate(layout->lock, 0))
		return err_set_sys(err, errno, "write lock");
	return io_write_all(layout->lock, text, (size_t)length, "lock", err);
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

/*
 * Remove what was under way when the last writer ended: in tmp/ everything, in
 * releases/ the files that were not renamed yet.
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
	    open_folder(layout->root, "releases", &layout->releases, err) ||
	    open_folder(layout->root, "tmp", &layout->tmp, err))
		return -1;
	if (remove_leftovers(layout->tmp, "tmp", "", err))
		return -1;
	return remove_leftovers(layout->releases, "releases", ".mtree.new", err);
}

int layout_open(const char *dir, struct layout *out_layout, struct err *err)
{
	struct layout layout = { -1, -1, -1, -1, -1 };

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
	struct layout layout = { -1, -1, -1, -1, -1 };

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
	cleanup_fd(&layout->releases);
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

int layout_free_bytes(const struct layout *layout, uint64_t *out_bytes, struct err *err)
{
	struct statvfs fs;

	if (fstatvfs(layout->root, &fs))
		return err_set_sys(err, errno, "free space of the data directory");
	*out_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
	return 0;
}
