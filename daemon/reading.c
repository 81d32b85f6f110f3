/* What the commands share that read the store; see reading.h. */
#include "reading.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "commands.h"

enum { SHOW_MS = 200 };

static void tell_damage(void *ctx, enum store_event_kind kind, const char *subject,
                        const char *detail)
{
	(void)ctx;
	if (kind == STORE_RELEASE_BROKEN)
		(void)fprintf(stderr, "specman: release %s is left out: %s\n", subject, detail);
}

struct store *reading_open(const struct config *config, struct err *err)
{
	const struct store_settings settings = {
		.dir = config->data_dir,
		.limits = store_default_limits,
		.overlay = config->overlay,
		.observer = tell_damage,
	};

	return store_open_reader(&settings, err);
}

struct store_view *reading_view(struct store *store, const char *tag, struct err *err)
{
	return tag ? store_view_of(store, tag, err) : store_view_get(store);
}

const struct store_entry *reading_find(const struct store_view *view, const char *path,
                                       struct err *err)
{
	const char *from = path ? path + strspn(path, "/") : "";
	const struct store_entry *entry;
	size_t length = strlen(from);

	while (length && from[length - 1] == '/')
		length--;
	entry = store_view_find(view, from, length);
	if (!entry)
		(void)err_set(err, ERR_NOT_FOUND, "there is no %.300s", from);
	return entry;
}

int reading_fail(const char *command, const struct err *err)
{
	(void)fprintf(stderr, "specman: %s: %s\n", command, err->msg);
	return EXIT_FAILED;
}

int reading_done(const char *command)
{
	struct err err;

	if (!fflush(stdout) && !ferror(stdout))
		return EXIT_DONE;
	(void)err_set_sys(&err, errno, "standard output");
	return reading_fail(command, &err);
}

void progress_show(void *ctx, uint64_t done, uint64_t all)
{
	struct progress *progress = ctx;
	int64_t now = clock_now_ms();

	if (now < progress->next_ms || !isatty(STDERR_FILENO))
		return;
	progress->next_ms = now + SHOW_MS;
	(void)fprintf(stderr, "\r%s: %" PRIu64 " of %" PRIu64 " MiB, %" PRIu64 " %%",
	              progress->verb, done >> 20, all >> 20, all ? 100 * done / all : 100);
}

void progress_end(const struct progress *progress)
{
	if (progress->next_ms)
		(void)fputs("\r\033[K", stderr);
}
