/* specman cat: a file's verified content, of what is served or of one release. */
#include <unistd.h>

#include "commands.h"
#include "reading.h"
#include "storage/export.h"
#include "store_commands.h"

static int write_file(const struct config *config, struct err *err)
{
	CLEANUP(cleanup_store) struct store *store = reading_open(config, err);
	const char *tag = config->operands[1] ? config->operands[0] : NULL;
	const char *path = config->operands[tag ? 1 : 0];
	CLEANUP(cleanup_view)
	struct store_view *view = store ? reading_view(store, tag, err) : NULL;
	const struct store_entry *entry = view ? reading_find(view, path, err) : NULL;

	if (!entry)
		return -1;
	if (entry->is_folder)
		return err_set(err, ERR_CONFIG, "%.300s is a folder", path);
	return store_export_file(store, entry, STDOUT_FILENO, err);
}

int cat_command(const struct config *config)
{
	struct err err;

	/*
	 * An object that is missing before the first byte was swept, with its
	 * release, after the store was opened: what is there now is looked up anew.
	 */
	for (int i = 0; i < READING_TRIES; i++) {
		if (!write_file(config, &err))
			return EXIT_DONE;
		if (err.kind != ERR_NOT_FOUND)
			break;
	}
	return reading_fail("cat", &err);
}
