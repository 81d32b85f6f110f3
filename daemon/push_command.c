/*
 * specman push; see push_command.h. Nothing is sent before it is known that
 * specman itself would take it.
 */
#include "push_command.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <curl/curl.h>
#include <openssl/crypto.h>

#include "advice.h"
#include "base/buf.h"
#include "base/cancel.h"
#include "base/cleanup.h"
#include "base/io.h"
#include "commands.h"
#include "interrupt.h"
#include "oci/oci.h"
#include "reading.h"
#include "registry.h"
#include "storage/pack.h"
#include "storing.h"

enum { BLOCK_BYTES = 128 * 1024 };

DEFINE_CLEANUP(cleanup_cancel, struct cancel, cancel_free);
DEFINE_CLEANUP(cleanup_signer, struct oci_signer, oci_signer_free);

/* ---- what is to be pushed ---- */

struct source {
	int fd; /* of the archive */
	struct oci_descriptor layer;
};

static void source_release(struct source *source)
{
	cleanup_fd(&source->fd);
}

static const char *scratch(void)
{
	const char *dir = getenv("TMPDIR");

	return dir && *dir ? dir : "/tmp";
}

/* What fails at the files of here: its cause. */
static int here_failed(struct err *err)
{
	if (err->kind == ERR_NO_SPACE) {
		(void)err_context(err, "%s has no room (TMPDIR)", scratch());
		return err_cause(err, ADVICE_PUSH_NO_ROOM);
	}
	if (err->kind == ERR_FORMAT || err->kind == ERR_LIMIT)
		return err_cause(err, ADVICE_PUSH_UNFIT);
	return err->kind == ERR_IO ? err_cause(err, ADVICE_PUSH_UNREADABLE) : -1;
}

static int open_scratch(struct err *err)
{
	char path[PATH_MAX];
	int fd;

	if ((size_t)snprintf(path, sizeof(path), "%s/specman-push-XXXXXX", scratch()) >=
	    sizeof(path))
		return err_set(err, ERR_CONFIG, "TMPDIR is too long");
	fd = mkostemp(path, O_CLOEXEC);
	if (fd < 0)
		return err_set_sys(err, errno, "create %s", path);
	(void)unlink(path);
	return fd;
}

static int pack_folder(const char *path, const struct store_limits *limits, struct source *source,
                       const struct cancel *cancel, struct err *err)
{
	struct progress progress = { .verb = "pack" };
	const struct store_export_observer observer = { progress_show, &progress };
	struct store_contents contents;
	int failed;

	source->fd = open_scratch(err);
	if (source->fd < 0)
		return -1;
	failed = store_pack(path, source->fd, limits, cancel, &observer, &contents, err);
	progress_end(&progress);
	if (failed)
		return -1;
	(void)printf("packed %s: %" PRIu64 " files, %" PRIu64 " folders, %" PRIu64
	             " links, %" PRIu64 " bytes\n",
	             path, contents.files, contents.folders, contents.links, contents.bytes);
	return 0;
}

static int take_archive(const char *path, const struct store_limits *limits, struct source *source,
                        const struct cancel *cancel, struct err *err)
{
	source->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (source->fd < 0)
		return err_set_sys(err, errno, "open %s", path);
	if (store_try_archive(source->fd, scratch(), limits, cancel, err))
		return err_context(err, "%s", path);
	(void)printf("tried %s: specman can unpack it\n", path);
	return 0;
}

static int describe(int fd, const struct cancel *cancel, struct oci_descriptor *out_layer,
                    struct err *err)
{
	CLEANUP(cleanup_free) char *block = malloc(BLOCK_BYTES);
	struct hasher *hasher = hasher_new(DIGEST_SHA256, err);
	int failed = !block || !hasher ? -1 : 0;
	struct stat st = { .st_size = 0 };
	int64_t at = 0;

	if (!failed && fstat(fd, &st))
		failed = err_set_sys(err, errno, "look at the archive");
	while (!failed && at < st.st_size) {
		size_t part = st.st_size - at < BLOCK_BYTES ? (size_t)(st.st_size - at)
		                                            : BLOCK_BYTES;

		failed = io_read_at(fd, block, part, (unsigned long long)at, "the archive", err) ||
		         hasher_add(hasher, block, part, err) || cancel_check(cancel, err);
		at += (int64_t)part;
	}
	if (!failed)
		failed = hasher_end(hasher, &out_layer->digest, err);
	out_layer->size = st.st_size;
	hasher_free(hasher);
	return failed ? -1 : 0;
}

static int prepare(const struct config *config, struct source *source, const struct cancel *cancel,
                   struct err *err)
{
	const struct store_limits limits = storing_limits(config);
	const char *path = config->operands[1];
	struct stat st;
	int failed;

	if (stat(path, &st))
		failed = err_set_sys(err, errno, "open %s", path);
	else if (S_ISDIR(st.st_mode))
		failed = pack_folder(path, &limits, source, cancel, err);
	else if (S_ISREG(st.st_mode))
		failed = take_archive(path, &limits, source, cancel, err);
	else
		failed = err_set(err, ERR_FORMAT, "%s is neither a folder nor a file", path);
	if (failed || describe(source->fd, cancel, &source->layer, err))
		return here_failed(err);
	return fflush(stdout) ? err_set_sys(err, errno, "standard output") : 0;
}

/* ---- where to, and as whom ---- */

/* Where docker keeps its logins: NULL when there is none, or it can't be known. */
static char *default_config(void)
{
	const char *dir = getenv("DOCKER_CONFIG");
	const char *home = getenv("HOME");
	char *path = NULL;
	int size = -1;

	if (dir && *dir)
		size = asprintf(&path, "%s/config.json", dir);
	else if (home && *home)
		size = asprintf(&path, "%s/.docker/config.json", home);
	if (size < 0)
		return NULL;
	if (!access(path, F_OK))
		return path;
	free(path);
	return NULL;
}

/*
 * The settings of the one registry. The mounted secret is not read: it is for
 * pulling, and for its own registry alone. A helper program that docker's config
 * names is of no interest where AWS credentials do.
 */
static int load(const struct config *config, const char *repository, struct registry *registry,
                struct err *err)
{
	struct config mine = *config;
	CLEANUP(cleanup_free) char *by_default = NULL;
	struct err unused;

	mine.repository = repository;
	mine.repository_mirror.count = 0;
	mine.registry_secret_dir = NULL;
	if (!mine.registry_config && !mine.registry_username)
		mine.registry_config = by_default = default_config();
	if (!registry_load(&mine, registry, err))
		return 0;
	if (!by_default || err->cause != (int)OCI_CAUSE_HELPER)
		return -1;
	mine.registry_config = NULL;
	if (!registry_load(&mine, registry, &unused) && oci_uses_aws(&registry->sources[0]))
		return 0;
	registry_release(registry);
	return -1;
}

/* "HOST[:PORT]/NAME:TAG": out_repository is what stands before the tag. */
static int split(const char *text, char **out_repository, const char **out_tag, struct err *err)
{
	const char *name = strrchr(text, '/');
	const char *colon = name ? strrchr(name, ':') : NULL;
	struct oci_reference reference;

	if (strchr(text, '@')) /* said without the text: it may hold a password */
		return err_set(err, ERR_CONFIG,
		               "REF has an @: it is HOST[:PORT]/NAME:TAG, without digest, user and "
		               "password");
	if (config_layout(text))
		return err_set(err, ERR_CONFIG,
		               "specman pushes to a registry alone (HOST[:PORT]/NAME:TAG); skopeo "
		               "copies from there to an oci-layout");
	if (!colon)
		return err_set(err, ERR_CONFIG, "\"%.200s\" has no tag: HOST[:PORT]/NAME:TAG",
		               text);
	if (!oci_tag_is_valid(colon + 1))
		return err_set(
			err, ERR_CONFIG,
			"\"%.140s\" is no tag: letters, digits, and after the first also . _ "
			"-, 128 at the most",
			colon + 1);
	*out_repository = strndup(text, (size_t)(colon - text));
	if (!*out_repository)
		return err_set_sys(err, ENOMEM, "REF");
	*out_tag = colon + 1;
	return oci_reference_parse(*out_repository, &reference, err);
}

/* ---- the push ---- */

struct showing {
	struct progress progress;
	int64_t size;
};

static void show_bytes(void *ctx, int64_t bytes)
{
	struct showing *showing = ctx;

	progress_show(&showing->progress, (uint64_t)bytes, (uint64_t)showing->size);
}

static void show_pause(void *ctx, enum oci_notice_kind kind, const char *source,
                       const char *subject, const char *detail, int64_t pause_ms)
{
	struct showing *showing = ctx;

	(void)source;
	if (kind != OCI_NOTICE_RETRY)
		return;
	progress_end(&showing->progress);
	(void)fprintf(stderr, "specman: push: %s: %s; again in %.1f s\n", subject, detail,
	              (double)pause_ms / 1000);
}

static void tell_signer(const struct oci_signer *signer)
{
	struct oci_key_info info;

	if (!signer)
		return;
	oci_signer_describe(signer, &info);
	(void)printf("signed by %s %s\n", info.kind, info.fingerprint);
}

static int send_all(const struct config *config, const struct oci_settings *settings,
                    const char *tag, const struct source *source, const struct oci_signer *signer,
                    const struct cancel *cancel, struct err *err)
{
	const struct oci_push push = { .tag = tag,
		                       .fd = source->fd,
		                       .layer = source->layer,
		                       .created_s = time(NULL),
		                       .signer = signer };
	struct showing showing = { .progress = { .verb = "send" }, .size = push.layer.size };
	const struct oci_push_observer observer = { .observer = { show_pause, &showing },
		                                    .progress = show_bytes,
		                                    .ctx = &showing };
	struct oci_pushed pushed;
	char text[DIGEST_TEXT_SIZE];
	int failed = oci_push(settings, &push, &observer, (unsigned)config->registry_retries,
	                      cancel, &pushed, err);

	progress_end(&showing.progress);
	if (failed)
		return -1;
	(void)printf("layer %s: %" PRId64 " bytes, %s\n", digest_format(&push.layer.digest, text),
	             push.layer.size, pushed.layer_was_there ? "was there already" : "sent");
	(void)printf("pushed %s/%s:%s: manifest %s\n", settings->reference.host,
	             settings->reference.name, tag, digest_format(&pushed.manifest, text));
	tell_signer(signer);
	(void)printf("read back: %s\n",
	             pushed.is_read_back ? "tag, manifest and layer are what was sent"
	                                 : "tag and manifest are what was sent, the layer is there "
	                                   "with its size");
	return fflush(stdout) ? err_set_sys(err, errno, "standard output") : 0;
}

/* The advice of the daemon's own login is about its secret. */
static int cause_here(const struct err *err)
{
	if (err->cause == (int)OCI_CAUSE_LOGIN_MISSING ||
	    err->cause == (int)OCI_CAUSE_LOGIN_REFUSED ||
	    err->cause == (int)OCI_CAUSE_TOKEN_POWERLESS || err->cause == (int)OCI_CAUSE_HELPER)
		return ADVICE_PUSH_LOGIN;
	return advice_cause_of(err);
}

static int fail(const struct err *err)
{
	const struct advice *advice = advice_find(cause_here(err));

	(void)fprintf(stderr, "specman: push: %s\n", err->msg);
	if (advice)
		(void)fprintf(stderr, "  cause: %s\n  do: %s\n", advice->name, advice->text);
	return EXIT_FAILED;
}

/* *out_signer is NULL without --sign-key. */
static int load_signer(const char *file, struct oci_signer **out_signer, struct err *err)
{
	CLEANUP(buf_release) struct buf pem = BUF_INIT(OCI_KEY_FILE_BYTES);
	char what[400];

	*out_signer = NULL;
	if (!file)
		return 0;
	(void)snprintf(what, sizeof(what), "--sign-key %.300s", file);
	if (io_read_file(AT_FDCWD, file, &pem, err)) {
		(void)err_cause(err, ADVICE_PUSH_UNREADABLE);
		return err_context(err, "--sign-key");
	}
	*out_signer = oci_signer_new(buf_text(&pem), pem.size, what, err);
	OPENSSL_cleanse(pem.data, pem.size);
	return *out_signer ? 0 : err_cause(err, ADVICE_PUSH_SIGN_KEY);
}

static int push(const struct config *config, const char *repository, const char *tag,
                const struct cancel *cancel, struct err *err)
{
	CLEANUP(source_release) struct source source = { .fd = -1 };
	CLEANUP(registry_release) struct registry registry = { .sources = NULL };
	CLEANUP(cleanup_signer) struct oci_signer *signer = NULL;

	if (load_signer(config->sign_key, &signer, err) ||
	    load(config, repository, &registry, err) || prepare(config, &source, cancel, err))
		return -1;
	return send_all(config, &registry.sources[0], tag, &source, signer, cancel, err);
}

int push_command(const struct config *config)
{
	struct err err;
	CLEANUP(cleanup_free) char *repository = NULL;
	CLEANUP(cleanup_cancel) struct cancel *cancel = NULL;
	const char *tag;
	int failed;

	if (split(config->operands[0], &repository, &tag, &err)) {
		(void)fprintf(stderr, "specman: push: %s\n", err.msg);
		return EXIT_USAGE;
	}
	cancel = cancel_new(&err);
	if (!cancel)
		return fail(&err);
	if (curl_global_init(CURL_GLOBAL_DEFAULT)) {
		(void)err_set(&err, ERR_IO, "libcurl does not start");
		return fail(&err);
	}
	interrupt_begin(cancel);
	failed = push(config, repository, tag, cancel, &err);
	interrupt_end();
	curl_global_cleanup();
	return failed ? fail(&err) : EXIT_DONE;
}
