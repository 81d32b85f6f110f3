/*
 * Caps; see caps.h. Addresses lie in a table with two places for each possible
 * connection; an address is known by 8 bytes, so no hash is needed but a mix.
 */
#include "caps.h"

#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct place {
	uint64_t address;
	unsigned count; /* 0: free */
};

struct caps {
	pthread_mutex_t mutex;
	unsigned max_all;
	unsigned max_per_address;
	unsigned all;
	size_t places; /* a power of two, over max_all */
	struct place table[];
};

struct caps *caps_new(unsigned max_all, unsigned max_per_address, struct err *err)
{
	size_t places = 64;
	struct caps *caps;

	while (places < (size_t)max_all * 2)
		places *= 2;
	caps = calloc(1, sizeof(*caps) + places * sizeof(caps->table[0]));
	if (!caps) {
		(void)err_set_sys(err, ENOMEM, "table of connections");
		return NULL;
	}
	(void)pthread_mutex_init(&caps->mutex, NULL);
	caps->max_all = max_all;
	caps->max_per_address = max_per_address;
	caps->places = places;
	return caps;
}

void caps_free(struct caps *caps)
{
	if (!caps)
		return;
	(void)pthread_mutex_destroy(&caps->mutex);
	free(caps);
}

static uint64_t address_of(const struct sockaddr_storage *peer)
{
	uint64_t key = 0;

	if (peer->ss_family == AF_INET) {
		memcpy(&key, &((const struct sockaddr_in *)peer)->sin_addr, 4);
	} else {
		const struct in6_addr *six = &((const struct sockaddr_in6 *)peer)->sin6_addr;

		if (IN6_IS_ADDR_V4MAPPED(six))
			memcpy(&key, six->s6_addr + 12, 4);
		else
			memcpy(&key, six->s6_addr, 8); /* the /64 */
	}
	return key;
}

static size_t home_of(const struct caps *caps, uint64_t address)
{
	return (size_t)((address * 0x9e3779b97f4a7c15ULL) >> 32) & (caps->places - 1);
}

/* The place of an address, or the free one where it belongs. */
static struct place *find(struct caps *caps, uint64_t address)
{
	size_t i = home_of(caps, address);

	while (caps->table[i].count && caps->table[i].address != address)
		i = (i + 1) & (caps->places - 1);
	return &caps->table[i];
}

enum tls_cap caps_enter(struct caps *caps, const struct sockaddr_storage *peer)
{
	uint64_t address = address_of(peer);
	enum tls_cap met = TLS_CAPS;
	struct place *place;

	(void)pthread_mutex_lock(&caps->mutex);
	place = find(caps, address);
	if (caps->all >= caps->max_all) {
		met = TLS_CAP_ALL;
	} else if (place->count >= caps->max_per_address) {
		met = TLS_CAP_ADDRESS;
	} else {
		place->address = address;
		place->count++;
		caps->all++;
	}
	(void)pthread_mutex_unlock(&caps->mutex);
	return met;
}

void caps_leave(struct caps *caps, const struct sockaddr_storage *peer)
{
	struct place *place;

	(void)pthread_mutex_lock(&caps->mutex);
	place = find(caps, address_of(peer));
	caps->all--;
	if (--place->count == 0) {
		/* What follows in the same run is placed anew. */
		size_t i = (size_t)(place - caps->table);

		for (;;) {
			struct place moved;

			i = (i + 1) & (caps->places - 1);
			moved = caps->table[i];
			if (!moved.count)
				break;
			caps->table[i].count = 0;
			*find(caps, moved.address) = moved;
		}
	}
	(void)pthread_mutex_unlock(&caps->mutex);
}
