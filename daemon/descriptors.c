/* Room for connections; see descriptors.h. */
#include "descriptors.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/resource.h>

#include "log.h"

enum {
	PER_CONNECTION = 2, /* the socket, and the file that is sent */
	OWN = 256,          /* the store, the registry, the log, the workers */
};

unsigned descriptors_fit(unsigned connections)
{
	rlim_t needed = (rlim_t)connections * PER_CONNECTION + OWN;
	char limit_text[24], room_text[16];
	struct rlimit limit;
	unsigned room;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return connections;
	if (limit.rlim_cur < needed && limit.rlim_cur < limit.rlim_max) {
		struct rlimit more = limit;

		more.rlim_cur = needed < limit.rlim_max ? needed : limit.rlim_max;
		if (!setrlimit(RLIMIT_NOFILE, &more))
			limit = more;
	}
	if (limit.rlim_cur >= needed)
		return connections;
	room = limit.rlim_cur > OWN + PER_CONNECTION
	               ? (unsigned)((limit.rlim_cur - OWN) / PER_CONNECTION)
	               : 1;
	(void)snprintf(limit_text, sizeof(limit_text), "%ju", (uintmax_t)limit.rlim_cur);
	(void)snprintf(room_text, sizeof(room_text), "%u", room);
	log_line(LOG_WARNING, "Fewer connections than --max-connections",
	         (struct log_field[]){ { "connections", room_text },
	                               { "descriptors", limit_text },
	                               { NULL, NULL } });
	return room;
}
