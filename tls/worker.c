/* One worker; see worker.h. */
#include "worker.h"

#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "counts.h"
#include "credentials.h"
#include "relay.h"

enum {
	EVENTS = 256,
	ACCEPTS = 64,   /* connections taken in one turn */
	TICK_MS = 1000, /* deadlines are looked at this often */
	DRAIN_STALL_MS = 5 * 1000,
	DRAIN_TICK_MS = 20,
	TRIM_AFTER = 256, /* connections that have ended: give their memory back when it is calm */
	TRIM_LAST_TICKS = 5, /* calm for so long: that of fewer, too */
	QUIET_TURNS = 32,    /* without a byte: no answer is under way; see may_end */
};

struct worker {
	const struct tls_settings *settings;
	struct credentials *credentials;
	struct caps *caps;
	void *backend;
	int *listeners;
	size_t listener_count;
	int epoll;
	int stop_fd;
	pthread_t thread;
	bool is_started;
	atomic_int grace_ms; /* -1 until it is to stop */
	_Atomic int64_t turned_ms;
	/* The thread's own: */
	struct relay_host host;
	BIO_METHOD *method;
	struct relay *relays;
	struct relay *ready;
	struct relay *dead;
	bool accepts;
	int64_t tick_ms;       /* when deadlines were last looked at */
	unsigned freed;        /* connections since memory was given back */
	unsigned freed_before; /* the same at the last tick */
	unsigned calm_ticks;   /* in which none ended */
	bool has_news;         /* the backend was told something since it last ran */
	struct tls_counts *counts;
};

/* Tags for epoll's data where it is no relay. */
static char listener_tag, backend_tag, stop_tag;

static int watch(struct worker *worker, int fd, uint32_t events, void *tag)
{
	struct epoll_event event = { .events = events, .data.ptr = tag };

	return epoll_ctl(worker->epoll, EPOLL_CTL_ADD, fd, &event);
}

/* ---- relays ---- */

static void make_ready(struct worker *worker, struct relay *relay)
{
	struct relay_links *links = relay_links(relay);

	if (links->is_ready || links->is_dead)
		return;
	links->is_ready = true;
	links->next_ready = worker->ready;
	worker->ready = relay;
}

/* It is freed at the end of the turn: events of this turn may still name it. */
static void bury(struct worker *worker, struct relay *relay)
{
	struct relay_links *links = relay_links(relay);

	if (links->is_dead)
		return;
	links->is_dead = true;
	if (links->previous)
		relay_links(links->previous)->next = links->next;
	else
		worker->relays = links->next;
	if (links->next)
		relay_links(links->next)->previous = links->previous;
	links->next = worker->dead;
	worker->dead = relay;
}

/* One that is still in the ready list waits until that has been gone through. */
static void free_dead(struct worker *worker)
{
	struct relay *list = worker->dead;

	worker->dead = NULL;
	while (list) {
		struct relay *relay = list;

		list = relay_links(relay)->next;
		if (relay_links(relay)->is_ready) {
			relay_links(relay)->next = worker->dead;
			worker->dead = relay;
			continue;
		}
		caps_leave(worker->caps, relay_peer(relay));
		relay_free(relay);
		counter_add(&worker->counts->closed, 1);
		worker->freed++;
	}
}

/*
 * After many have come and gone, and while nobody comes and goes: malloc keeps
 * what it had. The last ones of a flood may be few, and slow clients have most.
 */
static void give_memory_back(struct worker *worker)
{
	worker->calm_ticks = worker->freed == worker->freed_before ? worker->calm_ticks + 1 : 0;
	if (worker->calm_ticks && (worker->freed >= TRIM_AFTER ||
	                           (worker->freed && worker->calm_ticks >= TRIM_LAST_TICKS))) {
		(void)malloc_trim(0);
		worker->freed = 0;
	}
	worker->freed_before = worker->freed;
}

static void *host_attach(void *ctx, struct tls_stream *stream, const struct sockaddr_storage *peer)
{
	struct worker *worker = ctx;

	worker->has_news = true;
	return worker->settings->backend.add(worker->backend, stream, peer);
}

static void host_ready(void *ctx, void *name, unsigned what)
{
	struct worker *worker = ctx;

	worker->has_news = true;
	worker->settings->backend.ready(worker->backend, name, what);
}

static void host_again(void *ctx, struct relay *relay)
{
	make_ready(ctx, relay);
}

static const char *peer_text(const struct sockaddr_storage *peer,
                             char text[static LISTEN_TEXT_SIZE])
{
	struct listen_address address = { .address = *peer };

	return listen_format(&address, text);
}

static void host_failed(void *ctx, const struct relay *relay, const char *reason)
{
	const struct tls_observer *observer = &((struct worker *)ctx)->settings->observer;
	char peer[LISTEN_TEXT_SIZE];

	if (observer->handshake_failed)
		observer->handshake_failed(observer->ctx, peer_text(relay_peer(relay), peer),
		                           reason);
}

static void add_relay(struct worker *worker, int fd, const struct sockaddr_storage *peer)
{
	SSL_CTX *context = credentials_get(worker->credentials);
	struct relay_links *links;
	struct relay *relay;
	struct err err;

	relay = relay_new_take(&worker->host, context, fd, peer, &err);
	SSL_CTX_free(context); /* the connection holds one of its own */
	/* Without memory or descriptors the client sees a closed connection and tries again. */
	if (relay && watch(worker, fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, relay)) {
		relay_free(relay);
		relay = NULL;
	}
	if (!relay) {
		caps_leave(worker->caps, peer);
		return;
	}
	links = relay_links(relay);
	links->next = worker->relays;
	if (worker->relays)
		relay_links(worker->relays)->previous = relay;
	worker->relays = relay;
	counter_add(&worker->counts->accepted, 1);
}

/* ---- accepting ---- */

static void set_accepting(struct worker *worker, bool accepts)
{
	struct epoll_event event = { .events = accepts ? EPOLLIN : 0, .data.ptr = &listener_tag };

	worker->accepts = accepts;
	for (size_t i = 0; i < worker->listener_count; i++)
		(void)epoll_ctl(worker->epoll, EPOLL_CTL_MOD, worker->listeners[i], &event);
}

static void turn_away(struct worker *worker, int fd, const struct sockaddr_storage *peer,
                      enum tls_cap cap)
{
	static const char *const names[] = { "connections", "connections from one address" };
	const struct tls_observer *observer = &worker->settings->observer;
	char text[LISTEN_TEXT_SIZE];

	(void)close(fd);
	counter_add(&worker->counts->refused[cap], 1);
	if (observer->refused)
		observer->refused(observer->ctx, peer_text(peer, text), names[cap]);
}

/* Errors that Linux tells of the connection that it would have given, which is gone (accept(2)). */
static bool is_of_one(int error)
{
	static const int errors[] = { EINTR,     ECONNABORTED, EPROTO,      ENETDOWN, ENETUNREACH,
		                      EHOSTDOWN, EHOSTUNREACH, ENOPROTOOPT, ENONET,   ETIMEDOUT };

	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
		if (error == errors[i])
			return true;
	return false;
}

static void accept_from(struct worker *worker, int listener)
{
	for (int i = 0; i < ACCEPTS; i++) {
		struct sockaddr_storage peer = { .ss_family = AF_UNSPEC };
		socklen_t length = sizeof(peer);
		int fd = accept4(listener, (struct sockaddr *)&peer, &length,
		                 SOCK_NONBLOCK | SOCK_CLOEXEC);
		enum tls_cap cap;

		if (fd < 0 && errno == EAGAIN)
			return;
		if (fd < 0 && is_of_one(errno))
			continue;
		if (fd < 0) {
			/* Out of descriptors or memory: a loop would spin. The next tick tries
			 * again. */
			set_accepting(worker, false);
			return;
		}
		cap = caps_enter(worker->caps, &peer);
		if (cap != TLS_CAPS)
			turn_away(worker, fd, &peer, cap);
		else
			add_relay(worker, fd, &peer);
	}
}

/* ---- the loop ---- */

static void pump(struct worker *worker, struct relay *relay)
{
	if (relay_links(relay)->is_dead)
		return;
	switch (relay_pump(relay)) {
	case RELAY_WAITS:
		break;
	case RELAY_MORE:
		make_ready(worker, relay);
		break;
	case RELAY_ENDED:
		bury(worker, relay);
	}
}

/* Pump what is ready; what still has more is in the list for the next time then. */
static void pump_ready(struct worker *worker)
{
	struct relay *list = worker->ready;

	worker->ready = NULL;
	for (struct relay *relay = list; relay; relay = relay_links(relay)->next_ready)
		relay_links(relay)->is_ready = false;
	for (struct relay *relay = list, *next; relay; relay = next) {
		next = relay_links(relay)->next_ready;
		pump(worker, relay);
	}
}

static void check_deadlines(struct worker *worker)
{
	struct relay *next;

	if (worker->host.now_ms - worker->tick_ms < TICK_MS)
		return;
	worker->tick_ms = worker->host.now_ms;
	if (!worker->accepts && atomic_load(&worker->grace_ms) < 0)
		set_accepting(worker, true);
	for (struct relay *relay = worker->relays; relay; relay = next) {
		next = relay_links(relay)->next;
		if (relay_is_overdue(relay))
			bury(worker, relay);
	}
	give_memory_back(worker);
}

static int wait_ms(struct worker *worker, int longest)
{
	int due = worker->settings->backend.timeout_ms(worker->backend);

	if (worker->ready || worker->has_news)
		return 0;
	return due >= 0 && due < longest ? due : longest;
}

static void note_event(struct worker *worker, const struct epoll_event *event)
{
	void *tag = event->data.ptr;

	if (tag == &listener_tag) {
		for (size_t i = 0; worker->accepts && i < worker->listener_count; i++)
			accept_from(worker, worker->listeners[i]);
	} else if (tag == &backend_tag) {
		worker->has_news = true;
	} else if (tag != &stop_tag) {
		relay_note(tag, event->events);
		make_ready(worker, tag);
	}
}

/* One turn: wait, pump, let the backend work, pump what it has done with. */
static void turn(struct worker *worker, int longest_ms)
{
	const struct tls_backend *backend = &worker->settings->backend;
	struct epoll_event events[EVENTS];
	int count = epoll_wait(worker->epoll, events, EVENTS, wait_ms(worker, longest_ms));

	worker->host.now_ms = clock_now_ms();
	atomic_store(&worker->turned_ms, worker->host.now_ms);
	for (int i = 0; i < count; i++)
		note_event(worker, &events[i]);
	pump_ready(worker);
	if (worker->has_news || backend->timeout_ms(worker->backend) == 0) {
		worker->has_news = false;
		backend->run(worker->backend);
		pump_ready(worker);
	}
	check_deadlines(worker);
	free_dead(worker);
}

/*
 * Whether a connection may end when draining. The backend tells how many
 * answers are under way, but not whose: while there is one, a connection has
 * none when it got no request since its last answer and nothing has moved for
 * so many turns that the backend, which goes on as soon as it has room, and
 * each ready socket (EVENTS at a time) must have had theirs.
 */
static bool may_end(struct relay *relay, bool is_busy)
{
	struct relay_links *links = relay_links(relay);

	if (links->is_dead || links->is_ready || !relay_is_idle(relay))
		return false;
	return !is_busy || (++links->quiet_turns > QUIET_TURNS && !relay_awaits(relay));
}

/* One round of draining: end what owes nothing. */
static void end_idle(struct worker *worker)
{
	bool is_busy = worker->settings->backend.busy(worker->backend) > 0;
	struct relay *next;

	for (struct relay *relay = worker->relays; relay; relay = next) {
		next = relay_links(relay)->next;
		if (may_end(relay, is_busy)) {
			relay_say_goodbye(relay);
			bury(worker, relay);
		}
	}
}

/* End what owes nothing; the rest has until the deadline, as long as it takes its bytes. */
static void drain(struct worker *worker)
{
	int64_t until = clock_now_ms() + atomic_load(&worker->grace_ms);

	if (worker->settings->backend.drain)
		worker->settings->backend.drain(worker->backend);
	for (size_t i = 0; i < worker->listener_count; i++)
		(void)close(worker->listeners[i]);
	worker->listener_count = 0;
	worker->accepts = false;
	turn(worker, 0); /* hears what has come by now */
	worker->host.is_draining = true;
	if (worker->host.stall_ms > DRAIN_STALL_MS)
		worker->host.stall_ms = DRAIN_STALL_MS;
	while (worker->relays && clock_now_ms() < until) {
		end_idle(worker);
		if (worker->relays)
			turn(worker, DRAIN_TICK_MS);
	}
}

static void *work(void *ctx)
{
	struct worker *worker = ctx;

	worker->host.now_ms = clock_now_ms();
	worker->tick_ms = worker->host.now_ms;
	while (atomic_load(&worker->grace_ms) < 0)
		turn(worker, TICK_MS);
	drain(worker);
	while (worker->relays)
		bury(worker, worker->relays);
	for (struct relay *relay = worker->ready; relay; relay = relay_links(relay)->next_ready)
		relay_links(relay)->is_ready = false;
	worker->ready = NULL;
	free_dead(worker);
	return NULL;
}

/* ---- life ---- */

static int open_parts(struct worker *worker, unsigned index, struct err *err)
{
	const struct tls_backend *backend = &worker->settings->backend;
	int fd;

	worker->method = wire_method_new(err);
	if (!worker->method)
		return -1;
	worker->host.method = worker->method;
	worker->counts = aligned_alloc(_Alignof(struct tls_counts), sizeof(*worker->counts));
	if (!worker->counts)
		return err_set_sys(err, ENOMEM, "worker");
	memset(worker->counts, 0, sizeof(*worker->counts));
	worker->host.counts = worker->counts;
	worker->host.block = malloc(RELAY_BLOCK_BYTES);
	worker->host.records = malloc(sizeof(*worker->host.records));
	if (!worker->host.block || !worker->host.records)
		return err_set_sys(err, ENOMEM, "worker");
	worker->host.records->size = 0;
	worker->epoll = epoll_create1(EPOLL_CLOEXEC);
	worker->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (worker->epoll < 0 || worker->stop_fd < 0)
		return err_set_sys(err, errno, "epoll");
	worker->backend = backend->open(backend->ctx, index, err);
	if (!worker->backend)
		return -1;
	for (size_t i = 0; i < worker->listener_count; i++)
		if (watch(worker, worker->listeners[i], EPOLLIN, &listener_tag))
			return err_set_sys(err, errno, "epoll");
	fd = backend->fd(worker->backend);
	if (watch(worker, worker->stop_fd, EPOLLIN | EPOLLET, &stop_tag) ||
	    (fd >= 0 && watch(worker, fd, EPOLLIN, &backend_tag)))
		return err_set_sys(err, errno, "epoll");
	return 0;
}

struct worker *worker_new_take(const struct tls_settings *settings, unsigned index,
                               struct credentials *credentials, struct caps *caps, int *listeners,
                               size_t count, struct err *err)
{
	struct worker *worker = calloc(1, sizeof(*worker));

	if (!worker) {
		(void)err_set_sys(err, ENOMEM, "worker");
		for (size_t i = 0; i < count; i++)
			(void)close(listeners[i]);
		free(listeners);
		return NULL;
	}
	worker->settings = settings;
	worker->credentials = credentials;
	worker->caps = caps;
	worker->listeners = listeners;
	worker->listener_count = count;
	worker->accepts = true;
	worker->epoll = -1;
	worker->stop_fd = -1;
	worker->grace_ms = -1;
	worker->host = (struct relay_host){ .handshake_ms = settings->handshake_ms,
		                            .head_ms = settings->head_ms,
		                            .stall_ms = settings->stall_ms,
		                            .idle_ms = settings->idle_ms,
		                            .attach = host_attach,
		                            .ready = host_ready,
		                            .again = host_again,
		                            .failed = host_failed,
		                            .ctx = worker };
	if (open_parts(worker, index, err)) {
		worker_free(worker);
		return NULL;
	}
	atomic_store(&worker->turned_ms, clock_now_ms());
	return worker;
}

int worker_start(struct worker *worker, struct err *err)
{
	sigset_t all, before;
	int failed;

	/* Signals are the main thread's; SIGPIPE of a write to a gone client is an error code. */
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	failed = pthread_create(&worker->thread, NULL, work, worker);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (failed)
		return err_set_sys(err, failed, "start a worker");
	worker->is_started = true;
	return 0;
}

void worker_stop(struct worker *worker, int grace_ms)
{
	uint64_t one = 1;

	atomic_store(&worker->grace_ms, grace_ms);
	/* It can only fail when it is readable already. */
	if (write(worker->stop_fd, &one, sizeof(one)) < 0)
		return;
}

void worker_join(struct worker *worker)
{
	if (worker->is_started)
		(void)pthread_join(worker->thread, NULL);
	worker->is_started = false;
}

void worker_free(struct worker *worker)
{
	if (!worker)
		return;
	if (worker->backend)
		worker->settings->backend.close(worker->backend);
	for (size_t i = 0; i < worker->listener_count; i++)
		(void)close(worker->listeners[i]);
	free(worker->listeners);
	free(worker->host.block);
	free(worker->host.records);
	free(worker->counts);
	BIO_meth_free(worker->method);
	cleanup_fd(&worker->epoll);
	cleanup_fd(&worker->stop_fd);
	free(worker);
}

const struct tls_counts *worker_counts(const struct worker *worker)
{
	return worker->counts;
}

int64_t worker_turned_ms(const struct worker *worker)
{
	return atomic_load(&worker->turned_ms);
}
