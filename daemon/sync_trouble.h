/*
 * What goes wrong in rounds of syncing, told once to all who want to know: the
 * log (again at growing intervals), who waits for the round (its first trouble),
 * and the status (until it is over).
 */
#ifndef SPECMAN_SYNC_TROUBLE_H
#define SPECMAN_SYNC_TROUBLE_H

#include <stdbool.h>

#include "advice.h"
#include "base/err.h"
#include "recurring.h"
#include "status.h"
#include "sync.h"

struct sync_trouble {
	struct recurring *recurring;
	struct status *status;
	bool advised[ADVICE_CAUSE_COUNT]; /* causes whose advice was told since all was well */
	char reason[SYNC_REASON_SIZE];    /* the first trouble of the round, in one line */
	int64_t began_ms;                 /* the round */
};

/* status is borrowed for its life. */
MUST_CHECK int sync_trouble_init(struct sync_trouble *trouble, struct status *status,
                                 struct err *err);
void sync_trouble_release(struct sync_trouble *trouble);

/* A round begins. */
void sync_trouble_begin(struct sync_trouble *trouble);

/* Only for who waits for the round: the first trouble is what they are told. tag may be NULL. */
void sync_trouble_note(struct sync_trouble *trouble, const char *msg, const char *tag,
                       const char *error);

/* Something failed: a tag, or with NULL what the subject says. */
void sync_trouble_tell(struct sync_trouble *trouble, const char *subject, const char *msg,
                       const char *tag, const struct err *err);

/*
 * Nothing failed, but somebody should know; cause is for advice, or 0. Thinned and kept
 * in the status as a failure is.
 */
void sync_trouble_warn(struct sync_trouble *trouble, const char *subject, const char *msg,
                       const char *tag, const char *reason, int cause);

/* A tag whose refusal was told in an earlier round is as it was: told again at growing intervals.
 */
void sync_trouble_stays(struct sync_trouble *trouble, const char *tag);

/* Whether there was trouble with the subject until now, or with the tag; it is over. */
bool sync_trouble_over(struct sync_trouble *trouble, const char *subject, const char *tag);

/* What rounds depend on has changed (the secret, say): whatever fails next is told, as if for the
 * first time. */
void sync_trouble_renew(struct sync_trouble *trouble);

/* The round got through: tags that it met no trouble with are well, which is told. */
void sync_trouble_sweep_tags(struct sync_trouble *trouble);

/* Whether a line that is no trouble, but comes again each round, is to be written now. */
bool sync_trouble_is_news(struct sync_trouble *trouble, const char *subject, const char *reason);

#endif
