/* One tag's way into the store; see fetch.h. */
#include "fetch.h"

#include <inttypes.h>
#include <stdio.h>

#include "advice.h"
#include "base/cleanup.h"
#include "sync_log.h"

DEFINE_CLEANUP(cleanup_download, struct store_download, store_download_free);

/* A layer on its way. */
struct receiving {
	struct store_download *file;
	const struct fetch_observer *observer; /* or NULL */
	const char *tag;
	uint64_t done, all;
};

static int write_download(void *ctx, const void *bytes, size_t size, struct err *err)
{
	struct receiving *receiving = ctx;

	if (store_download_write(receiving->file, bytes, size, err))
		return -1;
	receiving->done += size;
	if (receiving->observer)
		receiving->observer->came(receiving->observer->ctx, receiving->tag, receiving->done,
		                          receiving->all);
	return 0;
}

static int restart_download(void *ctx, struct err *err)
{
	struct receiving *receiving = ctx;

	receiving->done = 0;
	return store_download_restart(receiving->file, err);
}

static int read_download(void *ctx, void *bytes, size_t size, uint64_t offset, struct err *err)
{
	return store_download_read(((struct receiving *)ctx)->file, bytes, size, offset, err);
}

/* Sets *out_refused when the archive's own content is at fault. */
static int download(const struct fetching *with, const struct store_source *source,
                    const struct oci_artifact *artifact, struct store_release *out_release,
                    bool *out_refused, struct err *err)
{
	char layer[DIGEST_TEXT_SIZE], bytes[24], held[24];
	CLEANUP(cleanup_download) struct store_download *file = NULL;
	struct receiving receiving = { .observer = with->observer,
		                       .tag = source->tag,
		                       .all = (uint64_t)artifact->layer.size };
	struct oci_sink sink = { .write = write_download,
		                 .restart = restart_download,
		                 .read = read_download,
		                 .ctx = &receiving };

	file = store_download_open(with->store, &artifact->layer.digest,
	                           (uint64_t)artifact->layer.size, err);
	if (!file)
		return -1;
	sink.held = store_download_held(file);
	receiving.file = file;
	receiving.done = sink.held;
	(void)snprintf(bytes, sizeof(bytes), "%" PRId64, artifact->layer.size);
	(void)snprintf(held, sizeof(held), "%" PRIu64, sink.held);
	sync_log_step(
		"Downloading", source->tag,
		(struct log_field[]){ { "bytes", bytes },
	                              { "layer", digest_format(&artifact->layer.digest, layer) },
	                              { sink.held ? "held" : NULL, held },
	                              { NULL, NULL } });
	if (oci_blob(with->client, &artifact->layer, &sink, err))
		return -1;
	sync_log_step("listing dir", with->data_dir, NULL);
	sync_log_file(artifact->title);
	sync_log_step("Persisting", source->tag, NULL);
	if (!store_publish(with->store, source, file, with->cancel, out_release, err))
		return 0;
	*out_refused = err->kind == ERR_FORMAT || err->kind == ERR_LIMIT;
	if (*out_refused)
		return err_cause(err, ADVICE_RELEASE_UNFIT);
	/* It was whole when it came: the disk is at fault, neither artifact nor registry. */
	if (err->kind == ERR_DIGEST) {
		err->kind = ERR_IO;
		return err_cause(err, ADVICE_DATA_DIR_IO);
	}
	return -1;
}

int fetch(const struct fetching *with, const char *tag, const struct digest *manifest,
          struct store_release *out_release, bool *out_refused, struct err *err)
{
	struct oci_artifact artifact;
	struct store_source source = { .tag = tag, .manifest = manifest };

	if (signers_proof(with->signers, with->client, &source, err) ||
	    oci_manifest(with->client, tag, manifest, &artifact, err))
		return -1;
	source.created = artifact.created;
	source.layer = &artifact.layer.digest;
	/* The date in a manifest changes with each push; the layer is what counts. */
	if (!store_republish(with->store, &source, out_release, err))
		return 0;
	return err->kind != ERR_NOT_FOUND
	               ? -1
	               : download(with, &source, &artifact, out_release, out_refused, err);
}

const char *fetch_verdict(const struct err *err)
{
	switch (err->kind) {
	case ERR_FORMAT:
	case ERR_LIMIT:
	case ERR_DIGEST:
	case ERR_ROLLBACK:
	case ERR_UNSIGNED:
		return "Release refused";
	default:
		return "Release not fetched";
	}
}
