/* The command line; see commands.h. */
#include "commands.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <errno.h>

#include "base/cleanup.h"
#include "check.h"
#include "config.h"
#include "log.h"
#include "policy.h"
#include "serve.h"
#include "sync_command.h"
#include "tls/tls.h"

struct command {
	const char *name;
	const char *help;
	int (*run)(const struct config *config);
};

static int fail(const char *msg, const struct err *err)
{
	log_line(LOG_ERROR, msg, (struct log_field[]){ { "error", err->msg }, { NULL, NULL } });
	return EXIT_FAILED;
}

static int run_serve(const struct config *config)
{
	struct err err;

	return serve(config, &err) ? fail("specman can't start", &err) : EXIT_DONE;
}

static int run_ca(const struct config *config)
{
	CLEANUP(cleanup_free) char *pem = NULL;
	char state_dir[PATH_MAX];
	struct err err;

	if (mkdir(config->data_dir, 0750) && errno != EEXIST) {
		(void)err_set_sys(&err, errno, "create folder %s", config->data_dir);
		return fail("no CA", &err);
	}
	if (serve_state_dir(config, state_dir, sizeof(state_dir), &err) ||
	    !(pem = tls_selfsigned_ca(state_dir, &err)))
		return fail("no CA", &err);
	return fputs(pem, stdout) < 0 || fflush(stdout) ? EXIT_FAILED : EXIT_DONE;
}

static int run_check(const struct config *config)
{
	struct err err;
	bool fine;

	if (check_run(config, &fine, &err))
		return fail("no check", &err);
	return fine && !fflush(stdout) ? EXIT_DONE : EXIT_FAILED;
}

static int run_version(const struct config *config)
{
	(void)config;
	return puts("specman " SPECMAN_VERSION) < 0 || fflush(stdout) ? EXIT_FAILED : EXIT_DONE;
}

static const struct command commands[] = {
	{ "serve", "run the daemon (the default)", run_serve },
	{ "sync", "poll once, in the running daemon if there is one, and say how it went",
	  sync_command },
	{ "check", "test configuration, credentials, registry, certificate and disk", run_check },
	{ "ca", "print the self-made CA, for clients to trust", run_ca },
	{ "version", "print the version", run_version },
};

static int print_help(void)
{
	(void)puts("Usage: specman [COMMAND] [FLAG…]\n\n"
	           "Polls an OCI registry for manifests and serves them over TLS.\n\nCommands:");
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		(void)printf("  %-10s %s\n", commands[i].name, commands[i].help);
	(void)puts("\nFlags, each also as SPECMAN_NAME in the environment:");
	config_print_flags(stdout);
	(void)puts("\nSIGUSR1 polls now, SIGTERM stops after running answers.\n"
	           "Exit codes: 0 done, 1 failed, 2 usage, 3 nothing to serve yet (sync).");
	return fflush(stdout) ? EXIT_FAILED : EXIT_DONE;
}

/* The command with this name; NULL when there is none. */
static const struct command *find(const char *name)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (!strcmp(name, commands[i].name))
			return &commands[i];
	return NULL;
}

static void refuse(const char *name)
{
	const size_t count = sizeof(commands) / sizeof(commands[0]);

	(void)fprintf(stderr, "specman: unknown command %s: it may be", name);
	for (size_t i = 0; i < count; i++)
		(void)fprintf(stderr, "%s %s",
		              !i              ? ""
		              : i + 1 < count ? ","
		                              : " or",
		              commands[i].name);
	(void)fputc('\n', stderr);
}

int command_run(char *const *args, char *const *environment)
{
	const struct command *command = &commands[0];
	struct config config;
	struct err err;

	for (char *const *at = args; *at; at++)
		if (!strcmp(*at, "--help") || !strcmp(*at, "-h") ||
		    (at == args && !strcmp(*at, "help")))
			return print_help();
	if (config_read(args, environment, &config, &err) || policy_check(&config, &err)) {
		(void)fprintf(stderr, "specman: %s; see specman --help\n", err.msg);
		return EXIT_USAGE;
	}
	if (config.command && !(command = find(config.command))) {
		refuse(config.command);
		return EXIT_USAGE;
	}
	log_set_level(config.log_level);
	return command->run(&config);
}
