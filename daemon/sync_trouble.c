/* Telling what goes wrong in rounds; see sync_trouble.h. */
#include "sync_trouble.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "log.h"
#include "oci/oci.h"

enum { KEY_SIZE = OCI_TAG_SIZE + 16 };

/* How subjects begin under which repeated lines are thinned: a tag may be called "sync". */
static const char failing_tag[] = "tag ", warned_tag[] = "warned tag ";

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
	trouble->began_ms = clock_now_ms();
}

void sync_trouble_note(struct sync_trouble *trouble, const char *msg, const char *tag,
                       const char *error)
{
	if (!*trouble->reason)
		(void)snprintf(trouble->reason, sizeof(trouble->reason), "%s%s%s: %s", msg,
		               tag ? ", tag " : "", tag ? tag : "", error);
}

static const char *key_of(const char *kind, const char *subject, const char *tag,
                          char key[static KEY_SIZE])
{
	if (!tag)
		return subject;
	(void)snprintf(key, KEY_SIZE, "%s%s", kind, tag);
	return key;
}

bool sync_trouble_is_news(struct sync_trouble *trouble, const char *subject, const char *reason)
{
	return recurring_happened(trouble->recurring, subject, reason, clock_now_ms());
}

static void write_line(struct sync_trouble *trouble, const char *msg, const char *tag,
                       const struct err *err)
{
	struct log_field fields[6] = { { "error", err->msg },
		                       { "kind", err_kind_name(err->kind) } };
	int cause = advice_cause_of(err);
	size_t n = 2;

	if (tag)
		fields[n++] = (struct log_field){ "tag", tag };
	if (cause)
		fields[n++] = (struct log_field){ "cause", advice_find(cause)->name };
	if (cause && !trouble->advised[cause])
		fields[n++] = (struct log_field){ "advice", advice_find(cause)->text };
	trouble->advised[cause] = true;
	log_line(LOG_ERROR, msg, fields);
}

void sync_trouble_tell(struct sync_trouble *trouble, const char *subject, const char *msg,
                       const char *tag, const struct err *err)
{
	char key[KEY_SIZE];

	if (err->kind == ERR_CANCELLED)
		return;
	sync_trouble_note(trouble, msg, tag, err->msg);
	status_happened(trouble->status, tag ? tag : subject, tag != NULL, msg, err);
	if (sync_trouble_is_news(trouble, key_of(failing_tag, subject, tag, key), err->msg))
		write_line(trouble, msg, tag, err);
}

void sync_trouble_warn(struct sync_trouble *trouble, const char *subject, const char *msg,
                       const char *tag, const char *reason, int cause)
{
	struct log_field fields[5] = { { "reason", reason } };
	const struct advice *advice = advice_find(cause);
	char key[KEY_SIZE];
	size_t n = 1;

	status_warned(trouble->status, tag ? tag : subject, tag != NULL, msg, reason, cause);
	if (!sync_trouble_is_news(trouble, key_of(warned_tag, subject, tag, key), reason))
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
	char key[KEY_SIZE];
	struct err err;

	/* Beyond what the status has room for, the first line in the log has to do. */
	if (!status_stays(trouble->status, tag, &err))
		(void)err_set(&err, ERR_FORMAT, "as at its first try, which the log tells of");
	sync_trouble_note(trouble, msg, tag, err.msg);
	if (recurring_stays(trouble->recurring, key_of(failing_tag, NULL, tag, key),
	                    clock_now_ms()))
		write_line(trouble, msg, tag, &err);
}

bool sync_trouble_over(struct sync_trouble *trouble, const char *subject, const char *tag)
{
	char key[KEY_SIZE];

	status_over(trouble->status, tag ? tag : subject, tag != NULL);
	return recurring_over(trouble->recurring, key_of(failing_tag, subject, tag, key));
}

void sync_trouble_renew(struct sync_trouble *trouble)
{
	recurring_renew(trouble->recurring, failing_tag);
	recurring_renew(trouble->recurring, "sync");
}

void sync_trouble_sweep_tags(struct sync_trouble *trouble)
{
	char key[RECURRING_TEXT_SIZE];

	status_sweep_tags(trouble->status);
	while (recurring_sweep(trouble->recurring, warned_tag, trouble->began_ms, key))
		;
	while (recurring_sweep(trouble->recurring, failing_tag, trouble->began_ms, key))
		log_line(LOG_INFO, "Trouble with a tag is over",
		         (struct log_field[]){ { "tag", key + sizeof(failing_tag) - 1 },
		                               { NULL, NULL } });
}
