/*
 * All pages of a repository's tags (distribution-spec, "Listing tags"), and how
 * registries depart from it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "oci/limits.h"
#include "oci/link.h"
#include "oci/nameset.h"
#include "oci/remote.h"
#include "oci/tags.h"

enum page { PAGE_LAST, PAGE_MORE, PAGE_RESTART, PAGE_FAILED };

/* For `return page_failed(err_set(…))`. */
static enum page page_failed(int failed)
{
	(void)failed;
	return PAGE_FAILED;
}

char *remote_next_page(const struct exchange *exchange, bool *out_failed, struct err *err)
{
	CLEANUP(cleanup_free) char *target = NULL;
	const char *line;
	char *url;

	*out_failed = false;
	for (size_t i = 0; !target && (line = exchange_header(exchange, "Link", i)); i++)
		target = link_next(line);
	if (!target)
		return NULL;
	url = link_resolve(exchange->url, target, err);
	*out_failed = !url;
	return url;
}

/* The URL of the first page, or NULL. */
static char *first_page(const struct remote *remote, struct err *err)
{
	char name[sizeof("list?n=") + 11] = "list";

	if (!remote->refuses_n)
		(void)snprintf(name, sizeof(name), "list?n=%d", LIMIT_TAGS_ASKED);
	return remote_url(remote, "tags", name, err);
}

/* Read the page at *url; *url becomes that of the next one. */
static enum page read_page(struct remote *remote, struct nameset *tags, char **url, size_t page,
                           struct err *err)
{
	CLEANUP(exchange_release)
	struct exchange exchange = {
		.method = EXCHANGE_GET,
		.url = *url,
		.accept = "application/json",
		.follow = true,
		.size = EXCHANGE_ANY_SIZE,
		.max_bytes = LIMIT_TAG_PAGE_BYTES,
	};
	bool failed = false;
	char *next;

	if (remote_ask(remote, &exchange, err))
		return PAGE_FAILED;
	/* Quay and others refuse a large n. */
	if (page == 0 && strchr(*url, '?') && (exchange.status == 400 || exchange.status == 413)) {
		remote->refuses_n = true;
		(*url)[strcspn(*url, "?")] = '\0';
		return PAGE_MORE;
	}
	/* zot, when the tag that the page starts behind has been deleted meanwhile. */
	if (strchr(*url, '?') && page > 0 && exchange.status == 404)
		return PAGE_RESTART;
	if (exchange.status != 200)
		return page_failed(remote_refuse(remote, &exchange, err));
	if (tags_add_page(tags, buf_text(&exchange.body), exchange.body.size, err))
		return PAGE_FAILED;
	next = remote_next_page(&exchange, &failed, err);
	if (failed)
		return PAGE_FAILED;
	free(*url);
	*url = next;
	return next ? PAGE_MORE : PAGE_LAST;
}

static int time_is_over(size_t pages, struct err *err)
{
	(void)err_set(err, ERR_NETWORK, "after %zu pages there are more, and too much time is over",
	              pages);
	return err_cause(err, OCI_CAUSE_STALLED);
}

static enum page read_list(struct remote *remote, struct nameset *tags, int64_t until_ms,
                           struct err *err)
{
	CLEANUP(nameset_release) struct nameset seen = NAMESET_INIT;
	CLEANUP(cleanup_free) char *url = first_page(remote, err);

	if (!url)
		return PAGE_FAILED;
	for (size_t page = 0; page < LIMIT_TAG_PAGES; page++) {
		enum page result;

		if (nameset_has(&seen, url))
			return page_failed(err_set(err, ERR_LIMIT, "its pages form a loop"));
		if (nameset_add(&seen, url, LIMIT_TAG_PAGES, err))
			return PAGE_FAILED;
		if (page && clock_now_ms() >= until_ms)
			return page_failed(time_is_over(page, err));
		result = read_page(remote, tags, &url, page, err);
		if (result != PAGE_MORE)
			return result;
	}
	return page_failed(err_set(err, ERR_LIMIT, "more than %d pages", LIMIT_TAG_PAGES));
}

int remote_tags(void *self, struct oci_tags *out_tags, struct err *err)
{
	struct remote *remote = self;
	const int64_t until_ms = clock_now_ms() + remote->list_ms;
	enum page result = PAGE_RESTART;

	for (int start = 0; result == PAGE_RESTART && start < LIMIT_LIST_STARTS; start++) {
		CLEANUP(nameset_release) struct nameset tags = NAMESET_INIT;

		result = read_list(remote, &tags, until_ms, err);
		if (result == PAGE_LAST)
			out_tags->names = nameset_steal(&tags, &out_tags->count);
	}
	if (result == PAGE_RESTART)
		return err_set(err, ERR_NETWORK, "the list changed under our hands %d times",
		               LIMIT_LIST_STARTS);
	return result == PAGE_LAST ? 0 : -1;
}
