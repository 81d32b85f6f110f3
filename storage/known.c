/* What the releases say of themselves; see store.h. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "release.h"
#include "release_reader.h"
#include "store.h"

DEFINE_CLEANUP(cleanup_reader, struct release_reader, release_reader_free);

static struct known *find(struct store *store, const char *tag)
{
	for (size_t i = 0; i < store->known_count; i++)
		if (!strcmp(store->known[i].info.tag, tag))
			return &store->known[i];
	return NULL;
}

void known_note(struct store *store, const struct store_release *info, uint64_t fingerprint)
{
	struct known *known = find(store, info->tag);

	if (!known) {
		known = realloc(store->known, (store->known_count + 1) * sizeof(*known));
		if (!known)
			return;
		store->known = known;
		known += store->known_count++;
	}
	*known = (struct known){ *info, fingerprint };
}

bool known_forget(struct store *store, const char *tag, struct digest *out_manifest)
{
	struct known *known = find(store, tag);

	if (!known)
		return false;
	*out_manifest = known->info.manifest;
	*known = store->known[--store->known_count];
	return true;
}

bool known_is_unchanged(struct store *store, const struct store_release *info,
                        uint64_t *out_fingerprint)
{
	const struct known *known = find(store, info->tag);

	if (!known || !digest_equal(&known->info.manifest, &info->manifest) ||
	    known->fingerprint != release_fingerprint(&store->layout, info->tag))
		return false;
	*out_fingerprint = known->fingerprint;
	return true;
}

int known_get(struct store *store, const char *tag, struct store_release *out_info, struct err *err)
{
	const struct known *known = find(store, tag);
	CLEANUP(cleanup_reader) struct release_reader *reader = NULL;
	struct release_entry entry;
	struct digest unneeded;
	int more;

	if (known && known->fingerprint == release_fingerprint(&store->layout, tag)) {
		*out_info = known->info;
		return 0;
	}
	(void)known_forget(store, tag, &unneeded);
	reader = release_reader_open(&store->layout, tag, err);
	if (!reader)
		return -1;
	while ((more = release_reader_next(reader, &entry, err)) > 0) {
	}
	if (more < 0)
		return -1;
	*out_info = *release_reader_info(reader);
	known_note(store, out_info, release_reader_fingerprint(reader));
	return 0;
}
