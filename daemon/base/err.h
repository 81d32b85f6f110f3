/*
 * Errors as values: a kind to branch on, the errno behind it, and one sentence
 * for the operator that grows from cause to context on its way up.
 *
 * A struct err belongs to the caller, needs no release and may be reused. A
 * function that can fail takes one as its last parameter, returns -1 (or NULL)
 * and fills it; on success it leaves it alone. Nothing here allocates.
 */
#ifndef SPECMAN_BASE_ERR_H
#define SPECMAN_BASE_ERR_H

#define MUST_CHECK               __attribute__((warn_unused_result))
#define PRINTF_LIKE(text, first) __attribute__((__format__(__printf__, text, first)))

/* A kind exists only where a caller does something else because of it. */
enum err_kind {
	ERR_NONE = 0,
	ERR_IO,        /* the disk, a socket or the kernel failed; .sys holds errno */
	ERR_NETWORK,   /* the peer can't be reached or broke off: worth another try */
	ERR_AUTH,      /* credentials are missing, wrong or lack a right */
	ERR_NOT_FOUND, /* the thing asked for is not there */
	ERR_LOST,      /* it is there by its owner's word, and not where that points to */
	ERR_DIGEST,    /* the bytes are not the ones that were promised */
	ERR_FORMAT,    /* input breaks its grammar or a rule of safety */
	ERR_LIMIT,     /* input is larger than it may be */
	ERR_NO_SPACE,  /* the disk or a quota is full */
	ERR_ROLLBACK,  /* it is older than what it would replace */
	ERR_UNSIGNED,  /* nobody who is trusted has signed it */
	ERR_CONFIG,    /* what the operator configured can't work */
	ERR_CANCELLED, /* the daemon is stopping */
};

struct err {
	enum err_kind kind;
	int sys;
	int cause; /* a number of the module that failed, for advice (oci.h: enum oci_cause), or 0
	            */
	char msg[512];
};

/*
 * Each of the following is an expression of value -1, so that a function can
 * end with `return err_set(err, ERR_LIMIT, "…");`. (They are macros for the
 * compiler to see that value.)
 *
 * err_set(err, kind, format, …)        Fill err with a kind and a sentence.
 * err_set_sys(err, errno, format, …)   The same for a failed system call: ENOSPC
 *                                      and EDQUOT are ERR_NO_SPACE, all else
 *                                      ERR_IO; the reason's text is appended.
 * err_context(err, format, …)          Put "<context>: " in front of the sentence;
 *                                      kind and cause stay.
 * err_cause(err, cause)                Say why more precisely, after one of the first two.
 *
 * Control characters, which may come from outside, become '?'; a longer text is cut.
 */
#define err_set(...)           (err_fill(__VA_ARGS__), -1)
#define err_set_sys(...)       (err_fill_sys(__VA_ARGS__), -1)
#define err_context(...)       (err_prepend(__VA_ARGS__), -1)
#define err_cause(err, cause_) ((err)->cause = (int)(cause_), -1)

void err_fill(struct err *err, enum err_kind kind, const char *format, ...) PRINTF_LIKE(3, 4);
void err_fill_sys(struct err *err, int sys, const char *format, ...) PRINTF_LIKE(3, 4);
void err_prepend(struct err *err, const char *format, ...) PRINTF_LIKE(2, 3);

/* The kind as a word for logs: "network", "auth", … */
const char *err_kind_name(enum err_kind kind);

#endif
