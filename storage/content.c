/* Contents of files, hashed before a byte is given out; see storage.h. */
#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "object.h"
#include "store.h"

static int verify(struct store *store, const struct store_entry *file, int fd, void *bytes,
                  struct err *err)
{
	const struct digest content = store_content_digest(file);

	if (!object_verify(fd, &content, file->size, bytes, err))
		return 0;
	if (err->kind == ERR_DIGEST || err->sys == EIO) {
		if (!store->is_reader)
			object_put_aside(&store->layout, &content);
		damage_note(store, &content, file->name, err->msg);
		err->kind = ERR_DIGEST;
	}
	return -1;
}

static int open_large(struct store *store, const struct store_entry *file, int fd, struct err *err)
{
	const struct digest content = store_content_digest(file);
	struct err unneeded;
	bool known;

	(void)pthread_mutex_lock(&store->mutex);
	known = digest_set_has(&store->verified, &content);
	(void)pthread_mutex_unlock(&store->mutex);
	if (known)
		return 0;
	if (verify(store, file, fd, NULL, err))
		return -1;
	(void)pthread_mutex_lock(&store->mutex);
	if (digest_set_add(&store->verified, &content, &unneeded)) {
		/* Without memory it is hashed once more by the next request. */
	}
	(void)pthread_mutex_unlock(&store->mutex);
	return 0;
}

int store_content_open(struct store *store, const struct store_entry *file,
                       struct store_content *out_content, struct err *err)
{
	const struct digest content = store_content_digest(file);
	CLEANUP(cleanup_fd) int fd = object_open(&store->layout, &content, err);
	CLEANUP(cleanup_free) void *bytes = NULL;

	if (fd < 0 && err->kind == ERR_NOT_FOUND && !damage_is_known(store, &content))
		damage_note(store, &content, file->name, err->msg);
	if (fd < 0)
		return -1;
	if (file->size > STORE_IN_MEMORY_BYTES) {
		if (open_large(store, file, fd, err))
			return -1;
		*out_content = (struct store_content){ .bytes = NULL, .fd = steal_fd(&fd) };
		return 0;
	}
	if (file->size) {
		bytes = malloc(file->size);
		if (!bytes)
			return err_set_sys(err, ENOMEM, "read %s", file->name);
		if (verify(store, file, fd, bytes, err))
			return -1;
	}
	*out_content = (struct store_content){ .bytes = STEAL(bytes), .fd = -1 };
	return 0;
}

void store_content_release(struct store_content *content)
{
	free(content->bytes);
	cleanup_fd(&content->fd);
	*content = (struct store_content){ .bytes = NULL, .fd = -1 };
}
