/* specman export: one release's files as a folder or as a tar archive. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "reading.h"
#include "storage/export.h"
#include "store_commands.h"

/* *out_manifest is that of the release that was taken. */
static int write_release(const struct config *config, bool is_tar, struct progress *progress,
                         struct digest *out_manifest, struct err *err)
{
	const struct store_export_observer observer = { progress_show, progress };
	CLEANUP(cleanup_store) struct store *store = reading_open(config, err);
	CLEANUP(cleanup_view)
	struct store_view *view = store ? reading_view(store, config->operands[0], err) : NULL;

	if (!view)
		return -1;
	*out_manifest = store_view_release(view, 0)->manifest;
	return is_tar ? store_export_tar(store, view, STDOUT_FILENO, &observer, err)
	              : store_export_folder(store, view, config->operands[1], &observer, err);
}

/* Whether the tag has another release now than the one with this manifest. */
static bool was_replaced(const struct config *config, const struct digest *manifest)
{
	struct err unneeded;
	CLEANUP(cleanup_store) struct store *store = reading_open(config, &unneeded);
	struct store_release release;

	return store && (store_release_find(store, config->operands[0], &release, &unneeded) ||
	                 !digest_equal(&release.manifest, manifest));
}

int export_command(const struct config *config)
{
	bool is_tar = !strcmp(config->operands[1], "-");
	struct progress progress = { .verb = "export" };
	struct digest manifest = { .algorithm = 0 };
	struct err err;

	for (int i = 0; i < READING_TRIES; i++) {
		int failed = write_release(config, is_tar, &progress, &manifest, &err);

		progress_end(&progress);
		if (!failed)
			return EXIT_DONE;
		if (err.kind != ERR_NOT_FOUND || !manifest.algorithm ||
		    !was_replaced(config, &manifest))
			break;
		(void)err_context(&err, "the release was replaced meanwhile, export it again");
		/* Bytes that are out can't be taken back. */
		if (is_tar)
			break;
	}
	return reading_fail("export", &err);
}
