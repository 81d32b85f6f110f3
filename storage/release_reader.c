/* Reading a release's file; see release_reader.h and release.h. */
#include "release_reader.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/timestamp.h"
#include "object.h"
#include "path.h"
#include "path_order.h"
#include "release.h"

enum {
	/* A path whose every byte is escaped, and the rest of its line. */
	LINE_MAX_BYTES = 4 * PATH_ROOM + 512,
	BLOCK_BYTES = 64 * 1024,
};

_Static_assert((int)BLOCK_BYTES > (int)LINE_MAX_BYTES, "a line fits into the block");

struct release_reader {
	int fd;
	uint64_t end;     /* where the last line begins */
	uint64_t fetched; /* of what is before that */
	struct hasher *hasher;
	struct digest promised;
	uint64_t fingerprint;
	struct store_release info;
	char path[PATH_ROOM]; /* of the last entry */
	char next[PATH_ROOM]; /* and of the one that is being judged */
	size_t length;
	bool was_folder;
	size_t at, size; /* the part of the block that is still to be read */
	char block[BLOCK_BYTES + 1];
};

DEFINE_CLEANUP(cleanup_reader, struct release_reader, release_reader_free);

static int damaged(struct err *err, const char *why)
{
	return err_set(err, ERR_FORMAT, "the release's file is damaged (%s)", why);
}

/* What the disk has lost is to be fetched again like what it has changed. Always -1. */
static int judge(struct err *err)
{
	if (object_is_at_fault(err))
		err->kind = ERR_FORMAT;
	return -1;
}

static int read_at(struct release_reader *reader, void *bytes, size_t size, uint64_t offset,
                   struct err *err)
{
	if (!io_read_at(reader->fd, bytes, size, offset, "the release's file", err))
		return 0;
	return judge(err);
}

/* ---- lines ---- */

static int fill(struct release_reader *reader, struct err *err)
{
	size_t room, part;

	memmove(reader->block, reader->block + reader->at, reader->size - reader->at);
	reader->size -= reader->at;
	reader->at = 0;
	room = BLOCK_BYTES - reader->size;
	part = reader->end - reader->fetched < room ? (size_t)(reader->end - reader->fetched)
	                                            : room;
	if (!part)
		return damaged(err, "a line");
	if (read_at(reader, reader->block + reader->size, part, reader->fetched, err) ||
	    hasher_add(reader->hasher, reader->block + reader->size, part, err))
		return -1;
	reader->fetched += part;
	reader->size += part;
	return 0;
}

static bool is_at_end(const struct release_reader *reader)
{
	return reader->at == reader->size && reader->fetched == reader->end;
}

/* The next line, which ends in NUL instead of its newline. */
static int next_line(struct release_reader *reader, const char **out_line, struct err *err)
{
	char *line, *end;

	for (;;) {
		line = reader->block + reader->at;
		end = memchr(line, '\n', reader->size - reader->at);
		if (end)
			break;
		if (fill(reader, err))
			return -1;
	}
	*end = '\0';
	if (strlen(line) != (size_t)(end - line))
		return damaged(err, "a NUL");
	reader->at += (size_t)(end - line) + 1;
	*out_line = line;
	return 0;
}

/* Step over what has to be there. */
static bool skip(const char **at, const char *text, size_t length)
{
	if (strncmp(*at, text, length) != 0)
		return false;
	*at += length;
	return true;
}

#define SKIP(at, text) skip(at, text, sizeof(text) - 1)

/* ---- the head ---- */

static int read_digest(struct release_reader *reader, const char *key, struct digest *out_digest,
                       struct err *err)
{
	const char *line;

	if (next_line(reader, &line, err))
		return -1;
	return skip(&line, key, strlen(key)) && !digest_parse(line, out_digest, err)
	               ? 0
	               : damaged(err, key);
}

/* Files from before there was such a line are taken to be seen when they were written. */
static int read_seen(struct release_reader *reader, const struct stat *st, const char **line,
                     struct err *err)
{
	reader->info.seen_ms = (int64_t)st->st_mtim.tv_sec * 1000 + st->st_mtim.tv_nsec / 1000000;
	if (!SKIP(line, "# seen "))
		return 0;
	if (timestamp_parse(*line, &reader->info.seen_ms))
		return damaged(err, "# seen");
	return next_line(reader, line, err);
}

static int read_head(struct release_reader *reader, const char *tag, const struct stat *st,
                     struct err *err)
{
	struct store_release *info = &reader->info;
	char expected[STORE_TAG_SIZE + 8];
	const char *line;

	if (next_line(reader, &line, err))
		return -1;
	if (strcmp(line, "#mtree") != 0)
		return damaged(err, "its head");
	if (next_line(reader, &line, err))
		return -1;
	if (strcmp(line, "# specman-release 1") != 0)
		return damaged(err, "its head is of another version");
	(void)snprintf(info->tag, sizeof(info->tag), "%s", tag);
	(void)snprintf(expected, sizeof(expected), "# tag %s", info->tag);
	if (next_line(reader, &line, err))
		return -1;
	if (strcmp(line, expected) != 0)
		return damaged(err, "its head is of another tag");
	if (read_digest(reader, "# manifest ", &info->manifest, err) ||
	    read_digest(reader, "# layer ", &info->layer, err) || next_line(reader, &line, err))
		return -1;
	if (!SKIP(&line, "# created ") || strlen(line) >= sizeof(info->created))
		return damaged(err, "# created");
	(void)snprintf(info->created, sizeof(info->created), "%s", line);
	if (next_line(reader, &line, err) || read_seen(reader, st, &line, err))
		return -1;
	return strcmp(line, RELEASE_ROOT_LINE) ? damaged(err, "its root") : 0;
}

/* ---- entries ---- */

static bool take_number(const char **at, unsigned base, uint64_t max, uint64_t *out_value)
{
	uint64_t value = 0;
	const char *start = *at;

	for (; **at >= '0' && **at < (char)('0' + base); (*at)++) {
		if (value > (max - (uint64_t)(**at - '0')) / base)
			return false;
		value = value * base + (uint64_t)(**at - '0');
	}
	*out_value = value;
	return *at != start;
}

/* "-12.0" */
static bool take_time(const char **at, int64_t *out_seconds)
{
	bool is_before = **at == '-';
	uint64_t value;

	*at += is_before;
	if (!take_number(at, 10, INT64_MAX, &value) || !SKIP(at, ".0"))
		return false;
	*out_seconds = is_before ? -(int64_t)value : (int64_t)value;
	return true;
}

/* Up to the space behind it. */
static int take_path(const char **at, char path[static PATH_ROOM], size_t *out_length)
{
	size_t length = 0;

	for (; **at && **at != ' '; (*at)++) {
		char c = **at;

		if (c == '\\') {
			unsigned value = 0;

			for (int i = 0; i < 3; i++) {
				if ((*at)[1] < '0' || (*at)[1] > '7')
					return -1;
				value = value * 8 + (unsigned)(*++*at - '0');
			}
			c = (char)value;
		}
		if (!c || length + 1 >= PATH_ROOM)
			return -1;
		path[length++] = c;
	}
	path[length] = '\0';
	*out_length = length;
	return 0;
}

/* No component is empty, "." or "..": a file that was tampered with leads nowhere else. */
static bool is_clean(const char *path, size_t length)
{
	for (;;) {
		const char *slash = memchr(path, '/', length);
		size_t size = slash ? (size_t)(slash - path) : length;

		if (!size || (size == 1 && *path == '.') || (size == 2 && !memcmp(path, "..", 2)))
			return false;
		if (!slash)
			return true;
		path += size + 1;
		length -= size + 1;
	}
}

/* It comes after the last one, and in a folder that was there. */
static bool is_in_place(const struct release_reader *reader, const char *path, size_t length)
{
	const char *slash = memrchr(path, '/', length);
	size_t parent = slash ? (size_t)(slash - path) : 0;

	if (path_order(reader->path, reader->length, path, length) >= 0)
		return false;
	if (parent == reader->length && !memcmp(path, reader->path, parent))
		return reader->was_folder;
	return path_is_below(reader->path, reader->length, path, parent);
}

static bool take_file(const char **at, struct tree_item *item)
{
	const char *hex;
	struct err no_digest;

	if (!SKIP(at, " size=") || !take_number(at, 10, UINT64_MAX, &item->size) ||
	    !SKIP(at, " time=") || !take_time(at, &item->mtime) || !SKIP(at, " sha256digest="))
		return false;
	hex = *at;
	if (strnlen(hex, 64) != 64 || digest_parse_hex(hex, 64, &item->content, &no_digest))
		return false;
	*at += 64;
	return SKIP(at, " contents=objects/") && skip(at, hex, 2) && SKIP(at, "/") &&
	       skip(at, hex + 2, 62);
}

/* One line "./path key=value …", as the writer makes it. */
static bool take_entry(struct release_reader *reader, const char *line, struct release_entry *entry)
{
	struct tree_item item = { .kind = TREE_FOLDER };
	char *path = reader->next;
	uint64_t mode;
	size_t length;

	if (!SKIP(&line, "./") || take_path(&line, path, &length) || !is_clean(path, length) ||
	    !is_in_place(reader, path, length) || !SKIP(&line, " type="))
		return false;
	if (SKIP(&line, "file "))
		item.kind = TREE_FILE;
	else if (!SKIP(&line, "dir "))
		return false;
	if (!SKIP(&line, "mode=") || !take_number(&line, 8, 07777, &mode))
		return false;
	item.mode = (uint16_t)mode;
	if (item.kind == TREE_FILE ? !take_file(&line, &item)
	                           : !SKIP(&line, " time=") || !take_time(&line, &item.mtime))
		return false;
	memcpy(reader->path, path, length + 1);
	reader->length = length;
	reader->was_folder = item.kind == TREE_FOLDER;
	*entry = (struct release_entry){ reader->path, length, item };
	return !*line;
}

/* The line behind a file's entry: "# gzip sha256digest=… size=…". */
static bool take_twin(const char *line, struct tree_item *item)
{
	struct err no_digest;

	if (!SKIP(&line, RELEASE_TWIN_MARK) || strnlen(line, 64) != 64 ||
	    digest_parse_hex(line, 64, &item->twin, &no_digest))
		return false;
	line += 64;
	return SKIP(&line, " size=") && take_number(&line, 10, UINT64_MAX, &item->twin_size) &&
	       !*line && item->twin_size;
}

/* A file's entry may be followed by its twin. */
static int next_twin(struct release_reader *reader, struct tree_item *item, struct err *err)
{
	const char *line;

	if (item->kind != TREE_FILE || is_at_end(reader))
		return 0;
	if (reader->at == reader->size && fill(reader, err))
		return -1;
	if (reader->block[reader->at] != '#')
		return 0;
	if (next_line(reader, &line, err))
		return -1;
	return take_twin(line, item) ? 0 : damaged(err, "a twin's line");
}

static int check_hash(struct release_reader *reader, struct err *err)
{
	struct digest found;

	if (hasher_end(reader->hasher, &found, err))
		return -1;
	return digest_equal(&found, &reader->promised) ? 0 : damaged(err, "its hash differs");
}

int release_reader_next(struct release_reader *reader, struct release_entry *out_entry,
                        struct err *err)
{
	const char *line;

	if (is_at_end(reader))
		return check_hash(reader, err);
	if (next_line(reader, &line, err))
		return -1;
	if (!take_entry(reader, line, out_entry))
		return damaged(err, "an entry's line");
	if (next_twin(reader, &out_entry->item, err))
		return -1;
	reader->info.files += out_entry->item.kind == TREE_FILE;
	reader->info.bytes += out_entry->item.size;
	return 1;
}

/* ---- open ---- */

static int read_end(struct release_reader *reader, const struct stat *st, struct err *err)
{
	char text[RELEASE_END_BYTES];
	const char *at = text;

	if (st->st_size < (off_t)RELEASE_END_BYTES)
		return damaged(err, "its end is missing");
	reader->end = (uint64_t)st->st_size - RELEASE_END_BYTES;
	if (read_at(reader, text, RELEASE_END_BYTES, reader->end, err))
		return -1;
	if (text[RELEASE_END_BYTES - 1] != '\n' || !SKIP(&at, RELEASE_END_MARK) ||
	    digest_parse_hex(at, 64, &reader->promised, err))
		return damaged(err, "its end is missing");
	return 0;
}

static int open_file(struct release_reader *reader, const struct layout *layout, const char *tag,
                     struct err *err)
{
	char name[RELEASE_NAME_SIZE];
	struct stat st;

	reader->fd = openat(layout->releases, release_name(tag, name),
	                    O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (reader->fd < 0 && errno == ENOENT)
		return err_set(err, ERR_NOT_FOUND, "there is no release %.128s", tag);
	if (reader->fd < 0 || fstat(reader->fd, &st)) {
		(void)err_set_sys(err, errno, "open releases/%s", name);
		return judge(err);
	}
	reader->fingerprint = io_fingerprint(IO_FINGERPRINT_START, &st);
	return read_end(reader, &st, err) || read_head(reader, tag, &st, err) ? -1 : 0;
}

struct release_reader *release_reader_open(const struct layout *layout, const char *tag,
                                           struct err *err)
{
	CLEANUP(cleanup_reader) struct release_reader *reader = malloc(sizeof(*reader));

	if (!reader) {
		(void)err_set_sys(err, ENOMEM, "read a release");
		return NULL;
	}
	memset(reader, 0, offsetof(struct release_reader, block));
	reader->fd = -1;
	reader->was_folder = true; /* the root */
	reader->hasher = hasher_new(DIGEST_SHA256, err);
	if (!reader->hasher || open_file(reader, layout, tag, err))
		return NULL;
	return STEAL(reader);
}

const struct store_release *release_reader_info(const struct release_reader *reader)
{
	return &reader->info;
}

uint64_t release_reader_fingerprint(const struct release_reader *reader)
{
	return reader->fingerprint;
}

uint64_t release_fingerprint(const struct layout *layout, const char *tag)
{
	char name[RELEASE_NAME_SIZE];
	struct stat st;

	if (fstatat(layout->releases, release_name(tag, name), &st, AT_SYMLINK_NOFOLLOW))
		return 0;
	return io_fingerprint(IO_FINGERPRINT_START, &st);
}

void release_reader_free(struct release_reader *reader)
{
	cleanup_fd(&reader->fd);
	hasher_free(reader->hasher);
	free(reader);
}
