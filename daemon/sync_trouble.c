/* Telling what goes wrong in rounds; see sync_trouble.h. */
#include "sync_trouble.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "log.h"
#include "oci/oci.h"

enum { KEY_SIZE = OCI_TAG_SIZE + 8 };

int sync_trouble_init(struct sync_trouble *trouble, struct status *status, struct err *err)
{
	*trouble = (struct sync_trouble){ .status = status, .recurring = recurring_new(err) };
	return trouble->recurring ? 0 : -1;
}

void sync_trouble_release(struct sync_trouble *trouble)
{
	recurring_free(trouble->recurring);
}

void sync_trouble_begin(struct sync_trouble *trouble)
{
	*trouble->reason = '\0';
}

void sync_trouble_note(struct sync_trouble *trouble, const char *msg, const char *tag,
                       const char *error)
{
	if (!*trouble->reason)
		(void)snprintf(trouble->reason, sizeof(trouble->reason), "%s%s%s: %s", msg,
		               tag ? ", tag " : "", tag ? tag : "", error);
}

/* Under which name repeated lines are thinned: a tag may be called "sync". */
static const char *key_of(const char *subject, const char *tag, char key[static KEY_SIZE])
{
	if (!tag)
		return subject;
	(void)snprintf(key, KEY_SIZE, "tag %s", tag);
	return key;
}

bool sync_trouble_is_news(struct sync_trouble *trouble, const char *subject, const char *reason)
{
	return recurring_happened(trouble->recurring, subject, reason, clock_now_ms());
}

void sync_trouble_tell(struct sync_trouble *trouble, const char *subject, const char *msg,
                       const char *tag, const struct err *err)
{
	struct log_field fields[6] = { { "error", err->msg },
		                       { "kind", err_kind_name(err->kind) } };
	int cause = advice_cause_of(err);
	char key[KEY_SIZE];
	size_t n = 2;

	if (err->kind == ERR_CANCELLED)
		return;
	sync_trouble_note(trouble, msg, tag, err->msg);
	status_happened(trouble->status, tag ? tag : subject, tag != NULL, msg, err);
	if (!sync_trouble_is_news(trouble, key_of(subject, tag, key), err->msg))
		return;
	if (tag)
		fields[n++] = (struct log_field){ "tag", tag };
	if (cause)
		fields[n++] = (struct log_field){ "cause", advice_find(cause)->name };
	if (cause && !trouble->advised[cause])
		fields[n++] = (struct log_field){ "advice", advice_find(cause)->text };
	trouble->advised[cause] = true;
	log_line(LOG_ERROR, msg, fields);
}

void sync_trouble_warn(struct sync_trouble *trouble, const char *subject, const char *msg,
                       const char *tag, const char *reason, int cause)
{
	struct log_field fields[5] = { { "reason", reason } };
	const struct advice *advice = advice_find(cause);
	size_t n = 1;

	status_warned(trouble->status, tag ? tag : subject, tag != NULL, msg, reason, cause);
	if (!sync_trouble_is_news(trouble, subject, tag ? tag : reason))
		return;
	if (tag)
		fields[n++] = (struct log_field){ "tag", tag };
	if (advice) {
		fields[n++] = (struct log_field){ "cause", advice->name };
		fields[n++] = (struct log_field){ "advice", advice->text };
	}
	log_line(LOG_WARNING, msg, fields);
}

void sync_trouble_stays(struct sync_trouble *trouble, const char *tag)
{
	static const char msg[] = "Release refused";
	static const char error[] = "as at its first try, which the log tells of";

	sync_trouble_note(trouble, msg, tag, error);
	status_stays(trouble->status, tag, msg, error);
}

bool sync_trouble_over(struct sync_trouble *trouble, const char *subject, const char *tag)
{
	char key[KEY_SIZE];

	status_over(trouble->status, tag ? tag : subject, tag != NULL);
	return recurring_over(trouble->recurring, key_of(subject, tag, key));
}
