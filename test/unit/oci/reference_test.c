/* References and tags: what passes can stand in a URL, what doesn't is told why. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "oci/oci.h"

#define LEN(array) (sizeof(array) / sizeof((array)[0]))

static void takes_what_the_grammar_allows(void **state)
{
	static const struct {
		const char *text, *host, *name;
	} rows[] = {
		{ "harbor.example.com/a/b", "harbor.example.com", "a/b" },
		{ "https://Harbor.Example.com:5000/spectro-packs/x/", "harbor.example.com:5000",
		  "spectro-packs/x" },
		{ "HTTPS://h/a", "h", "a" },
		{ "10.0.0.1:5000/a.b_c__d---e/0", "10.0.0.1:5000", "a.b_c__d---e/0" },
		{ "[::1]/a", "[::1]", "a" },
		{ "[FE80::1]:65535/a", "[fe80::1]:65535", "a" },
		{ "public.ecr.aws/x1y2/spectro-packs/spectro-manifests/manifest", "public.ecr.aws",
		  "x1y2/spectro-packs/spectro-manifests/manifest" },
	};

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		struct oci_reference reference;
		struct err err;

		assert_int_equal(oci_reference_parse(rows[i].text, &reference, &err), 0);
		assert_string_equal(reference.host, rows[i].host);
		assert_string_equal(reference.name, rows[i].name);
	}
}

static void refuses_the_rest(void **state)
{
	static const struct {
		const char *text, *says;
	} rows[] = {
		{ "http://h/a", "--plain-http" },
		{ "ftp://h/a", "only https://" },
		{ "", "HOST[:PORT]/NAME" },
		{ "h", "HOST[:PORT]/NAME" },
		{ "h/", "HOST[:PORT]/NAME" },
		{ "/a", "HOST[:PORT]/NAME" },
		{ "h//a", "repository name" },
		{ "h/a//", "repository name" },
		{ "h/A", "repository name" },
		{ "h/a..b", "repository name" },
		{ "h/a___b", "repository name" },
		{ "h/../a", "repository name" },
		{ "h/a/-b", "repository name" },
		{ "h/a b", "repository name" },
		{ "h/a\r\nX: y", "tag or digest" },
		{ "h/a%2fb", "repository name" },
		{ "h/a?n=1", "repository name" },
		{ "h/a:1.0", "tag or digest" },
		{ "h/a@sha256:0", "tag or digest" },
		{ "h:0/a", "port" },
		{ "h:65536/a", "port" },
		{ "h:080/a", "port" },
		{ "h:/a", "port" },
		{ "h:80x/a", "port" },
		{ "-h/a", "host name" },
		{ "h-.x/a", "host name" },
		{ "h..x/a", "host name" },
		{ "h./a", "host name" },
		{ "u@h/a", "has an @" },
		{ "https://u:hunter2@h/a", "has an @" },
		{ "http://u:hunter2@h/a", "has an @" },
		{ "u:hun/hunter2@h/a", "has an @" },
		{ "u:hunter2@h/a@sha256:0", "has an @" },
		{ "h\x01/a", "host name" },
		{ "[::1/a", "host name" },
		{ "[::1%eth0]/a", "host name" },
		{ "[::1]x/a", "port" },
		{ "::1/a", "host name" },
	};

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		struct oci_reference reference;
		struct err err = { .kind = ERR_NONE };

		assert_int_equal(oci_reference_parse(rows[i].text, &reference, &err), -1);
		assert_int_equal(err.kind, ERR_CONFIG);
		if (!strstr(err.msg, rows[i].says))
			fail_msg("%s: %s", rows[i].text, err.msg);
		assert_null(strstr(err.msg, "hunter2"));
	}
}

static void bounds_the_name(void **state)
{
	char text[2 + OCI_NAME_SIZE + 1] = "h/";
	struct oci_reference reference;
	struct err err;

	(void)state;
	memset(text + 2, 'a', OCI_NAME_SIZE - 1);
	assert_int_equal(oci_reference_parse(text, &reference, &err), 0);
	memset(text + 2, 'a', OCI_NAME_SIZE);
	assert_int_equal(oci_reference_parse(text, &reference, &err), -1);
}

static void knows_tags(void **state)
{
	static const char *const good[] = { "4.5.15", "0.0.0", "_", "v1-RC.2_x", "latest" };
	static const char *const bad[] = {
		"", ".", "..", "-a", "a/b", "a b", "a\n", "1+2", "\xc3"
	};
	char longest[OCI_TAG_SIZE + 1] = "";

	(void)state;
	for (size_t i = 0; i < LEN(good); i++)
		assert_true(oci_tag_is_valid(good[i]));
	for (size_t i = 0; i < LEN(bad); i++)
		assert_false(oci_tag_is_valid(bad[i]));
	memset(longest, 'a', OCI_TAG_SIZE - 1);
	assert_true(oci_tag_is_valid(longest));
	longest[OCI_TAG_SIZE - 1] = 'a';
	assert_false(oci_tag_is_valid(longest));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_what_the_grammar_allows),
		cmocka_unit_test(refuses_the_rest),
		cmocka_unit_test(bounds_the_name),
		cmocka_unit_test(knows_tags),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
