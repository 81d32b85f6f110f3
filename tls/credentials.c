/* Certificate, key and client CA, and their change; see credentials.h. */
#include "credentials.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "context.h"
#include "selfsigned.h"
#include "tickets.h"

enum { RETRY_MS = 60 * 1000 };

struct credentials {
	char *cert_file, *key_file;
	char *client_ca_file; /* NULL: none */
	char *state_dir;      /* of self-made ones, else NULL */
	bool must_authenticate;
	struct tickets *tickets;
	/* The refreshing thread's own: */
	uint64_t loaded;  /* fingerprint of the files that the context is of */
	uint64_t seen;    /* at the last look */
	uint64_t refused; /* that could not be used, 0 for none */
	int64_t refused_ms;
	/* Shared: */
	pthread_mutex_t mutex;
	SSL_CTX *context;
	int64_t not_after; /* of its certificate */
};

static uint64_t fingerprint(const struct credentials *credentials)
{
	const char *const files[] = { credentials->cert_file, credentials->key_file,
		                      credentials->client_ca_file };
	uint64_t hash = IO_FINGERPRINT_START;

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		struct stat st = { .st_size = -1 };

		/* One that is missing is a state as others are. */
		if (files[i] && stat(files[i], &st))
			st = (struct stat){ .st_size = -1 };
		hash = io_fingerprint(hash, &st);
	}
	return hash;
}

/* Take a context over, if it is of one state of the files: 1, or 0. */
static int take(struct credentials *credentials, SSL_CTX *context, uint64_t of, struct err *err)
{
	int64_t not_before, not_after;
	SSL_CTX *before;

	if (fingerprint(credentials) != of) {
		SSL_CTX_free(context);
		return 0;
	}
	if (context_times(context, &not_before, &not_after)) {
		SSL_CTX_free(context);
		(void)err_set(err, ERR_CONFIG, "certificate %s has no time that can be read",
		              credentials->cert_file);
		return err_cause(err, TLS_CAUSE_CERTIFICATE);
	}
	(void)pthread_mutex_lock(&credentials->mutex);
	before = credentials->context;
	credentials->context = context;
	credentials->not_after = not_after;
	(void)pthread_mutex_unlock(&credentials->mutex);
	SSL_CTX_free(before);
	credentials->loaded = of;
	return 1;
}

/*
 * 1 when the files' state was taken, 0 when it changed meanwhile. What can't be renewed at the
 * start is taken as it is, since it may be good for months; the next refresh tells why.
 */
static int load(struct credentials *credentials, struct err *err)
{
	const struct context_settings settings = {
		.cert_file = credentials->cert_file,
		.key_file = credentials->key_file,
		.client_ca_file = credentials->client_ca_file,
		.must_authenticate = credentials->must_authenticate,
		.tickets = credentials->tickets,
	};
	bool is_stale = credentials->state_dir && selfsigned_ensure(credentials->state_dir, err);
	struct err reason;
	SSL_CTX *context;
	uint64_t of;

	if (is_stale && credentials->context)
		return -1;
	of = fingerprint(credentials);
	context = context_new(&settings, is_stale ? &reason : err);
	if (!context)
		return is_stale || of == fingerprint(credentials) ? -1 : 0;
	return take(credentials, context, of, err);
}

static int copy_names(struct credentials *credentials, const struct tls_settings *settings)
{
	if (settings->cert_file) {
		credentials->cert_file = strdup(settings->cert_file);
		credentials->key_file = strdup(settings->key_file);
	} else {
		credentials->state_dir = strdup(settings->state_dir);
		if (!credentials->state_dir ||
		    asprintf(&credentials->cert_file, "%s/tls.crt", settings->state_dir) < 0 ||
		    asprintf(&credentials->key_file, "%s/tls.key", settings->state_dir) < 0)
			return -1;
	}
	if (settings->client_ca_file &&
	    !(credentials->client_ca_file = strdup(settings->client_ca_file)))
		return -1;
	credentials->must_authenticate = settings->client_auth == TLS_CLIENT_AUTH_REQUIRE;
	return credentials->cert_file && credentials->key_file ? 0 : -1;
}

struct credentials *credentials_new(const struct tls_settings *settings, struct err *err)
{
	struct credentials *credentials = calloc(1, sizeof(*credentials));
	int loaded = 0;

	if (credentials)
		(void)pthread_mutex_init(&credentials->mutex, NULL);
	if (!credentials || copy_names(credentials, settings)) {
		credentials_free(credentials);
		(void)err_set_sys(err, ENOMEM, "certificate");
		return NULL;
	}
	credentials->tickets = tickets_new(clock_now_ms(), err);
	while (credentials->tickets && !loaded)
		loaded = load(credentials, err);
	if (loaded == 1)
		return credentials;
	credentials_free(credentials);
	return NULL;
}

void credentials_free(struct credentials *credentials)
{
	if (!credentials)
		return;
	(void)pthread_mutex_destroy(&credentials->mutex);
	SSL_CTX_free(credentials->context);
	tickets_free(credentials->tickets);
	free(credentials->cert_file);
	free(credentials->key_file);
	free(credentials->client_ca_file);
	free(credentials->state_dir);
	free(credentials);
}

SSL_CTX *credentials_get(struct credentials *credentials)
{
	SSL_CTX *context;

	(void)pthread_mutex_lock(&credentials->mutex);
	context = credentials->context;
	(void)SSL_CTX_up_ref(context); /* of a counter: it can't fail */
	(void)pthread_mutex_unlock(&credentials->mutex);
	return context;
}

/* Whether the state that was seen is worth a look inside. */
static bool is_worth_it(struct credentials *credentials, uint64_t seen, bool is_due, bool at_once)
{
	bool has_settled = seen == credentials->seen;

	credentials->seen = seen;
	if (seen == credentials->loaded && !is_due)
		return false;
	if (at_once)
		return true;
	/* Files that are written one after the other: not before they rest. */
	return has_settled && (seen != credentials->refused ||
	                       clock_now_ms() - credentials->refused_ms >= RETRY_MS);
}

int credentials_refresh(struct credentials *credentials, bool at_once, struct err *err)
{
	bool is_due = credentials->state_dir &&
	              selfsigned_ends_soon(credentials->not_after, time(NULL));
	uint64_t seen = fingerprint(credentials);
	int taken;

	if (tickets_rotate(credentials->tickets, clock_now_ms(), err))
		return -1;
	if (!is_worth_it(credentials, seen, is_due, at_once))
		return 0;
	taken = load(credentials, err);
	credentials->refused = taken < 0 ? seen : 0;
	credentials->refused_ms = clock_now_ms();
	return taken;
}

int64_t credentials_not_after(struct credentials *credentials)
{
	int64_t not_after;

	(void)pthread_mutex_lock(&credentials->mutex);
	not_after = credentials->not_after;
	(void)pthread_mutex_unlock(&credentials->mutex);
	return not_after;
}
