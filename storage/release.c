/* Release files; see release.h. */
#include "release.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/io.h"
#include "base/timestamp.h"
#include "path.h"
#include "release_reader.h"

/* A million entries of long paths; more can't come from an archive within the limits. */
static const size_t file_bytes_max = (size_t)4 << 30;

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

struct writing {
	const struct tree *tree;
	struct store_release *info;
	struct buf *text;
	char path[PATH_ROOM];
};

static int add_entry(struct writing *w, uint32_t node, struct err *err)
{
	const struct tree_item *item = tree_item(w->tree, node);
	char object[LAYOUT_OBJECT_SIZE];
	char hex[DIGEST_TEXT_SIZE];

	if (buf_addf(w->text, err, "./") || add_escaped(w->text, w->path, err))
		return -1;
	if (item->kind == TREE_FOLDER)
		return buf_addf(w->text, err, " type=dir mode=%04o time=%" PRId64 ".0\n",
		                item->mode, item->mtime);
	w->info->files++;
	w->info->bytes += item->size;
	return buf_addf(w->text, err,
	                " type=file mode=%04o size=%" PRIu64 " time=%" PRId64
	                ".0 sha256digest=%s contents=objects/%s\n",
	                item->mode, item->size, item->mtime, digest_hex(&item->content, hex),
	                layout_object_name(&item->content, object));
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
		if (add_entry(w, children[i], err))
			return -1;
		if (tree_item(w->tree, children[i])->kind == TREE_FOLDER &&
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

/* Add the last line, and commit. */
static int put(const struct layout *layout, const struct store_release *info, struct buf *text,
               struct err *err)
{
	char hash[DIGEST_TEXT_SIZE], name[RELEASE_NAME_SIZE];
	struct digest digest;

	if (digest_of(DIGEST_SHA256, text->data, text->size, &digest, err) ||
	    buf_addf(text, err, RELEASE_END_MARK "%s\n", digest_hex(&digest, hash)))
		return -1;
	return io_replace_file(layout->releases, release_name(info->tag, name), text->data,
	                       text->size, 0640, err);
}

int release_write(const struct layout *layout, const struct tree *tree, struct store_release *info,
                  struct err *err)
{
	CLEANUP(buf_release) struct buf text = BUF_INIT(file_bytes_max);
	struct writing w = { .tree = tree, .info = info, .text = &text };

	info->files = 0;
	info->bytes = 0;
	if (add_head(&text, info, err) || add_children(&w, TREE_ROOT, 0, err))
		return -1;
	return put(layout, info, &text, err);
}

int release_copy(const struct layout *layout, const char *from, struct store_release *info,
                 struct err *err)
{
	static const char root[] = "\n" RELEASE_ROOT_LINE "\n";
	CLEANUP(buf_release) struct buf old = BUF_INIT(file_bytes_max);
	CLEANUP(buf_release) struct buf text = BUF_INIT(file_bytes_max);
	struct store_release found;
	char name[RELEASE_NAME_SIZE];
	const char *entries;

	if (release_read(layout, from, &found, NULL, NULL, err) ||
	    io_read_file(layout->releases, release_name(from, name), &old, err))
		return -1;
	/* It was found to be whole, and nobody else changes these files. */
	entries = strstr(buf_text(&old), root) + sizeof(root) - 1;
	if (add_head(&text, info, err) ||
	    buf_add(&text, entries, (size_t)(old.data + old.size - entries) - RELEASE_END_BYTES,
	            err))
		return -1;
	info->files = found.files;
	info->bytes = found.bytes;
	return put(layout, info, &text, err);
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
	if (*out_removed && fsync(layout->releases) && !failed)
		failed = err_set_sys(err, errno, "sync folder releases");
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
	int fd = openat(layout->releases, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;
	char tag[STORE_TAG_SIZE];
	char **tags = NULL;
	size_t count = 0;
	int failed = 0;

	if (!dir) {
		(void)err_set_sys(err, errno, "list releases");
		cleanup_fd(&fd);
		return -1;
	}
	while (!failed && (entry = readdir(dir))) {
		release_tag(entry->d_name, tag);
		if (*tag)
			failed = add_tag(&tags, &count, tag, err);
	}
	(void)closedir(dir);
	if (failed) {
		release_tags_free(tags, count);
		return -1;
	}
	if (count)
		qsort(tags, count, sizeof(*tags), compare_tags);
	*out_tags = tags;
	*out_count = count;
	return 0;
}
