/* Downloads under way; see storage.h. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/io.h"
#include "store.h"

struct store_download *store_download_new(struct store *store, uint64_t size, struct err *err)
{
	struct store_download *download;
	uint64_t room;

	if (layout_free_bytes(&store->layout, &room, err))
		return NULL;
	if (room < store->reserve_bytes || room - store->reserve_bytes < size) {
		(void)err_set(err, ERR_NO_SPACE,
		              "no room: %" PRIu64 " bytes needed, %" PRIu64 " free, %" PRIu64
		              " of them kept in reserve",
		              size, room, store->reserve_bytes);
		return NULL;
	}
	download = malloc(sizeof(*download));
	if (!download) {
		(void)err_set_sys(err, ENOMEM, "download");
		return NULL;
	}
	download->store = store;
	download->fd = layout_tmp_create(&store->layout, download->name, err);
	if (download->fd < 0) {
		free(download);
		return NULL;
	}
	return download;
}

int store_download_write(struct store_download *download, const void *bytes, size_t size,
                         struct err *err)
{
	return io_write_all(download->fd, bytes, size, "the download", err);
}

int store_download_restart(struct store_download *download, struct err *err)
{
	if (ftruncate(download->fd, 0) || lseek(download->fd, 0, SEEK_SET) < 0)
		return err_set_sys(err, errno, "empty the download %s", download->name);
	return 0;
}

void store_download_free(struct store_download *download)
{
	if (!download)
		return;
	(void)close(download->fd);
	(void)unlinkat(download->store->layout.tmp, download->name, 0);
	free(download);
}
