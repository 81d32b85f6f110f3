/*
 * The status page: how the daemon is, for people (one HTML document that needs
 * neither scripts nor anything from elsewhere) and for programs (JSON).
 */
#ifndef SPECMAN_STATUS_PAGE_H
#define SPECMAN_STATUS_PAGE_H

#include "admin.h"
#include "overview.h"

enum {
	STATUS_PAGE_RELEASES = 50,   /* are shown; JSON has more of them */
	STATUS_JSON_RELEASES = 1000, /* the newest */
};

/* The page's Content-Security-Policy: nothing but its own style may be loaded. Lives for ever. */
const char *status_page_policy(void);

MUST_CHECK int status_page_write(struct buf *page, const struct overview *overview,
                                 struct err *err);

/* The keys are a promise: see README, "Status page". */
MUST_CHECK int status_json_write(struct buf *text, const struct overview *overview,
                                 struct err *err);

/*
 * Routes; ctx is a struct overviews. The first is HTML unless the request prefers JSON
 * (Accept, RFC 9110, section 12.5.1, or ?format=json).
 */
admin_answerer status_page_answer;
admin_answerer status_json_answer;

#endif
