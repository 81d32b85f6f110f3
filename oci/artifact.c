/* ORAS' artifact; see artifact.h. */
#include "oci/artifact.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

int artifact_manifest(struct buf *text, const struct oci_descriptor *layer, int64_t created_s,
                      struct err *err)
{
	char config[DIGEST_TEXT_SIZE], digest[DIGEST_TEXT_SIZE], created[OCI_CREATED_SIZE];
	const time_t seconds = (time_t)created_s;
	struct digest empty;
	struct tm utc;

	if (!gmtime_r(&seconds, &utc) ||
	    !strftime(created, sizeof(created), "%Y-%m-%dT%H:%M:%SZ", &utc))
		return err_set(err, ERR_FORMAT, "a date that can't be written");
	if (digest_of(DIGEST_SHA256, ARTIFACT_CONFIG, strlen(ARTIFACT_CONFIG), &empty, err))
		return -1;
	return buf_addf(text, err,
	                "{\"schemaVersion\":2,\"mediaType\":\"" ARTIFACT_TYPE "\","
	                "\"config\":{\"mediaType\":\"application/vnd.unknown.config.v1+json\","
	                "\"digest\":\"%s\",\"size\":%zu},"
	                "\"layers\":[{\"mediaType\":\"application/vnd.oci.image.layer.v1.tar\","
	                "\"digest\":\"%s\",\"size\":%" PRId64 ","
	                "\"annotations\":{\"org.opencontainers.image.title\":\"manifests.tgz\"}}],"
	                "\"annotations\":{\"org.opencontainers.image.created\":\"%s\"}}",
	                digest_format(&empty, config), strlen(ARTIFACT_CONFIG),
	                digest_format(&layer->digest, digest), layer->size, created);
}
