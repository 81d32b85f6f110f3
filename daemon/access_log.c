/* The access log; see access_log.h. */
#include "access_log.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/listen.h"
#include "log.h"

void access_log_write(const struct request *request, bool is_complete)
{
	struct listen_address peer = { .address = *http_peer(request) };
	char status[12] = "-", bytes[24], seconds[24], address[LISTEN_TEXT_SIZE];
	const char *agent = request->head.user_agent;
	struct log_field fields[10];
	size_t count = 0;

	/* libmicrohttpd's own answers (a head that it can't read) have no number here. */
	if (request->status)
		(void)snprintf(status, sizeof(status), "%u", request->status);
	(void)snprintf(bytes, sizeof(bytes), "%" PRIu64, request->bytes);
	(void)snprintf(seconds, sizeof(seconds), "%.6f",
	               (double)(http_now_us() - request->since_us) / 1e6);
	fields[count++] = (struct log_field){ "peer", listen_format(&peer, address) };
	fields[count++] = (struct log_field){ "method", request->method ? request->method : "-" };
	fields[count++] = (struct log_field){ "target", request->target };
	fields[count++] = (struct log_field){ "status", status };
	fields[count++] = (struct log_field){ "bytes", bytes };
	fields[count++] = (struct log_field){ "seconds", seconds };
	if (*request->release)
		fields[count++] = (struct log_field){ "release", request->release };
	if (agent)
		fields[count++] = (struct log_field){ "agent", agent };
	if (!is_complete)
		fields[count++] = (struct log_field){ "broken_off", "true" };
	fields[count] = (struct log_field){ NULL, NULL };
	log_line(LOG_INFO, "Request", fields);
}
