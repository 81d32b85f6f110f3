/* The command line; see commands.h. */
#include "commands.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <errno.h>

#include "advice.h"
#include "base/cleanup.h"
#include "base/fips.h"
#include "check.h"
#include "config.h"
#include "log.h"
#include "nearest.h"
#include "policy.h"
#include "push_command.h"
#include "reading.h"
#include "serve.h"
#include "store_commands.h"
#include "sync_command.h"
#include "tls/tls.h"

struct command {
	const char *name;
	const char *operands; /* as the help shows them */
	size_t least, most;   /* of them */
	const char *help;     /* half a sentence: "to …" */
	const char *about;    /* whole lines, or "" */
	int (*run)(const struct config *config);
};

static int fail(const char *msg, const struct err *err)
{
	log_line(LOG_ERROR, msg, (struct log_field[]){ { "error", err->msg }, { NULL, NULL } });
	return EXIT_FAILED;
}

static int run_serve(const struct config *config)
{
	struct fips_provider provider;
	struct err err;

	if (fips_is_on() && fips_find(&provider))
		log_line(LOG_INFO, "FIPS provider active",
		         (struct log_field[]){ { "name", provider.name },
		                               { "version", provider.version },
		                               { NULL, NULL } });
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
	(void)fputs(pem, stdout);
	return reading_done("ca");
}

static int run_check(const struct config *config)
{
	struct err err;
	bool fine;
	int written;

	if (check_run(config, &fine, &err))
		return fail("no check", &err);
	written = reading_done("check");
	return fine ? written : EXIT_FAILED;
}

static int run_version(const struct config *config)
{
	struct fips_provider provider;
	bool has_fips = fips_find(&provider);

	(void)config;
	(void)printf("specman " SPECMAN_VERSION "\n%s\n", OpenSSL_version(OPENSSL_VERSION));
	if (has_fips)
		(void)printf("%s %s active\n", provider.name, provider.version);
	else
		(void)puts("no FIPS provider active");
	return reading_done("version");
}

static const struct command commands[] = {
	{ "serve", "", 0, 0, "run the daemon (the default)", "", run_serve },
	{ "sync", "", 0, 0, "poll once, in the running daemon if there is one, and say how it went",
	  "", sync_command },
	{ "check", "", 0, 0, "test configuration, credentials, registry, certificate and disk", "",
	  run_check },
	{ "ls", "[TAG [PATH] | /[PATH]]", 0, 2, "list the releases, or files",
	  "Without an operand: the releases, each with its date, files, bytes and manifest.\n"
	  "With TAG: the files of that release, below PATH. With a PATH that begins with a\n"
	  "slash: the files that are served, as --overlay lays the releases over one another,\n"
	  "each with the tag that it is from. A line is mode, bytes, time, name.\n",
	  ls_command },
	{ "cat", "[TAG] PATH", 1, 2, "write a file, once it is verified",
	  "Of the release TAG, or without one of what is served, as --overlay lays the\n"
	  "releases over one another.\n",
	  cat_command },
	{ "verify", "", 0, 0, "read and hash the whole store, list what is damaged",
	  "Exit code 1 when anything is; the daemon fetches it again by itself. May run beside\n"
	  "the daemon.\n",
	  verify_command },
	{ "export", "TAG DIR|-", 2, 2, "write a release as a folder, or as a tar archive",
	  "DIR must not be there yet, or be empty; it appears once it is whole. With - the\n"
	  "archive goes to standard output, the same bytes each time; when the exit code is\n"
	  "not 0, it is not whole. Each file is verified before it is written.\n",
	  export_command },
	{ "history", "", 0, 0, "tell which tag was changed when",
	  "A line is time, tag, and the digests of the manifests before and after; - for none.\n"
	  "With --verify-key the fingerprint of the key that signed it follows.\n",
	  history_command },
	{ "gc", "", 0, 0, "sweep objects that no release names",
	  "By the running daemon, if there is one. It does so after each change anyway.\n",
	  gc_command },
	{ "push", "HOST[:PORT]/NAME:TAG DIR|FILE.tgz", 2, 2,
	  "push a folder, or an archive, as a release",
	  "DIR is packed so that the same files give the same bytes: sorted, without times and\n"
	  "owners. What specman would refuse to unpack is refused before a byte is sent. The\n"
	  "artifact is that of oras push; what the registry has already is not sent again, and\n"
	  "all is read back at the end. TMPDIR has to have room for the archive, or for what\n"
	  "FILE.tgz unpacks to.\n\n"
	  "With --sign-key FILE it is signed, as cosign does, before the tag names it.\n\n"
	  "Of the flags below, those count that begin with --registry, --plain-http, --fips, and\n"
	  "the limits, --max-entries to --max-depth: the daemon has to have the same. Without\n"
	  "--registry-username and --registry-config, the logins of docker are taken\n"
	  "(DOCKER_CONFIG, else ~/.docker/config.json); for Amazon's ECR, AWS credentials. The\n"
	  "mounted secret is not: it is for pulling.\n\n"
	  "Exit codes: 0 it is there, and read back; 1 it failed; 2 usage.\n",
	  push_command },
	{ "ca", "", 0, 0, "print the self-made CA, for clients to trust", "", run_ca },
	{ "version", "", 0, 0, "print the versions of specman, OpenSSL and its FIPS provider", "",
	  run_version },
};

static void print_flags(void)
{
	config_print_flags(stdout);
}

static int print_help(void)
{
	(void)puts("Usage: specman [COMMAND] [FLAG…]\n\n"
	           "Polls an OCI registry for manifests and serves them over TLS.\n\nCommands:");
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		char words[64];

		(void)snprintf(words, sizeof(words), "%s %s", commands[i].name,
		               commands[i].operands);
		(void)printf("  %-40s %s\n", words, commands[i].help);
	}
	print_flags();
	(void)puts("\nspecman COMMAND --help says more of a command.\n"
	           "SIGUSR1 polls now, SIGTERM stops after running answers.\n"
	           "Exit codes: 0 done, 1 failed, 2 usage, 3 nothing to serve yet (sync).");
	return reading_done("help");
}

static int print_command_help(const struct command *command)
{
	(void)printf("Usage: specman %s%s%s [FLAG…]\n\nTo %s.\n%s", command->name,
	             *command->operands ? " " : "", command->operands, command->help,
	             command->about);
	print_flags();
	return reading_done("help");
}

/* The command with this name; NULL when there is none. */
static const struct command *find(const char *name)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (!strcmp(name, commands[i].name))
			return &commands[i];
	return NULL;
}

static int refuse(const char *name, struct err *err)
{
	struct nearest nearest;
	char list[256] = "";
	size_t length = 0;

	nearest_init(&nearest, name, strlen(name));
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		nearest_offer(&nearest, commands[i].name);
		length += (size_t)snprintf(list + length, sizeof(list) - length, "%s%s",
		                           i ? ", " : "", commands[i].name);
	}
	if (nearest_is_close(&nearest))
		return err_set(err, ERR_CONFIG, "unknown command %s: did you mean %s?",
		               nearest.given, nearest.best);
	return err_set(err, ERR_CONFIG, "unknown command %s: it may be one of %s", nearest.given,
	               list);
}

/* Whether help is asked for; of which command, if of one. */
static bool wants_help(char *const *args, const struct command **out_command)
{
	bool wants = *args && !strcmp(*args, "help");

	*out_command = NULL;
	for (; *args && strcmp(*args, "--") != 0; args++) {
		wants |= !strcmp(*args, "--help") || !strcmp(*args, "-h");
		if (!*out_command)
			*out_command = find(*args);
	}
	return wants;
}

static int check_operands(const struct command *command, const struct config *config,
                          struct err *err)
{
	if (config->operand_count >= command->least && config->operand_count <= command->most)
		return 0;
	if (config->operand_count > command->most)
		return err_set(err, ERR_CONFIG,
		               "\"%.80s\" is not understood: usage: specman %s%s%s",
		               config->operands[command->most], command->name,
		               *command->operands ? " " : "", command->operands);
	return err_set(err, ERR_CONFIG, "something is missing: usage: specman %s%s%s",
	               command->name, *command->operands ? " " : "", command->operands);
}

/* `command` is that which runs when none is named, and becomes the one that is. */
static int understand(char *const *args, char *const *environment, struct config *out_config,
                      const struct command **command, struct err *err)
{
	CLEANUP(config_release) struct config config = { .command = NULL };
	const struct command *named;

	if (config_read(args, environment, &config, err) || policy_check(&config, err))
		return -1;
	if (config.command) {
		named = find(config.command);
		if (!named)
			return refuse(config.command, err);
		*command = named;
	}
	if (check_operands(*command, &config, err))
		return -1;
	*out_config = config;
	config = (struct config){ .command = NULL };
	return 0;
}

/*
 * With --fips, before anything uses OpenSSL; a check reports it as a step, and a
 * command that could run without is refused as well: nothing falls back silently.
 */
static int require_fips(const struct config *config, const struct command *command)
{
	const struct advice *advice = advice_find(ADVICE_FIPS);
	struct err err;

	if (!config->fips || command->run == run_check || !fips_require(&err))
		return 0;
	log_line(LOG_ERROR, "Refused by --fips",
	         (struct log_field[]){ { "error", err.msg },
	                               { "cause", advice->name },
	                               { "advice", advice->text },
	                               { NULL, NULL } });
	return -1;
}

static int usage(const struct err *err)
{
	const char *last = err->msg + strlen(err->msg) - 1;

	(void)fprintf(stderr, "specman: %s%s specman --help\n", err->msg,
	              *last == '?' ? " See" : "; see");
	return EXIT_USAGE;
}

int command_run(char *const *args, char *const *environment)
{
	CLEANUP(config_release) struct config config = { .command = NULL };
	const struct command *command;
	struct err err;

	if (wants_help(args, &command)) {
		if (command)
			return print_command_help(command);
		/* "help", and behind it what is no command. */
		if (strcmp(*args, "help") != 0 || !args[1] || *args[1] == '-')
			return print_help();
		(void)refuse(args[1], &err);
		return usage(&err);
	}
	command = &commands[0];
	if (understand(args, environment, &config, &command, &err))
		return usage(&err);
	log_set_level(config.log_level);
	log_set_format(config.log_format);
	if (require_fips(&config, command))
		return EXIT_FAILED;
	return command->run(&config);
}
