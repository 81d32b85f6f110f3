/* An archive's bytes, read and unpacked by a thread; see stream.h. A ring of blocks lies between.
 */
#include "stream.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <archive.h>
#include <archive_entry.h>
#define ZLIB_CONST /* input is const */
#include <zlib.h>

#include "base/cleanup.h"
#include "base/io.h"

enum {
	BLOCK_BYTES = 512 * 1024,
	BLOCKS = 8,
	GZIP_WINDOW = 15 + 16,
	TAR_MAGIC_AT = 257, /* POSIX 1003.1, ustar */
};

struct stream {
	struct proven *file; /* the thread's, while it runs */
	enum stream_format format;
	uint64_t bytes_max;
	pthread_t thread;
	bool is_running;
	/* The unpacking thread's own: */
	uint64_t total; /* unpacked */

	pthread_mutex_t mutex; /* guards all below but the blocks' content */
	pthread_cond_t changed;
	size_t first, count; /* full blocks; the first is the reader's while it looks at it */
	bool is_taken;       /* the reader looks at the first block */
	bool has_ended;      /* after the blocks that are full */
	bool is_unwanted;
	struct err err; /* why it ended */
	bool has_failed;
	size_t sizes[BLOCKS];
	unsigned char blocks[BLOCKS][BLOCK_BYTES];
};

enum stream_format stream_format_of(const unsigned char head[static STREAM_HEAD_BYTES])
{
	static const struct {
		size_t at;
		const char *magic;
		size_t size;
		enum stream_format format;
	} magics[] = {
		{ 0, "\x1f\x8b", 2, STREAM_GZIP },
		{ 0,
		  "\xfd"
		  "7zXZ",
		  6, STREAM_XZ },
		{ 0, "\x28\xb5\x2f\xfd", 4, STREAM_ZSTD },
		{ 0, "PK\x03\x04", 4, STREAM_ZIP },
		{ TAR_MAGIC_AT, "ustar", 5, STREAM_TAR },
	};

	for (size_t i = 0; i < sizeof(magics) / sizeof(magics[0]); i++)
		if (!memcmp(head + magics[i].at, magics[i].magic, magics[i].size))
			return magics[i].format;
	return STREAM_UNKNOWN;
}

int stream_format(int fd, enum stream_format *out_format, struct err *err)
{
	unsigned char head[STREAM_HEAD_BYTES] = { 0 };

	if (pread(fd, head, sizeof(head), 0) < 0)
		return err_set_sys(err, errno, "read the archive");
	*out_format = stream_format_of(head);
	return 0;
}

/* ---- the unpacking thread ---- */

/* Wait for a free block; NULL when nobody wants one any more. */
static unsigned char *free_block(struct stream *stream)
{
	unsigned char *block = NULL;

	(void)pthread_mutex_lock(&stream->mutex);
	while (stream->count == BLOCKS && !stream->is_unwanted)
		(void)pthread_cond_wait(&stream->changed, &stream->mutex);
	if (!stream->is_unwanted)
		block = stream->blocks[(stream->first + stream->count) % BLOCKS];
	(void)pthread_mutex_unlock(&stream->mutex);
	return block;
}

static int block_is_full(struct stream *stream, size_t size, struct err *err)
{
	if (!size)
		return 0;
	stream->total += size;
	if (stream->total > stream->bytes_max)
		return err_set(err, ERR_LIMIT,
		               "what is packed in the archive is over %" PRIu64 " bytes",
		               stream->bytes_max);
	(void)pthread_mutex_lock(&stream->mutex);
	stream->sizes[(stream->first + stream->count) % BLOCKS] = size;
	stream->count++;
	(void)pthread_cond_signal(&stream->changed);
	(void)pthread_mutex_unlock(&stream->mutex);
	return 0;
}

static int unwanted(struct err *err)
{
	return err_set(err, ERR_CANCELLED, "nobody reads on");
}

static int broken(struct err *err, const char *why)
{
	return err_set(err, ERR_FORMAT, "the archive's gzip data is broken: %s", why);
}

static int more_input(struct stream *stream, z_stream *z, struct err *err)
{
	const void *bytes;
	size_t size;

	if (z->avail_in)
		return 1;
	if (proven_next(stream->file, &bytes, &size, err))
		return -1;
	z->next_in = bytes;
	z->avail_in = (uInt)size;
	return size > 0;
}

/* After a member: 1 when another one begins, 0 at the end, where zeros may stand (as on tapes). */
static int next_member(struct stream *stream, z_stream *z, struct err *err)
{
	int more = more_input(stream, z, err);

	if (more <= 0)
		return more;
	if (*z->next_in == 0x1f)
		return inflateReset(z) == Z_OK ? 1 : broken(err, "zlib can't begin");
	while (more > 0) {
		for (; z->avail_in; z->next_in++, z->avail_in--)
			if (*z->next_in)
				return broken(err, "other bytes follow it");
		more = more_input(stream, z, err);
	}
	return more;
}

/* Fill one block, over the ends of members. *out_end at the end of all. */
static int inflate_block(struct stream *stream, z_stream *z, bool *out_end, struct err *err)
{
	while (z->avail_out && !*out_end) {
		int more = more_input(stream, z, err);
		int result;

		if (more < 0)
			return -1;
		result = more ? inflate(z, Z_NO_FLUSH) : Z_BUF_ERROR;
		if (result == Z_STREAM_END) {
			more = next_member(stream, z, err);
			if (more < 0)
				return -1;
			*out_end = !more;
		} else if (result == Z_MEM_ERROR) {
			return err_set_sys(err, ENOMEM, "unpack the archive");
		} else if (result != Z_OK) {
			return broken(err, more ? z->msg ? z->msg : "it wants a dictionary"
			                        : "it is cut off");
		}
	}
	return 0;
}

static int unpack_gzip(struct stream *stream, struct err *err)
{
	z_stream z = { .next_in = NULL };
	bool end = false;
	int failed = 0;

	if (inflateInit2(&z, GZIP_WINDOW) != Z_OK)
		return err_set_sys(err, ENOMEM, "unpack the archive");
	while (!end && !failed) {
		z.next_out = free_block(stream);
		z.avail_out = BLOCK_BYTES;
		failed = z.next_out ? inflate_block(stream, &z, &end, err) : unwanted(err);
		if (!failed)
			failed = block_is_full(stream, BLOCK_BYTES - z.avail_out, err);
	}
	(void)inflateEnd(&z);
	return failed;
}

static la_ssize_t give_packed(struct archive *archive, void *ctx, const void **out_bytes)
{
	struct stream *stream = ctx;
	struct err err;
	size_t size;

	if (!proven_next(stream->file, out_bytes, &size, &err))
		return (la_ssize_t)size;
	archive_set_error(archive, EIO, "%s", err.msg);
	return ARCHIVE_FATAL;
}

static void cleanup_archive(struct archive **archive)
{
	if (*archive)
		(void)archive_read_free(*archive);
}

/* xz and zstd, by libarchive, which checks theirs itself. */
static int unpack_other(struct stream *stream, struct err *err)
{
	CLEANUP(cleanup_archive) struct archive *archive = archive_read_new();
	struct archive_entry *entry;
	la_ssize_t n;

	if (!archive)
		return err_set_sys(err, ENOMEM, "unpack the archive");
	if ((stream->format == STREAM_XZ ? archive_read_support_filter_xz
	                                 : archive_read_support_filter_zstd)(archive) ||
	    archive_read_support_format_raw(archive) ||
	    archive_read_open(archive, stream, NULL, give_packed, NULL) ||
	    archive_read_next_header(archive, &entry))
		return err_set(err, ERR_FORMAT, "the archive's packed data is broken: %.200s",
		               archive_error_string(archive));
	do {
		unsigned char *block = free_block(stream);

		if (!block)
			return unwanted(err);
		n = archive_read_data(archive, block, BLOCK_BYTES);
		if (n < 0)
			return err_set(err, ERR_FORMAT,
			               "the archive's packed data is broken: %.200s",
			               archive_error_string(archive));
		if (block_is_full(stream, (size_t)n, err))
			return -1;
	} while (n);
	return 0;
}

/* What is not packed. */
static int pass_on(struct stream *stream, struct err *err)
{
	const void *bytes;
	size_t size;

	do {
		unsigned char *block = free_block(stream);

		if (!block)
			return unwanted(err);
		if (proven_next(stream->file, &bytes, &size, err))
			return -1;
		memcpy(block, bytes, size);
		if (block_is_full(stream, size, err))
			return -1;
	} while (size);
	return 0;
}

static int unpack_all(struct stream *stream, struct err *err)
{
	switch (stream->format) {
	case STREAM_GZIP:
		return unpack_gzip(stream, err);
	case STREAM_TAR:
		return pass_on(stream, err);
	default:
		return unpack_other(stream, err);
	}
}

static void *run(void *ctx)
{
	struct stream *stream = ctx;
	struct err err;
	int failed = unpack_all(stream, &err);

	(void)pthread_mutex_lock(&stream->mutex);
	stream->has_ended = true;
	stream->has_failed = failed != 0;
	if (failed)
		stream->err = err;
	(void)pthread_cond_signal(&stream->changed);
	(void)pthread_mutex_unlock(&stream->mutex);
	return NULL;
}

/* ---- the reader ---- */

DEFINE_CLEANUP(cleanup_stream, struct stream, stream_free);

struct stream *stream_new(struct proven *file, enum stream_format format, uint64_t bytes_max,
                          struct err *err)
{
	CLEANUP(cleanup_stream) struct stream *stream = calloc(1, sizeof(*stream));
	int sys;

	if (!stream) {
		(void)err_set_sys(err, ENOMEM, "unpack the archive");
		return NULL;
	}
	stream->file = file;
	stream->format = format;
	stream->bytes_max = bytes_max;
	(void)pthread_mutex_init(&stream->mutex, NULL);
	(void)pthread_cond_init(&stream->changed, NULL);
	sys = pthread_create(&stream->thread, NULL, run, stream);
	if (sys) {
		(void)err_set_sys(err, sys, "start a thread");
		return NULL;
	}
	stream->is_running = true;
	return STEAL(stream);
}

void stream_free(struct stream *stream)
{
	if (!stream)
		return;
	(void)pthread_mutex_lock(&stream->mutex);
	stream->is_unwanted = true;
	(void)pthread_cond_signal(&stream->changed);
	(void)pthread_mutex_unlock(&stream->mutex);
	if (stream->is_running)
		(void)pthread_join(stream->thread, NULL);
	(void)pthread_cond_destroy(&stream->changed);
	(void)pthread_mutex_destroy(&stream->mutex);
	free(stream);
}

int stream_read(struct stream *stream, const void **out_block, size_t *out_size, struct err *err)
{
	int failed = 0;

	(void)pthread_mutex_lock(&stream->mutex);
	if (stream->is_taken) {
		stream->first = (stream->first + 1) % BLOCKS;
		stream->count--;
		stream->is_taken = false;
		(void)pthread_cond_signal(&stream->changed);
	}
	while (!stream->count && !stream->has_ended)
		(void)pthread_cond_wait(&stream->changed, &stream->mutex);
	*out_size = 0;
	if (stream->count) {
		*out_block = stream->blocks[stream->first];
		*out_size = stream->sizes[stream->first];
		stream->is_taken = true;
	} else if (stream->has_failed) {
		*err = stream->err;
		failed = -1;
	}
	(void)pthread_mutex_unlock(&stream->mutex);
	return failed;
}

int stream_drain(struct stream *stream, const struct cancel *cancel, struct err *err)
{
	const void *block;
	size_t size;

	do
		if (cancel_check(cancel, err) || stream_read(stream, &block, &size, err))
			return -1;
	while (size);
	return 0;
}
