/* Proofs; see proof.h. */
#include "proof.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/io.h"

static const char suffix[] = ".proof";

enum { NAME_SIZE = DIGEST_TEXT_SIZE + sizeof(suffix) };

static const char *name_of(const struct digest *manifest, char name[static NAME_SIZE])
{
	char text[DIGEST_TEXT_SIZE], *colon = strchr(digest_format(manifest, text), ':');

	if (colon)
		*colon = '-';
	(void)snprintf(name, NAME_SIZE, "%s%s", text, suffix);
	return name;
}

/* Whether it is the name of a proof, and whose. */
static bool parse_name(const char *name, struct digest *out_manifest)
{
	size_t length = strlen(name), tail = sizeof(suffix) - 1;
	char text[DIGEST_TEXT_SIZE];
	struct err no_digest;
	char *dash;

	if (length <= tail || length - tail >= sizeof(text) ||
	    strcmp(name + length - tail, suffix) != 0)
		return false;
	memcpy(text, name, length - tail);
	text[length - tail] = '\0';
	dash = strchr(text, '-');
	if (dash)
		*dash = ':';
	return dash && !digest_parse(text, out_manifest, &no_digest);
}

int proof_put(struct store *store, const struct store_source *source, struct err *err)
{
	char name[NAME_SIZE];

	return io_replace_file(store->layout.releases, name_of(source->manifest, name),
	                       source->proof, source->proof_size, 0640, err);
}

int store_proof(struct store *store, const struct digest *manifest, struct buf *out_proof,
                struct err *err)
{
	char name[NAME_SIZE];

	return io_read_file(store->layout.releases, name_of(manifest, name), out_proof, err);
}

bool proof_admits(struct store *store, const struct store_release *release)
{
	CLEANUP(buf_release) struct buf proof = BUF_INIT(STORE_PROOF_BYTES);
	struct err unread;

	if (!store->admits)
		return true;
	/* What can't be read proves nothing. */
	if (store_proof(store, &release->manifest, &proof, &unread))
		buf_clear(&proof);
	return store->admits(store->admits_ctx, release, buf_text(&proof), proof.size);
}

int proof_sweep(struct store *store, const struct digest_set *manifests, struct err *err)
{
	CLEANUP(cleanup_dir) DIR *dir = layout_list(store->layout.releases, ".", err);
	const struct dirent *entry;
	struct err later;
	int failed = 0, more;

	if (!dir)
		return -1;
	while ((more = layout_next(dir, &entry, "releases", failed ? &later : err)) > 0) {
		struct digest manifest;

		if (parse_name(entry->d_name, &manifest) && !digest_set_has(manifests, &manifest) &&
		    unlinkat(dirfd(dir), entry->d_name, 0) && errno != ENOENT && !failed)
			failed = err_set_sys(err, errno, "remove releases/%s", entry->d_name);
	}
	return failed || more < 0 ? -1 : 0;
}
