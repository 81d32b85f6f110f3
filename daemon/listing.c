/* The listing of a folder; see listing.h. */
#include "listing.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "target.h"

static int add_text(struct buf *page, const char *text, struct err *err)
{
	for (; *text; text++) {
		int failed;

		switch (*text) {
		case '&':
			failed = buf_addf(page, err, "&amp;");
			break;
		case '<':
			failed = buf_addf(page, err, "&lt;");
			break;
		case '>':
			failed = buf_addf(page, err, "&gt;");
			break;
		case '"':
			failed = buf_addf(page, err, "&quot;");
			break;
		default:
			failed = buf_add(page, text, 1, err);
		}
		if (failed)
			return -1;
	}
	return 0;
}

static int add_row(struct buf *page, const struct store_view *view, const struct store_entry *entry,
                   struct err *err)
{
	time_t mtime = (time_t)entry->mtime;
	const char *slash = entry->is_folder ? "/" : "";
	char date[32] = "";
	struct tm utc;

	if (gmtime_r(&mtime, &utc))
		(void)strftime(date, sizeof(date), "%Y-%m-%d %H:%M:%S", &utc);
	/* "./" keeps a name with a colon from being read as a scheme. */
	if (buf_addf(page, err, "<tr><td><a href=\"./") || target_encode(page, entry->name, err) ||
	    buf_addf(page, err, "%s\">", slash) || add_text(page, entry->name, err) ||
	    buf_addf(page, err, "%s</a></td>", slash))
		return -1;
	if (entry->is_folder)
		return buf_addf(page, err, "<td></td><td></td><td></td></tr>\n");
	return buf_addf(page, err, "<td>%" PRIu64 "</td><td>%s</td><td>%s</td></tr>\n", entry->size,
	                date, store_view_release(view, entry->release)->tag);
}

int listing_html(struct buf *page, const struct store_view *view, const struct store_entry *folder,
                 const char *path, struct err *err)
{
	if (buf_addf(page, err,
	             "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
	             "<meta name=\"viewport\" content=\"width=device-width\">"
	             "<title>/") ||
	    add_text(page, path, err) || buf_addf(page, err, "</title></head>\n<body><h1>/") ||
	    add_text(page, path, err) ||
	    buf_addf(page, err,
	             "</h1>\n<table><thead><tr><th>Name</th><th>Bytes</th><th>Modified (UTC)</th>"
	             "<th>Release</th></tr></thead><tbody>\n"))
		return -1;
	if (*path && buf_addf(page, err,
	                      "<tr><td><a href=\"../\">../</a></td><td></td><td></td>"
	                      "<td></td></tr>\n"))
		return -1;
	for (uint32_t i = 0; i < folder->child_count; i++)
		if (add_row(page, view, store_view_child(view, folder, i), err))
			return -1;
	return buf_addf(page, err, "</tbody></table></body></html>\n");
}
