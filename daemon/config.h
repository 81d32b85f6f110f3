/* Configuration: flags, each with an environment variable; a flag wins. */
#ifndef SPECMAN_CONFIG_H
#define SPECMAN_CONFIG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"
#include "base/listen.h"
#include "log.h"
#include "storage/storage.h"
#include "tls/tls.h"

enum {
	CONFIG_LISTEN_MAX = 8,
	CONFIG_TEXTS_MAX = 32,
	CONFIG_FLAGS_MAX = 96,
	CONFIG_OPERANDS_MAX = 2
};

enum config_source { CONFIG_DEFAULT, CONFIG_FLAG, CONFIG_ENVIRONMENT };

/* The values of a flag that may be repeated. */
struct config_texts {
	const char *at[CONFIG_TEXTS_MAX];
	size_t count;
	char *split; /* what they point into when they are from one variable; else NULL */
};

/* Where to listen. */
struct config_listen {
	struct listen_address at[CONFIG_LISTEN_MAX];
	size_t count;
};

/*
 * Texts are borrowed from the arguments, the environment or the program, but for
 * `split`; a copy of the whole borrows that, too. NULL: not given.
 */
struct config {
	const char *command;                       /* the first argument that is no flag */
	const char *operands[CONFIG_OPERANDS_MAX]; /* those that follow it */
	size_t operand_count;
	const char *repository;
	const char *registry_secret_dir; /* NULL: none, by no flag */
	const char *registry_config;
	const char *registry_username;
	const char *registry_password_file;
	const char
		*registry_password; /* from the environment; where there is a file, that counts */
	const char *registry_ca;
	const char *registry_cert;
	const char *registry_key;
	struct config_texts repository_mirror;
	struct config_texts verify_key;
	const char *sign_key;
	bool registry_insecure;
	bool plain_http;
	int64_t registry_idle_ms;
	int64_t registry_retries;
	int64_t poll_interval_ms;
	int64_t poll_jitter_percent;
	struct config_texts tag_include;
	struct config_texts tag_exclude;
	const char *tag_semver;
	int64_t max_releases; /* 0: no limit */
	bool prune;
	const char *data_dir;
	enum store_overlay overlay;
	bool allow_rollback;
	int64_t disk_reserve;      /* bytes */
	int64_t cache_size;        /* bytes */
	int64_t scrub_interval_ms; /* 0: never */
	int64_t view_lease_ms;     /* 0: none */
	/* What an archive may cost, sizes in bytes: */
	int64_t max_entries;
	int64_t max_file_size;
	int64_t max_unpacked_size;
	int64_t max_ratio;
	int64_t max_path_length;
	int64_t max_depth;
	struct config_listen listen;
	struct config_listen admin_listen;
	const char *hook_token_file;
	int64_t workers;
	const char *tls_cert;
	const char *tls_key;
	const char *htpasswd;
	bool no_listing;
	bool access_log;
	const char *tls_client_ca;
	enum tls_client_auth tls_client_auth;
	bool fips;
	int64_t max_connections;
	int64_t max_per_address;
	enum log_level log_level;
	enum log_format log_format;
	struct {
		enum config_source source;
		const char *text;    /* as it was given, the last time; NULL: not at all */
	} origins[CONFIG_FLAGS_MAX]; /* in the order of the table of flags */
};

/*
 * Read the flags in args (ending with NULL) and the environment's SPECMAN_*
 * variables. What begins with a hyphen is a flag, but "-" alone, and all that
 * stands behind "--". Of a flag that is given twice the last one counts, but for
 * those that may be repeated; a variable has the values of such a one with spaces
 * or line ends between. A flag replaces all that its variable says.
 *
 * ERR_CONFIG names what is unknown (with the nearest right name), bad (with what
 * it may be), or at odds with something else. Variables that Kubernetes makes for
 * Services (SPECMAN_SERVICE_HOST, SPECMAN_PORT_8443_TCP, …) are ignored.
 */
MUST_CHECK int config_read(char *const *args, char *const *environment, struct config *out_config,
                           struct err *err);
void config_release(struct config *config);

/* Whether a flag or variable has set this field of config. */
bool config_is_given(const struct config *config, const void *field);

/* The folder that a repository of the form "oci-layout:DIR" names, or NULL for another form. */
const char *config_layout(const char *repository);

/* Print the flags and variables, one line each, for --help. */
void config_print_flags(FILE *out);

/* Print what counts, one flag a line, and where it is from. Secrets are masked. */
void config_print(const struct config *config, FILE *out);

#endif
