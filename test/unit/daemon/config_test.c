/*
 * Each flag sets its own field of the configuration, and no other. What flags may
 * be, and the messages, are in test/integration/config_test.py.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "config.h"
#include "nearest.h"

#define FIELD(field) offsetof(struct config, field), sizeof(((struct config *)NULL)->field)

enum is { A_TEXT, A_LIST, A_SWITCH, A_NUMBER, A_CHOICE, A_LISTENER };

/* The value of a number and of a choice is what it has to be in the field. */
static const struct row {
	const char *name;
	size_t offset, size;
	enum is is;
	const char *text;
	int64_t number;
} rows[] = {
	{ "repository", FIELD(repository), A_TEXT, "h/a", 0 },
	{ "registry-secret-dir", FIELD(registry_secret_dir), A_TEXT, "/s", 0 },
	{ "registry-config", FIELD(registry_config), A_TEXT, "/c", 0 },
	{ "registry-ca", FIELD(registry_ca), A_TEXT, "/ca", 0 },
	{ "repository-mirror", FIELD(repository_mirror), A_LIST, "m/a", 0 },
	{ "verify-key", FIELD(verify_key), A_LIST, "/v", 0 },
	{ "sign-key", FIELD(sign_key), A_TEXT, "/k", 0 },
	{ "registry-insecure", FIELD(registry_insecure), A_SWITCH, "true", 1 },
	{ "plain-http", FIELD(plain_http), A_SWITCH, "true", 1 },
	{ "registry-idle-timeout", FIELD(registry_idle_ms), A_NUMBER, "7s", 7000 },
	{ "registry-retries", FIELD(registry_retries), A_NUMBER, "3", 3 },
	{ "poll-interval", FIELD(poll_interval_ms), A_NUMBER, "1h30m", 5400000 },
	{ "poll-jitter", FIELD(poll_jitter_percent), A_NUMBER, "33%", 33 },
	{ "tag-include", FIELD(tag_include), A_LIST, "^a", 0 },
	{ "tag-exclude", FIELD(tag_exclude), A_LIST, "b$", 0 },
	{ "tag-semver", FIELD(tag_semver), A_TEXT, "^4", 0 },
	{ "max-releases", FIELD(max_releases), A_NUMBER, "17", 17 },
	{ "prune", FIELD(prune), A_SWITCH, "true", 1 },
	{ "overlay", FIELD(overlay), A_CHOICE, "single", STORE_OVERLAY_SINGLE },
	{ "allow-rollback", FIELD(allow_rollback), A_SWITCH, "true", 1 },
	{ "data-dir", FIELD(data_dir), A_TEXT, "/d", 0 },
	{ "disk-reserve", FIELD(disk_reserve), A_NUMBER, "1Ki", 1024 },
	{ "cache-size", FIELD(cache_size), A_NUMBER, "0", 0 },
	{ "scrub-interval", FIELD(scrub_interval_ms), A_NUMBER, "off", 0 },
	{ "view-lease", FIELD(view_lease_ms), A_NUMBER, "off", 0 },
	{ "max-entries", FIELD(max_entries), A_NUMBER, "11", 11 },
	{ "max-file-size", FIELD(max_file_size), A_NUMBER, "2Ki", 2048 },
	{ "max-unpacked-size", FIELD(max_unpacked_size), A_NUMBER, "3Ki", 3072 },
	{ "max-ratio", FIELD(max_ratio), A_NUMBER, "12", 12 },
	{ "max-path-length", FIELD(max_path_length), A_NUMBER, "13", 13 },
	{ "max-depth", FIELD(max_depth), A_NUMBER, "14", 14 },
	{ "listen", FIELD(listen), A_LISTENER, "127.0.0.1:1", 0 },
	{ "admin-listen", FIELD(admin_listen), A_LISTENER, "127.0.0.1:2", 0 },
	{ "workers", FIELD(workers), A_NUMBER, "200", 200 },
	{ "hook-token-file", FIELD(hook_token_file), A_TEXT, "/t", 0 },
	{ "fips", FIELD(fips), A_SWITCH, "true", 1 },
	{ "htpasswd", FIELD(htpasswd), A_TEXT, "/h", 0 },
	{ "no-listing", FIELD(no_listing), A_SWITCH, "true", 1 },
	{ "access-log", FIELD(access_log), A_SWITCH, "true", 1 },
	{ "tls-client-ca", FIELD(tls_client_ca), A_TEXT, "/cca", 0 },
	{ "max-connections", FIELD(max_connections), A_NUMBER, "15", 15 },
	{ "max-connections-per-address", FIELD(max_per_address), A_NUMBER, "16", 16 },
	{ "log-level", FIELD(log_level), A_CHOICE, "warning", LOG_WARNING },
	{ "log-format", FIELD(log_format), A_CHOICE, "json", LOG_JSON },
};

/* Those that need one another. */
static const struct {
	const char *name;
	size_t offset;
	const char *text;
} together[] = {
	{ "registry-username", offsetof(struct config, registry_username), "u" },
	{ "registry-password-file", offsetof(struct config, registry_password_file), "/p" },
	{ "registry-cert", offsetof(struct config, registry_cert), "/rc" },
	{ "registry-key", offsetof(struct config, registry_key), "/rk" },
	{ "tls-cert", offsetof(struct config, tls_cert), "/tc" },
	{ "tls-key", offsetof(struct config, tls_key), "/tk" },
	{ "tls-client-ca", offsetof(struct config, tls_client_ca), "/ca" },
};

static char *no_environment[] = { NULL };

static void read_flags(char **args, struct config *config)
{
	struct err err = { .msg = "" };

	if (config_read(args, no_environment, config, &err))
		fail_msg("%s: %s", args[0], err.msg);
}

static bool is_set(const struct row *row, const struct config *config)
{
	const void *field = (const char *)config + row->offset;
	const struct config_texts *list = field;
	const struct config_listen *listener = field;
	char address[LISTEN_TEXT_SIZE];

	switch (row->is) {
	case A_TEXT:
		return *(const char *const *)field &&
		       !strcmp(*(const char *const *)field, row->text);
	case A_LIST:
		return list->count == 1 && !strcmp(list->at[0], row->text);
	case A_SWITCH:
		return *(const bool *)field == (row->number != 0);
	case A_NUMBER:
		return *(const int64_t *)field == row->number;
	case A_CHOICE:
		return *(const unsigned *)field == (unsigned)row->number;
	case A_LISTENER:
		return listener->count == 1 &&
		       !strcmp(listen_format(&listener->at[0], address), row->text);
	}
	return false;
}

static void each_flag_sets_its_own_field(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *row = &rows[i];
		struct config nothing, config;
		char flag[128];

		(void)snprintf(flag, sizeof(flag), "--%s=%s", row->name, row->text);
		read_flags(no_environment, &nothing);
		read_flags((char *[]){ flag, NULL }, &config);
		if (!is_set(row, &config))
			fail_msg("%s is not in its field", flag);
		if (is_set(row, &nothing))
			fail_msg("%s is the default", flag);
		if (!config_is_given(&config, (const char *)&config + row->offset) ||
		    config_is_given(&nothing, (const char *)&nothing + row->offset))
			fail_msg("%s: who has given it?", flag);
		/* But for that field, and where values are from, both are the same. */
		memcpy((char *)&config + row->offset, (char *)&nothing + row->offset, row->size);
		assert_memory_equal(&config, &nothing, offsetof(struct config, origins));
		config_release(&config);
		config_release(&nothing);
	}
}

static void flags_that_need_one_another(void **state)
{
	enum { COUNT = sizeof(together) / sizeof(together[0]) };
	char flags[COUNT + 1][64], *args[COUNT + 2] = { NULL };
	struct config config;

	(void)state;
	for (size_t i = 0; i < COUNT; i++) {
		(void)snprintf(flags[i], sizeof(flags[i]), "--%s=%s", together[i].name,
		               together[i].text);
		args[i] = flags[i];
	}
	(void)snprintf(flags[COUNT], sizeof(flags[COUNT]), "--tls-client-auth=request");
	args[COUNT] = flags[COUNT];
	read_flags(args, &config);
	for (size_t i = 0; i < COUNT; i++)
		assert_string_equal(*(const char *const *)(const void *)((const char *)&config +
		                                                         together[i].offset),
		                    together[i].text);
	assert_int_equal(config.tls_client_auth, TLS_CLIENT_AUTH_REQUEST);
	config_release(&config);
}

/* A flag that is missing here would be set nowhere. */
static void every_flag_has_a_row(void **state)
{
	CLEANUP(cleanup_free) char *text = NULL;
	size_t size, seen = 0;
	FILE *out = open_memstream(&text, &size);

	(void)state;
	assert_non_null(out);
	config_print_flags(out);
	assert_int_equal(fclose(out), 0);
	for (const char *at = text; (at = strstr(at, "\n  --")); seen++) {
		size_t length = strcspn(at += 5, " ");
		bool has_row = !strncmp(at, "tls-client-auth ", 16);

		for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
			has_row |= strlen(rows[i].name) == length &&
			           !strncmp(at, rows[i].name, length);
		for (size_t i = 0; i < sizeof(together) / sizeof(together[0]); i++)
			has_row |= strlen(together[i].name) == length &&
			           !strncmp(at, together[i].name, length);
		if (!has_row)
			fail_msg("no row for --%.*s", (int)length, at);
	}
	assert_true(seen > 40);
}

static void a_variable_counts_once(void **state)
{
	char *twice[] = { "SPECMAN_WORKERS=3", "SPECMAN_WORKERS=4", "SPECMAN_TAG_INCLUDE=a b",
		          "SPECMAN_TAG_INCLUDE=c", NULL };
	struct config config;
	struct err err = { .msg = "" };

	(void)state;
	if (config_read(no_environment, twice, &config, &err))
		fail_msg("%s", err.msg);
	assert_int_equal(config.workers, 3);
	assert_int_equal(config.tag_include.count, 2);
	assert_string_equal(config.tag_include.at[1], "b");
	config_release(&config);
}

static void the_nearest_name_is_found(void **state)
{
	static const struct {
		const char *given, *meant;
		bool is_close;
	} cases[] = {
		{ "sync", "sync", true },
		{ "snyc", "sync", true },
		{ "", "ls", false },
		{ "l", "ls", true },
		{ "poll", "poll-interval", true },
		{ "poll-interva", "poll-interval", true },
		{ "tag", "ls", false },
		{ "poll-interval-ms", "poll-interval", true },
		{ "history", "push", false },
	};
	static const char *const names[] = { "sync", "push", "ls", "poll-interval" };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct nearest nearest;

		nearest_init(&nearest, cases[i].given, strlen(cases[i].given));
		assert_false(nearest_is_close(&nearest));
		for (size_t j = 0; j < sizeof(names) / sizeof(names[0]); j++)
			nearest_offer(&nearest, names[j]);
		if (nearest_is_close(&nearest) != cases[i].is_close ||
		    (cases[i].is_close && strcmp(nearest.best, cases[i].meant) != 0))
			fail_msg("%s: %s, %u", cases[i].given, nearest.best, nearest.far);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_flag_sets_its_own_field),
		cmocka_unit_test(flags_that_need_one_another),
		cmocka_unit_test(every_flag_has_a_row),
		cmocka_unit_test(a_variable_counts_once),
		cmocka_unit_test(the_nearest_name_is_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
