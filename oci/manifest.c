/* Manifests and indexes; see manifest.h. */
#include "oci/manifest.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "oci/descriptor.h"
#include "oci/json.h"
#include "oci/limits.h"

#define TITLE   "org.opencontainers.image.title"
#define CREATED "org.opencontainers.image.created"
#define WANTED  "manifests.tgz"

enum kind { KIND_UNKNOWN, KIND_IMAGE, KIND_ARTIFACT, KIND_INDEX };

static const struct type {
	const char *name;
	enum kind kind;
} types[] = {
	{ "application/vnd.oci.image.manifest.v1+json", KIND_IMAGE },
	{ "application/vnd.docker.distribution.manifest.v2+json", KIND_IMAGE },
	{ "application/vnd.oci.artifact.manifest.v1+json", KIND_ARTIFACT },
	{ "application/vnd.oci.image.index.v1+json", KIND_INDEX },
	{ "application/vnd.docker.distribution.manifest.list.v2+json", KIND_INDEX },
};

/* The member that makes a document of a kind, and whose entries lead on. */
static const char *const members[] = {
	[KIND_IMAGE] = "layers",
	[KIND_ARTIFACT] = "blobs",
	[KIND_INDEX] = "manifests",
};

/* A list of names for an error's text, cut where it gets too long. */
struct names {
	char text[256];
	size_t used;
};

static void names_add(struct names *names, const char *name)
{
	char short_name[64];
	size_t room = sizeof(names->text) - names->used;
	int size;

	json_copy_text(short_name, sizeof(short_name), name);
	size = snprintf(names->text + names->used, room, "%s%s", names->used ? ", " : "",
	                short_name);
	if (size > 0 && (size_t)size < room)
		names->used += (size_t)size;
	else
		names->text[names->used] = '\0';
}

static enum kind kind_of_type(const char *type)
{
	size_t size = strcspn(type, "; \t");

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		if (strlen(types[i].name) == size && !strncasecmp(type, types[i].name, size))
			return types[i].kind;
	}
	return KIND_UNKNOWN;
}

static bool has(const json_t *root, const char *key)
{
	const json_t *value = json_object_get(root, key);

	return value && !json_is_null(value);
}

/* What the members say. A document that is two things at once is refused. */
static int kind_by_members(const json_t *root, enum kind *out_kind, struct err *err)
{
	enum kind kind = KIND_UNKNOWN;

	if (has(root, "fsLayers") || has(root, "signatures"))
		return err_set(err, ERR_FORMAT,
		               "it is a Docker schema 1 manifest, which isn't supported");
	for (enum kind k = KIND_IMAGE; k <= KIND_INDEX; k++) {
		if (!has(root, members[k]))
			continue;
		if (kind)
			return err_set(err, ERR_FORMAT,
			               "it has both %s and %s and so is no single thing",
			               members[kind], members[k]);
		kind = k;
	}
	if (kind == KIND_INDEX && has(root, "config"))
		return err_set(err, ERR_FORMAT,
		               "it has both manifests and config and so is no single thing");
	if (kind == KIND_UNKNOWN)
		return err_set(err, ERR_FORMAT,
		               "it has no layers and is no manifest of a kind "
		               "that is known here");
	*out_kind = kind;
	return 0;
}

static int check_types(const json_t *root, enum kind kind, const char *content_type,
                       struct err *err)
{
	const json_t *media_type = json_object_get(root, "mediaType");
	const json_t *version = json_object_get(root, "schemaVersion");
	enum kind announced = content_type ? kind_of_type(content_type) : KIND_UNKNOWN;
	const char *name = json_string_value(media_type);

	if (media_type && !name)
		return err_set(err, ERR_FORMAT, "its mediaType is no text");
	if (name && *name && kind_of_type(name) != kind)
		return err_set(err, ERR_FORMAT,
		               "its mediaType \"%.100s\" is unknown or doesn't "
		               "fit its %s",
		               name, members[kind]);
	if (announced != KIND_UNKNOWN && announced != kind)
		return err_set(err, ERR_FORMAT, "it was sent as \"%.100s\", but has %s",
		               content_type, members[kind]);
	if (kind == KIND_ARTIFACT && !(name && *name) && announced != kind)
		return err_set(err, ERR_FORMAT, "it has blobs, but no mediaType");
	if (kind != KIND_ARTIFACT &&
	    (!json_is_integer(version) || json_integer_value(version) != 2))
		return err_set(err, ERR_FORMAT, "its schemaVersion isn't 2");
	return 0;
}

/* The title is a path as somebody typed it, on whatever system. */
static const char *base_name(const char *path)
{
	for (const char *c = path; *c; c++) {
		if (*c == '/' || *c == '\\')
			path = c + 1;
	}
	return path;
}

/* What has been found among the entries so far. */
struct choice {
	struct oci_descriptor chosen;
	char title[OCI_TITLE_SIZE];
	bool found;
	bool several; /* different ones: the choice is open */
};

/* The same content in several places is one choice; its size must then be one as well. */
static int choice_add(struct choice *choice, const struct oci_descriptor *descriptor,
                      const char *title, struct err *err)
{
	if (choice->found && digest_equal(&choice->chosen.digest, &descriptor->digest)) {
		if (choice->chosen.size != descriptor->size)
			return err_set(err, ERR_FORMAT, "it gives one digest two sizes");
		return 0;
	}
	choice->several = choice->found;
	if (choice->found)
		return 0;
	choice->found = true;
	choice->chosen = *descriptor;
	json_copy_text(choice->title, sizeof(choice->title), title);
	return 0;
}

static void take(struct manifest *manifest, const struct choice *choice)
{
	manifest->chosen = choice->chosen;
	memcpy(manifest->title, choice->title, sizeof(manifest->title));
}

static int choose_layer(const json_t *layers, struct manifest *manifest, struct err *err)
{
	struct choice named = { .found = false };
	struct choice any = { .found = false };
	struct names titles = { .used = 0 };
	struct oci_descriptor descriptor;
	const json_t *layer;
	size_t i;

	json_array_foreach(layers, i, layer)
	{
		const char *title = base_name(descriptor_annotation(layer, TITLE));

		if (descriptor_read(layer, &descriptor, err))
			return err_context(err, "layer %zu", i + 1);
		names_add(&titles, *title ? title : "(no title)");
		if (choice_add(&any, &descriptor, title, err) ||
		    (!strcmp(title, WANTED) && choice_add(&named, &descriptor, title, err)))
			return -1;
	}
	if (named.found && !named.several)
		take(manifest, &named);
	else if (any.found && !any.several)
		take(manifest, &any);
	else if (!any.found)
		return err_set(err, ERR_FORMAT, "it has no layers");
	else
		return err_set(err, ERR_FORMAT, "it has %zu layers and %s " WANTED ": %s",
		               json_array_size(layers), named.several ? "several" : "no",
		               titles.text);
	return 0;
}

static void platform_of(const json_t *entry, char *out, size_t room)
{
	const json_t *platform = json_object_get(entry, "platform");
	const char *os = json_text_at(platform, "os");
	const char *architecture = json_text_at(platform, "architecture");

	(void)snprintf(out, room, "%.40s/%.40s", os ? os : "?", architecture ? architecture : "?");
}

static int choose_entry(const json_t *entries, const char *wanted, struct manifest *manifest,
                        struct err *err)
{
	struct choice fitting = { .found = false };
	struct choice any = { .found = false };
	struct names platforms = { .used = 0 };
	struct oci_descriptor descriptor;
	char platform[96];
	const json_t *entry;
	size_t i;

	json_array_foreach(entries, i, entry)
	{
		platform_of(entry, platform, sizeof(platform));
		if (descriptor_read(entry, &descriptor, err))
			return err_context(err, "index entry %zu", i + 1);
		names_add(&platforms, platform);
		if (choice_add(&any, &descriptor, "", err) ||
		    (!strcmp(platform, wanted) && choice_add(&fitting, &descriptor, "", err)))
			return -1;
	}
	if (any.found && !any.several)
		take(manifest, &any);
	else if (fitting.found && !fitting.several)
		take(manifest, &fitting);
	else if (!any.found)
		return err_set(err, ERR_FORMAT, "it is an index without entries");
	else
		return err_set(err, ERR_FORMAT, "it is an index with %s manifest for %s: %s",
		               fitting.several ? "more than one" : "no", wanted, platforms.text);
	return 0;
}

/* RFC 3339 in its outer form; another text is left out. */
static void copy_created(const json_t *root, char out[static OCI_CREATED_SIZE])
{
	const char *text = descriptor_annotation(root, CREATED);
	size_t size = strlen(text);

	if (size < OCI_CREATED_SIZE && strspn(text, "0123456789-:.TtZz+") == size)
		memcpy(out, text, size + 1);
}

int manifest_read(const char *body, size_t size, const char *content_type, const char *platform,
                  struct manifest *out_manifest, struct err *err)
{
	json_auto_t *root = json_bounded(body, size, err);
	struct manifest manifest = { .title = "" };
	enum kind kind = KIND_UNKNOWN;
	const json_t *entries;

	if (!root)
		return -1;
	if (!json_is_object(root))
		return err_set(err, ERR_FORMAT, "it is JSON, but no manifest");
	if (kind_by_members(root, &kind, err) || check_types(root, kind, content_type, err))
		return -1;
	entries = json_object_get(root, members[kind]);
	if (!json_is_array(entries))
		return err_set(err, ERR_FORMAT, "its %s are no list", members[kind]);
	if (json_array_size(entries) > LIMIT_LAYERS)
		return err_set(err, ERR_LIMIT, "it has %zu %s, at most %d are possible",
		               json_array_size(entries), members[kind], LIMIT_LAYERS);
	copy_created(root, manifest.created);
	manifest.is_index = kind == KIND_INDEX;
	if (manifest.is_index ? choose_entry(entries, platform, &manifest, err)
	                      : choose_layer(entries, &manifest, err))
		return -1;
	*out_manifest = manifest;
	return 0;
}

const char *manifest_platform(void)
{
#if defined(__x86_64__)
	return "linux/amd64";
#elif defined(__aarch64__)
	return "linux/arm64";
#elif defined(__s390x__)
	return "linux/s390x";
#elif defined(__powerpc64__) && defined(__LITTLE_ENDIAN__)
	return "linux/ppc64le";
#elif defined(__riscv) && __riscv_xlen == 64
	return "linux/riscv64";
#else
	return "linux/unknown";
#endif
}
