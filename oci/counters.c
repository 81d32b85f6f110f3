/* Counting what is asked of registries; see counters.h. */
#include "oci/counters.h"

#include "base/counter.h"

static const char *const methods[OCI_COUNTED_METHODS] = {
	[EXCHANGE_GET] = "GET", [EXCHANGE_HEAD] = "HEAD",   [EXCHANGE_POST] = "POST",
	[EXCHANGE_PUT] = "PUT", [EXCHANGE_PATCH] = "PATCH",
};

/* Those of the distribution API, of redirects, and of what stands in front. A registry that
 * makes numbers up makes no figures of its own. */
static const struct {
	int status;
	const char *name;
} codes[OCI_COUNTED_CODES] = {
	{ 200, "200" }, { 201, "201" }, { 202, "202" }, { 204, "204" }, { 206, "206" },
	{ 301, "301" }, { 302, "302" }, { 303, "303" }, { 307, "307" }, { 308, "308" },
	{ 400, "400" }, { 401, "401" }, { 403, "403" }, { 404, "404" }, { 405, "405" },
	{ 408, "408" }, { 412, "412" }, { 413, "413" }, { 416, "416" }, { 425, "425" },
	{ 429, "429" }, { 500, "500" }, { 502, "502" }, { 503, "503" }, { 504, "504" },
	{ 0, "none" },  { 1, "2xx" },   { 2, "3xx" },   { 3, "4xx" },   { 4, "5xx" },
	{ 5, "other" },
};

_Static_assert(sizeof(codes) / sizeof(codes[0]) == OCI_COUNTED_CODES, "one figure each");

const char *oci_counted_method(size_t index)
{
	return methods[index];
}

const char *oci_counted_code(size_t index)
{
	return codes[index].name;
}

/* The row of a status; one that is not named counts by its class. */
static size_t row_of(long status)
{
	long stand_in = status >= 200 && status < 600 ? status / 100 - 1 : 5;

	for (size_t i = 0; i < OCI_COUNTED_CODES; i++)
		if (codes[i].status == status && (status == 0 || status >= 200))
			return i;
	for (size_t i = 0; i < OCI_COUNTED_CODES; i++)
		if (codes[i].status == stand_in)
			return i;
	return OCI_COUNTED_CODES - 1;
}

void counters_answer(struct oci_counters *counters, enum exchange_method method, long status)
{
	if (counters)
		counter_add(&counters->answers[method][row_of(status)], 1);
}

void counters_received(struct oci_counters *counters, size_t bytes)
{
	if (counters)
		counter_add(&counters->received_bytes, bytes);
}

void counters_notice(struct oci_counters *counters, enum oci_notice_kind kind)
{
	if (counters && kind == OCI_NOTICE_RETRY)
		counter_add(&counters->retries, 1);
	if (counters && kind == OCI_NOTICE_FAILED_OVER)
		counter_add(&counters->failovers, 1);
}
