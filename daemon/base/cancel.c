/* A request to stop; see cancel.h. */
#include "base/cancel.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct cancel {
	atomic_bool raised;
	int fd;
};

struct cancel *cancel_new(struct err *err)
{
	struct cancel *cancel = calloc(1, sizeof(*cancel));

	if (!cancel) {
		(void)err_set_sys(err, ENOMEM, "stop flag");
		return NULL;
	}
	cancel->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (cancel->fd < 0) {
		(void)err_set_sys(err, errno, "eventfd");
		free(cancel);
		return NULL;
	}
	return cancel;
}

void cancel_free(struct cancel *cancel)
{
	if (!cancel)
		return;
	(void)close(cancel->fd);
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
	return atomic_load(&cancel->raised);
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
