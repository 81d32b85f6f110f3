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

void cancel_raise(struct cancel *cancel)
{
	int saved = errno;
	uint64_t one = 1;

	atomic_store(&cancel->raised, true);
	/* Can only fail when the counter is full: then it is readable already. */
	if (write(cancel->fd, &one, sizeof(one)) < 0)
		errno = saved;
}

bool cancel_is_raised(const struct cancel *cancel)
{
	atomic_store_explicit(cancel->heeded_ms, clock_now_ms(), memory_order_relaxed);
	return atomic_load(&cancel->raised);
}

int64_t cancel_heeded_ms(const struct cancel *cancel)
{
	return atomic_load_explicit(cancel->heeded_ms, memory_order_relaxed);
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
