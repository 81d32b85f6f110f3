/*
 * specman ls: the releases; a folder of one release; a folder of what is
 * served, for a first operand that begins with a slash, as no tag does.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "commands.h"
#include "reading.h"
#include "store_commands.h"

static int list_releases(struct store *store, struct err *err)
{
	char **tags;
	size_t count;

	if (store_tags(store, &tags, &count, err))
		return -1;
	if (count)
		(void)printf("%-20s %-24s %9s %13s  %s\n", "TAG", "CREATED", "FILES", "BYTES",
		             "MANIFEST");
	for (size_t i = 0; i < count; i++) {
		char digest[DIGEST_TEXT_SIZE];
		struct store_release release;
		struct err reason;

		if (store_release_find(store, tags[i], &release, &reason))
			(void)printf("%-20s damaged: %s\n", tags[i], reason.msg);
		else
			(void)printf("%-20s %-24s %9" PRIu64 " %13" PRIu64 "  %s\n", release.tag,
			             *release.created ? release.created : "-", release.files,
			             release.bytes, digest_format(&release.manifest, digest));
	}
	store_tags_free(tags, count);
	return 0;
}

static void list_entry(const struct store_view *view, const struct store_entry *entry,
                       const char *name, bool is_served)
{
	static const char letters[] = "rwxrwxrwx";
	const time_t mtime = (time_t)entry->mtime;
	char mode[sizeof(letters)], date[32] = "-";
	struct tm tm;

	for (unsigned i = 0; i < sizeof(mode) - 1; i++)
		mode[i] = entry->mode & (0400U >> i) ? letters[i] : '-';
	mode[sizeof(mode) - 1] = '\0';
	if (gmtime_r(&mtime, &tm))
		(void)strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%SZ", &tm);
	(void)printf("%c%s %13" PRIu64 " %s ", entry->is_folder ? 'd' : '-', mode, entry->size,
	             date);
	if (is_served)
		(void)printf("%-20s ", store_view_release(view, entry->release)->tag);
	reading_print_name(name);
	(void)puts(entry->is_folder ? "/" : "");
}

static int list_files(struct store *store, const char *tag, const char *path, struct err *err)
{
	CLEANUP(cleanup_view) struct store_view *view = reading_view(store, tag, err);
	const struct store_entry *entry = view ? reading_find(view, path, err) : NULL;

	if (!entry)
		return -1;
	if (!entry->is_folder)
		list_entry(view, entry, entry->name, !tag);
	for (uint32_t i = 0; i < entry->child_count; i++) {
		const struct store_entry *child = store_view_child(view, entry, i);

		list_entry(view, child, child->name, !tag);
	}
	return 0;
}

int ls_command(const struct config *config)
{
	const char *first = config->operands[0], *second = config->operands[1];
	CLEANUP(cleanup_store) struct store *store = NULL;
	struct err err;
	int failed;

	if (first && *first == '/' && second) {
		(void)err_set(&err, ERR_CONFIG, "\"%.80s\" is no tag: /PATH stands alone", first);
		(void)reading_fail("ls", &err);
		return EXIT_USAGE;
	}
	store = reading_open(config, &err);
	if (!store)
		return reading_fail("ls", &err);
	if (!first)
		failed = list_releases(store, &err);
	else if (*first == '/')
		failed = list_files(store, NULL, first, &err);
	else
		failed = list_files(store, first, second, &err);
	return failed ? reading_fail("ls", &err) : reading_done("ls");
}
