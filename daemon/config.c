/* Configuration by one table of flags; see config.h. */
#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/cpus.h"
#include "config_check.h"
#include "config_value.h"
#include "nearest.h"

struct flag {
	const char *name;
	enum config_kind kind;
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
	{ "registry-password", SECRET, AT(registry_password), "PASSWORD", NULL,
	  "the user's password, unless there is a file with it" },
	{ "registry-ca", TEXT, AT(registry_ca), "FILE", NULL,
	  "CAs (PEM) to trust besides the system's" },
	{ "registry-cert", TEXT, AT(registry_cert), "FILE", NULL,
	  "client certificate chain (PEM) to show the registry" },
	{ "registry-key", TEXT, AT(registry_key), "FILE", NULL, "its key (PEM)" },
	{ "repository-mirror", TEXTS, AT(repository_mirror), "HOST[:PORT]/PATH", NULL,
	  "where else the repository is; may be repeated; asked in order" },
	{ "verify-key", TEXTS, AT(verify_key), "FILE", NULL,
	  "public keys (PEM), as of cosign; only releases that one of them signs are taken and "
	  "served; may be repeated" },
	{ "sign-key", TEXT, AT(sign_key), "FILE", NULL,
	  "private key (PEM, no password) with which push signs" },
	{ "registry-insecure", SWITCH, AT(registry_insecure), "", "false",
	  "don't check the registry's certificate" },
	{ "plain-http", SWITCH, AT(plain_http), "", "false", "talk to the registry without TLS" },
	{ "registry-idle-timeout", DURATION, AT(registry_idle_ms), "TIME", "60s",
	  "give a request up after so long with hardly a byte; whole seconds" },
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
	{ "overlay", CHOICE, AT(overlay), "semver|pushed|single", "semver",
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
	  "where to answer probes, /status and hooks; may be repeated" },
	{ "hook-token-file", TEXT, AT(hook_token_file), "FILE", NULL,
	  "turns POST /hooks/sync on; the token that callers show" },
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
	{ "tls-client-auth", CHOICE, AT(tls_client_auth), "require|request", "require",
	  "require: no connection without one; request: a good one or none" },
	{ "fips", SWITCH, AT(fips), "", "false",
	  "start only with OpenSSL's FIPS provider, and use approved algorithms alone" },
	{ "max-connections", COUNT, AT(max_connections), "N", "4096",
	  "turn further connections away" },
	{ "max-connections-per-address", COUNT, AT(max_per_address), "N", "512",
	  "the same for one address; an IPv6 /64 counts as one" },
	{ "log-level", CHOICE, AT(log_level), "debug|info|warning|error", "info",
	  "what is logged at least" },
	{ "log-format", CHOICE, AT(log_format), "text|json", "text", "both as logrus writes them" },
};

enum { FLAG_COUNT = sizeof(flags) / sizeof(flags[0]), NAME_SIZE = 64, WORKERS_MAX = 256 };

_Static_assert(sizeof(flags) / sizeof(flags[0]) <= CONFIG_FLAGS_MAX, "each flag has its origin");

/* What each COUNT may be. */
static const struct bounds bounds[] = {
	{ AT(workers), 1, WORKERS_MAX },   { AT(registry_retries), 0, 20 },
	{ AT(max_releases), 1, 10000 },    { AT(max_entries), 1, 10000000 },
	{ AT(max_ratio), 1, 1000000 },     { AT(max_path_length), 1, 4096 },
	{ AT(max_depth), 1, 256 },         { AT(max_connections), 1, 65536 },
	{ AT(max_per_address), 1, 65536 },
};

/* What each CHOICE may be: the names of an enumeration's values, from 0 on. */
static const struct choices choices[] = {
	{ AT(overlay), 3, { "semver", "pushed", "single" } },
	{ AT(log_level), 4, { "debug", "info", "warning", "error" } },
	{ AT(log_format), 2, { "text", "json" } },
	{ AT(tls_client_auth), 2, { "require", "request" } },
};

_Static_assert(sizeof(enum store_overlay) == sizeof(unsigned) &&
                       sizeof(enum log_level) == sizeof(unsigned) &&
                       sizeof(enum log_format) == sizeof(unsigned) &&
                       sizeof(enum tls_client_auth) == sizeof(unsigned),
               "config_value.c writes an unsigned");

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

/* `from` is how the operator wrote the name. */
static int set_value(const struct flag *flag, const char *from, const char *text,
                     struct config *config, struct err *err)
{
	const struct config_rule rule = {
		.kind = flag->kind,
		.bounds = flag->kind == COUNT ? bounds_of(flag) : NULL,
		.choices = flag->kind == CHOICE ? choices_of(flag) : NULL,
	};

	config->origins[flag - flags].text = text;
	return config_value_set(&rule, from, text, (char *)config + flag->offset, err);
}

/* ---- names ---- */

static const char *variable_of(const struct flag *flag, char name[static NAME_SIZE])
{
	(void)snprintf(name, NAME_SIZE, "SPECMAN_%s", flag->name);
	for (char *at = name; *at; at++)
		*at = *at == '-' ? '_' : (char)toupper((unsigned char)*at);
	return name;
}

/* The flag of that name; NULL when there is none. */
static const struct flag *find_flag(const char *name, size_t length)
{
	for (size_t i = 0; i < FLAG_COUNT; i++)
		if (flags[i].kind != SECRET && strlen(flags[i].name) == length &&
		    !memcmp(flags[i].name, name, length))
			return &flags[i];
	return NULL;
}

static const struct flag *find_variable(const char *variable, size_t length)
{
	char name[NAME_SIZE];

	for (size_t i = 0; i < FLAG_COUNT; i++)
		if (strlen(variable_of(&flags[i], name)) == length &&
		    !memcmp(name, variable, length))
			return &flags[i];
	return NULL;
}

static int refuse_flag(const char *arg, size_t length, struct err *err)
{
	struct nearest nearest;
	char candidate[NAME_SIZE];

	nearest_init(&nearest, arg, length);
	for (size_t i = 0; i < FLAG_COUNT; i++) {
		(void)snprintf(candidate, sizeof(candidate), "--%s", flags[i].name);
		if (flags[i].kind != SECRET)
			nearest_offer(&nearest, candidate);
		else if (strlen(candidate) == length && !memcmp(candidate, arg, length))
			return err_set(err, ERR_CONFIG,
			               "%s is no flag, because others may read the command line: "
			               "set %s in the environment, or give %s-file",
			               candidate, variable_of(&flags[i], nearest.given), candidate);
	}
	return err_set(err, ERR_CONFIG, "unknown flag %s: did you mean %s?", nearest.given,
	               nearest.best);
}

static int refuse_variable(const char *variable, size_t length, struct err *err)
{
	struct nearest nearest;
	char candidate[NAME_SIZE];

	nearest_init(&nearest, variable, length);
	for (size_t i = 0; i < FLAG_COUNT; i++)
		nearest_offer(&nearest, variable_of(&flags[i], candidate));
	return err_set(err, ERR_CONFIG, "unknown variable %s: did you mean %s?", nearest.given,
	               nearest.best);
}

/* ---- the environment ---- */

static bool ends_with(const char *text, size_t length, const char *end)
{
	size_t size = strlen(end);

	return length >= size && !memcmp(text + length - size, end, size);
}

/*
 * What Kubernetes tells each container of a Service whose name begins with
 * specman: …_SERVICE_HOST, …_SERVICE_PORT, …_SERVICE_PORT_NAME, …_PORT=tcp://…,
 * …_PORT_8443_TCP and so on.
 */
static bool is_service_link(const char *variable, size_t length)
{
	const char *port = strstr(variable, "_PORT_");
	const char *value = variable + length;

	if (ends_with(variable, length, "_SERVICE_HOST") ||
	    ends_with(variable, length, "_SERVICE_PORT"))
		return true;
	if (port && port < value)
		return isdigit((unsigned char)port[6]) ||
		       ends_with(variable, (size_t)(port - variable), "_SERVICE");
	return ends_with(variable, length, "_PORT") &&
	       (!strncmp(value, "=tcp://", 7) || !strncmp(value, "=udp://", 7) ||
	        !strncmp(value, "=sctp://", 8));
}

/* The words of a value that stands for several; *out_split is the caller's, also on failure. */
static int set_words(const struct flag *flag, const char *from, const char *value,
                     struct config *config, char **out_split, struct err *err)
{
	static const char between[] = " \t\r\n";
	char *rest;

	*out_split = strdup(value);
	if (!*out_split)
		return err_set_sys(err, ENOMEM, "%s", from);
	rest = *out_split + strspn(*out_split, between);
	if (!*rest)
		return err_set(err, ERR_CONFIG, "%s is empty", from);
	while (*rest) {
		char *word = rest;

		rest += strcspn(rest, between);
		if (*rest)
			*rest++ = '\0';
		rest += strspn(rest, between);
		if (set_value(flag, from, word, config, err))
			return -1;
	}
	return 0;
}

static int set_by_variable(const struct flag *flag, const char *value, struct config *config,
                           struct err *err)
{
	CLEANUP(cleanup_free) char *addresses = NULL;
	char name[NAME_SIZE];

	(void)variable_of(flag, name);
	config->origins[flag - flags].source = CONFIG_ENVIRONMENT;
	if (flag->kind == TEXTS) {
		struct config_texts *texts = (void *)((char *)config + flag->offset);

		return set_words(flag, name, value, config, &texts->split, err);
	}
	if (flag->kind == LISTEN)
		return set_words(flag, name, value, config, &addresses, err);
	return set_value(flag, name, value, config, err);
}

static int read_environment(char *const *environment, struct config *config, struct err *err)
{
	for (; *environment; environment++) {
		size_t length = strcspn(*environment, "=");
		const struct flag *flag;

		if (strncmp(*environment, "SPECMAN_", 8) != 0)
			continue;
		flag = find_variable(*environment, length);
		if (!flag && is_service_link(*environment, length))
			continue;
		if (!flag)
			return refuse_variable(*environment, length, err);
		/* Given by a flag; or for a second time, of which getenv(3) sees nothing either. */
		if (config->origins[flag - flags].source != CONFIG_DEFAULT)
			continue;
		if (set_by_variable(flag, *environment + length + 1, config, err))
			return -1;
	}
	return 0;
}

/* ---- the command line ---- */

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
	const struct flag *flag = strncmp(arg, "--", 2) ? NULL : find_flag(arg + 2, length - 2);
	char name[NAME_SIZE];

	if (!flag)
		return refuse_flag(arg, length, err);
	if (!value && flag->kind == SWITCH)
		value = "true";
	(void)snprintf(name, sizeof(name), "--%s", flag->name);
	if (!value && !**args)
		return err_set(err, ERR_CONFIG, "%s needs a value: %s", name, flag->value);
	if (!value)
		value = *(*args)++;
	config->origins[flag - flags].source = CONFIG_FLAG;
	return set_value(flag, name, value, config, err);
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
	const int64_t cpus = cpus_available("");

	for (size_t i = 0; i < FLAG_COUNT; i++) {
		if (!flags[i].by_default || (flags[i].kind == LISTEN))
			continue;
		if (set_value(&flags[i], flags[i].name, flags[i].by_default, config, err))
			return -1;
	}
	config->workers = cpus < WORKERS_MAX ? cpus : WORKERS_MAX;
	return 0;
}

/* The addresses where nothing is given. */
static int fill_addresses(struct config *config, struct err *err)
{
	for (size_t i = 0; i < FLAG_COUNT; i++)
		if (flags[i].kind == LISTEN && config->origins[i].source == CONFIG_DEFAULT &&
		    set_value(&flags[i], flags[i].name, flags[i].by_default, config, err))
			return -1;
	return 0;
}

bool config_is_given(const struct config *config, const void *field)
{
	size_t i = 0;

	while (i < FLAG_COUNT && (const char *)config + flags[i].offset != (const char *)field)
		i++;
	return i < FLAG_COUNT && config->origins[i].source != CONFIG_DEFAULT;
}

void config_release(struct config *config)
{
	for (size_t i = 0; i < FLAG_COUNT; i++)
		if (flags[i].kind == TEXTS)
			free(((struct config_texts *)(void *)((char *)config + flags[i].offset))
			             ->split);
	*config = (struct config){ .repository = NULL };
}

int config_read(char *const *args, char *const *environment, struct config *out_config,
                struct err *err)
{
	CLEANUP(config_release) struct config config = { .repository = NULL };
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
	if (read_environment(environment, &config, err) || fill_addresses(&config, err) ||
	    config_check(&config, err))
		return -1;
	*out_config = config;
	config = (struct config){ .repository = NULL };
	return 0;
}

static void print_help(FILE *out, const char *name, const struct flag *flag)
{
	(void)fprintf(out, "  %-40s %s", name, flag->help);
	if (flag->by_default)
		(void)fprintf(out, " (default %s)", flag->by_default);
	(void)fputc('\n', out);
}

void config_print_flags(FILE *out)
{
	char name[2 * NAME_SIZE];

	(void)fputs("\nFlags, each also as SPECMAN_NAME in the environment:\n", out);
	for (size_t i = 0; i < FLAG_COUNT; i++) {
		(void)snprintf(name, sizeof(name), "--%s %s", flags[i].name, flags[i].value);
		if (flags[i].kind != SECRET)
			print_help(out, name, &flags[i]);
	}
	(void)fputs("\nIn the environment alone:\n", out);
	for (size_t i = 0; i < FLAG_COUNT; i++)
		if (flags[i].kind == SECRET)
			print_help(out, variable_of(&flags[i], name), &flags[i]);
}

static void print_value(const struct flag *flag, const struct config *config, FILE *out)
{
	const char *field = (const char *)config + flag->offset;
	const char *text = config->origins[flag - flags].text;
	const struct config_texts *texts = (const void *)field;
	const struct config_listen *list = (const void *)field;
	char address[LISTEN_TEXT_SIZE];

	if (flag->kind == SECRET && text)
		(void)fprintf(out, " ******** (%zu bytes)", strlen(text));
	else if (flag->kind == TEXTS && texts->count)
		for (size_t i = 0; i < texts->count; i++)
			(void)fprintf(out, " %s", texts->at[i]);
	else if (flag->kind == LISTEN)
		for (size_t i = 0; i < list->count; i++)
			(void)fprintf(out, " %s", listen_format(&list->at[i], address));
	else if (flag->kind == COUNT && (text || *(const int64_t *)(const void *)field))
		(void)fprintf(out, " %" PRId64, *(const int64_t *)(const void *)field);
	else
		(void)fprintf(out, " %s", text ? text : "(not set)");
}

void config_print(const struct config *config, FILE *out)
{
	for (size_t i = 0; i < FLAG_COUNT; i++) {
		char name[NAME_SIZE];

		if (flags[i].kind == SECRET)
			(void)fprintf(out, "  %s", variable_of(&flags[i], name));
		else
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
