/* What the commands share that read the store; see reading.h. */
#include "reading.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "commands.h"
#include "signers.h"
#include "unicode.h"

enum { SHOW_MS = 200, LINE_MS = 10 * 1000 };

static void tell_damage(void *ctx, enum store_event_kind kind, const char *subject,
                        const char *detail)
{
	(void)ctx;
	if (kind == STORE_RELEASE_BROKEN)
		(void)fprintf(stderr, "specman: release %s is left out: %s\n", subject, detail);
}

DEFINE_CLEANUP(cleanup_signers, struct signers, signers_free);

struct store *reading_open(const struct config *config, struct err *err)
{
	/* It is asked while the store is opened, and never again. */
	CLEANUP(cleanup_signers) struct signers *signers = signers_new(config, NULL, err);
	const struct store_settings settings = {
		.dir = config->data_dir,
		.limits = store_default_limits,
		.overlay = config->overlay,
		.observer = tell_damage,
		.admits = signers ? signers_admission(signers) : NULL,
		.admits_ctx = signers,
	};

	return signers ? store_open_reader(&settings, err) : NULL;
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

void reading_print_name(const char *name)
{
	bool is_terminal = isatty(STDOUT_FILENO);

	while (*name) {
		uint32_t character = 0;
		size_t size = unicode_decode(name, &character);

		if (is_terminal && !size)
			(void)putchar('?');
		else
			(void)fwrite(name, 1, size ? size : 1, stdout);
		name += size ? size : 1;
	}
}

int reading_done(const char *command)
{
	struct err err;

	if (!fflush(stdout) && !ferror(stdout))
		return EXIT_DONE;
	(void)err_set_sys(&err, errno, "standard output");
	return reading_fail(command, &err);
}

/* "[####      ] 12 of 34 MiB, 35 %, 8.1 MiB/s, 0:02 left" */
static void write_progress(const struct progress *progress, uint64_t done, uint64_t all,
                           int64_t now_ms)
{
	static const char full[] = "####################";
	uint64_t percent = all ? 100 * done / all : 100;
	uint64_t moved = done > progress->begun_at ? done - progress->begun_at : 0;
	uint64_t rate = 1000 * moved / (uint64_t)(now_ms - progress->begun_ms + 1); /* bytes/s */
	int cells = percent < 100 ? (int)(percent / 5) : 20;

	(void)fprintf(stderr,
	              "%s: [%-20.*s] %" PRIu64 " of %" PRIu64 " MiB, %" PRIu64 " %%, %.1f MiB/s",
	              progress->verb, cells, full, done >> 20, all >> 20, percent,
	              (double)rate / (1 << 20));
	if (rate && all >= done)
		(void)fprintf(stderr, ", %" PRIu64 ":%02" PRIu64 " left", (all - done) / rate / 60,
		              (all - done) / rate % 60);
}

void progress_show(void *ctx, uint64_t done, uint64_t all)
{
	struct progress *progress = ctx;
	bool is_terminal = isatty(STDERR_FILENO);
	int64_t now = clock_now_ms();

	if (!progress->begun_ms) {
		progress->begun_ms = now;
		progress->begun_at = done;
		progress->next_ms = is_terminal ? now : now + LINE_MS;
	}
	if (now < progress->next_ms)
		return;
	progress->next_ms = now + (is_terminal ? SHOW_MS : LINE_MS);
	(void)fputs(is_terminal ? "\r" : "", stderr);
	write_progress(progress, done, all, now);
	(void)fputs(is_terminal ? "\033[K" : "\n", stderr);
}

void progress_end(const struct progress *progress)
{
	if (progress->begun_ms && isatty(STDERR_FILENO))
		(void)fputs("\r\033[K", stderr);
}
