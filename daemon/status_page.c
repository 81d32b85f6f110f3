/*
 * The status page; see status_page.h. All text that is not written here goes
 * through escape_html. The page has no script, and names no other resource.
 */
#include "status_page.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <microhttpd.h>
#include <openssl/evp.h>

#include "accept.h"
#include "advice.h"
#include "base/cleanup.h"
#include "base/digest.h"
#include "escape.h"
#include "status_style.h"

DEFINE_CLEANUP(cleanup_overview, struct overview, overview_free);

/* What is written to; the first failure stays. */
struct page {
	struct buf *buf;
	struct err *err;
	bool has_failed;
};

/* Markup of this file. */
static void html(struct page *page, const char *markup)
{
	page->has_failed = page->has_failed ||
	                   buf_add(page->buf, markup, strlen(markup), page->err);
}

/* Text of any origin. */
static void say(struct page *page, const char *text)
{
	page->has_failed = page->has_failed || escape_html(page->buf, text, page->err);
}

PRINTF_LIKE(2, 3) static void sayf(struct page *page, const char *format, ...)
{
	char text[1024];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	say(page, text);
}

static const char *size_text(char text[static 32], uint64_t bytes)
{
	static const char *const units[] = { "KiB", "MiB", "GiB", "TiB", "PiB" };
	double size = (double)bytes / 1024;
	size_t unit = 0;

	if (bytes < 1024) {
		(void)snprintf(text, 32, "%" PRIu64 " bytes", bytes);
		return text;
	}
	while (size >= 1023.95 && unit + 1 < sizeof(units) / sizeof(units[0])) {
		size /= 1024;
		unit++;
	}
	(void)snprintf(text, 32, "%.1f %s", size, units[unit]);
	return text;
}

/* "2026-11-29 19:07:56 UTC" */
static void say_utc(struct page *page, const char *rfc3339)
{
	sayf(page, "%.10s %.8s UTC", rfc3339, rfc3339 + 11);
}

/* "20 seconds ago", with the time itself for machines and for the mouse. */
static void say_when(struct page *page, const struct overview *overview, int64_t at)
{
	char utc[32], when[64];

	if (!*overview_time(utc, at)) {
		html(page, "never");
		return;
	}
	html(page, "<time datetime=\"");
	say(page, utc);
	html(page, "\" title=\"");
	say_utc(page, utc);
	html(page, "\">");
	say(page, overview_when(when, overview->now, at));
	html(page, "</time>");
}

/* A name with slashes, which may be broken behind each. */
static void say_name(struct page *page, const char *name)
{
	while (*name) {
		size_t length = strcspn(name, "/");

		sayf(page, "%.*s", (int)length, name);
		name += length;
		if (*name) {
			html(page, "/<wbr>");
			name++;
		}
	}
}

/* Sentences, in which flags are not broken at their hyphens. */
static void say_prose(struct page *page, const char *text)
{
	enum { FLAG_MAX = 32 };

	while (*text) {
		size_t length = strcspn(text, " ");
		const char *hyphens = strstr(text, "--");
		bool is_flag = hyphens && hyphens < text + length && length <= FLAG_MAX;

		length += strspn(text + length, " ");
		html(page, is_flag ? "<span class=\"flag\">" : "");
		sayf(page, "%.*s", (int)length, text);
		html(page, is_flag ? "</span>" : "");
		text += length;
	}
}

static void say_digest(struct page *page, const char *digest)
{
	html(page, "<code class=\"digest\" title=\"");
	say(page, digest);
	html(page, "\">");
	say(page, digest);
	html(page, "</code>");
}

/* ---- the top ---- */

static const char *tone_of(const struct overview *overview)
{
	switch (overview->state) {
	case OVERVIEW_HEALTHY:
		return "good";
	case OVERVIEW_NOTHING:
		return "bad";
	case OVERVIEW_ATTENTION:
	case OVERVIEW_WAITING:
	case OVERVIEW_STARTING:
	case OVERVIEW_STOPPING:
		break;
	}
	return overview->need_count && overview->needs[0].is_error ? "bad" : "warn";
}

/* A tick, a clock, or an exclamation mark: shapes, for who can't tell the colours. */
static void add_mark(struct page *page, const char *tone)
{
	html(page, "<svg class=\"mark\" viewBox=\"0 0 24 24\" aria-hidden=\"true\">");
	if (!strcmp(tone, "good"))
		html(page, "<circle cx=\"12\" cy=\"12\" r=\"10\"/><path d=\"M7.5 12.5l3 3 6-7\"/>");
	else if (!strcmp(tone, "warn"))
		html(page, "<path d=\"M12 3.5 22 20.5H2z\"/><path d=\"M12 10v4.5M12 17.4v.1\"/>");
	else
		html(page,
		     "<path d=\"M8 2h8l6 6v8l-6 6H8l-6-6V8z\"/><path d=\"M12 7v6M12 16.9v.1\"/>");
	html(page, "</svg>\n");
}

static void add_head(struct page *page, const struct overview *overview)
{
	char utc[32];

	html(page, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
	           "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
	           "<title>");
	sayf(page, "%s – specman", overview->sentence);
	html(page, "</title>\n<style>");
	html(page, status_style);
	html(page, "</style>\n</head>\n<body>\n<header>\n<p class=\"brand\">specman</p>\n"
	           "<p class=\"small quiet\">As of <time datetime=\"");
	say(page, overview_time(utc, overview->now));
	html(page, "\">");
	say_utc(page, utc);
	html(page, "</time> · <a href=\"status\">Refresh</a></p>\n</header>\n<main>\n");
}

static void add_state(struct page *page, const struct overview *overview)
{
	const char *tone = tone_of(overview);
	char files[48], size[32];

	html(page, "<div class=\"card state ");
	html(page, tone);
	html(page, "\">\n");
	add_mark(page, tone);
	html(page, "<div>\n<h1>");
	say(page, overview->sentence);
	html(page, "</h1>\n<p>");
	if (store_view_release_count(overview->view)) {
		sayf(page, "%s, %s, ",
		     overview_count(files, overview->served.files, "file", "files"),
		     size_text(size, overview->served.bytes));
		/* A healthy one's headline says so already. */
		if (overview->status.success_at && overview->state != OVERVIEW_HEALTHY) {
			html(page, "synced ");
			say_when(page, overview, overview->status.success_at);
			html(page, ", ");
		}
		html(page, "as view ");
		say_digest(page, store_view_id(overview->view));
	} else {
		html(page, "Clients are told to come again: 503 with Retry-After.");
	}
	html(page, "</p>\n</div>\n</div>\n");
}

/* ---- what to do ---- */

static void add_need(struct page *page, const struct overview *overview, size_t number)
{
	const struct overview_need *need = &overview->needs[number];
	const struct advice *advice = advice_find(need->cause);
	bool is_repeated = number && need[-1].cause == need->cause;

	html(page, need->is_error
	                   ? "<li class=\"bad\">\n<h3><span class=\"tone\">Error:</span> "
	                   : "<li class=\"warn\">\n<h3><span class=\"tone\">Warning:</span> ");
	say(page, need->what);
	if (need->is_tag)
		sayf(page, ", %s", need->subject);
	html(page, "</h3>\n");
	if (*need->why) {
		html(page, "<p>");
		say_prose(page, need->why);
		html(page, "</p>\n");
	}
	if (advice) {
		html(page, "<p class=\"todo\"><strong>To do:</strong> ");
		say_prose(page, is_repeated ? "As above." : advice->text);
		html(page, "</p>\n");
	}
	if (need->since || advice) {
		html(page, "<p class=\"small quiet\">");
		if (advice) {
			html(page, "Cause ");
			say(page, advice->name);
		}
		if (need->since) {
			html(page, advice ? " · first met " : "First met ");
			say_when(page, overview, need->since);
			if (need->times > 1)
				sayf(page, ", %" PRIu64 " times so far", need->times);
		}
		html(page, "</p>\n");
	}
	html(page, "</li>\n");
}

static void add_needs(struct page *page, const struct overview *overview)
{
	if (!overview->need_count)
		return;
	html(page, "<section class=\"card\" aria-labelledby=\"needs\">\n"
	           "<h2 id=\"needs\">What needs attention</h2>\n<ul class=\"needs\">\n");
	for (size_t i = 0; i < overview->need_count; i++)
		add_need(page, overview, i);
	html(page, "</ul>\n");
	if (overview->status.troubles_lost) {
		html(page, "<p class=\"quiet\">");
		sayf(page, "And %" PRIu64 " more tags: see the log.",
		     overview->status.troubles_lost);
		html(page, "</p>\n");
	}
	html(page, "</section>\n");
}

/* ---- releases ---- */

/* Dates come from manifests: what is not RFC 3339 is shown as it is. */
static void say_created(struct page *page, const char *created)
{
	if (!*created)
		html(page, "not said");
	else if (strlen(created) >= 16 && created[4] == '-' && created[10] == 'T')
		sayf(page, "%.10s %.5s", created, created + 11);
	else
		say(page, created);
}

static void add_release(struct page *page, const struct overview *overview, size_t at)
{
	const struct store_release *release = store_view_release(overview->view, at);
	const struct store_share *share = &overview->shares[at];
	char digest[DIGEST_TEXT_SIZE], size[32], served[32];

	html(page, "<tr><th scope=\"row\">");
	say(page, release->tag);
	html(page, "<div class=\"quiet\">");
	say_digest(page, digest_format(&release->manifest, digest));
	html(page, "</div><div class=\"narrow small quiet\">");
	say_created(page, release->created);
	html(page, ", taken ");
	say_when(page, overview, release->seen_ms / 1000);
	html(page, "</div></th><td class=\"wide\">");
	say_created(page, release->created);
	html(page, "<div class=\"small quiet\">taken ");
	say_when(page, overview, release->seen_ms / 1000);
	html(page, "</div></td><td class=\"number\">");
	sayf(page, "%" PRIu64, release->files);
	html(page, "<div class=\"small quiet\">");
	say(page, size_text(size, release->bytes));
	html(page, "</div></td><td class=\"number\">");
	sayf(page, "%" PRIu64, share->files);
	html(page, "<div class=\"small quiet\">");
	say(page, size_text(served, share->bytes));
	html(page, "</div></td></tr>\n");
}

static void add_releases(struct page *page, const struct overview *overview)
{
	size_t count = store_view_release_count(overview->view);
	size_t shown = count < STATUS_PAGE_RELEASES ? count : STATUS_PAGE_RELEASES;

	html(page, "<section class=\"card\" aria-labelledby=\"releases\">\n"
	           "<h2 id=\"releases\">Releases</h2>\n");
	if (!count) {
		html(page, "<p class=\"quiet\">None is served yet.</p>\n</section>\n");
		return;
	}
	html(page, "<table>\n<caption>What lies on top comes first, and covers files of the "
	           "releases below: served are those that are left.</caption>\n<thead><tr>"
	           "<th scope=\"col\">Tag and manifest</th>"
	           "<th scope=\"col\" class=\"wide\">Created (UTC)</th>"
	           "<th scope=\"col\" class=\"number\">Files</th>"
	           "<th scope=\"col\" class=\"number\">Served</th></tr></thead>\n<tbody>\n");
	for (size_t i = 0; i < shown; i++)
		add_release(page, overview, count - 1 - i);
	html(page, "</tbody>\n</table>\n");
	if (shown < count) {
		html(page, "<p class=\"quiet\">");
		sayf(page, "The newest %zu of %zu releases; more are in ", shown, count);
		html(page, "<a href=\"status.json\">status.json</a>, all in the answer of "
		           "<code>specman ls</code>.</p>\n");
	}
	html(page, "</section>\n");
}

/* ---- sync, disk, certificate ---- */

static void add_term(struct page *page, const char *term)
{
	html(page, "<dt>");
	html(page, term);
	html(page, "</dt><dd>");
}

static void add_sync(struct page *page, const struct overview *overview)
{
	static const char *const results[] = {
		[SYNC_DONE] = "done",
		[SYNC_WAITING] = "waits for the registry secret",
		[SYNC_FAILED] = "failed, is tried again",
		[SYNC_CANCELLED] = "broken off",
	};
	const struct status_snapshot *status = &overview->status;

	html(page, "<section class=\"card\" aria-labelledby=\"sync\">\n<h2 id=\"sync\">Sync</h2>\n"
	           "<dl>\n");
	add_term(page, "From");
	say_name(page, *status->source ? status->source : "no registry is named yet");
	html(page, "</dd>\n");
	add_term(page, "Last success");
	if (status->success_at)
		say_when(page, overview, status->success_at);
	else
		html(page, "none since the start");
	html(page, "</dd>\n");
	add_term(page, "Last round");
	if (status->round_ended_at) {
		say(page, results[status->result]);
		if (status->result == SYNC_DONE && *status->reason)
			html(page, ", not all was well");
		html(page, "<div class=\"small quiet\">");
		say_when(page, overview, status->round_ended_at);
		sayf(page, ", took %.1f s", (double)status->round_ms / 1000);
		html(page, "</div>");
	} else {
		html(page, "none has ended yet");
	}
	html(page, "</dd>\n");
	add_term(page, "Next round");
	if (status->is_syncing) {
		html(page, "under way, began ");
		say_when(page, overview, status->round_began_at);
	} else if (status->next_at > overview->now) {
		say_when(page, overview, status->next_at);
	} else {
		html(page, "now");
	}
	html(page, "</dd>\n</dl>\n</section>\n");
}

static void add_bar(struct page *page, unsigned percent)
{
	html(page, "<svg class=\"bar\" viewBox=\"0 0 100 6\" preserveAspectRatio=\"none\" "
	           "role=\"img\" aria-label=\"");
	sayf(page, "%u%% of the disk is used", percent);
	html(page, "\"><rect class=\"track\" width=\"100\" height=\"6\"/>"
	           "<rect class=\"used\" width=\"");
	sayf(page, "%u", percent);
	html(page, "\" height=\"6\"/></svg>\n");
}

static void add_size(struct page *page, const char *term, uint64_t bytes)
{
	char size[32];

	add_term(page, term);
	say(page, size_text(size, bytes));
	html(page, "</dd>\n");
}

static void add_disk(struct page *page, const struct overview *overview)
{
	const struct status_snapshot *status = &overview->status;
	const struct store_counters *store = &overview->store;
	uint64_t used = status->disk_total - status->disk_free;

	html(page, "<section class=\"card ");
	html(page, overview->is_disk_full ? "bad" : overview->is_disk_low ? "warn" : "good");
	html(page, "\" aria-labelledby=\"disk\">\n<h2 id=\"disk\">Disk and store</h2>\n");
	if (status->disk_total)
		add_bar(page, (unsigned)(used * 100 / status->disk_total));
	html(page, "<dl>\n");
	if (status->disk_at) {
		add_size(page, "Size", status->disk_total);
		add_size(page, "Free", status->disk_free);
		add_size(page, "Reserve", overview->disk_reserve);
		add_size(page, "Room", overview->disk_room);
	}
	add_term(page, "Objects");
	sayf(page, "%" PRIu64, store->objects);
	html(page, "</dd>\n");
	add_term(page, "Damaged");
	sayf(page, "%" PRIu64 " now, %" PRIu64 " since the start", store->damaged,
	     store->damaged_total);
	html(page, "</dd>\n");
	add_term(page, "Checked");
	say_when(page, overview, store->scrub_passed_at);
	html(page, "</dd>\n</dl>\n</section>\n");
}

static void add_server(struct page *page, const struct overview *overview)
{
	char span[48];

	html(page, "<section class=\"card\" aria-labelledby=\"server\">\n"
	           "<h2 id=\"server\">Certificate and server</h2>\n<dl>\n");
	add_term(page, "Certificate");
	html(page, overview->cert_not_after > overview->now ? "ends " : "ended ");
	say_when(page, overview, overview->cert_not_after);
	html(page, "</dd>\n");
	add_term(page, "From");
	html(page, overview->is_cert_self_made ? "specman's own CA, renewed by itself"
	                                       : "the file of --tls-cert");
	html(page, "</dd>\n");
	add_term(page, "Version");
	html(page, SPECMAN_VERSION "</dd>\n");
	add_term(page, "Up for");
	say(page, overview_span(span, overview->now - overview->status.started_at));
	html(page, "</dd>\n</dl>\n</section>\n");
}

int status_page_write(struct buf *buf, const struct overview *overview, struct err *err)
{
	struct page page = { .buf = buf, .err = err };

	add_head(&page, overview);
	add_state(&page, overview);
	add_needs(&page, overview);
	add_releases(&page, overview);
	html(&page, "<div class=\"grid\">\n");
	add_sync(&page, overview);
	add_disk(&page, overview);
	add_server(&page, overview);
	html(&page, "</div>\n</main>\n<footer>\n<a href=\"status.json\">The same as JSON</a>\n"
	            "<a href=\"readyz?verbose\">Readiness</a>\n"
	            "<a href=\"livez?verbose\">Liveness</a>\n"
	            "<a href=\"metrics\">Metrics</a>\n</footer>\n</body>\n</html>\n");
	return page.has_failed ? -1 : 0;
}

/* ---- routes ---- */

enum { HASH_BYTES = 32, HASH_TEXT_SIZE = 4 * ((HASH_BYTES + 2) / 3) + 1 };

static char policy[128 + HASH_TEXT_SIZE];

static void make_policy(void)
{
	unsigned char bytes[HASH_BYTES], hash[HASH_TEXT_SIZE] = "";
	unsigned size = 0;

	/* Without the hash the page is shown without its style. */
	if (EVP_Digest(status_style, sizeof(status_style) - 1, bytes, &size, EVP_sha256(), NULL))
		(void)EVP_EncodeBlock(hash, bytes, (int)size);
	(void)snprintf(policy, sizeof(policy),
	               "default-src 'none'; style-src 'sha256-%s'; base-uri 'none'; "
	               "form-action 'none'; frame-ancestors 'none'",
	               (const char *)hash);
}

const char *status_page_policy(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	(void)pthread_once(&once, make_policy);
	return policy;
}

static void answer(void *ctx, bool is_json, struct admin_answer *answer)
{
	struct err err;
	CLEANUP(cleanup_overview) struct overview *overview = overview_new(ctx, &err);
	int failed = !overview;

	if (!failed)
		failed = is_json ? status_json_write(&answer->body, overview, &err)
		                 : status_page_write(&answer->body, overview, &err);
	if (failed) {
		buf_clear(&answer->body);
		answer->status = MHD_HTTP_INTERNAL_SERVER_ERROR;
		return;
	}
	answer->type = is_json ? "application/json" : "text/html; charset=utf-8";
	answer->policy = is_json ? NULL : status_page_policy();
}

void status_json_answer(void *ctx, const struct admin_request *request,
                        struct admin_answer *out_answer)
{
	(void)request;
	answer(ctx, true, out_answer);
}

void status_page_answer(void *ctx, const struct admin_request *request,
                        struct admin_answer *out_answer)
{
	const char *lines[] = { admin_header(request, "Accept"), NULL };
	const char *format = admin_argument(request, "format");

	answer(ctx, format ? !strcmp(format, "json") : accept_json(lines), out_answer);
}
