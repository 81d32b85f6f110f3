/* A request to stop; see cancel.h. */
#include "base/cancel.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"

struct cancel {
	atomic_bool raised;
	atomic_bool interrupted;
	int fd;
	_Atomic int64_t *heeded_ms; /* apart, since to look changes nothing for the caller */
};

struct cancel *cancel_new(struct err *err)
{
	struct cancel *cancel = calloc(1, sizeof(*cancel));

	if (!cancel) {
		(void)err_set_sys(err, ENOMEM, "stop flag");
		return NULL;
	}
	cancel->heeded_ms = calloc(1, sizeof(*cancel->heeded_ms));
	cancel->fd = cancel->heeded_ms ? eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) : -1;
	if (cancel->fd < 0) {
		(void)err_set_sys(err, errno, "stop flag");
		free(cancel->heeded_ms);
		free(cancel);
		return NULL;
	}
	atomic_store(cancel->heeded_ms, clock_now_ms());
	return cancel;
}

void cancel_free(struct cancel *cancel)
{
	if (!cancel)
		return;
	(void)close(cancel->fd);
	free(cancel->heeded_ms);
	free(cancel);
}

static void make_readable(const struct cancel *cancel)
{
	int saved = errno;
	uint64_t one = 1;

	/* Can only fail when the counter is full: then it is readable already. */
	if (write(cancel->fd, &one, sizeof(one)) < 0)
		errno = saved;
}

void cancel_raise(struct cancel *cancel)
{
	atomic_store(&cancel->raised, true);
	make_readable(cancel);
}

void cancel_interrupt(struct cancel *cancel)
{
	atomic_store(&cancel->interrupted, true);
	make_readable(cancel);
}

void cancel_resume(struct cancel *cancel)
{
	uint64_t count;

	atomic_store(&cancel->interrupted, false);
	/* There is nothing to be read when it was not interrupted. */
	if (read(cancel->fd, &count, sizeof(count)) < 0)
		return;
	if (cancel_is_final(cancel))
		make_readable(cancel);
}

static void heed(const struct cancel *cancel)
{
	atomic_store_explicit(cancel->heeded_ms, clock_now_ms(), memory_order_relaxed);
}

bool cancel_is_final(const struct cancel *cancel)
{
	heed(cancel);
	return atomic_load(&cancel->raised);
}

int64_t cancel_heeded_ms(const struct cancel *cancel)
{
	return atomic_load_explicit(cancel->heeded_ms, memory_order_relaxed);
}

bool cancel_is_raised(const struct cancel *cancel)
{
	heed(cancel);
	return atomic_load(&cancel->raised) || atomic_load(&cancel->interrupted);
}

int cancel_fd(const struct cancel *cancel)
{
	return cancel->fd;
}

int cancel_check(const struct cancel *cancel, struct err *err)
{
	if (cancel_is_raised(cancel))
		return err_set(err, ERR_CANCELLED, "stopping");
	return 0;
}
