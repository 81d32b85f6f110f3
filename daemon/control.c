/*
 * The control socket; see control.h. The thread never blocks but in poll, and
 * everything that a peer can hold on to is bounded: a few connections, a short
 * line each, and the time to send it.
 */
#include "control.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"

enum {
	CLIENTS = 8,
	REQUEST_MS = 10 * 1000, /* to send the line */
	PAUSE_MS = 1000,        /* after a connection that could not be taken */
	LINE_SIZE = SYNC_REASON_SIZE + 32,
	REQUEST_SIZE = 8, /* more than the longest */
	REQUESTS = 2,
};

static const char *const requests[] = { [CONTROL_SYNC] = "sync\n", [CONTROL_GC] = "gc\n" };
static const char socket_name[] = "control.sock";

static const char *const words[] = {
	[SYNC_VERDICT_DONE] = "done",
	[SYNC_VERDICT_NOTHING] = "nothing",
	[SYNC_VERDICT_FAILED] = "failed",
	[SYNC_VERDICT_STOPPED] = "stopping",
};

enum { WORDS = sizeof(words) / sizeof(words[0]) };

struct client {
	int fd;              /* -1: free */
	uint64_t ticket;     /* what it waits for; 0: its request is not whole yet */
	int64_t deadline_ms; /* for its request */
	enum control_request request;
	char line[REQUEST_SIZE];
	size_t size;
};

struct control {
	struct poller *poller;
	const struct cancel *cancel; /* the daemon's: stop taking requests */
	struct cancel *end;          /* end the thread */
	int folder;
	int listener;
	int64_t listen_from_ms;
	pthread_t thread;
	struct client clients[CLIENTS];
};

/* ---- the place ---- */

/* Open run/ in the data directory, with these flags of open(2). */
static int open_folder(const char *data_dir, int flags, struct err *err)
{
	char path[PATH_MAX];
	int fd;

	if ((size_t)snprintf(path, sizeof(path), "%s/run", data_dir) >= sizeof(path))
		return err_set(err, ERR_CONFIG, "--data-dir is too long");
	if (!(flags & O_PATH) && mkdir(path, 0700) && errno != EEXIST)
		return err_set_sys(err, errno, "create folder %s", path);
	fd = open(path, O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC | flags);
	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
		return err_set(err, ERR_NOT_FOUND, "%s is not there", path);
	if (fd < 0)
		return err_set_sys(err, errno, "open folder %s", path);
	return fd;
}

/* By the folder's descriptor: a path in sun_path could be 107 bytes long, and data_dir is not. */
static struct sockaddr_un address_in(int folder)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	(void)snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/%s", folder,
	               socket_name);
	return address;
}

static int listen_in(int folder, struct err *err)
{
	struct sockaddr_un address = address_in(folder);
	CLEANUP(cleanup_fd)
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return err_set_sys(err, errno, "socket");
	/* The folder was made by another umask, or by hand. */
	if (fchmod(folder, 0700))
		return err_set_sys(err, errno, "close folder run to others");
	if (unlinkat(folder, socket_name, 0) && errno != ENOENT)
		return err_set_sys(err, errno, "remove the old run/%s", socket_name);
	if (bind(fd, (const struct sockaddr *)&address, sizeof(address)))
		return err_set_sys(err, errno, "make run/%s", socket_name);
	if (fchmodat(folder, socket_name, 0600, 0) || listen(fd, CLIENTS))
		return err_set_sys(err, errno, "listen on run/%s", socket_name);
	return steal_fd(&fd);
}

/* ---- clients ---- */

static void answer(int fd, enum sync_verdict verdict, const char *reason)
{
	char line[LINE_SIZE];
	int length = snprintf(line, sizeof(line), "%s%s%s\n", words[verdict], *reason ? ": " : "",
	                      reason);

	/* It fits the socket's buffer; who hung up doesn't want it. */
	(void)send(fd, line, (size_t)length, MSG_NOSIGNAL | MSG_DONTWAIT);
	(void)close(fd);
}

static void answer_client(struct client *client, enum sync_verdict verdict, const char *reason)
{
	answer(client->fd, verdict, reason);
	client->fd = -1;
}

static void answer_stopping(struct client *client)
{
	answer_client(client, SYNC_VERDICT_STOPPED, "the daemon is stopping");
}

static bool may_ask(int fd)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);

	return !getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) &&
	       (peer.uid == geteuid() || peer.uid == 0);
}

static void take_client(struct control *control)
{
	int fd = accept4(control->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0) {
		/* Out of descriptors, it would be readable for ever. */
		if (errno != EAGAIN && errno != ECONNABORTED && errno != EINTR)
			control->listen_from_ms = clock_now_ms() + PAUSE_MS;
		return;
	}
	if (!may_ask(fd)) {
		answer(fd, SYNC_VERDICT_FAILED, "only the daemon's own user and root may ask it");
		return;
	}
	for (size_t i = 0; i < CLIENTS; i++)
		if (control->clients[i].fd < 0) {
			control->clients[i] = (struct client){
				.fd = fd, .deadline_ms = clock_now_ms() + REQUEST_MS
			};
			return;
		}
	answer(fd, SYNC_VERDICT_FAILED, "the daemon is asked by too many already");
}

/* What has come is a request, may become one, or is none. */
static void take_request(struct control *control, struct client *client)
{
	bool may_become = false;

	for (unsigned i = 0; i < REQUESTS; i++) {
		size_t length = strlen(requests[i]);

		if (client->size > length || memcmp(client->line, requests[i], client->size) != 0)
			continue;
		may_become = true;
		if (client->size < length)
			continue;
		client->request = (enum control_request)i;
		client->ticket = i == CONTROL_GC ? poller_ask_sweep(control->poller)
		                                 : poller_ask(control->poller);
	}
	if (!may_become)
		answer_client(client, SYNC_VERDICT_FAILED, "the request is not understood");
}

/* It sent something, or hung up. */
static void hear_client(struct control *control, struct client *client)
{
	char *room = client->line + client->size;
	ssize_t n = recv(client->fd, room, sizeof(client->line) - client->size, 0);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0 || client->ticket) { /* hung up, or says what nobody asked for */
		(void)close(client->fd);
		client->fd = -1;
		return;
	}
	client->size += (size_t)n;
	if (cancel_is_raised(control->cancel))
		answer_stopping(client);
	else
		take_request(control, client);
}

static bool has_ended(struct control *control, const struct client *client,
                      struct sync_outcome *out_outcome)
{
	return client->request == CONTROL_GC
	               ? poller_has_swept(control->poller, client->ticket, out_outcome)
	               : poller_has_ended(control->poller, client->ticket, out_outcome);
}

static void look_after(struct control *control, struct client *client)
{
	struct sync_outcome outcome;

	if (client->fd < 0)
		return;
	if (client->ticket && cancel_is_raised(control->cancel))
		answer_stopping(client);
	else if (client->ticket && has_ended(control, client, &outcome))
		answer_client(client, outcome.verdict, outcome.reason);
	else if (!client->ticket && clock_now_ms() >= client->deadline_ms)
		answer_client(client, SYNC_VERDICT_FAILED, "no request came");
}

/* ---- the thread ---- */

/* Milliseconds until something is due by the clock; -1: nothing is. */
static int next_due(const struct control *control)
{
	int64_t now = clock_now_ms(), due = INT64_MAX;

	if (control->listen_from_ms > now)
		due = control->listen_from_ms;
	for (size_t i = 0; i < CLIENTS; i++)
		if (control->clients[i].fd >= 0 && !control->clients[i].ticket &&
		    control->clients[i].deadline_ms < due)
			due = control->clients[i].deadline_ms;
	if (due == INT64_MAX)
		return -1;
	return due > now ? (int)(due - now) : 0;
}

enum { END, STOP, ENDED, LISTENER, FIRST_CLIENT };

static void go_once(struct control *control)
{
	struct pollfd fds[FIRST_CLIENT + CLIENTS];
	uint64_t rounds;

	fds[END] = (struct pollfd){ .fd = cancel_fd(control->end), .events = POLLIN };
	/* Once raised it stays so: it is to wake but once. */
	fds[STOP] = (struct pollfd){ .fd = cancel_is_raised(control->cancel)
		                                   ? -1
		                                   : cancel_fd(control->cancel),
		                     .events = POLLIN };
	fds[ENDED] = (struct pollfd){ .fd = poller_ended_fd(control->poller), .events = POLLIN };
	fds[LISTENER] = (struct pollfd){ .fd = control->listen_from_ms > clock_now_ms()
		                                       ? -1
		                                       : control->listener,
		                         .events = POLLIN };
	for (size_t i = 0; i < CLIENTS; i++)
		fds[FIRST_CLIENT + i] = (struct pollfd){ .fd = control->clients[i].fd,
			                                 .events = POLLIN };
	if (poll(fds, FIRST_CLIENT + CLIENTS, next_due(control)) < 0)
		return;
	if (fds[ENDED].revents &&
	    read(poller_ended_fd(control->poller), &rounds, sizeof(rounds)) < 0)
		return;
	for (size_t i = 0; i < CLIENTS; i++) {
		if (fds[FIRST_CLIENT + i].revents)
			hear_client(control, &control->clients[i]);
		look_after(control, &control->clients[i]);
	}
	if (fds[LISTENER].revents)
		take_client(control);
}

static void *run(void *ctx)
{
	struct control *control = ctx;

	while (!cancel_is_raised(control->end))
		go_once(control);
	for (size_t i = 0; i < CLIENTS; i++)
		if (control->clients[i].fd >= 0)
			answer_stopping(&control->clients[i]);
	return NULL;
}

static void control_free(struct control *control)
{
	cleanup_fd(&control->listener);
	cleanup_fd(&control->folder);
	cancel_free(control->end);
	free(control);
}

static int start(struct control *control, const char *data_dir, struct err *err)
{
	sigset_t all, before;
	int failed;

	control->end = cancel_new(err);
	if (!control->end)
		return -1;
	control->folder = open_folder(data_dir, O_RDONLY, err);
	if (control->folder < 0)
		return -1;
	control->listener = listen_in(control->folder, err);
	if (control->listener < 0)
		return -1;
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	failed = pthread_create(&control->thread, NULL, run, control);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	return failed ? err_set_sys(err, failed, "start the control thread") : 0;
}

struct control *control_start(const char *data_dir, struct poller *poller,
                              const struct cancel *cancel, struct err *err)
{
	struct control *control = calloc(1, sizeof(*control));

	if (!control) {
		(void)err_set_sys(err, ENOMEM, "control");
		return NULL;
	}
	control->poller = poller;
	control->cancel = cancel;
	control->folder = control->listener = -1;
	for (size_t i = 0; i < CLIENTS; i++)
		control->clients[i].fd = -1;
	if (start(control, data_dir, err)) {
		control_free(control);
		return NULL;
	}
	return control;
}

void control_stop(struct control *control)
{
	if (!control)
		return;
	cancel_raise(control->end);
	(void)pthread_join(control->thread, NULL);
	(void)unlinkat(control->folder, socket_name, 0);
	control_free(control);
}

/* ---- the other end ---- */

static int connect_in(int folder, struct err *err)
{
	struct sockaddr_un address = address_in(folder);
	CLEANUP(cleanup_fd) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return err_set_sys(err, errno, "socket");
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address))) {
		if (errno == ENOENT || errno == ECONNREFUSED)
			return err_set(err, ERR_NOT_FOUND, "no daemon listens");
		return err_set_sys(err, errno, "ask the running daemon");
	}
	return steal_fd(&fd);
}

/* Up to the end of the line, of the connection, or of the room. */
static int read_line(int fd, char line[static LINE_SIZE], struct err *err)
{
	size_t size = 0;

	while (size < LINE_SIZE - 1 && !memchr(line, '\n', size)) {
		ssize_t n = recv(fd, line + size, LINE_SIZE - 1 - size, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break; /* hung up; what has come is judged below */
		size += (size_t)n;
	}
	line[size] = '\0';
	if (!size || line[size - 1] != '\n')
		return err_set(err, ERR_IO,
		               "the running daemon ended before it answered: see its log");
	line[size - 1] = '\0';
	return 0;
}

static int understand(const char *line, struct sync_outcome *out_outcome, struct err *err)
{
	size_t length = strcspn(line, ":");

	for (unsigned i = 0; i < WORDS; i++) {
		struct sync_outcome outcome = { .verdict = (enum sync_verdict)i };

		if (strlen(words[i]) != length || strncmp(words[i], line, length) != 0)
			continue;
		if (line[length])
			(void)snprintf(outcome.reason, sizeof(outcome.reason), "%s",
			               line + length + 1 + strspn(line + length + 1, " "));
		*out_outcome = outcome;
		return 0;
	}
	return err_set(err, ERR_FORMAT,
	               "the running daemon answers \"%.40s\": it may be of another version", line);
}

int control_ask(const char *data_dir, enum control_request request,
                struct sync_outcome *out_outcome, struct err *err)
{
	CLEANUP(cleanup_fd) int folder = open_folder(data_dir, O_PATH, err);
	CLEANUP(cleanup_fd) int fd = folder < 0 ? -1 : connect_in(folder, err);
	char line[LINE_SIZE];

	if (fd < 0)
		return -1;
	/* A daemon that won't take it has answered already, and hung up. */
	(void)send(fd, requests[request], strlen(requests[request]), MSG_NOSIGNAL);
	if (read_line(fd, line, err))
		return -1;
	return understand(line, out_outcome, err);
}
