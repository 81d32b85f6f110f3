/* The tag policy: what is taken, asked for next, and let go. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "daemon/policy.h"

static struct policy *policy_of(const struct config *config)
{
	struct err err = { .msg = "" };
	struct policy *policy = policy_new(config, &err);

	if (!policy)
		fail_msg("%s", err.msg);
	return policy;
}

static void tags_are_taken(void **state)
{
	static const struct {
		struct config config;
		const char *taken;
	} cases[] = {
		{ { .prune = false }, "5.0.0 4.6.0-rc.1 4.5.15 4.5.13 0.0.0 v4_test latest" },
		{ { .tag_include = { { "^4\\." }, 1 } }, "4.6.0-rc.1 4.5.15 4.5.13" },
		/* Not anchored: anywhere. Any of several. */
		{ { .tag_include = { { "4", "^lat+est$" }, 2 } },
		  "4.6.0-rc.1 4.5.15 4.5.13 v4_test latest" },
		{ { .tag_exclude = { { "-", "est" }, 2 } }, "5.0.0 4.5.15 4.5.13 0.0.0" },
		{ { .tag_include = { { "4" }, 1 }, .tag_exclude = { { "(13|15)$" }, 1 } },
		  "4.6.0-rc.1 v4_test" },
		{ { .tag_semver = "^4" }, "4.5.15 4.5.13 0.0.0" },
		{ { .tag_semver = ">=4.6.0-0" }, "5.0.0 4.6.0-rc.1 0.0.0" },
		/* 0.0.0 passes the range, and nothing else. */
		{ { .tag_semver = "5.x", .tag_exclude = { { "^0" }, 1 } }, "5.0.0" },
		{ { .tag_semver = "5.x", .tag_include = { { "5" }, 1 } }, "5.0.0" },
	};
	static const char *const names[] = { "4.5.13",  "latest", "5.0.0",     "0.0.0",
		                             "v4_test", "4.5.15", "4.6.0-rc.1" };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct policy *policy = policy_of(&cases[i].config);
		struct policy_tag tags[7] = { { .tag = NULL } };
		char taken[200] = "";

		for (size_t j = 0; j < 7; j++)
			tags[j] = (struct policy_tag){ .tag = names[j], .is_listed = true };
		policy_judge(policy, tags, 7);
		for (size_t j = 0; j < 7; j++)
			if (tags[j].is_taken) {
				(void)strcat(taken, *taken ? " " : "");
				(void)strcat(taken, tags[j].tag);
			}
		if (strcmp(taken, cases[i].taken) != 0)
			fail_msg("case %zu takes %s", i, taken);
		policy_free(policy);
	}
}

static void bad_policies_are_refused(void **state)
{
	static const struct {
		struct config config;
		const char *says[3];
	} cases[] = {
		{ { .tag_include = { { "ok", "a(" }, 2 } },
		  { "--tag-include", "\"a(\"", "nmatched" } },
		{ { .tag_exclude = { { "a{2" }, 1 } }, { "--tag-exclude", "\"a{2\"", "nmatched" } },
		{ { .tag_semver = ">=4 <" }, { "--tag-semver", "\">=4 <\"", "missing" } },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct err err = { .msg = "" };

		assert_int_equal(policy_check(&cases[i].config, &err), -1);
		assert_int_equal(err.kind, ERR_CONFIG);
		for (size_t j = 0; j < 3; j++)
			if (!strstr(err.msg, cases[i].says[j]))
				fail_msg("case %zu: %s", i, err.msg);
	}
}

/*
 * A tag with what is known of it: l listed, s stored and served, d damaged on
 * disk, t tried, h hopeless.
 * Returns how many there are.
 */
static size_t fill(const char *text, char *room, struct policy_tag *tags)
{
	size_t count = 0;
	char *rest;

	(void)strcpy(room, text);
	for (char *word = strtok_r(room, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
		char *flags = strchr(word, ':');

		*flags++ = '\0';
		tags[count++] = (struct policy_tag){
			.tag = word,
			.is_listed = strchr(flags, 'l') != NULL,
			.is_stored = strpbrk(flags, "sd") != NULL,
			.is_served = strchr(flags, 's') != NULL,
			.is_tried = strchr(flags, 't') != NULL,
			.is_hopeless = strchr(flags, 'h') != NULL,
		};
	}
	return count;
}

static void the_newest_are_asked_for(void **state)
{
	static const struct {
		int max;
		bool prune;
		const char *tags;
		const char *next;
	} cases[] = {
		{ 0, false, "1.0.0:l 2.0.0:ls 3.0.0:s a:l", "2.0.0 1.0.0 a" },
		{ 0, false, "1.0.0:lt 2.0.0:lst", "" },
		{ 2, false, "1.0.0:l 2.0.0:l 10.0.0:l 9.0.0:l 0.0.0:l latest:l",
		  "10.0.0 9.0.0 0.0.0 latest" },
		{ 1, false, "1.0.0:ls 2.0.0-rc.1:l", "2.0.0-rc.1" },
		/* What is stored and not listed counts unless it is pruned. */
		{ 1, false, "1.0.0:l 2.0.0:s", "" },
		{ 1, true, "1.0.0:l 2.0.0:d", "1.0.0" },
		/* One that is held stays, too. */
		{ 1, true, "1.0.0:l 2.0.0:s", "" },
		{ 1, true, "1.0.0:l 2.0.0:s 3.0.0:ls", "3.0.0" },
		/* The newest is not to be had: the next takes its place, unless it is stored. */
		{ 1, false, "1.0.0:l 2.0.0:lth", "1.0.0" },
		{ 1, false, "1.0.0:l 2.0.0:lths", "" },
		{ 1, false, "1.0.0:l 2.0.0:lt", "" },
		{ 2, false, "1.0.0:l 2.0.0:lth 3.0.0:lst", "1.0.0" },
		{ 1, false, "1.0.0:l 2.0.0:d", "1.0.0" },
		{ 1, false, "1.0.0:l 2.0.0:ld", "2.0.0" },
		/* Outside the policy: neither asked for nor counted. */
		{ 1, false, "1.0.0:l 99.0.0:ls", "1.0.0" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct config config = { .max_releases = cases[i].max,
			                       .prune = cases[i].prune,
			                       .tag_exclude = { { "^99" }, 1 } };
		struct policy *policy = policy_of(&config);
		struct policy_tag tags[8];
		char room[200], next[200] = "";
		size_t count = fill(cases[i].tags, room, tags), found;

		policy_judge(policy, tags, count);
		found = policy_next(policy, tags, count);
		for (size_t j = 0; j < count; j++)
			if (tags[j].is_next) {
				(void)strcat(next, *next ? " " : "");
				(void)strcat(next, tags[j].tag);
				found--;
			}
		if (strcmp(next, cases[i].next) != 0 || found)
			fail_msg("case %zu: next is \"%s\"", i, next);
		policy_free(policy);
	}
}

static void older_and_gone_ones_are_let_go(void **state)
{
	static const struct {
		int max;
		bool prune;
		const char *tags;
		const char *drop; /* newest first */
		const char *kept_all;
	} cases[] = {
		{ 0, false, "1.0.0:s 2.0.0:ls 99.0.0:ls", "", NULL },
		{ 0, true, "1.0.0:s 2.0.0:ls 3.0.0:s a:s 0.0.0:s",
		  "3.0.0=held 1.0.0=tag is gone 0.0.0=tag is gone a=tag is gone", NULL },
		{ 0, true, "1.0.0:ls 2.0.0:s 3.0.0:d 3.1.0:l 3.2.0:s",
		  "3.2.0=held 3.0.0=tag is gone 2.0.0=held", NULL },
		{ 0, true, "a:ls 1.0.0:s", "1.0.0=held", NULL },
		{ 0, true, "1.0.0:ls 99.0.0:ls 99.1.0:s",
		  "99.1.0=tag is gone 99.0.0=outside the tag policy", NULL },
		/* Not without something that stays. */
		{ 0, true, "1.0.0:s 2.0.0:s", "", "the list of tags is empty" },
		{ 0, true, "1.0.0:s 2.0.0:l", "", "nothing that is listed and taken" },
		{ 0, true, "99.0.0:ls", "", "nothing that is listed and taken" },
		{ 0, true, "1.0.0:l", "", NULL },
		{ 0, true, "", "", NULL },
		/* The newest N of those that are there. */
		{ 2, false, "1.0.0:ls 2.0.0:ls 3.0.0:ls 0.0.0:ls a:ls",
		  "1.0.0=older than the newest 2", NULL },
		{ 2, false, "1.0.0:ls 2.0.0:ls 3.0.0:lth", "", NULL },
		{ 1, false, "1.0.0:s 2.0.0:s", "1.0.0=older than the newest 1", NULL },
		{ 1, false, "1.0.0:ls 99.0.0:ls", "", NULL },
		{ 1, true, "1.0.0:ls 2.0.0:ls 3.0.0:s",
		  "3.0.0=held 2.0.0=older than the newest 1 1.0.0=older than the newest 1", NULL },
		{ 1, true, "1.0.0:ls 2.0.0:ls 3.0.0:s 4.0.0:ls",
		  "3.0.0=tag is gone 2.0.0=older than the newest 1 1.0.0=older than the newest 1",
		  NULL },
		/* A damaged one counts for nothing. */
		{ 1, false, "1.0.0:ld 2.0.0:ls 3.0.0:ldth", "1.0.0=older than the newest 1", NULL },
		{ 0, true, "1.0.0:d 2.0.0:ls", "1.0.0=tag is gone", NULL },
		{ 0, true, "1.0.0:s 2.0.0:ld", "", "nothing that is listed and taken" },
		{ 1, true, "1.0.0:s 2.0.0:s", "1.0.0=older than the newest 1",
		  "the list of tags is empty" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct config config = { .max_releases = cases[i].max,
			                       .prune = cases[i].prune,
			                       .tag_exclude = { { "^99" }, 1 } };
		struct policy *policy = policy_of(&config);
		struct policy_tag tags[8];
		char room[200], drop[400] = "";
		const char *kept_all;
		size_t count = fill(cases[i].tags, room, tags), dropped;

		policy_judge(policy, tags, count);
		dropped = policy_drop(policy, tags, count, &kept_all);
		for (size_t j = 0; j < count; j++)
			if (tags[j].drop || tags[j].is_held) {
				size_t length = strlen(drop);

				(void)snprintf(drop + length, sizeof(drop) - length, "%s%s=%s",
				               length ? " " : "", tags[j].tag,
				               tags[j].is_held ? "held" : tags[j].drop);
				dropped -= tags[j].drop != NULL;
			}
		if (strcmp(drop, cases[i].drop) != 0 || dropped)
			fail_msg("case %zu: drops \"%s\"", i, drop);
		if (!kept_all != !cases[i].kept_all ||
		    (kept_all && !strstr(kept_all, cases[i].kept_all)))
			fail_msg("case %zu: %s", i, kept_all ? kept_all : "nothing said");
		policy_free(policy);
	}
}

/* It may lag behind: what it lacks stays, and counts. */
static void nothing_goes_by_the_list_of_a_mirror(void **state)
{
	const struct config config = { .prune = true, .max_releases = 2 };
	struct policy *policy = policy_of(&config);
	struct policy_tag tags[8];
	char room[200];
	const char *kept_all;
	size_t count = fill("1.0.0:l 2.0.0:s 3.0.0:ls", room, tags);

	(void)state;
	for (int turn = 0; turn < 2; turn++) {
		policy_trust(policy, turn);
		policy_judge(policy, tags, count);
		assert_int_equal(policy_next(policy, tags, count), turn ? 2 : 1);
		assert_int_equal(policy_drop(policy, tags, count, &kept_all), turn);
		assert_string_equal(turn ? "" : kept_all,
		                    turn ? ""
		                         : "the list of tags is a mirror's, which may lag behind");
		if (turn)
			assert_null(kept_all);
	}
	policy_free(policy);
}

static void with_rollback_allowed_the_newest_goes(void **state)
{
	const struct config config = { .prune = true, .allow_rollback = true };
	struct policy *policy = policy_of(&config);
	struct policy_tag tags[8];
	char room[200];
	const char *kept_all;
	size_t count = fill("1.0.0:ls 2.0.0:s", room, tags);

	(void)state;
	policy_judge(policy, tags, count);
	assert_int_equal(policy_next(policy, tags, count), 1);
	assert_int_equal(policy_drop(policy, tags, count, &kept_all), 1);
	assert_string_equal(tags[0].tag, "2.0.0");
	assert_string_equal(tags[0].drop, "tag is gone");
	assert_false(tags[0].is_held);
	assert_null(kept_all);
	policy_free(policy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tags_are_taken),
		cmocka_unit_test(bad_policies_are_refused),
		cmocka_unit_test(the_newest_are_asked_for),
		cmocka_unit_test(older_and_gone_ones_are_let_go),
		cmocka_unit_test(nothing_goes_by_the_list_of_a_mirror),
		cmocka_unit_test(with_rollback_allowed_the_newest_goes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
