/* An OCI image layout as a source; see layout.h. */
#include "oci/layout.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "oci/counters.h"
#include "oci/descriptor.h"
#include "oci/json.h"
#include "oci/limits.h"
#include "oci/nameset.h"
#include "oci/tags.h"

#define REF_NAME   "org.opencontainers.image.ref.name"
#define CONTAINERD "io.containerd.image.name"
#define VERSION    "1.0.0"

/* How an operator makes what is expected here. */
#define HOW_TO "make it with: skopeo copy docker://… oci:DIR:0.0.0"

enum { CHUNK_BYTES = 64 << 10 };

struct layout {
	char *dir;
	const struct cancel *cancel;
	int dir_fd;    /* the folder as the last tags() found it, or -1 */
	json_t *index; /* index.json, or NULL */
	json_t *tags;  /* tag → its descriptor in index, or null when it names several */
	bool is_new;   /* the index was read by a tags(), and no resolve() has used it */
	struct oci_counters *counters; /* or NULL */
};

static void forget(struct layout *layout)
{
	json_decref(layout->tags);
	json_decref(layout->index);
	if (layout->dir_fd >= 0)
		(void)close(layout->dir_fd);
	layout->tags = NULL;
	layout->index = NULL;
	layout->dir_fd = -1;
	layout->is_new = false;
}

static void layout_free(void *self)
{
	struct layout *layout = self;

	forget(layout);
	free(layout->dir);
	free(layout);
}

/* What is wrong with the content of the folder is wrong with the layout. */
static int fail(struct err *err)
{
	if (err->kind == ERR_FORMAT && !err->cause)
		(void)err_cause(err, OCI_CAUSE_LAYOUT);
	return -1;
}

/* ---- files ---- */

/* Hold the folder that has the name now. What was held stays when there is none. */
static int hold(struct layout *layout, struct err *err)
{
	int fd = open(layout->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0) {
		if (errno == ENOENT || errno == ENOTDIR)
			(void)err_set(err, ERR_IO,
			              "there is no such folder (is it mounted?); an OCI image "
			              "layout is expected; " HOW_TO);
		else
			(void)err_set_sys(err, errno, "open the folder");
		return err_cause(err, OCI_CAUSE_LAYOUT);
	}
	if (layout->dir_fd >= 0)
		(void)close(layout->dir_fd);
	layout->dir_fd = fd;
	return 0;
}

/* Never waits, as for the writer of a fifo. A descriptor, or -1. */
static int open_file(struct layout *layout, const char *path, int64_t *out_size, struct err *err)
{
	CLEANUP(cleanup_fd)
	int fd = openat(layout->dir_fd, path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
		return err_set(err, ERR_NOT_FOUND, "%s is not there", path);
	if (fd < 0 || fstat(fd, &st))
		return err_set_sys(err, errno, "open %s", path);
	if (!S_ISREG(st.st_mode))
		return err_set(err, ERR_FORMAT, "%s is no regular file", path);
	*out_size = st.st_size;
	return steal_fd(&fd);
}

/* The whole of a file, at most as much as body may hold. */
static int read_whole(struct layout *layout, int fd, const char *path, int64_t size,
                      struct buf *body, struct err *err)
{
	if ((uint64_t)size > body->max)
		return err_set(err, ERR_LIMIT, "%s has %" PRId64 " bytes, at most %zu are possible",
		               path, size, body->max);
	if (io_read_rest(fd, path, body, err))
		return -1;
	counters_received(layout->counters, body->size);
	return 0;
}

/* One of the two files at the top. What is missing there makes the folder no layout. */
static json_t *read_document(struct layout *layout, const char *path, size_t max, struct err *err)
{
	CLEANUP(buf_release) struct buf body = BUF_INIT(max);
	CLEANUP(cleanup_fd) int fd = -1;
	json_t *root = NULL;
	int64_t size;

	fd = open_file(layout, path, &size, err);
	if (fd < 0) {
		if (err->kind == ERR_NOT_FOUND)
			(void)err_set(err, ERR_FORMAT,
			              "it has no file %s and so is no OCI image layout; " HOW_TO,
			              path);
		return NULL;
	}
	if (read_whole(layout, fd, path, size, &body, err))
		return NULL;
	root = json_bounded(buf_text(&body), body.size, err);
	if (!root)
		(void)err_context(err, "%s", path);
	return root;
}

/* ---- the index ---- */

/* image-layout.md, "oci-layout file" */
static int check_version(struct layout *layout, struct err *err)
{
	json_auto_t *root = read_document(layout, "oci-layout", LIMIT_LAYOUT_BYTES, err);
	const char *version = json_text_at(root, "imageLayoutVersion");

	if (!root)
		return -1;
	if (!version)
		return err_set(err, ERR_FORMAT, "oci-layout has no imageLayoutVersion");
	if (strcmp(version, VERSION))
		return err_set(err, ERR_FORMAT,
		               "oci-layout says version \"%.40s\", only " VERSION " is known here",
		               version);
	return 0;
}

/*
 * The tag in a name, which is one or ends in one ("registry/name:tag",
 * "name:tag@sha256:…"). False: there is none.
 */
static bool copy_tag(const char *name, char out[static OCI_TAG_SIZE])
{
	size_t size = strcspn(name, "@");
	const char *start = name;

	for (size_t i = 0; i < size; i++) {
		if (name[i] == '/')
			start = NULL;
		else if (name[i] == ':')
			start = name + i + 1;
	}
	if (!start || (size_t)(name + size - start) >= OCI_TAG_SIZE)
		return false;
	size -= (size_t)(start - name);
	memcpy(out, start, size);
	out[size] = '\0';
	return oci_tag_is_valid(out);
}

static bool tag_of(const json_t *entry, char out[static OCI_TAG_SIZE])
{
	return copy_tag(descriptor_annotation(entry, REF_NAME), out) ||
	       copy_tag(descriptor_annotation(entry, CONTAINERD), out);
}

/* The specification leaves open what a name that is there twice means: nothing, here. */
static json_t *name_tags(const json_t *entries, struct err *err)
{
	json_auto_t *tags = json_object();
	char tag[OCI_TAG_SIZE];
	json_t *entry;
	size_t i;
	int failed = tags ? 0 : -1;

	json_array_foreach(entries, i, entry)
	{
		const json_t *other;

		if (failed || !tag_of(entry, tag))
			continue;
		other = json_object_get(tags, tag);
		if (!other)
			failed = json_object_set(tags, tag, entry);
		else if (!json_equal(json_object_get(other, "digest"),
		                     json_object_get(entry, "digest")))
			failed = json_object_set_new(tags, tag, json_null());
	}
	if (failed) {
		(void)err_set_sys(err, ENOMEM, "index.json");
		return NULL;
	}
	return json_incref(tags);
}

/* image-spec, image-index.md, as far as it goes for the file at the top. */
static int read_index(struct layout *layout, struct err *err)
{
	json_auto_t *root = read_document(layout, "index.json", LIMIT_MANIFEST_BYTES, err);
	const json_t *version = json_object_get(root, "schemaVersion");
	const json_t *entries = json_object_get(root, "manifests");
	json_t *tags;

	if (!root)
		return -1;
	if (!json_is_integer(version) || json_integer_value(version) != 2)
		return err_set(err, ERR_FORMAT, "index.json: its schemaVersion isn't 2");
	if (!json_is_array(entries))
		return err_set(err, ERR_FORMAT, "index.json has no list of manifests");
	tags = name_tags(entries, err);
	if (!tags)
		return -1;
	layout->tags = tags;
	layout->index = json_incref(root);
	return 0;
}

static int load(struct layout *layout, struct err *err)
{
	forget(layout);
	if (hold(layout, err))
		return -1;
	if (!check_version(layout, err) && !read_index(layout, err))
		return 0;
	forget(layout);
	return -1;
}

static int list_tags(const struct layout *layout, struct oci_tags *out_tags, struct err *err)
{
	CLEANUP(nameset_release) struct nameset names = NAMESET_INIT;
	const char *tag;
	json_t *entry;

	json_object_foreach(layout->tags, tag, entry)
	{
		if (!tag_is_attachment(tag) && nameset_add(&names, tag, LIMIT_TAGS, err))
			return err_context(err, "tags");
	}
	if (!names.count)
		return err_set(err, ERR_FORMAT,
		               "none of the %zu manifests in index.json is named by a tag; copy "
		               "with one at the end: skopeo copy … oci:DIR:0.0.0",
		               json_array_size(json_object_get(layout->index, "manifests")));
	out_tags->names = nameset_steal(&names, &out_tags->count);
	return 0;
}

static int layout_tags(void *self, struct oci_tags *out_tags, struct err *err)
{
	struct layout *layout = self;

	if (cancel_check(layout->cancel, err))
		return -1;
	if (load(layout, err) || list_tags(layout, out_tags, err))
		return fail(err);
	layout->is_new = true;
	return 0;
}

static int resolve_tag(const struct layout *layout, const char *tag, struct digest *out_digest,
                       struct err *err)
{
	const json_t *entry = json_object_get(layout->tags, tag);
	struct oci_descriptor descriptor;

	if (!entry)
		return err_set(err, ERR_NOT_FOUND, "index.json doesn't name it");
	if (json_is_null(entry))
		return err_set(err, ERR_FORMAT,
		               "index.json gives this name to different manifests; leave one");
	if (descriptor_read(entry, &descriptor, err))
		return err_context(err, "index.json");
	*out_digest = descriptor.digest;
	return 0;
}

static void layout_resolve(void *self, char *const *tags, size_t count,
                           struct oci_resolved *out_resolved)
{
	struct layout *layout = self;
	struct err err;
	int failed = cancel_check(layout->cancel, &err);

	/* As a mirror it may be asked without having given the list. */
	if (!failed && !layout->is_new)
		failed = load(layout, &err);
	layout->is_new = false;
	for (size_t i = 0; i < count; i++) {
		struct oci_resolved *result = &out_resolved[i];

		*result = (struct oci_resolved){ .failed = failed };
		if (failed)
			result->err = err;
		else
			result->failed = resolve_tag(layout, tags[i], &result->digest,
			                             &result->err);
		if (result->failed)
			(void)fail(&result->err);
	}
}

/* ---- content ---- */

/* image-layout.md, "Blobs": blobs/<algorithm>/<hex>. */
static int open_blob(struct layout *layout, const struct digest *digest, int64_t *out_size,
                     struct err *err)
{
	char path[sizeof("blobs/") + DIGEST_TEXT_SIZE] = "blobs/";
	int fd = -1;

	(void)digest_format(digest, path + strlen(path));
	path[strcspn(path, ":")] = '/';
	if (layout->dir_fd >= 0)
		fd = open_file(layout, path, out_size, err);
	if (fd >= 0)
		return fd;
	/* The folder may have been exchanged since. */
	if (hold(layout, err))
		return -1;
	fd = open_file(layout, path, out_size, err);
	if (fd < 0 && err->kind == ERR_NOT_FOUND)
		(void)err_cause(err, OCI_CAUSE_CONTENT_GONE);
	return fd;
}

static int check_size(int64_t found, int64_t expected, struct err *err)
{
	if (found == expected)
		return 0;
	return err_set(err, ERR_DIGEST,
	               "the file has %" PRId64 " bytes instead of the %" PRId64
	               " of its descriptor",
	               found, expected);
}

/* Where index.json describes a manifest, or NULL: one that an index in it leads to. */
static const json_t *entry_of(const struct layout *layout, const struct digest *digest)
{
	const json_t *entries = json_object_get(layout->index, "manifests");
	char text[DIGEST_TEXT_SIZE];
	const json_t *entry;
	size_t i;

	(void)digest_format(digest, text);
	json_array_foreach(entries, i, entry)
	{
		const char *found = json_text_at(entry, "digest");

		if (found && !strcmp(found, text))
			return entry;
	}
	return NULL;
}

static int read_manifest(struct layout *layout, const struct digest *digest, struct buf *body,
                         char **out_type, struct err *err)
{
	const json_t *entry = entry_of(layout, digest);
	const char *type = json_text_at(entry, "mediaType");
	CLEANUP(cleanup_free) char *copy = NULL;
	struct oci_descriptor descriptor;
	CLEANUP(cleanup_fd) int fd = -1;
	int64_t size = 0;

	fd = open_blob(layout, digest, &size, err);
	if (fd < 0 || (entry && (descriptor_read(entry, &descriptor, err) ||
	                         check_size(size, descriptor.size, err))))
		return -1;
	if (type && !(copy = strdup(type)))
		return err_set_sys(err, ENOMEM, "manifest");
	if (read_whole(layout, fd, "the file", size, body, err))
		return -1;
	*out_type = STEAL(copy);
	return 0;
}

static int layout_manifest(void *self, const struct digest *digest, struct buf *body,
                           char **out_type, struct err *err)
{
	struct layout *layout = self;

	if (cancel_check(layout->cancel, err))
		return -1;
	return read_manifest(layout, digest, body, out_type, err) ? fail(err) : 0;
}

static int layout_named(void *self, const char *tag, struct buf *body, struct err *err)
{
	struct layout *layout = self;
	CLEANUP(cleanup_free) char *type = NULL;
	struct digest digest;

	if (cancel_check(layout->cancel, err))
		return -1;
	/* As a mirror it may be asked without having given the list. */
	if (!layout->index && load(layout, err))
		return fail(err);
	return resolve_tag(layout, tag, &digest, err) ||
	                       read_manifest(layout, &digest, body, &type, err)
	               ? fail(err)
	               : 0;
}

/* A file that has become shorter is at its end: what that means is for the caller to judge. */
static int feed(struct layout *layout, int fd, struct pull *pull, struct err *err)
{
	char chunk[CHUNK_BYTES];

	while (pull->received < pull->blob->size) {
		int64_t left = pull->blob->size - pull->received;
		size_t wanted = left < CHUNK_BYTES ? (size_t)left : CHUNK_BYTES;
		ssize_t n;

		if (cancel_check(layout->cancel, err))
			return -1;
		n = pread(fd, chunk, wanted, (off_t)pull->received);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_set_sys(err, errno, "read the blob");
		if (n == 0)
			return 0;
		counters_received(layout->counters, (size_t)n);
		if (pull_write(pull, chunk, (size_t)n, err))
			return -1;
	}
	return 0;
}

static int layout_blob(void *self, struct pull *pull, struct err *err)
{
	struct layout *layout = self;
	CLEANUP(cleanup_fd) int fd = -1;
	int64_t size = 0;

	if (cancel_check(layout->cancel, err))
		return -1;
	fd = open_blob(layout, &pull->blob->digest, &size, err);
	if (fd < 0 || check_size(size, pull->blob->size, err))
		return fail(err);
	return feed(layout, fd, pull, err);
}

int layout_source_open(const char *dir, struct oci_counters *counters, const struct cancel *cancel,
                       struct source *out_source, struct err *err)
{
	static const struct source_ops ops = {
		.tags = layout_tags,
		.resolve = layout_resolve,
		.manifest = layout_manifest,
		.named = layout_named,
		.blob = layout_blob,
		.free = layout_free,
	};
	CLEANUP(cleanup_free) struct layout *layout = calloc(1, sizeof(*layout));

	if (!layout || !(layout->dir = strdup(dir)))
		return err_set_sys(err, ENOMEM, "oci-layout:%.200s", dir);
	layout->cancel = cancel;
	layout->counters = counters;
	layout->dir_fd = -1;
	*out_source = (struct source){ &ops, STEAL(layout) };
	return 0;
}
