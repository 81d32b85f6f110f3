/* The listing of a folder; see listing.h. */
#include "listing.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "conditional.h"
#include "escape.h"
#include "target.h"

enum { PENDING_MAX = 256 * 1024 }; /* the longest path has 4,096 bytes */

struct listing {
	struct store_view *view;
	const struct store_entry *folder;
	char *path;
	bool is_json;
	struct listing_order order;
	uint32_t *numbers; /* of the children as they are sorted; NULL: as they are */
	uint64_t next;     /* counts the children twice: folders, then files */
	bool has_begun, has_ended, has_row;
	struct buf pending;
	size_t done; /* of pending */
};

static const char style[] =
	":root{color-scheme:light dark;--line:#8886;--quiet:#666}"
	"@media(prefers-color-scheme:dark){:root{--quiet:#aaa}}"
	"body{font:1rem/1.5 system-ui,sans-serif;max-width:70rem;margin:0 auto;padding:1rem}"
	"nav ol{list-style:none;display:flex;flex-wrap:wrap;margin:0;padding:0}"
	"nav li+li::before{content:\"/\";padding:0 .4em;color:var(--quiet)}"
	"h1{font-size:1.3rem;overflow-wrap:anywhere}"
	"table{border-collapse:collapse;width:100%}"
	"caption{text-align:left;color:var(--quiet);padding-bottom:.5em}"
	"th,td{text-align:left;padding:.25em .75em .25em 0;border-bottom:1px solid var(--line)}"
	"th{white-space:nowrap}td{overflow-wrap:anywhere}"
	".number{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}"
	"time{white-space:nowrap}"
	"a:focus-visible{outline:2px solid;outline-offset:2px}";

/* ---- order ---- */

static bool has_pair(const char *query, size_t length, const char *pair)
{
	size_t wanted = strlen(pair);
	const char *end = query + length;

	while (query < end) {
		const char *stop = memchr(query, '&', (size_t)(end - query));
		size_t size = (size_t)((stop ? stop : end) - query);

		if (size == wanted && !memcmp(query, pair, size))
			return true;
		query += size + 1;
	}
	return false;
}

struct listing_order listing_order(const char *query, size_t length)
{
	struct listing_order order = { LISTING_NAME, false };

	if (!query)
		return order;
	if (has_pair(query, length, "sort=size"))
		order.by = LISTING_SIZE;
	else if (has_pair(query, length, "sort=date"))
		order.by = LISTING_DATE;
	order.is_descending = has_pair(query, length, "order=desc");
	return order;
}

static int compare(const void *a, const void *b, void *ctx)
{
	const struct listing *listing = ctx;
	uint32_t first = *(const uint32_t *)a, second = *(const uint32_t *)b;
	const struct store_entry *x = store_view_child(listing->view, listing->folder, first);
	const struct store_entry *y = store_view_child(listing->view, listing->folder, second);

	if (listing->order.by == LISTING_SIZE && x->size != y->size)
		return x->size < y->size ? -1 : 1;
	if (listing->order.by == LISTING_DATE && x->mtime != y->mtime)
		return x->mtime < y->mtime ? -1 : 1;
	return first < second ? -1 : first > second;
}

static int sort(struct listing *listing, struct err *err)
{
	uint32_t count = listing->folder->child_count;

	if (count > LISTING_SORT_MAX)
		listing->order = (struct listing_order){ LISTING_NAME, false };
	if (listing->order.by == LISTING_NAME || !count)
		return 0;
	listing->numbers = malloc(count * sizeof(*listing->numbers));
	if (!listing->numbers)
		return err_set_sys(err, ENOMEM, "listing of %u entries", count);
	for (uint32_t i = 0; i < count; i++)
		listing->numbers[i] = i;
	qsort_r(listing->numbers, count, sizeof(*listing->numbers), compare, listing);
	return 0;
}

/* ---- HTML ---- */

static int add_crumb(struct listing *listing, const char *name, size_t length, unsigned up,
                     struct err *err)
{
	struct buf *page = &listing->pending;
	char component[4096 + 1];

	(void)snprintf(component, sizeof(component), "%.*s", (int)length, name);
	if (!up)
		return buf_addf(page, err, "<li>") || escape_html(page, component, err) ||
		                       buf_addf(page, err, "</li>\n")
		               ? -1
		               : 0;
	if (buf_addf(page, err, "<li><a href=\""))
		return -1;
	for (unsigned i = 0; i < up; i++)
		if (buf_addf(page, err, "../"))
			return -1;
	return buf_addf(page, err, "\">") || escape_html(page, component, err) ||
	                       buf_addf(page, err, "</a></li>\n")
	               ? -1
	               : 0;
}

/* Links go up step by step, so they hold behind any prefix that a proxy takes away. */
static int add_crumbs(struct listing *listing, struct err *err)
{
	const char *at = listing->path;
	unsigned up = *at ? 1 : 0;

	for (const char *c = at; *c; c++)
		up += *c == '/';
	if (buf_addf(&listing->pending, err, "<nav aria-label=\"Folders\"><ol>\n") ||
	    add_crumb(listing, "root", 4, up, err))
		return -1;
	while (*at) {
		size_t length = strcspn(at, "/");

		if (add_crumb(listing, at, length, --up, err))
			return -1;
		at += length + (at[length] == '/');
	}
	return buf_addf(&listing->pending, err, "</ol></nav>\n");
}

static int add_column(struct listing *listing, enum listing_key key, struct err *err)
{
	static const struct {
		const char *name, *title, *class;
	} columns[] = {
		[LISTING_NAME] = { "name", "Name", "" },
		[LISTING_SIZE] = { "size", "Bytes", " class=\"number\"" },
		[LISTING_DATE] = { "date", "Modified (UTC)", "" },
	};
	bool is_sorted = listing->order.by == key;
	bool is_up = is_sorted && !listing->order.is_descending;

	return buf_addf(&listing->pending, err,
	                "<th scope=\"col\"%s%s><a href=\"?sort=%s&amp;order=%s\">%s</a>%s</th>\n",
	                columns[key].class,
	                !is_sorted ? ""
	                : is_up    ? " aria-sort=\"ascending\""
	                           : " aria-sort=\"descending\"",
	                columns[key].name, is_up ? "desc" : "asc", columns[key].title,
	                !is_sorted ? ""
	                : is_up    ? "<span aria-hidden=\"true\"> ▲</span>"
	                           : "<span aria-hidden=\"true\"> ▼</span>");
}

static int begin_html(struct listing *listing, struct err *err)
{
	struct buf *page = &listing->pending;
	const char *slash = *listing->path ? "/" : "";

	if (buf_addf(page, err,
	             "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
	             "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
	             "<title>/") ||
	    escape_html(page, listing->path, err) ||
	    buf_addf(page, err, "%s</title>\n<style>%s</style>\n</head>\n<body>\n", slash, style) ||
	    add_crumbs(listing, err) || buf_addf(page, err, "<main>\n<h1>/") ||
	    escape_html(page, listing->path, err) ||
	    buf_addf(page, err, "%s</h1>\n<table>\n<caption>%u %s</caption>\n<thead><tr>\n", slash,
	             listing->folder->child_count,
	             listing->folder->child_count == 1 ? "entry" : "entries") ||
	    add_column(listing, LISTING_NAME, err) || add_column(listing, LISTING_SIZE, err) ||
	    add_column(listing, LISTING_DATE, err))
		return -1;
	return buf_addf(page, err, "<th scope=\"col\">Release</th>\n</tr></thead>\n<tbody>\n%s",
	                *listing->path ? "<tr><td><a href=\"../\">../</a></td><td></td><td></td>"
	                                 "<td></td></tr>\n"
	                               : "");
}

static int add_html_row(struct listing *listing, const struct store_entry *entry, struct err *err)
{
	struct buf *page = &listing->pending;
	const char *slash = entry->is_folder ? "/" : "";
	time_t mtime = (time_t)entry->mtime;
	char date[32] = "", size[24] = "";
	struct tm utc;

	if (gmtime_r(&mtime, &utc))
		(void)strftime(date, sizeof(date), "%Y-%m-%d %H:%M:%S", &utc);
	if (!entry->is_folder)
		(void)snprintf(size, sizeof(size), "%" PRIu64, entry->size);
	/* "./" keeps a name with a colon from being read as a scheme. */
	return buf_addf(page, err, "<tr><td><a href=\"./") ||
	                       target_encode(page, entry->name, err) ||
	                       buf_addf(page, err, "%s\">", slash) ||
	                       escape_html(page, entry->name, err) ||
	                       buf_addf(page, err,
	                                "%s</a></td><td class=\"number\">%s</td>"
	                                "<td><time>%s</time></td><td>%s</td></tr>\n",
	                                slash, size, date,
	                                entry->is_folder
	                                        ? ""
	                                        : store_view_release(listing->view, entry->release)
	                                                  ->tag)
	               ? -1
	               : 0;
}

/* ---- JSON ---- */

static int add_json_row(struct listing *listing, const struct store_entry *entry, struct err *err)
{
	struct buf *page = &listing->pending;
	char date[HTTP_DATE_SIZE], hex[DIGEST_TEXT_SIZE];
	struct digest content;

	if (buf_addf(page, err, "%s\n{\"name\":\"", listing->has_row ? "," : "") ||
	    escape_json(page, entry->name, err) ||
	    buf_addf(page, err, "\",\"type\":\"%s\",\"mtime\":\"%s\"",
	             entry->is_folder ? "directory" : "file", http_date(entry->mtime, date)))
		return -1;
	listing->has_row = true;
	if (entry->is_folder)
		return buf_addf(page, err, "}");
	content = store_content_digest(entry);
	return buf_addf(page, err, ",\"size\":%" PRIu64 ",\"sha256\":\"%s\",\"release\":\"%s\"}",
	                entry->size, digest_hex(&content, hex),
	                store_view_release(listing->view, entry->release)->tag);
}

/* ---- as it is taken ---- */

struct listing *listing_new_take(struct store_view *view, const struct store_entry *folder,
                                 const char *path, bool is_json, const struct listing_order *order,
                                 struct err *err)
{
	struct listing *listing = calloc(1, sizeof(*listing));

	if (!listing || !(listing->path = strdup(path))) {
		free(listing);
		store_view_put(view);
		(void)err_set_sys(err, ENOMEM, "listing");
		return NULL;
	}
	listing->view = view;
	listing->folder = folder;
	listing->is_json = is_json;
	listing->order = *order;
	listing->pending = (struct buf)BUF_INIT(PENDING_MAX);
	if (sort(listing, err)) {
		listing_free(listing);
		return NULL;
	}
	return listing;
}

void listing_free(struct listing *listing)
{
	if (!listing)
		return;
	store_view_put(listing->view);
	buf_release(&listing->pending);
	free(listing->numbers);
	free(listing->path);
	free(listing);
}

/* The next child, or NULL: all folders, then all files. */
static const struct store_entry *next_child(struct listing *listing)
{
	uint32_t count = listing->folder->child_count;

	while (listing->next < 2 * (uint64_t)count) {
		bool is_for_folders = listing->next < count;
		uint32_t number = (uint32_t)(listing->next++ % count);
		const struct store_entry *child;

		if (listing->order.is_descending)
			number = count - 1 - number;
		if (listing->numbers)
			number = listing->numbers[number];
		child = store_view_child(listing->view, listing->folder, number);
		if (child->is_folder == is_for_folders)
			return child;
	}
	return NULL;
}

static int make_more(struct listing *listing, struct err *err)
{
	const struct store_entry *child;

	buf_clear(&listing->pending);
	listing->done = 0;
	if (!listing->has_begun) {
		listing->has_begun = true;
		return listing->is_json ? buf_addf(&listing->pending, err, "[")
		                        : begin_html(listing, err);
	}
	child = next_child(listing);
	if (child)
		return listing->is_json ? add_json_row(listing, child, err)
		                        : add_html_row(listing, child, err);
	listing->has_ended = true;
	return buf_addf(&listing->pending, err, "%s",
	                listing->is_json ? "\n]\n"
	                                 : "</tbody>\n</table>\n</main>\n</body>\n</html>\n");
}

int listing_read(struct listing *listing, char *bytes, size_t size, size_t *out_size,
                 struct err *err)
{
	size_t filled = 0;

	while (filled < size) {
		size_t left = listing->pending.size - listing->done;
		size_t part = left < size - filled ? left : size - filled;

		if (!left && listing->has_ended)
			break;
		if (!left) {
			if (make_more(listing, err))
				return -1;
			continue;
		}
		memcpy(bytes + filled, listing->pending.data + listing->done, part);
		listing->done += part;
		filled += part;
	}
	*out_size = filled;
	return 0;
}
