/* Ranges of versions. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "daemon/semver_range.h"

struct has {
	const char *range;
	const char *in[8];
	const char *out[8];
};

static void check(const struct has *has)
{
	struct err err;
	struct semver_range *range = semver_range_new(has->range, &err);

	if (!range)
		fail_msg("%s: %s", has->range, err.msg);
	for (const char *const *tag = has->in; *tag; tag++)
		if (!semver_range_has(range, *tag))
			fail_msg("%s leaves out %s", has->range, *tag);
	for (const char *const *tag = has->out; *tag; tag++)
		if (semver_range_has(range, *tag))
			fail_msg("%s takes %s", has->range, *tag);
	semver_range_free(range);
}

static void ranges_have_their_versions(void **state)
{
	static const struct has cases[] = {
		{ ">=4.4 <5",
		  { "4.4", "4.4.0", "v4.5.15", "4.99.99" },
		  { "4.3.9", "5.0.0", "4.5.0-rc.1", "latest", "4.x" } },
		{ ">= 4.4, < 5", { "4.4.0" }, { "5.0.0" } },
		{ ">=4.4,<5", { "4.4.0" }, { "5.0.0" } },
		{ " >=v4.4\t<V5 ", { "4.4.0" }, { "5" } },
		{ "<4 || >=4.5.13 <4.6 || 9.9.9",
		  { "3.9.9", "4.5.13", "9.9.9" },
		  { "4.0.0", "4.5.12", "4.6.0", "9.9.8" } },
		{ "<4||>5", { "3.0.0", "6.0.0" }, { "4.0.0", "5.9.9" } },
		{ "4.5.13", { "4.5.13", "v4.5.13" }, { "4.5.12", "4.5.14" } },
		{ "=4.5", { "4.5.0", "4.5.99" }, { "4.4.9", "4.6.0" } },
		{ "4", { "4.0.0", "4.99.0" }, { "3.9.9", "5.0.0" } },
		{ ">4.5", { "4.6.0" }, { "4.5.9", "4.5.0" } },
		{ ">4.5.0", { "4.5.1" }, { "4.5.0" } },
		{ ">4", { "5.0.0" }, { "4.99.0" } },
		{ "<=4.5", { "4.5.9" }, { "4.6.0" } },
		{ "<=4.5.0", { "4.5.0" }, { "4.5.1" } },
		{ "<4.5", { "4.4.99" }, { "4.5.0" } },
		{ "^4.5", { "4.5.0", "4.99.0" }, { "4.4.9", "5.0.0" } },
		{ "^4.5.13", { "4.5.13", "4.6.0" }, { "4.5.12", "5.0.0" } },
		{ "^4.x", { "4.0.0", "4.9.0" }, { "3.9.9", "5.0.0" } },
		{ "^0.2.3", { "0.2.3", "0.2.9" }, { "0.2.2", "0.3.0" } },
		{ "^0.0.3", { "0.0.3" }, { "0.0.2", "0.0.4" } },
		{ "^0.0", { "0.0.9" }, { "0.1.0" } },
		{ "^0", { "0.9.0" }, { "1.0.0" } },
		{ "^*", { "0.0.1", "9.0.0" }, { "latest" } },
		{ "~4.5.1", { "4.5.1", "4.5.99" }, { "4.5.0", "4.6.0" } },
		{ "~4.5", { "4.5.0", "4.5.99" }, { "4.6.0" } },
		{ "~4", { "4.0.0", "4.99.0" }, { "5.0.0" } },
		{ "4.5.x", { "4.5.0", "4.5.99" }, { "4.4.9", "4.6.0" } },
		{ "4.x", { "4.0.0", "4.99.0" }, { "3.9.9", "5.0.0" } },
		{ "4.X.*", { "4.7.1" }, { "5.0.0" } },
		{ "*", { "0.0.1", "v4", "99999999999999999999.0.0" }, { "latest", "4.6.0-rc.1" } },
		{ "<=*", { "4.0.0" }, { "latest" } },
		{ ">*", { NULL }, { "4.0.0", "0.0.0" } },
		{ "<*", { NULL }, { "4.0.0", "0.0.0" } },
		{ "4.4 - 4.6", { "4.4.0", "4.6.9" }, { "4.3.9", "4.7.0" } },
		{ "4.4 - 4.6.1", { "4.6.1" }, { "4.6.2" } },
		{ "4.4 - 4.6 <4.5.9 || 7", { "4.5.8", "7.1.0" }, { "4.5.9", "4.6.0" } },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		check(&cases[i]);
}

static void pre_releases_are_asked_for(void **state)
{
	static const struct has cases[] = {
		{ ">=4.4.0-0 <5",
		  { "4.4.0-rc.1", "4.6.0-rc.1", "4.6.0" },
		  { "5.0.0-rc.1", "5.0.0" } },
		{ ">=4.4.0-0 <5.0.0", { "5.0.0-rc.1" }, { "5.0.0" } },
		{ "^4.5.0-rc.2", { "4.5.0-rc.10", "4.6.0-a" }, { "4.5.0-rc.1", "5.0.0-rc.1" } },
		{ "4.6.0-rc.1", { "4.6.0-rc.1" }, { "4.6.0", "4.6.0-rc.2" } },
		{ "4.5.x || >=4.6.0-0 <4.7",
		  { "4.6.0-rc.1", "4.5.3" },
		  { "4.5.3-rc.1", "4.7.0-rc.1" } },
		{ "4.4.0-a - 4.6", { "4.4.0-b", "4.6.1" }, { "4.7.0-a" } },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		check(&cases[i]);
}

static void bad_ranges_are_refused(void **state)
{
	static const struct {
		const char *range;
		const char *says;
	} cases[] = {
		{ "", "empty" },
		{ " , ", "empty" },
		{ "||", "a side of || is empty" },
		{ ">=4 ||", "a side of || is empty" },
		{ "|| >=4", "a side of || is empty" },
		{ ">=4 | <3", "\"or\" is ||" },
		{ ">=", "\">=\" is not understood (its version is missing)" },
		{ ">= || 4", "its version is missing" },
		{ ">= <5", "\"<5\" is not understood" },
		{ "=>4", "the operators are" },
		{ "!=4", "a number" },
		{ "~>4", "the operators are" },
		{ "latest", "\"latest\" is not understood" },
		{ "4.", "a number, x or * is missing" },
		{ "4..5", "a number, x or * is missing" },
		{ "4.x.5", "follows a wildcard" },
		{ "4.5.6.7", "goes on after the version" },
		{ "4.5.6+build", "goes on after the version" },
		{ "4.4-4.6", "spaces around" },
		{ "4.x-rc.1", "all three numbers" },
		{ "4.5.6-", "not a pre-release" },
		{ "4.5.6-rc..1", "not a pre-release" },
		{ "4.4 - ", "end of the range is missing" },
		{ "4.4 - <5", "\"<5\" is not understood" },
		{ "- 4.4", "a number" },
		{ "1234567890.0.0", "more than 9 digits" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct err err = { .msg = "" };

		if (semver_range_new(cases[i].range, &err))
			fail_msg("%s is taken", cases[i].range);
		assert_int_equal(err.kind, ERR_CONFIG);
		if (!strstr(err.msg, cases[i].says))
			fail_msg("%s: %s", cases[i].range, err.msg);
	}
}

static void ranges_are_bounded(void **state)
{
	char text[2000] = "4.5.6-";
	struct err err;
	size_t length = 0;

	(void)state;
	memset(text + 6, 'a', 500);
	assert_null(semver_range_new(text, &err));
	assert_non_null(strstr(err.msg, "too long"));
	memset(text, 0, sizeof(text));
	for (int i = 0; i < 100; i++)
		length += (size_t)snprintf(text + length, sizeof(text) - length, "%s%d",
		                           i ? "||" : "", i);
	assert_null(semver_range_new(text, &err));
	assert_non_null(strstr(err.msg, "more than 64"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ranges_have_their_versions),
		cmocka_unit_test(pre_releases_are_asked_for),
		cmocka_unit_test(bad_ranges_are_refused),
		cmocka_unit_test(ranges_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
