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
#include "path.h"

/* A million entries of long paths; more can't come from an archive within the limits. */
static const size_t file_bytes_max = (size_t)4 << 30;

static const char suffix[] = ".mtree";
static const char end_mark[] = "# end sha256:";
static const char twin_mark[] = "# gzip sha256digest=";

char *release_name(const char *tag, char name[static RELEASE_NAME_SIZE])
{
	(void)snprintf(name, RELEASE_NAME_SIZE, "%.*s%s", STORE_TAG_SIZE - 1, tag, suffix);
	return name;
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
	if (buf_addf(w->text, err,
	             " type=file mode=%04o size=%" PRIu64 " time=%" PRId64
	             ".0 sha256digest=%s contents=objects/%s\n",
	             item->mode, item->size, item->mtime, digest_hex(&item->content, hex),
	             layout_object_name(&item->content, object)))
		return -1;
	return item->twin_size ? buf_addf(w->text, err, "%s%s size=%" PRIu64 "\n", twin_mark,
	                                  digest_hex(&item->twin, hex), item->twin_size)
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
		if (add_entry(w, children[i], err))
			return -1;
		if (tree_item(w->tree, children[i])->kind == TREE_FOLDER &&
		    add_children(w, children[i], length + (length > 0) + size, err))
			return -1;
		w->path[length] = '\0';
	}
	return 0;
}

int release_write(const struct layout *layout, const struct tree *tree, struct store_release *info,
                  struct err *err)
{
	CLEANUP(buf_release) struct buf text = BUF_INIT(file_bytes_max);
	struct writing w = { .tree = tree, .info = info, .text = &text };
	char manifest[DIGEST_TEXT_SIZE], layer[DIGEST_TEXT_SIZE], hash[DIGEST_TEXT_SIZE];
	char name[RELEASE_NAME_SIZE];
	struct digest digest;

	info->files = 0;
	info->bytes = 0;
	if (buf_addf(&text, err,
	             "#mtree\n# specman-release 1\n# tag %s\n# manifest %s\n# layer %s\n"
	             "# created %s\n. type=dir mode=0755\n",
	             info->tag, digest_format(&info->manifest, manifest),
	             digest_format(&info->layer, layer), info->created) ||
	    add_children(&w, TREE_ROOT, 0, err) ||
	    digest_of(DIGEST_SHA256, text.data, text.size, &digest, err) ||
	    buf_addf(&text, err, "%s%s\n", end_mark, digest_hex(&digest, hash)))
		return -1;
	return io_replace_file(layout->releases, release_name(info->tag, name), text.data,
	                       text.size, 0640, err);
}

static int damaged(struct err *err, const char *why)
{
	return err_set(err, ERR_FORMAT, "the release's file is damaged (%s)", why);
}

/* Check the last line's hash and cut that line off. */
static int check_end(struct buf *text, struct err *err)
{
	size_t line = sizeof(end_mark) - 1 + 64 + 1;
	struct digest promised, found;
	char *end;

	if (text->size < line || text->data[text->size - 1] != '\n')
		return damaged(err, "its end is missing");
	end = text->data + text->size - line;
	if (memcmp(end, end_mark, sizeof(end_mark) - 1) != 0 ||
	    digest_parse_hex(end + sizeof(end_mark) - 1, 64, &promised, err))
		return damaged(err, "its end is missing");
	text->size -= line;
	if (digest_of(DIGEST_SHA256, text->data, text->size, &found, err))
		return -1;
	if (!digest_equal(&promised, &found))
		return damaged(err, "its hash differs");
	*end = '\0';
	return 0;
}

static int read_digest(char **at, const char *key, struct digest *out_digest, struct err *err)
{
	size_t length = strlen(key);
	char *end = strchr(*at, '\n');

	if (!end || strncmp(*at, key, length) != 0)
		return damaged(err, key);
	*end = '\0';
	if (digest_parse(*at + length, out_digest, err))
		return -1;
	*at = end + 1;
	return 0;
}

static int read_head(char **at, const char *tag, struct store_release *info, struct err *err)
{
	static const char created[] = "# created ";
	char head[sizeof("#mtree\n# specman-release 1\n# tag \n") + STORE_TAG_SIZE];
	size_t length;

	length = (size_t)snprintf(head, sizeof(head), "#mtree\n# specman-release 1\n# tag %s\n",
	                          tag);
	if (strncmp(*at, head, length) != 0)
		return damaged(err, "its head is of another version or tag");
	*at += length;
	(void)snprintf(info->tag, sizeof(info->tag), "%s", tag);
	if (read_digest(at, "# manifest ", &info->manifest, err) ||
	    read_digest(at, "# layer ", &info->layer, err))
		return -1;
	length = strcspn(*at, "\n");
	if (strncmp(*at, created, sizeof(created) - 1) != 0 ||
	    length - (sizeof(created) - 1) >= sizeof(info->created))
		return damaged(err, created);
	(void)snprintf(info->created, sizeof(info->created), "%.*s",
	               (int)(length - (sizeof(created) - 1)), *at + sizeof(created) - 1);
	*at += length + 1;
	return 0;
}

static int unescape(const char *text, char out_path[static PATH_ROOM], struct err *err)
{
	size_t length = 0;

	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c == '\\') {
			unsigned value = 0;

			for (int i = 1; i <= 3; i++) {
				if (text[i] < '0' || text[i] > '7')
					return damaged(err, "an escape");
				value = value * 8 + (unsigned)(text[i] - '0');
			}
			c = (unsigned char)value;
			text += 3;
		}
		if (length + 1 >= PATH_ROOM)
			return damaged(err, "a long path");
		out_path[length++] = (char)c;
	}
	out_path[length] = '\0';
	return 0;
}

/* One line "./path key=value …", as add_entry writes it. */
static int read_entry(char *line, char path[static PATH_ROOM], struct tree_item *item,
                      struct err *err)
{
	char *rest = strchr(line, ' ');
	char hex[65] = "";
	char kind[5] = "";
	unsigned mode = 0;

	*item = (struct tree_item){ .kind = TREE_FOLDER };
	if (!rest)
		return damaged(err, "a line");
	*rest++ = '\0';
	if (sscanf(rest, "type=%4s mode=%o", kind, &mode) != 2)
		return damaged(err, "a line");
	item->mode = (uint16_t)(mode & 07777);
	if (!strcmp(kind, "file")) {
		item->kind = TREE_FILE;
		if (sscanf(rest,
		           "type=file mode=%*o size=%" SCNu64 " time=%" SCNd64
		           ".0 sha256digest=%64s",
		           &item->size, &item->mtime, hex) != 3 ||
		    digest_parse_hex(hex, strlen(hex), &item->content, err))
			return damaged(err, "a file's line");
	} else if (strcmp(line, ".") != 0 &&
	           sscanf(rest, "type=dir mode=%*o time=%" SCNd64, &item->mtime) != 1) {
		return damaged(err, "a folder's line");
	}
	return unescape(line[1] == '/' ? line + 2 : "", path, err);
}

/* The line after a file's, as add_entry writes it: "# gzip sha256digest=… size=…". */
static int read_twin(const char *line, struct tree_item *item, struct err *err)
{
	const char *hex = line + sizeof(twin_mark) - 1;
	char *end;

	if (item->kind != TREE_FILE || strlen(hex) < 64 ||
	    digest_parse_hex(hex, 64, &item->twin, err) || strncmp(hex + 64, " size=", 6) != 0)
		return damaged(err, "a twin's line");
	errno = 0;
	item->twin_size = strtoull(hex + 70, &end, 10);
	if (errno || *end || !item->twin_size)
		return damaged(err, "a twin's line");
	return 0;
}

/* The entry at *at, with the twin that follows; *at is behind them then. */
static int read_lines(char **at, char path[static PATH_ROOM], struct tree_item *item,
                      struct err *err)
{
	bool is_twin = false;

	do {
		char *end = *at + strcspn(*at, "\n");

		if (!*end)
			return damaged(err, "its last line");
		*end = '\0';
		if (is_twin ? read_twin(*at, item, err) : read_entry(*at, path, item, err))
			return -1;
		*at = end + 1;
		is_twin = !is_twin && !strncmp(*at, twin_mark, sizeof(twin_mark) - 1);
	} while (is_twin);
	return 0;
}

int release_read(const struct layout *layout, const char *tag, struct store_release *out_info,
                 release_visitor *visit, void *ctx, struct err *err)
{
	CLEANUP(buf_release) struct buf text = BUF_INIT(file_bytes_max);
	struct store_release info = { .files = 0 };
	char name[RELEASE_NAME_SIZE];
	char path[PATH_ROOM];
	char *at;
	int failed = 0;

	if (io_read_file(layout->releases, release_name(tag, name), &text, err) ||
	    check_end(&text, err))
		return -1;
	at = text.data;
	if (read_head(&at, tag, &info, err))
		return -1;
	while (!failed && *at) {
		struct tree_item item;

		if (read_lines(&at, path, &item, err))
			return -1;
		info.files += item.kind == TREE_FILE;
		info.bytes += item.size;
		if (visit)
			failed = visit(ctx, path, &item, err);
	}
	*out_info = info;
	return failed;
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
