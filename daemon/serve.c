/* The daemon; see serve.h. */
#include "serve.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <curl/curl.h>

#include "admin.h"
#include "base/cancel.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "certificate.h"
#include "control.h"
#include "descriptors.h"
#include "health.h"
#include "hook.h"
#include "http.h"
#include "log.h"
#include "metrics.h"
#include "overview.h"
#include "poller.h"
#include "recurring.h"
#include "scrubber.h"
#include "status.h"
#include "status_page.h"
#include "storage/storage.h"
#include "storing.h"
#include "sync.h"
#include "sync_log.h"
#include "tls/tls.h"
#include "signers.h"
#include "signers_watch.h"

enum {
	HANDSHAKE_MS = 10 * 1000,
	HEAD_MS = 10 * 1000,
	STALL_MS = 60 * 1000,
	IDLE_MS = 120 * 1000,
	GRACE_MS = 20 * 1000, /* within Kubernetes' 30 s */
	ROUTES_MAX = 8,
};

struct service {
	const struct config *config;
	struct recurring *troubles;
	struct status *status;
	struct storing_observer observer; /* both of them, for the store */
	struct cancel *cancel;
	struct cancel *sync_cancel; /* the sync thread's own, by which its turning shows */
	struct signers *signers;
	struct signers_watch *signers_watch;
	struct store *store;
	struct http *http;
	struct tls_server *server;
	struct certificate_watch *certificate;
	struct overviews *overviews;
	struct hook *hook;
	struct admin *admin;
	struct sync *sync;
	struct poller *poller;
	struct scrubber *scrubber;
	struct control *control;
	struct metrics metrics;
	struct admin_route routes[ROUTES_MAX];
	atomic_bool stopping;
};

/* ---- what the leaves tell ---- */

static void on_handshake_failed(void *ctx, const char *peer, const char *reason)
{
	struct service *service = ctx;

	/* Thinned by reason: one client without the CA must not fill the log. */
	if (recurring_happened(service->troubles, reason, "handshake", clock_now_ms()))
		log_line(LOG_WARNING, "TLS handshake failed",
		         (struct log_field[]){
				 { "peer", peer }, { "reason", reason }, { NULL, NULL } });
}

static void on_refused(void *ctx, const char *peer, const char *cap)
{
	struct service *service = ctx;

	if (recurring_happened(service->troubles, cap, "refused", clock_now_ms()))
		log_line(LOG_WARNING, "Connection turned away",
		         (struct log_field[]){ { "cap", cap }, { "peer", peer }, { NULL, NULL } });
}

/* ---- start ---- */

int serve_state_dir(const struct config *config, char *path, size_t size, struct err *err)
{
	if ((size_t)snprintf(path, size, "%s/tls", config->data_dir) >= size)
		return err_set(err, ERR_CONFIG, "--data-dir is too long");
	if (mkdir(path, 0700) && errno != EEXIST)
		return err_set_sys(err, errno, "create folder %s", path);
	return 0;
}

static int open_store(struct service *service, struct err *err)
{
	service->troubles = recurring_new(err);
	service->status = service->troubles ? status_new(err) : NULL;
	service->cancel = service->status ? cancel_new(err) : NULL;
	service->sync_cancel = service->cancel ? cancel_new(err) : NULL;
	service->signers = service->sync_cancel ? signers_new(service->config, service->status, err)
	                                        : NULL;
	if (!service->signers)
		return -1;
	service->observer = (struct storing_observer){ service->troubles, service->status };
	service->store = storing_open(service->config, &service->observer, service->signers, err);
	if (!service->store)
		return -1;
	store_keep_views(service->store, service->config->view_lease_ms);
	return 0;
}

static int64_t synced_at(void *ctx)
{
	return status_synced_at(((struct service *)ctx)->status);
}

static int start_server(struct service *service, struct err *err)
{
	const struct config *config = service->config;
	char state_dir[PATH_MAX] = "";
	struct tls_settings settings = {
		.cert_file = config->tls_cert,
		.key_file = config->tls_key,
		.state_dir = state_dir,
		.listen = config->listen.at,
		.listen_count = config->listen.count,
		.workers = (unsigned)config->workers,
		.client_ca_file = config->tls_client_ca,
		.client_auth = config->tls_client_auth,
		.max_connections = descriptors_fit((unsigned)config->max_connections),
		.max_per_address = (unsigned)config->max_per_address,
		.handshake_ms = HANDSHAKE_MS,
		.head_ms = HEAD_MS,
		.stall_ms = STALL_MS,
		.idle_ms = IDLE_MS,
		.observer = { on_handshake_failed, on_refused, service },
	};
	const struct http_settings http = {
		.store = service->store,
		.troubles = service->troubles,
		.workers = (unsigned)config->workers,
		.status = service->status,
		.htpasswd = config->htpasswd,
		.has_listings = !config->no_listing,
		.has_access_log = config->access_log,
		.synced_at = synced_at,
		.synced_ctx = service,
	};

	if (!config->tls_cert && serve_state_dir(config, state_dir, sizeof(state_dir), err))
		return -1;
	service->http = http_new(&http, err);
	if (!service->http)
		return -1;
	settings.backend = http_backend(service->http);
	service->server = tls_server_start(&settings, err);
	return service->server ? 0 : -1;
}

static int prepare_routes(struct service *service, struct err *err)
{
	service->overviews = overviews_new(
		&(struct overview_sources){ service->config, service->store, service->status,
	                                    service->server, service->sync_cancel,
	                                    &service->stopping },
		err);
	if (!service->overviews)
		return -1;
	service->hook = hook_new(service->config, service->troubles, err);
	return service->hook ? 0 : -1;
}

static int start_admin(struct service *service, struct err *err)
{
	const struct admin_route routes[] = {
		{ .path = "/livez", .answer = health_live, .ctx = service->overviews },
		{ .path = "/readyz", .answer = health_ready, .ctx = service->overviews },
		{ .path = "/status", .answer = status_page_answer, .ctx = service->overviews },
		{ .path = "/status.json", .answer = status_json_answer, .ctx = service->overviews },
		{ .path = "/metrics", .answer = metrics_answer, .ctx = &service->metrics },
		{ .path = "/hooks/sync",
		  .is_post = true,
		  .answer = hook_answer,
		  .ctx = service->hook },
	};
	struct admin_settings settings = {
		.listen = service->config->admin_listen.at,
		.listen_count = service->config->admin_listen.count,
		.routes = service->routes,
		.route_count = sizeof(routes) / sizeof(routes[0]),
	};

	service->metrics = (struct metrics){ service->config, service->store, service->http,
		                             service->server, service->status };
	_Static_assert(sizeof(routes) <= sizeof(service->routes), "each has its place");
	memcpy(service->routes, routes, sizeof(routes));
	service->admin = admin_start(&settings, err);
	return service->admin ? 0 : -1;
}

static void tell_address(const char *listener, const struct listen_address *address)
{
	char text[LISTEN_TEXT_SIZE];

	log_line(LOG_INFO, "Listening",
	         (struct log_field[]){ { "listener", listener },
	                               { "address", listen_format(address, text) },
	                               { NULL, NULL } });
}

static int tell_start(struct service *service, struct err *err)
{
	struct listen_address address;
	struct store_view *view = store_view_get(service->store);
	char count[24];

	(void)snprintf(count, sizeof(count), "%zu", store_view_release_count(view));
	log_line(LOG_INFO, "Serving what the store has",
	         (struct log_field[]){
			 { "releases", count }, { "view", store_view_id(view) }, { NULL, NULL } });
	store_view_put(view);
	for (size_t i = 0; i < service->config->listen.count; i++) {
		if (tls_server_address(service->server, i, &address, err))
			return -1;
		tell_address("https", &address);
	}
	for (size_t i = 0; i < service->config->admin_listen.count; i++) {
		if (admin_address(service->admin, i, &address, err))
			return -1;
		tell_address("admin", &address);
	}
	sync_log_trust(service->config);
	return 0;
}

/* Not every file system has sockets: without one, everything else works. */
static void start_control(struct service *service)
{
	struct err err;

	service->control = control_start(service->config->data_dir, service->poller,
	                                 service->cancel, &err);
	if (!service->control)
		log_line(LOG_WARNING, "The command sync can't ask this daemon",
		         (struct log_field[]){ { "error", err.msg }, { NULL, NULL } });
}

static int start_signers_watch(struct service *service, struct err *err)
{
	const struct signers_watch_settings settings = { service->config, service->signers,
		                                         service->sync_cancel, service->troubles,
		                                         service->status };

	if (!service->config->verify_key.count)
		return 0;
	service->signers_watch = signers_watch_start(&settings, err);
	return service->signers_watch ? 0 : -1;
}

static int start(struct service *service, struct err *err)
{
	if (open_store(service, err) || start_server(service, err) ||
	    prepare_routes(service, err) || start_admin(service, err) || tell_start(service, err))
		return -1;
	service->sync = sync_new(service->config, service->store, service->status, service->signers,
	                         service->sync_cancel, err);
	if (!service->sync)
		return -1;
	service->poller = poller_start(service->config, service->sync, service->store,
	                               service->status, service->sync_cancel, err);
	if (!service->poller || start_signers_watch(service, err))
		return -1;
	hook_attach(service->hook, service->poller);
	service->certificate = certificate_watch_start(service->server, service->troubles,
	                                               service->status, err);
	if (!service->certificate)
		return -1;
	start_control(service);
	service->scrubber = scrubber_start(service->config, service->store, service->troubles,
	                                   service->status, service->cancel, err);
	return service->scrubber ? 0 : -1;
}

static void stop(struct service *service)
{
	atomic_store(&service->stopping, true);
	if (service->cancel)
		cancel_raise(service->cancel);
	if (service->sync_cancel)
		cancel_raise(service->sync_cancel);
	signers_watch_stop(service->signers_watch);
	certificate_watch_stop(service->certificate);
	tls_server_stop(service->server, GRACE_MS);
	control_stop(service->control);
	hook_attach(service->hook, NULL);
	poller_join(service->poller);
	scrubber_join(service->scrubber);
	/* Its routes read what is freed below. */
	admin_stop(service->admin);
	overviews_free(service->overviews);
	hook_free(service->hook);
	sync_free(service->sync);
	tls_server_free(service->server);
	http_free(service->http);
	store_close(service->store);
	signers_free(service->signers);
	cancel_free(service->sync_cancel);
	cancel_free(service->cancel);
	status_free(service->status);
	recurring_free(service->troubles);
}

/* ---- run ---- */

static int block_signals(struct err *err)
{
	sigset_t set;
	int fd;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGUSR1);
	(void)sigaddset(&set, SIGHUP);
	(void)sigaddset(&set, SIGPIPE);
	if (sigprocmask(SIG_BLOCK, &set, NULL))
		return err_set_sys(err, errno, "signals");
	/* As PID 1 the daemon inherits what `kubectl exec` leaves behind; the kernel reaps it. */
	if (signal(SIGCHLD, SIG_IGN) == SIG_ERR)
		return err_set_sys(err, errno, "signals");
	(void)sigdelset(&set, SIGPIPE);
	fd = signalfd(-1, &set, SFD_CLOEXEC);
	return fd < 0 ? err_set_sys(err, errno, "signals") : fd;
}

static void wait_for_stop(struct service *service, int signals)
{
	struct signalfd_siginfo info;

	for (;;) {
		ssize_t n = read(signals, &info, sizeof(info));

		if (n < 0 && errno == EINTR)
			continue;
		if (n != sizeof(info))
			return;
		if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT)
			return;
		if (info.ssi_signo != SIGHUP) {
			poller_trigger(service->poller);
			continue;
		}
		poller_reload(service->poller);
		certificate_watch_trigger(service->certificate);
		signers_watch_trigger(service->signers_watch);
	}
}

int serve(const struct config *config, struct err *err)
{
	struct service service = { .config = config };
	CLEANUP(cleanup_fd) int signals = block_signals(err);
	int failed;

	if (signals < 0)
		return -1;
	if (curl_global_init(CURL_GLOBAL_DEFAULT))
		return err_set(err, ERR_IO, "libcurl does not start");
	failed = start(&service, err);
	if (!failed) {
		wait_for_stop(&service, signals);
		log_line(LOG_INFO, "Stopping", NULL);
	}
	stop(&service);
	curl_global_cleanup();
	if (!failed)
		log_line(LOG_INFO, "Stopped", NULL);
	return failed;
}
