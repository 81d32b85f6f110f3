/* The artifact that is pushed: the bytes of ORAS 1.0.0, and one that is read here. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "base/cleanup.h"
#include "oci/artifact.h"
#include "oci/manifest.h"

#define LAYER "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static const char expected[] =
	"{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\","
	"\"config\":{\"mediaType\":\"application/vnd.unknown.config.v1+json\","
	"\"digest\":\"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a\","
	"\"size\":2},\"layers\":[{\"mediaType\":\"application/vnd.oci.image.layer.v1.tar\","
	"\"digest\":\"" LAYER "\",\"size\":5000000000,"
	"\"annotations\":{\"org.opencontainers.image.title\":\"manifests.tgz\"}}],"
	"\"annotations\":{\"org.opencontainers.image.created\":\"2024-12-06T12:43:14Z\"}}";

static void the_bytes_are_those_of_oras(void **state)
{
	CLEANUP(buf_release) struct buf text = BUF_INIT(4096);
	struct oci_descriptor layer = { .size = 5000000000 };
	struct err err;

	(void)state;
	assert_int_equal(digest_parse(LAYER, &layer.digest, &err), 0);
	assert_int_equal(artifact_manifest(&text, &layer, 1733488994, &err), 0);
	assert_string_equal(buf_text(&text), expected);
}

static void it_can_be_read(void **state)
{
	struct manifest manifest;
	char text[DIGEST_TEXT_SIZE];
	struct err err;

	(void)state;
	assert_int_equal(manifest_read(expected, strlen(expected), ARTIFACT_TYPE, "linux/amd64",
	                               &manifest, &err),
	                 0);
	assert_string_equal(digest_format(&manifest.chosen.digest, text), LAYER);
	assert_int_equal(manifest.chosen.size, 5000000000);
	assert_string_equal(manifest.title, "manifests.tgz");
	assert_string_equal(manifest.created, "2024-12-06T12:43:14Z");
}

static void a_date_beyond_all_calendars(void **state)
{
	CLEANUP(buf_release) struct buf text = BUF_INIT(4096);
	struct oci_descriptor layer = { .size = 1 };
	struct err err;

	(void)state;
	assert_int_equal(digest_parse(LAYER, &layer.digest, &err), 0);
	assert_int_equal(artifact_manifest(&text, &layer, INT64_MAX, &err), -1);
	assert_int_equal(err.kind, ERR_FORMAT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_bytes_are_those_of_oras),
		cmocka_unit_test(it_can_be_read),
		cmocka_unit_test(a_date_beyond_all_calendars),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
