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

#include "base/cleanup.h"
#include "base/io.h"
#include "decoder.h"

enum {
	BLOCK_BYTES = 512 * 1024,
	BLOCKS = 8,
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

DEFINE_CLEANUP(cleanup_decoder, struct decoder, decoder_free);

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

/* Fill one block. *out_end at the end of all. */
static int unpack_block(struct stream *stream, struct decoder *decoder, struct decoding *io,
                        bool *out_end, struct err *err)
{
	while (io->out_size && !*out_end) {
		if (!io->in_size && !io->is_last) {
			const void *bytes;

			if (proven_next(stream->file, &bytes, &io->in_size, err))
				return -1;
			io->in = bytes;
			io->is_last = !io->in_size;
		}
		if (decoder_run(decoder, io, out_end, err))
			return -1;
	}
	return 0;
}

static int unpack_packed(struct stream *stream, enum decoder_format format, struct err *err)
{
	CLEANUP(cleanup_decoder) struct decoder *decoder = decoder_new(format, err);
	struct decoding io = { .in = NULL };
	bool end = false;

	if (!decoder)
		return -1;
	while (!end) {
		io.out = free_block(stream);
		io.out_size = BLOCK_BYTES;
		if (!io.out)
			return unwanted(err);
		if (unpack_block(stream, decoder, &io, &end, err) ||
		    block_is_full(stream, BLOCK_BYTES - io.out_size, err))
			return -1;
	}
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
		return unpack_packed(stream, DECODER_GZIP, err);
	case STREAM_XZ:
		return unpack_packed(stream, DECODER_XZ, err);
	case STREAM_ZSTD:
		return unpack_packed(stream, DECODER_ZSTD, err);
	default:
		return pass_on(stream, err);
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
