/* Configuration by one table of flags; see config.h. */
#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "oci/oci.h"
#include "unit.h"

enum kind { TEXT, TEXTS, SWITCH, DURATION, INTERVAL, PERCENT, COUNT, SIZE, LISTEN, CHOICE };

struct flag {
	const char *name;
	enum kind kind;
	size_t offset;
	const char *value; /* what the help calls it */
	const char *by_default;
	const char *help;
};

#define AT(field) offsetof(struct config, field)

static const struct flag flags[] = {
	{ "repository", TEXT, AT(repository), "HOST[:PORT]/PATH", NULL,
	  "the repository to poll, or oci-layout:DIR; else from the secret" },
	{ "registry-secret-dir", TEXT, AT(registry_secret_dir), "DIR", "/etc/specman/registry",
	  "the mounted secret, each key a file" },
	{ "registry-config", TEXT, AT(registry_config), "FILE", NULL, "a docker config.json" },
	{ "registry-username", TEXT, AT(registry_username), "NAME", NULL, "user at the registry" },
	{ "registry-password-file", TEXT, AT(registry_password_file), "FILE", NULL,
	  "the user's password" },
	{ "registry-ca", TEXT, AT(registry_ca), "FILE", NULL,
	  "CAs (PEM) to trust besides the system's" },
	{ "registry-cert", TEXT, AT(registry_cert), "FILE", NULL,
	  "client certificate chain (PEM) to show the registry" },
	{ "registry-key", TEXT, AT(registry_key), "FILE", NULL, "its key (PEM)" },
	{ "repository-mirror", TEXTS, AT(repository_mirror), "HOST[:PORT]/PATH", NULL,
	  "where else the repository is; may be repeated; asked in order" },
	{ "registry-insecure", SWITCH, AT(registry_insecure), "", "false",
	  "don't check the registry's certificate" },
	{ "plain-http", SWITCH, AT(plain_http), "", "false", "talk to the registry without TLS" },
	{ "registry-idle-timeout", DURATION, AT(registry_idle_ms), "TIME", "60s",
	  "give a request up after so long without a byte; whole seconds" },
	{ "registry-retries", COUNT, AT(registry_retries), "N", "5",
	  "how often in a round what failed is asked again" },
	{ "poll-interval", DURATION, AT(poll_interval_ms), "TIME", "60s", "how often to poll" },
	{ "poll-jitter", PERCENT, AT(poll_jitter_percent), "PERCENT", "10%",
	  "spread of the interval" },
	{ "tag-include", TEXTS, AT(tag_include), "REGEX", NULL,
	  "take only tags that match one of these (anywhere); may be repeated" },
	{ "tag-exclude", TEXTS, AT(tag_exclude), "REGEX", NULL,
	  "take no tag that matches one of these; may be repeated" },
	{ "tag-semver", TEXT, AT(tag_semver), "RANGE", NULL,
	  "take only versions within, such as \">=4.4 <5\"; 0.0.0 always" },
	{ "max-releases", COUNT, AT(max_releases), "N", NULL,
	  "keep the newest N versions, 0.0.0, and tags that are none; else all" },
	{ "prune", SWITCH, AT(prune), "", "false",
	  "drop releases whose tag is gone or taken no more" },
	{ "overlay", CHOICE, AT(overlay), "ORDER", "semver",
	  "what wins: semver: the newest version; pushed: what was seen last; single: the newest "
	  "version alone is served" },
	{ "allow-rollback", SWITCH, AT(allow_rollback), "", "false",
	  "follow a tag that moves to an older artifact; prune the newest version, too" },
	{ "data-dir", TEXT, AT(data_dir), "DIR", "/var/lib/specman", "the store" },
	{ "disk-reserve", SIZE, AT(disk_reserve), "SIZE", "32Mi",
	  "free space in --data-dir that no release may use" },
	{ "cache-size", SIZE, AT(cache_size), "SIZE", "128Mi",
	  "memory for files that are asked for often; 0 for none" },
	{ "scrub-interval", INTERVAL, AT(scrub_interval_ms), "TIME", "24h",
	  "how often the whole store is read and checked; off for never" },
	{ "view-lease", INTERVAL, AT(view_lease_ms), "TIME", "10m",
	  "how long what is served stays to be had after it was replaced; off for not at all" },
	{ "max-entries", COUNT, AT(max_entries), "N", "1000000",
	  "files and folders that an archive may have" },
	{ "max-file-size", SIZE, AT(max_file_size), "SIZE", "4Gi",
	  "what one file of it may unpack to" },
	{ "max-unpacked-size", SIZE, AT(max_unpacked_size), "SIZE", "8Gi",
	  "what all its files may unpack to" },
	{ "max-ratio", COUNT, AT(max_ratio), "N", "200",
	  "how many times its own size that may be, past 100Mi" },
	{ "max-path-length", COUNT, AT(max_path_length), "N", "4096",
	  "bytes that a path in it may have" },
	{ "max-depth", COUNT, AT(max_depth), "N", "64", "folders that may lie in one another" },
	{ "listen", LISTEN, AT(listen), "ADDR:PORT", "[::]:8443",
	  "where to serve; may be repeated; port 0 takes a free one" },
	{ "admin-listen", LISTEN, AT(admin_listen), "ADDR:PORT", "[::]:8080",
	  "where to answer /livez and /readyz; may be repeated" },
	{ "workers", COUNT, AT(workers), "N", NULL, "server threads; else one a CPU" },
	{ "tls-cert", TEXT, AT(tls_cert), "FILE", NULL,
	  "certificate chain (PEM); else one of an own CA" },
	{ "tls-key", TEXT, AT(tls_key), "FILE", NULL, "the certificate's key (PEM)" },
	{ "htpasswd", TEXT, AT(htpasswd), "FILE", NULL,
	  "who may ask where files are served: bcrypt or SHA-crypt hashes" },
	{ "no-listing", SWITCH, AT(no_listing), "", "false", "don't list folders (403)" },
	{ "access-log", SWITCH, AT(access_log), "", "false", "a line in the log for each request" },
	{ "tls-client-ca", TEXT, AT(tls_client_ca), "FILE", NULL,
	  "CAs (PEM) of client certificates; else clients show none" },
	{ "tls-client-auth", TEXT, AT(tls_client_auth), "MODE", "require",
	  "require: no connection without one; request: a good one or none" },
	{ "max-connections", COUNT, AT(max_connections), "N", "4096",
	  "turn further connections away" },
	{ "max-connections-per-address", COUNT, AT(max_per_address), "N", "512",
	  "the same for one address; an IPv6 /64 counts as one" },
	{ "log-level", CHOICE, AT(log_level), "LEVEL", "info", "debug, info, warning or error" },
};

enum { FLAG_COUNT = sizeof(flags) / sizeof(flags[0]), NAME_SIZE = 64 };

_Static_assert(sizeof(flags) / sizeof(flags[0]) <= CONFIG_FLAGS_MAX, "each flag has its origin");

/* What each COUNT may be. */
static const struct bounds {
	size_t offset;
	int least, most;
} bounds[] = {
	{ AT(workers), 1, 256 },           { AT(registry_retries), 0, 20 },
	{ AT(max_releases), 1, 10000 },    { AT(max_entries), 1, 10000000 },
	{ AT(max_ratio), 1, 1000000 },     { AT(max_path_length), 1, 4096 },
	{ AT(max_depth), 1, 256 },         { AT(max_connections), 1, 65536 },
	{ AT(max_per_address), 1, 65536 },
};

/* What each CHOICE may be: the names of an enumeration's values, from 0 on. */
static const struct choices {
	size_t offset;
	unsigned count;
	const char *names[4];
} choices[] = {
	{ AT(overlay), 3, { "semver", "pushed", "single" } },
	{ AT(log_level), 4, { "debug", "info", "warning", "error" } },
};

_Static_assert(sizeof(enum store_overlay) == sizeof(unsigned) &&
                       sizeof(enum log_level) == sizeof(unsigned),
               "set_choice writes an unsigned");

/* ---- values ---- */

static const struct bounds *bounds_of(const struct flag *flag)
{
	size_t i = 0;

	while (bounds[i].offset != flag->offset)
		i++;
	return &bounds[i];
}

static const struct choices *choices_of(const struct flag *flag)
{
	size_t i = 0;

	while (choices[i].offset != flag->offset)
		i++;
	return &choices[i];
}

static int set_choice(const struct choices *allowed, const char *from, const char *text,
                      void *field, struct err *err)
{
	char list[80] = "";
	size_t length = 0;

	for (unsigned i = 0; i < allowed->count; i++) {
		const char *between = !i ? "" : i + 1 < allowed->count ? ", " : " or ";

		if (!strcmp(text, allowed->names[i])) {
			memcpy(field, &i, sizeof(i));
			return 0;
		}
		length += (size_t)snprintf(list + length, sizeof(list) - length, "%s%s", between,
		                           allowed->names[i]);
	}
	return err_set(err, ERR_CONFIG, "%s is \"%.80s\", and may be %s", from, text, list);
}

static int add_listener(void *field, const char *text, struct err *err)
{
	struct config_listen *list = field;

	if (list->count == CONFIG_LISTEN_MAX)
		return err_set(err, ERR_CONFIG, "more than %d addresses", CONFIG_LISTEN_MAX);
	if (listen_parse(text, &list->at[list->count], err))
		return -1;
	list->count++;
	return 0;
}

static int add_text(struct config_texts *texts, const char *from, const char *text, struct err *err)
{
	if (!*text)
		return err_set(err, ERR_CONFIG, "%s is empty", from);
	if (texts->count == CONFIG_TEXTS_MAX)
		return err_set(err, ERR_CONFIG, "%s is given more than %d times", from,
		               CONFIG_TEXTS_MAX);
	texts->at[texts->count++] = text;
	return 0;
}

static int set_count(const struct bounds *allowed, const char *from, const char *text, void *field,
                     struct err *err)
{
	const char *end;

	if (unit_parse_count(text, allowed->least, allowed->most, &end, field) || *end)
		return err_set(err, ERR_CONFIG, "%s is \"%.80s\", and may be %d to %d", from, text,
		               allowed->least, allowed->most);
	return 0;
}

/* `from` is how the operator wrote the name. */
static int set_value(const struct flag *flag, const char *from, const char *text,
                     struct config *config, struct err *err)
{
	char *field = (char *)config + flag->offset;
	const char *end = "";

	config->origins[flag - flags].text = text;
	switch (flag->kind) {
	case TEXT:
		if (!*text)
			return err_set(err, ERR_CONFIG, "%s is empty", from);
		memcpy(field, &text, sizeof(text));
		return 0;
	case TEXTS:
		return add_text((struct config_texts *)(void *)field, from, text, err);
	case SWITCH:
		if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0)
			return err_set(err, ERR_CONFIG, "%s is \"%.80s\", and may be true or false",
			               from, text);
		*(bool *)field = *text == 't';
		return 0;
	case DURATION:
		if (unit_parse_duration(text, (int64_t *)(void *)field))
			return err_set(err, ERR_CONFIG,
			               "%s is \"%.80s\", and may be a time such as 30s, 5m or 12h",
			               from, text);
		return 0;
	case INTERVAL:
		if (!strcmp(text, "off") || !strcmp(text, "0")) {
			*(int64_t *)(void *)field = 0;
			return 0;
		}
		if (unit_parse_duration(text, (int64_t *)(void *)field))
			return err_set(err, ERR_CONFIG,
			               "%s is \"%.80s\", and may be a time such as 12h, or off",
			               from, text);
		return 0;
	case PERCENT:
		if (unit_parse_count(text, 0, 100, &end, (int64_t *)(void *)field) ||
		    strcmp(end, "%") != 0)
			return err_set(err, ERR_CONFIG, "%s is \"%.80s\", and may be 0%% to 100%%",
			               from, text);
		return 0;
	case COUNT:
		return set_count(bounds_of(flag), from, text, field, err);
	case SIZE:
		if (unit_parse_size(text, (int64_t *)(void *)field))
			return err_set(
				err, ERR_CONFIG,
				"%s is \"%.80s\", and may be a size such as 512Ki, 64Mi or 10Gi",
				from, text);
		return 0;
	case LISTEN:
		return add_listener(field, text, err) ? err_context(err, "%s", from) : 0;
	case CHOICE:
		return set_choice(choices_of(flag), from, text, field, err);
	}
	return 0;
}

/* ---- names ---- */

static const char *variable_of(const struct flag *flag, char name[static NAME_SIZE])
{
	(void)snprintf(name, NAME_SIZE, "SPECMAN_%s", flag->name);
	for (char *at = name; *at; at++)
		*at = *at == '-' ? '_' : (char)toupper((unsigned char)*at);
	return name;
}

/* Levenshtein's distance of two names, of at most NAME_SIZE bytes each. */
static unsigned distance(const char *a, const char *b)
{
	unsigned row[NAME_SIZE + 1];
	size_t width = strnlen(b, NAME_SIZE);

	for (unsigned j = 0; j <= width; j++)
		row[j] = j;
	for (unsigned i = 1; a[i - 1] && i <= NAME_SIZE; i++) {
		unsigned corner = row[0];

		row[0] = i;
		for (size_t j = 1; j <= width; j++) {
			unsigned best = corner + (a[i - 1] != b[j - 1]);

			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			corner = row[j];
			row[j] = best;
		}
	}
	return row[width];
}

static int unknown(const char *name, size_t length, bool is_variable, struct err *err)
{
	char given[NAME_SIZE], candidate[NAME_SIZE], best[NAME_SIZE] = "";
	unsigned least = 1000;

	(void)snprintf(given, sizeof(given), "%.*s", (int)(length < 60 ? length : 60), name);
	for (size_t i = 0; i < FLAG_COUNT; i++) {
		unsigned far;

		if (is_variable)
			(void)variable_of(&flags[i], candidate);
		else
			(void)snprintf(candidate, sizeof(candidate), "--%s", flags[i].name);
		far = distance(given, candidate);
		if (far < least) {
			least = far;
			memcpy(best, candidate, sizeof(best));
		}
	}
	return err_set(err, ERR_CONFIG, "unknown %s %s: did you mean %s?",
	               is_variable ? "variable" : "flag", given, best);
}

static bool is_service_link(const char *variable)
{
	return !strncmp(variable, "SPECMAN_SERVICE_", 16) || !strncmp(variable, "SPECMAN_PORT", 12);
}

static int read_environment(char *const *environment, struct config *config, struct err *err)
{
	for (; *environment; environment++) {
		size_t length = strcspn(*environment, "=");
		char name[NAME_SIZE];
		size_t i = 0;

		if (strncmp(*environment, "SPECMAN_", 8) != 0 || is_service_link(*environment))
			continue;
		while (i < FLAG_COUNT && (strlen(variable_of(&flags[i], name)) != length ||
		                          strncmp(name, *environment, length) != 0))
			i++;
		if (i == FLAG_COUNT)
			return unknown(*environment, length, true, err);
		if (config->origins[i].source == CONFIG_FLAG)
			continue;
		config->origins[i].source = CONFIG_ENVIRONMENT;
		if (set_value(&flags[i], name, *environment + length + 1, config, err))
			return -1;
	}
	return 0;
}

static int read_word(const char *arg, struct config *config, struct err *err)
{
	if (!config->command) {
		config->command = arg;
		return 0;
	}
	if (config->operand_count == CONFIG_OPERANDS_MAX)
		return err_set(err, ERR_CONFIG, "\"%.80s\" is not understood: %s takes no more",
		               arg, config->command);
	config->operands[config->operand_count++] = arg;
	return 0;
}

static int read_flag(char *const **args, struct config *config, struct err *err)
{
	const char *arg = *(*args)++;
	size_t length = strcspn(arg, "=");
	const char *value = arg[length] ? arg + length + 1 : NULL;
	size_t i = 0;

	while (i < FLAG_COUNT && (strlen(flags[i].name) + 2 != length ||
	                          strncmp(flags[i].name, arg + 2, length - 2) != 0))
		i++;
	if (i == FLAG_COUNT)
		return unknown(arg, length, false, err);
	if (!value && flags[i].kind == SWITCH)
		value = "true";
	if (!value && !(value = *(*args)++))
		return err_set(err, ERR_CONFIG, "%s needs a value: %s", arg, flags[i].value);
	config->origins[i].source = CONFIG_FLAG;
	{
		char name[NAME_SIZE];

		(void)snprintf(name, sizeof(name), "--%s", flags[i].name);
		return set_value(&flags[i], name, value, config, err);
	}
}

/* ---- the whole ---- */

const char *config_layout(const char *repository)
{
	static const char scheme[] = "oci-layout:";

	return strncmp(repository, scheme, sizeof(scheme) - 1) ? NULL
	                                                       : repository + sizeof(scheme) - 1;
}

static int fill_defaults(struct config *config, struct err *err)
{
	cpu_set_t cpus;

	for (size_t i = 0; i < FLAG_COUNT; i++) {
		if (!flags[i].by_default || (flags[i].kind == LISTEN))
			continue;
		if (set_value(&flags[i], flags[i].name, flags[i].by_default, config, err))
			return -1;
	}
	config->workers = sched_getaffinity(0, sizeof(cpus), &cpus) ? 1 : CPU_COUNT(&cpus);
	return 0;
}

static int check_repository(const char *repository, const char *from, struct err *err)
{
	struct oci_reference reference;

	if (!repository || config_layout(repository))
		return 0;
	return oci_reference_parse(repository, &reference, err) ? err_context(err, "%s", from) : 0;
}

static int check_together(struct config *config, struct err *err)
{
	for (size_t i = 0; i < FLAG_COUNT; i++) {
		char *field = (char *)config + flags[i].offset;

		if (flags[i].kind != LISTEN)
			continue;
		if (((flags[i].offset == AT(listen) && !config->listen.count) ||
		     (flags[i].offset == AT(admin_listen) && !config->admin_listen.count)) &&
		    add_listener(field, flags[i].by_default, err))
			return -1;
	}
	if (check_repository(config->repository, "--repository", err))
		return -1;
	for (size_t i = 0; i < config->repository_mirror.count; i++)
		if (check_repository(config->repository_mirror.at[i], "--repository-mirror", err))
			return -1;
	if (!config->tls_cert != !config->tls_key)
		return err_set(err, ERR_CONFIG, "--tls-cert and --tls-key belong together");
	if (strcmp(config->tls_client_auth, "require") != 0 &&
	    strcmp(config->tls_client_auth, "request") != 0)
		return err_set(err, ERR_CONFIG,
		               "--tls-client-auth is \"%.80s\", and may be require or request",
		               config->tls_client_auth);
	if (!config->registry_cert != !config->registry_key)
		return err_set(err, ERR_CONFIG,
		               "--registry-cert and --registry-key belong together");
	if (!config->registry_username != !config->registry_password_file)
		return err_set(err, ERR_CONFIG,
		               "--registry-username and --registry-password-file belong together");
	return 0;
}

int config_read(char *const *args, char *const *environment, struct config *out_config,
                struct err *err)
{
	struct config config = { .repository = NULL };
	bool only_words = false;

	if (fill_defaults(&config, err))
		return -1;
	while (*args) {
		bool is_flag = !only_words && **args == '-' && (*args)[1];

		if (is_flag && !strcmp(*args, "--")) {
			only_words = true;
			args++;
		} else if (is_flag ? read_flag(&args, &config, err)
		                   : read_word(*args++, &config, err)) {
			return -1;
		}
	}
	if (read_environment(environment, &config, err) || check_together(&config, err))
		return -1;
	*out_config = config;
	return 0;
}

void config_print_flags(FILE *out)
{
	for (size_t i = 0; i < FLAG_COUNT; i++) {
		char name[NAME_SIZE];

		(void)snprintf(name, sizeof(name), "--%s %s", flags[i].name, flags[i].value);
		(void)fprintf(out, "  %-40s %s", name, flags[i].help);
		if (flags[i].by_default)
			(void)fprintf(out, " (%s)", flags[i].by_default);
		(void)fputc('\n', out);
	}
}

static void print_value(const struct flag *flag, const struct config *config, FILE *out)
{
	const char *field = (const char *)config + flag->offset;
	const char *text = config->origins[flag - flags].text;
	const struct config_texts *texts = (const void *)field;
	const struct config_listen *list = (const void *)field;
	char address[LISTEN_TEXT_SIZE];

	if (flag->kind == TEXTS && texts->count)
		for (size_t i = 0; i < texts->count; i++)
			(void)fprintf(out, " %s", texts->at[i]);
	else if (flag->kind == LISTEN)
		for (size_t i = 0; i < list->count; i++)
			(void)fprintf(out, " %s", listen_format(&list->at[i], address));
	else if (flag->kind == COUNT)
		(void)fprintf(out, " %" PRId64, *(const int64_t *)(const void *)field);
	else
		(void)fprintf(out, " %s", text ? text : "(not set)");
}

void config_print(const struct config *config, FILE *out)
{
	for (size_t i = 0; i < FLAG_COUNT; i++) {
		char name[NAME_SIZE];

		(void)fprintf(out, "  --%s", flags[i].name);
		print_value(&flags[i], config, out);
		if (config->origins[i].source == CONFIG_ENVIRONMENT)
			(void)fprintf(out, "  [environment: %s]\n", variable_of(&flags[i], name));
		else
			(void)fprintf(out, "  [%s]\n",
			              config->origins[i].source == CONFIG_FLAG ? "flag"
			                                                       : "default");
	}
}
