/*
 * The report of `specman check`: one line a step on standard output, and below a
 * failure or a warning its cause and what to do.
 *
 *	ok   certificate: tls.crt is good until 2026-01-02
 *	FAIL tags: tags of harbor.example.com/a/b: 403 from the registry: denied
 *	  cause: no-pull-right
 *	  do: The login is right, but …
 */
#ifndef SPECMAN_CHECK_REPORT_H
#define SPECMAN_CHECK_REPORT_H

#include "base/cancel.h"
#include "base/err.h"
#include "config.h"
#include "oci/oci.h"

/* What all steps are given. */
struct check {
	const struct config *config;
	const struct cancel *cancel;
	struct oci_keys *keys;                  /* that releases have to be signed by, or NULL */
	unsigned ok, warnings, failed, skipped; /* steps that ended so */
};

void report_ok(struct check *check, const char *step, const char *format, ...) PRINTF_LIKE(3, 4);
void report_skip(struct check *check, const char *step, const char *format, ...) PRINTF_LIKE(3, 4);

/* A line that belongs to the step reported last. */
void report_detail(const char *format, ...) PRINTF_LIKE(1, 2);

/* `cause` is one of advice.h. */
void report_warning(struct check *check, const char *step, int cause, const char *format, ...)
	PRINTF_LIKE(4, 5);

/* The cause is that of err, else what its kind says. */
void report_failure(struct check *check, const char *step, const struct err *err);

/* The last line. */
void report_sum(const struct check *check);

#endif
