/* Release files; see release.h. */
#include "release.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/io.h"
#include "base/timestamp.h"
#include "path.h"
#include "release_reader.h"

/* A million entries of long paths; more can't come from an archive within the limits. */
static const size_t file_bytes_max = (size_t)4 << 30;

enum {
	FLUSH_BYTES = 64 * 1024,
	TEXT_MAX_BYTES = 2 * FLUSH_BYTES, /* one entry more: a path whose every byte is escaped */
};

_Static_assert((int)FLUSH_BYTES > 4 * (int)PATH_ROOM + 1024, "an entry fits");

static const char suffix[] = ".mtree";

DEFINE_CLEANUP(cleanup_reader, struct release_reader, release_reader_free);

char *release_name(const char *tag, char name[static RELEASE_NAME_SIZE])
{
	(void)snprintf(name, RELEASE_NAME_SIZE, "%.*s%s", STORE_TAG_SIZE - 1, tag, suffix);
	return name;
}

bool release_is_name(const char *tag)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789_.-";
	size_t length = strlen(tag);

	return length && length < STORE_TAG_SIZE && tag[0] != '.' && tag[0] != '-' &&
	       strspn(tag, allowed) == length;
}

void release_tag(const char *name, char out_tag[static STORE_TAG_SIZE])
{
	size_t length = strlen(name);
	size_t tail = sizeof(suffix) - 1;

	out_tag[0] = '\0';
	if (name[0] == '.' || length <= tail || length - tail >= STORE_TAG_SIZE ||
	    strcmp(name + length - tail, suffix) != 0)
		return;
	memcpy(out_tag, name, length - tail);
	out_tag[length - tail] = '\0';
}

/* mtree's escape: a backslash and three octal digits (vis(3), VIS_OCTAL). */
static int add_escaped(struct buf *text, const char *path, struct err *err)
{
	for (; *path; path++) {
		unsigned char c = (unsigned char)*path;

		if (c > 0x20 && c < 0x7f && !strchr("\\#=*?[", c)) {
			if (buf_add(text, path, 1, err))
				return -1;
		} else if (buf_addf(text, err, "\\%03o", c)) {
			return -1;
		}
	}
	return 0;
}

/* ---- the file as it grows ---- */

/* Written beside its place, hashed on the way, and never in memory as a whole. */
struct output {
	const struct layout *layout;
	int fd;            /* -1 before it is there */
	struct buf text;   /* what is not written yet */
	uint64_t size;     /* bytes that are */
	uint64_t unlooked; /* of these, since the room was looked at */
	struct hasher *hasher;
	char name[RELEASE_NAME_SIZE], beside[RELEASE_NAME_SIZE + 4];
};

/* What was not put in its place vanishes. */
static void output_release(struct output *out)
{
	if (out->fd >= 0)
		(void)unlinkat(out->layout->releases, out->beside, 0);
	cleanup_fd(&out->fd);
	hasher_free(out->hasher);
	buf_release(&out->text);
}

static int output_begin(struct output *out, const struct layout *layout, const char *tag,
                        struct err *err)
{
	*out = (struct output){ .layout = layout, .fd = -1, .text = BUF_INIT(TEXT_MAX_BYTES) };
	(void)snprintf(out->beside, sizeof(out->beside), "%s.new", release_name(tag, out->name));
	out->hasher = hasher_new(DIGEST_SHA256, err);
	if (!out->hasher)
		return -1;
	if (unlinkat(layout->releases, out->beside, 0) && errno != ENOENT)
		return err_set_sys(err, errno, "remove releases/%s", out->beside);
	out->fd = openat(layout->releases, out->beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
	                 0640);
	return out->fd < 0 ? err_set_sys(err, errno, "create releases/%s", out->beside) : 0;
}

static int output_write(struct output *out, const void *bytes, size_t size, struct err *err)
{
	out->unlooked += size;
	if (out->unlooked > layout_look_bytes(out->layout)) {
		if (layout_check_room(out->layout, size, err))
			return -1;
		out->unlooked = 0;
	}
	out->size += size;
	if (out->size > file_bytes_max)
		return err_set(err, ERR_LIMIT, "the list of its entries is over %zu bytes",
		               file_bytes_max);
	return hasher_add(out->hasher, bytes, size, err) ||
	                       io_write_all(out->fd, bytes, size, out->beside, err)
	               ? -1
	               : 0;
}

static int output_flush(struct output *out, struct err *err)
{
	if (out->text.size && output_write(out, out->text.data, out->text.size, err))
		return -1;
	buf_clear(&out->text);
	return 0;
}

/* Add the last line, make it durable, and put the file in its place. */
static int output_end(struct output *out, struct err *err)
{
	const int folder = out->layout->releases;
	char hash[DIGEST_TEXT_SIZE];
	struct digest digest;

	if (output_flush(out, err) || hasher_end(out->hasher, &digest, err) ||
	    buf_addf(&out->text, err, RELEASE_END_MARK "%s\n", digest_hex(&digest, hash)) ||
	    io_write_all(out->fd, out->text.data, out->text.size, out->beside, err))
		return -1;
	if (fsync(out->fd))
		return err_set_sys(err, errno, "sync releases/%s", out->beside);
	if (renameat(folder, out->beside, folder, out->name))
		return err_set_sys(err, errno, "rename releases/%s", out->beside);
	cleanup_fd(&out->fd);
	out->fd = -1;
	return 0;
}

/* ---- what stands in it ---- */

struct writing {
	const struct tree *tree;
	struct store_release *info;
	struct output *out;
	struct buf *text; /* of out */
	char path[PATH_ROOM];
};

static int add_entry(struct writing *w, uint32_t node, struct err *err)
{
	const struct tree_item item = tree_item(w->tree, node);
	char object[LAYOUT_OBJECT_SIZE];
	char hex[DIGEST_TEXT_SIZE];

	if (buf_addf(w->text, err, "./") || add_escaped(w->text, w->path, err))
		return -1;
	if (item.kind == TREE_FOLDER)
		return buf_addf(w->text, err, " type=dir mode=%04o time=%" PRId64 ".0\n", item.mode,
		                item.mtime);
	w->info->files++;
	w->info->bytes += item.size;
	if (buf_addf(w->text, err,
	             " type=file mode=%04o size=%" PRIu64 " time=%" PRId64
	             ".0 sha256digest=%s contents=objects/%s\n",
	             item.mode, item.size, item.mtime, digest_hex(&item.content, hex),
	             layout_object_name(&item.content, object)))
		return -1;
	return item.twin_size ? buf_addf(w->text, err, RELEASE_TWIN_MARK "%s size=%" PRIu64 "\n",
	                                 digest_hex(&item.twin, hex), item.twin_size)
	                      : 0;
}

static int add_children(struct writing *w, uint32_t folder, size_t length, struct err *err)
{
	CLEANUP(cleanup_free) uint32_t *children = NULL;
	size_t count;

	if (tree_children(w->tree, folder, &children, &count, err))
		return -1;
	for (size_t i = 0; i < count; i++) {
		const char *name = tree_name(w->tree, children[i]);
		size_t size = strlen(name);

		/* Links can make paths longer than any in the archive was. */
		if (length + 1 + size + 1 > sizeof(w->path))
			return err_set(err, ERR_LIMIT,
			               "entry \"%.200s/…\" has a path over %d bytes", w->path,
			               PATH_ROOM - 1);
		(void)snprintf(w->path + length, sizeof(w->path) - length, "%s%s",
		               length ? "/" : "", name);
		if (add_entry(w, children[i], err) ||
		    (w->text->size >= FLUSH_BYTES && output_flush(w->out, err)))
			return -1;
		if (tree_item(w->tree, children[i]).kind == TREE_FOLDER &&
		    add_children(w, children[i], length + (length > 0) + size, err))
			return -1;
		w->path[length] = '\0';
	}
	return 0;
}

static int add_head(struct buf *text, const struct store_release *info, struct err *err)
{
	char manifest[DIGEST_TEXT_SIZE], layer[DIGEST_TEXT_SIZE], seen[TIMESTAMP_SIZE];

	return buf_addf(text, err,
	                "#mtree\n# specman-release 1\n# tag %s\n# manifest %s\n# layer %s\n"
	                "# created %s\n# seen %s\n" RELEASE_ROOT_LINE "\n",
	                info->tag, digest_format(&info->manifest, manifest),
	                digest_format(&info->layer, layer), info->created,
	                timestamp_format(info->seen_ms, seen));
}

int release_write(const struct layout *layout, const struct tree *tree, struct store_release *info,
                  struct err *err)
{
	CLEANUP(output_release) struct output out = { .fd = -1 };
	struct writing w = { .tree = tree, .info = info, .out = &out, .text = &out.text };

	info->files = 0;
	info->bytes = 0;
	return output_begin(&out, layout, info->tag, err) || add_head(&out.text, info, err) ||
	                       add_children(&w, TREE_ROOT, 0, err) || output_end(&out, err)
	               ? -1
	               : 0;
}

/* The entries of a file that was found to be whole: what stands between its root and its end. */
static int copy_entries(struct output *out, int from, struct err *err)
{
	static const char root[] = "\n" RELEASE_ROOT_LINE "\n";
	CLEANUP(cleanup_free) char *block = calloc(1, FLUSH_BYTES + 1);
	const char *entries;
	struct stat st;
	uint64_t at, end;

	if (!block)
		return err_set_sys(err, ENOMEM, "copy a release");
	if (fstat(from, &st))
		return err_set_sys(err, errno, "look at the release to be copied");
	end = (uint64_t)st.st_size - RELEASE_END_BYTES;
	if (io_read_at(from, block, end < FLUSH_BYTES ? (size_t)end : FLUSH_BYTES, 0,
	               "the release to be copied", err))
		return -1;
	entries = strstr(block, root);
	if (!entries)
		return err_set(err, ERR_FORMAT, "the release to be copied has no root");
	for (at = (uint64_t)(entries - block) + sizeof(root) - 1; at < end;) {
		size_t part = end - at < FLUSH_BYTES ? (size_t)(end - at) : FLUSH_BYTES;

		if (io_read_at(from, block, part, at, "the release to be copied", err) ||
		    output_write(out, block, part, err))
			return -1;
		at += part;
	}
	return 0;
}

int release_copy(const struct layout *layout, const char *from, struct store_release *info,
                 struct err *err)
{
	CLEANUP(output_release) struct output out = { .fd = -1 };
	CLEANUP(cleanup_fd) int old = -1;
	struct store_release found;
	char name[RELEASE_NAME_SIZE];

	if (release_read(layout, from, &found, NULL, NULL, err))
		return -1;
	/* Nobody else changes these files. */
	old = openat(layout->releases, release_name(from, name), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (old < 0)
		return err_set_sys(err, errno, "open releases/%s", name);
	info->files = found.files;
	info->bytes = found.bytes;
	return output_begin(&out, layout, info->tag, err) || add_head(&out.text, info, err) ||
	                       output_flush(&out, err) || copy_entries(&out, old, err) ||
	                       output_end(&out, err)
	               ? -1
	               : 0;
}

int release_sync(const struct layout *layout, struct err *err)
{
	return io_sync_names(layout->releases) ? err_set_sys(err, errno, "sync folder releases")
	                                       : 0;
}

int release_read(const struct layout *layout, const char *tag, struct store_release *out_info,
                 release_visitor *visit, void *ctx, struct err *err)
{
	CLEANUP(cleanup_reader)
	struct release_reader *reader = release_reader_open(layout, tag, err);
	struct release_entry entry;
	int more;

	if (!reader)
		return -1;
	while ((more = release_reader_next(reader, &entry, err)) > 0)
		if (visit && visit(ctx, entry.path, &entry.item, err))
			return -1;
	if (more < 0)
		return -1;
	*out_info = *release_reader_info(reader);
	return 0;
}

int release_remove(const struct layout *layout, const char *const *tags, size_t count,
                   size_t *out_removed, struct err *err)
{
	char name[RELEASE_NAME_SIZE];
	int failed = 0;

	*out_removed = 0;
	for (size_t i = 0; !failed && i < count; i++) {
		if (!unlinkat(layout->releases, release_name(tags[i], name), 0))
			(*out_removed)++;
		else if (errno != ENOENT)
			failed = err_set_sys(err, errno, "remove releases/%s", name);
	}
	return failed;
}

static int compare_tags(const void *a, const void *b)
{
	return store_tag_compare(*(char *const *)a, *(char *const *)b);
}

void release_tags_free(char **tags, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(tags[i]);
	free(tags);
}

static int add_tag(char ***tags, size_t *count, const char *tag, struct err *err)
{
	char **more = realloc(*tags, (*count + 1) * sizeof(**tags));

	if (more)
		*tags = more;
	if (!more || !(more[*count] = strdup(tag)))
		return err_set_sys(err, ENOMEM, "list of releases");
	(*count)++;
	return 0;
}

int release_tags(const struct layout *layout, char ***out_tags, size_t *out_count, struct err *err)
{
	CLEANUP(cleanup_dir) DIR *dir = layout_list(layout->releases, ".", err);
	const struct dirent *entry;
	char tag[STORE_TAG_SIZE];
	char **tags = NULL;
	size_t count = 0;
	int more;

	if (!dir)
		return err_context(err, "list releases");
	/* A release that is passed over here would not be served, and swept. */
	while ((more = layout_next(dir, &entry, "releases", err)) > 0) {
		release_tag(entry->d_name, tag);
		if (*tag && add_tag(&tags, &count, tag, err)) {
			more = -1;
			break;
		}
	}
	if (more) {
		release_tags_free(tags, count);
		return -1;
	}
	if (count)
		qsort(tags, count, sizeof(*tags), compare_tags);
	*out_tags = tags;
	*out_count = count;
	return 0;
}
