/* Which layer a manifest leads to, and which manifests lead nowhere. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "oci/manifest.h"

#define LEN(array) (sizeof(array) / sizeof((array)[0]))

#define HEX       "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde"
#define D(digit)  "\"digest\":\"sha256:" HEX digit "\",\"size\":7" digit
#define TITLED(t) "\"annotations\":{\"org.opencontainers.image.title\":\"" t "\"}"
#define OCI       "\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\""
#define OCI_INDEX "\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.index.v1+json\""
#define DOCKER                                                                                     \
	"\"schemaVersion\":2,\"mediaType\":\"application/"                                         \
	"vnd.docker.distribution.manifest.v2+json\""
#define ARTIFACT   "\"mediaType\":\"application/vnd.oci.artifact.manifest.v1+json\""
#define FOR(os, a) "\"platform\":{\"os\":\"" os "\",\"architecture\":\"" a "\"}"

static void chooses(void **state)
{
	static const struct {
		const char *body, *type;
		char digit; /* the chosen descriptor's last, and its size's */
		bool is_index;
		const char *title;
	} rows[] = {
		/* As ORAS 1.0.0 makes it. */
		{ "{" OCI ",\"config\":{},\"layers\":[{" D("1") "," TITLED(
			  "out/manifests.tgz") "}],"
		                               "\"annotations\":{\"org.opencontainers.image."
		                               "created\":\"2024-12-06T12:36:34Z\"}}",
		  "application/vnd.oci.image.manifest.v1+json", '1', false, "manifests.tgz" },
		{ "{" OCI ",\"layers\":[{" D("1") "," TITLED("a") "},{" D("2") "," TITLED(
			  "/abs/manifests.tgz") "}]}",
		  NULL, '2', false, "manifests.tgz" },
		{ "{" OCI ",\"layers\":[{" D("1") "," TITLED("C:\\\\x\\\\manifests.tgz") "}]}",
		  NULL, '1', false, "manifests.tgz" },
		{ "{" OCI ",\"layers\":[{" D("3") ",\"urls\":[\"http://evil\"]}]}", "text/plain",
		  '3', false, "" },
		/* A folder, as ORAS packs it. */
		{ "{" OCI
		  ",\"layers\":[{\"mediaType\":\"application/vnd.oci.image.layer.v1.tar+gzip\"," D(
			  "6") ",\"annotations\":{\"io.deis.oras.content.digest\":\"sha256:" HEX
		               "7\",\"io.deis.oras.content.unpack\":\"true\","
		               "\"org.opencontainers.image.title\":\"roar/\"}}]}",
		  NULL, '6', false, "" },
		/* The same layer twice is one layer. */
		{ "{" OCI ",\"layers\":[{" D("1") "},{" D("1") "," TITLED("x") "}]}", NULL, '1',
		  false, "" },
		/* Another dialect's Content-Type, and none of its own. */
		{ "{" DOCKER ",\"layers\":[{" D("4") "}]}",
		  "application/vnd.oci.image.manifest.v1+json; charset=utf-8", '4', false, "" },
		{ "{\"schemaVersion\":2,\"layers\":[{" D("4") "}]}", "application/json", '4', false,
		  "" },
		{ "{" ARTIFACT ",\"blobs\":[{" D("5") "," TITLED("manifests.tgz") "}]}", NULL, '5',
		  false, "manifests.tgz" },
		{ "{\"blobs\":[{" D("5") "}]}", "application/vnd.oci.artifact.manifest.v1+json",
		  '5', false, "" },
		{ "{" OCI_INDEX ",\"manifests\":[{" D("6") "}]}", NULL, '6', true, "" },
		{ "{" OCI_INDEX
		  ",\"manifests\":[{" D("6") "," FOR("linux", "arm64") "},{" D("7") "," FOR(
			  "linux", "amd64") "},{" D("8") "," FOR("unknown", "unknown") "}]}",
		  "application/vnd.docker.distribution.manifest.list.v2+json", '7', true, "" },
	};

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		struct manifest manifest;
		struct err err;

		if (manifest_read(rows[i].body, strlen(rows[i].body), rows[i].type, "linux/amd64",
		                  &manifest, &err))
			fail_msg("%zu: %s", i, err.msg);
		assert_int_equal(manifest.is_index, rows[i].is_index);
		assert_int_equal(manifest.chosen.size, 70 + rows[i].digit - '0');
		assert_int_equal(manifest.chosen.digest.bytes[31], 0xe0 + rows[i].digit - '0');
		assert_string_equal(manifest.title, rows[i].title);
		assert_string_equal(manifest.created, i ? "" : "2024-12-06T12:36:34Z");
	}
}

static void refuses(void **state)
{
	static const struct {
		const char *body, *type, *says;
	} rows[] = {
		{ "", NULL, "not valid JSON" },
		{ "{" OCI ",\"layers\":[{" D("1") "}]} {}", NULL, "not valid JSON" },
		{ "[]", NULL, "no manifest" },
		{ "{}", NULL, "no layers" },
		{ "{" OCI ",\"layers\":[]}", NULL, "no layers" },
		{ "{" OCI ",\"layers\":{}}", NULL, "no list" },
		{ "{" OCI ",\"layers\":[],\"layers\":[{" D("1") "}]}", NULL, "key twice" },
		/* CVE-2021-41190 */
		{ "{" OCI ",\"layers\":[{" D("1") "}],\"manifests\":[{" D("2") "}]}", NULL,
		  "both" },
		{ "{" OCI_INDEX ",\"config\":{},\"manifests\":[{" D("2") "}]}", NULL, "both" },
		{ "{" OCI_INDEX ",\"layers\":[{" D("1") "}]}", NULL, "mediaType" },
		{ "{" OCI ",\"layers\":[{" D("1") "}]}", "application/vnd.oci.image.index.v1+json",
		  "was sent as" },
		{ "{\"schemaVersion\":2,\"mediaType\":\"x/y\",\"layers\":[{" D("1") "}]}", NULL,
		  "mediaType" },
		{ "{\"schemaVersion\":2,\"mediaType\":7,\"layers\":[{" D("1") "}]}", NULL,
		  "mediaType" },
		{ "{\"schemaVersion\":1,\"layers\":[{" D("1") "}]}", NULL, "schemaVersion" },
		{ "{\"schemaVersion\":\"2\",\"layers\":[{" D("1") "}]}", NULL, "schemaVersion" },
		{ "{\"schemaVersion\":1,\"fsLayers\":[]}", NULL, "schema 1" },
		{ "{\"blobs\":[{" D("5") "}]}", NULL, "no mediaType" },
		/* Descriptors */
		{ "{" OCI ",\"layers\":[7]}", NULL, "without a digest" },
		{ "{" OCI ",\"layers\":[{\"size\":1}]}", NULL, "without a digest" },
		{ "{" OCI ",\"layers\":[{\"digest\":\"sha256:00\",\"size\":1}]}", NULL,
		  "hex digits" },
		{ "{" OCI ",\"layers\":[{\"digest\":\"md5:00\",\"size\":1}]}", NULL,
		  "neither sha256" },
		{ "{" OCI ",\"layers\":[{\"digest\":\"sha256:" HEX "1\",\"size\":-1}]}", NULL,
		  "size" },
		{ "{" OCI ",\"layers\":[{\"digest\":\"sha256:" HEX "1\",\"size\":1.5}]}", NULL,
		  "size" },
		{ "{" OCI ",\"layers\":[{\"digest\":\"sha256:" HEX "1\"}]}", NULL, "size" },
		{ "{" OCI ",\"layers\":[{" D("1") "},{\"digest\":\"sha256:" HEX "1\",\"size\":1}]}",
		  NULL, "two sizes" },
		/* No choice, or too much of it */
		{ "{" OCI ",\"layers\":[{" D("1") "," TITLED("a.tgz") "},{" D("2") "}]}", NULL,
		  "a.tgz, (no title)" },
		{ "{" OCI ",\"layers\":[{" D("1") "," TITLED("manifests.tgz") "},{" D(
			  "2") "," TITLED("x/manifests.tgz") "}]}",
		  NULL, "several manifests.tgz" },
		{ "{" OCI_INDEX ",\"manifests\":[]}", NULL, "without entries" },
		{ "{" OCI_INDEX
		  ",\"manifests\":[{" D("1") "},{" D("2") "," FOR("windows", "amd64") "}]}",
		  NULL, "?/?, windows/amd64" },
		{ "{" OCI_INDEX ",\"manifests\":[{" D("1") "," FOR("linux", "amd64") "},{" D(
			  "2") "," FOR("linux", "amd64") "}]}",
		  NULL, "more than one" },
	};

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		struct manifest manifest;
		struct err err = { .kind = ERR_NONE };

		assert_int_equal(manifest_read(rows[i].body, strlen(rows[i].body), rows[i].type,
		                               "linux/amd64", &manifest, &err),
		                 -1);
		assert_int_equal(err.kind, ERR_FORMAT);
		if (!strstr(err.msg, rows[i].says))
			fail_msg("%s: %s", rows[i].body, err.msg);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(chooses),
		cmocka_unit_test(refuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
