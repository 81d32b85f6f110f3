/* Views on lease; see lease.h. */
#include "lease.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/timestamp.h"
#include "view.h"

/* ---- dropping, with the mutex held ---- */

/* Views that are to be put once the mutex is free: the last reference takes it. */
struct dropped {
	struct store_view *views[STORE_LEASES_MAX];
	size_t count;
};

static void drop(struct store *store, size_t number, struct dropped *dropped)
{
	struct store_view *view = store->leases[number].view;

	store->lease_count--;
	memmove(&store->leases[number], &store->leases[number + 1],
	        (store->lease_count - number) * sizeof(store->leases[0]));
	dropped->views[dropped->count++] = view;
}

static void note_gone(struct store *store, const struct store_view *view)
{
	(void)strcpy(store->gone[store->gone_count++ % STORE_GONE_MAX], store_view_id(view));
}

/* Its time is over, or it goes before that. */
static void drop_first(struct store *store, struct dropped *dropped)
{
	note_gone(store, store->leases[0].view);
	drop(store, 0, dropped);
}

static void drop_expired(struct store *store, struct dropped *dropped)
{
	const int64_t now_ms = clock_now_ms();

	while (store->lease_count && store->leases[0].ends_ms <= now_ms)
		drop_first(store, dropped);
}

static void put_all(const struct dropped *dropped)
{
	for (size_t i = 0; i < dropped->count; i++)
		store_view_put(dropped->views[i]);
}

static size_t bytes_of(const struct store *store)
{
	size_t bytes = 0;

	for (size_t i = 0; i < store->lease_count; i++)
		bytes += view_bytes(store->leases[i].view);
	return bytes;
}

/* ---- ending before the time ---- */

static void tell(struct store *store, size_t count, const char *why)
{
	char detail[32];

	(void)snprintf(detail, sizeof(detail), "%zu replaced views", count);
	if (count)
		store_tell(store, STORE_VIEWS_GIVEN_UP, why, detail);
}

/* Let go of the oldest until they keep to the bounds, or of all. Whether any went. */
static bool end_early(struct store *store, bool all, const char *why)
{
	struct dropped dropped = { .count = 0 };
	size_t expired;

	(void)pthread_mutex_lock(&store->mutex);
	drop_expired(store, &dropped);
	expired = dropped.count;
	while (store->lease_count &&
	       (all || store->lease_count == STORE_LEASES_MAX || bytes_of(store) > LEASE_BYTES))
		drop_first(store, &dropped);
	(void)pthread_mutex_unlock(&store->mutex);
	put_all(&dropped);
	tell(store, dropped.count - expired, why);
	return dropped.count > 0;
}

void leases_trim(struct store *store)
{
	(void)end_early(store, false, "there are too many, or too large ones");
}

bool leases_end(struct store *store)
{
	return end_early(store, true, "the room on disk is short");
}

void leases_clear(struct store *store)
{
	for (size_t i = 0; i < store->lease_count; i++)
		store_view_put(store->leases[i].view);
	store->lease_count = 0;
}

bool store_expire_views(struct store *store)
{
	struct dropped dropped = { .count = 0 };
	bool owes;

	(void)pthread_mutex_lock(&store->mutex);
	drop_expired(store, &dropped);
	(void)pthread_mutex_unlock(&store->mutex);
	put_all(&dropped);
	(void)pthread_mutex_lock(&store->mutex);
	owes = store->owes_sweep;
	store->owes_sweep = false;
	(void)pthread_mutex_unlock(&store->mutex);
	return owes;
}

/* ---- replacing ---- */

void store_keep_views(struct store *store, int64_t lease_ms)
{
	(void)pthread_mutex_lock(&store->mutex);
	store->lease_ms = lease_ms;
	(void)pthread_mutex_unlock(&store->mutex);
}

static bool is_to_be_kept(const struct store *store, const struct store_view *old,
                          const struct store_view *view)
{
	return store->lease_ms && !store->withdraws && old && store_view_release_count(old) &&
	       strcmp(store_view_id(old), store_view_id(view)) != 0;
}

/* A view that comes back is had as the current one. */
static void drop_same(struct store *store, const struct store_view *view, struct dropped *dropped)
{
	for (size_t i = store->lease_count; i-- > 0;)
		if (!strcmp(store_view_id(store->leases[i].view), store_view_id(view)))
			drop(store, i, dropped);
}

void leases_swap_take(struct store *store, struct store_view *view)
{
	const int64_t now_ms = timestamp_now_ms();
	struct dropped dropped = { .count = 0 };
	struct store_view *old;

	(void)pthread_mutex_lock(&store->mutex);
	old = store->current;
	store->current = view;
	if (store->withdraws && old)
		note_gone(store, old);
	while (store->withdraws && store->lease_count)
		drop_first(store, &dropped);
	drop_same(store, view, &dropped);
	if (is_to_be_kept(store, old, view)) {
		store->leases[store->lease_count++] = (struct store_lease){
			.view = old,
			.since_ms = store->current_since_ms,
			.until_ms = now_ms + store->lease_ms,
			.ends_ms = clock_now_ms() + store->lease_ms,
		};
		old = NULL;
	}
	store->current_since_ms = now_ms;
	store->withdraws = false;
	(void)pthread_mutex_unlock(&store->mutex);
	store_view_put(old);
	put_all(&dropped);
}

/* ---- having them ---- */

static bool is_gone(const struct store *store, const char *id)
{
	for (size_t i = 0; i < STORE_GONE_MAX; i++)
		if (!strcmp(store->gone[i], id))
			return true;
	return false;
}

struct store_view *store_view_named(struct store *store, const char *id, bool *out_is_gone)
{
	const int64_t now_ms = clock_now_ms();
	struct store_view *found = NULL;
	bool is_known = false;

	(void)pthread_mutex_lock(&store->mutex);
	if (!strcmp(store_view_id(store->current), id))
		found = store->current;
	for (size_t i = 0; !found && !is_known && i < store->lease_count; i++)
		if (!strcmp(store_view_id(store->leases[i].view), id)) {
			is_known = true;
			if (store->leases[i].ends_ms > now_ms)
				found = store->leases[i].view;
		}
	if (found)
		view_ref(found);
	else
		*out_is_gone = is_known || is_gone(store, id);
	(void)pthread_mutex_unlock(&store->mutex);
	return found;
}

static struct store_view_times times_of(const struct store_view *view, int64_t since_ms,
                                        int64_t until_ms)
{
	struct store_view_times times = { .since_ms = since_ms, .until_ms = until_ms };

	(void)strcpy(times.id, store_view_id(view));
	return times;
}

size_t store_views(struct store *store, struct store_view_times out_views[static STORE_VIEWS_MAX])
{
	const int64_t now_ms = clock_now_ms();
	size_t count = 0;

	(void)pthread_mutex_lock(&store->mutex);
	for (size_t i = 0; i < store->lease_count; i++) {
		const struct store_lease *lease = &store->leases[i];

		if (lease->ends_ms > now_ms)
			out_views[count++] = times_of(lease->view, lease->since_ms,
			                              lease->until_ms);
	}
	out_views[count++] = times_of(store->current, store->current_since_ms, 0);
	(void)pthread_mutex_unlock(&store->mutex);
	return count;
}
