/*
 * The client of a repository, inside: its sources, and how a question goes through them. For
 * client.c and signed.c.
 */
#ifndef SPECMAN_OCI_CLIENT_H
#define SPECMAN_OCI_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "oci/oci.h"
#include "oci/source.h"

enum { LINE_NAME_SIZE = OCI_HOST_SIZE + OCI_NAME_SIZE, SUBJECT_SIZE = DIGEST_TEXT_SIZE + 32 };

/* A source and what is known of it. */
struct line {
	struct source source;
	char name[LINE_NAME_SIZE];
	int64_t down_until_ms; /* it has failed lately */
	bool is_late;          /* and so comes last in the walk under way */
};

struct oci_client {
	const struct cancel *cancel;
	struct oci_observer observer;
	struct oci_counters *counters; /* or NULL */
	struct line *lines;
	size_t count;
	size_t lister;     /* the line that gave the last list of tags */
	unsigned pauses;   /* in this round */
	unsigned retries;  /* as many there may be */
	bool is_backwards; /* the last tags are asked for first */
	int64_t search_ms; /* LIMIT_SEARCH_MS */
};

/*
 * What is asked of one line after the other until one gives it, and of all of
 * them again after a pause when that may help.
 */
enum { ASK_DONE = 0, ASK_FAILED = -1, ASK_FINAL = -2 };

struct question {
	/* ASK_FINAL: it has failed, and no other source would do better. */
	int (*ask)(struct line *line, void *ctx, struct err *err);
	void *ctx;
	char subject[SUBJECT_SIZE];
	size_t first; /* the line to begin with */
};

MUST_CHECK int client_ask(struct oci_client *client, const struct question *question,
                          struct line **out_line, struct err *err);

/*
 * Put the subject in front of a failure: with one source its name as well, with several
 * each has it already. Always -1.
 */
int client_context(const struct oci_client *client, const char *subject, struct err *err);

#endif
