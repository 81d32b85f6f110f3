/* Counting requests; see http_count.h. */
#include "http_count.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/counter.h"

const char *const http_methods[HTTP_METHODS] = { "GET", "HEAD", "OPTIONS", "other" };

/* The frequent ones first. */
static const struct {
	unsigned status;
	const char *name;
} codes[] = {
	{ 200, "200" }, { 304, "304" }, { 206, "206" }, { 404, "404" }, { 301, "301" },
	{ 400, "400" }, { 401, "401" }, { 403, "403" }, { 405, "405" }, { 410, "410" },
	{ 412, "412" }, { 413, "413" }, { 414, "414" }, { 416, "416" }, { 429, "429" },
	{ 431, "431" }, { 500, "500" }, { 501, "501" }, { 503, "503" }, { 0, "none" },
	{ 1, "other" },
};

_Static_assert(sizeof(codes) / sizeof(codes[0]) == HTTP_CODES, "one figure each");

const uint64_t http_bounds_us[HTTP_BOUNDS] = {
	100,   250,    500,    1000,   2500,    5000,    10000,   25000,
	50000, 100000, 250000, 500000, 1000000, 2500000, 5000000, 10000000,
};

const char *const http_bound_names[HTTP_BOUNDS] = {
	"0.0001", "0.00025", "0.0005", "0.001", "0.0025", "0.005", "0.01", "0.025",
	"0.05",   "0.1",     "0.25",   "0.5",   "1.0",    "2.5",   "5.0",  "10.0",
};

struct http_counts {
	_Alignas(COUNTER_LINE_BYTES) _Atomic uint64_t requests[HTTP_METHODS][HTTP_CODES];
	_Atomic uint64_t buckets[HTTP_BOUNDS + 1];
	_Atomic uint64_t sum_us;
	_Atomic uint64_t busy;
	_Atomic uint64_t broken;
	_Atomic uint64_t logins_refused[HTTP_LOGINS];
};

const char *http_code_name(size_t index)
{
	return codes[index].name;
}

struct http_counts *http_counts_new(struct err *err)
{
	struct http_counts *counts = aligned_alloc(_Alignof(struct http_counts), sizeof(*counts));

	if (counts)
		memset(counts, 0, sizeof(*counts));
	else
		(void)err_set_sys(err, ENOMEM, "counters");
	return counts;
}

void http_counts_free(struct http_counts *counts)
{
	free(counts);
}

static size_t method_row(const char *method)
{
	for (size_t i = 0; method && i < HTTP_METHODS - 1; i++)
		if (!strcmp(method, http_methods[i]))
			return i;
	return HTTP_METHODS - 1;
}

static size_t code_row(unsigned status)
{
	for (size_t i = 0; i < HTTP_CODES - 1; i++)
		if (codes[i].status == status)
			return i;
	return HTTP_CODES - 1;
}

static size_t bucket_of(int64_t took_us)
{
	size_t i = 0;

	while (i < HTTP_BOUNDS && took_us > (int64_t)http_bounds_us[i])
		i++;
	return i;
}

void http_counts_began(struct http_counts *counts)
{
	counter_add(&counts->busy, 1);
}

void http_counts_ended(struct http_counts *counts, const char *method, unsigned status,
                       int64_t took_us, bool is_complete)
{
	counter_add(&counts->requests[method_row(method)][code_row(status)], 1);
	counter_add(&counts->buckets[bucket_of(took_us)], 1);
	counter_add(&counts->sum_us, took_us > 0 ? (uint64_t)took_us : 0);
	counter_add(&counts->broken, !is_complete);
	counter_add(&counts->busy, (uint64_t)-1);
}

void http_counts_unread(struct http_counts *counts)
{
	counter_add(&counts->requests[method_row(NULL)][code_row(0)], 1);
}

void http_counts_login(struct http_counts *counts, enum http_login why)
{
	counter_add(&counts->logins_refused[why], 1);
}

unsigned http_counts_busy(const struct http_counts *counts)
{
	return (unsigned)counter_read(&counts->busy);
}

void http_counts_add(const struct http_counts *counts, struct http_totals *sum)
{
	for (size_t i = 0; i < HTTP_METHODS; i++)
		for (size_t k = 0; k < HTTP_CODES; k++)
			sum->requests[i][k] += counter_read(&counts->requests[i][k]);
	for (size_t i = 0; i <= HTTP_BOUNDS; i++)
		sum->buckets[i] += counter_read(&counts->buckets[i]);
	sum->sum_us += counter_read(&counts->sum_us);
	sum->in_flight += counter_read(&counts->busy);
	sum->broken += counter_read(&counts->broken);
	for (size_t i = 0; i < HTTP_LOGINS; i++)
		sum->logins_refused[i] += counter_read(&counts->logins_refused[i]);
}
