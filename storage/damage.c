/* Objects found missing or wrong; see store.h. */
#include "store.h"

void damage_note(struct store *store, const struct digest *digest, const char *path,
                 const char *why)
{
	struct err ignored;

	(void)pthread_mutex_lock(&store->mutex);
	/* Without memory the object is found out again at the next request. */
	if (digest_set_add(&store->damaged, digest, &ignored))
		why = "it is damaged, and there is no memory to note that";
	digest_set_remove(&store->verified, digest);
	(void)pthread_mutex_unlock(&store->mutex);
	store_tell(store, STORE_OBJECT_DAMAGED, path, why);
}

bool damage_is_known(struct store *store, const struct digest *digest)
{
	bool damaged;

	(void)pthread_mutex_lock(&store->mutex);
	damaged = digest_set_has(&store->damaged, digest);
	(void)pthread_mutex_unlock(&store->mutex);
	return damaged;
}

bool damage_is_any(struct store *store)
{
	bool any;

	(void)pthread_mutex_lock(&store->mutex);
	any = store->damaged.count > 0;
	(void)pthread_mutex_unlock(&store->mutex);
	return any;
}

void damage_forget(struct store *store, const struct digest *digest)
{
	(void)pthread_mutex_lock(&store->mutex);
	digest_set_remove(&store->damaged, digest);
	(void)pthread_mutex_unlock(&store->mutex);
}
