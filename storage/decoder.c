/* Unpacking gzip, xz and zstd; see decoder.h. */
#include "decoder.h"

#include <errno.h>
#include <stdlib.h>

#include <lzma.h>
#define ZLIB_CONST /* input is const */
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "base/cleanup.h"

enum {
	GZIP_WINDOW = 15 + 16,
	GZIP_MAGIC = 0x1f,
	ZSTD_MAGIC = 0x28,
	/* Those of skippable frames; RFC 8878 section 3.1.2. */
	SKIPPABLE_FIRST = 0x50,
	SKIPPABLE_LAST = 0x5f,
	XZ_BESIDE = 1 << 20, /* what xz takes beside the window; liblzma wants 65 KiB or so */
};

struct decoder {
	enum decoder_format format;
	bool is_between; /* members or frames: it may end here */
	bool is_padding; /* what follows the last member */
	z_stream gzip;
	lzma_stream xz;
	ZSTD_DStream *zstd;
};

DEFINE_CLEANUP(cleanup_decoder, struct decoder, decoder_free);

static bool begin(struct decoder *d)
{
	switch (d->format) {
	case DECODER_GZIP:
		return inflateInit2(&d->gzip, GZIP_WINDOW) == Z_OK;
	case DECODER_XZ:
		return lzma_stream_decoder(&d->xz, DECODER_WINDOW_MAX + XZ_BESIDE,
		                           LZMA_CONCATENATED) == LZMA_OK;
	default:
		d->zstd = ZSTD_createDStream();
		return d->zstd && !ZSTD_isError(ZSTD_DCtx_setParameter(d->zstd, ZSTD_d_windowLogMax,
		                                                       DECODER_WINDOW_LOG_MAX));
	}
}

struct decoder *decoder_new(enum decoder_format format, struct err *err)
{
	CLEANUP(cleanup_decoder) struct decoder *d = calloc(1, sizeof(*d));

	if (d) {
		d->format = format;
		d->xz = (lzma_stream)LZMA_STREAM_INIT;
	}
	if (!d || !begin(d)) {
		(void)err_set_sys(err, ENOMEM, "unpack the archive");
		return NULL;
	}
	return STEAL(d);
}

void decoder_free(struct decoder *decoder)
{
	if (!decoder)
		return;
	(void)inflateEnd(&decoder->gzip); /* knows one that was never begun */
	lzma_end(&decoder->xz);
	(void)ZSTD_freeDStream(decoder->zstd);
	free(decoder);
}

static int broken(const struct decoder *d, struct err *err, const char *why)
{
	static const char *const names[] = { "gzip", "xz", "zstd" };

	return err_set(err, ERR_FORMAT, "the archive's %s data is broken: %.200s", names[d->format],
	               why);
}

static int too_large(struct err *err, const char *format)
{
	return err_set(err, ERR_LIMIT,
	               "the archive is packed by %s with a window of over %d MiB, which "
	               "unpacking would take as memory",
	               format, DECODER_WINDOW_MAX >> 20);
}

static void take(struct decoding *io, size_t in_left, size_t out_left)
{
	io->in += io->in_size - in_left;
	io->in_size = in_left;
	io->out += io->out_size - out_left;
	io->out_size = out_left;
}

/* ---- gzip ---- */

/* Zeros may stand behind the last member, as on tapes. */
static int skip_zeros(struct decoder *d, struct decoding *io, struct err *err)
{
	d->is_padding = true;
	for (; io->in_size; io->in++, io->in_size--)
		if (*io->in)
			return broken(d, err, "other bytes follow it");
	return 0;
}

static int inflate_some(struct decoder *d, struct decoding *io, struct err *err)
{
	z_stream *z = &d->gzip;
	int result;

	z->next_in = io->in;
	z->avail_in = (uInt)io->in_size;
	z->next_out = io->out;
	z->avail_out = (uInt)io->out_size;
	result = inflate(z, Z_NO_FLUSH);
	take(io, z->avail_in, z->avail_out);
	switch (result) {
	case Z_STREAM_END:
		d->is_between = true;
		return 0;
	case Z_OK:
		return 0;
	case Z_MEM_ERROR:
		return err_set_sys(err, ENOMEM, "unpack the archive");
	case Z_BUF_ERROR:
		return broken(d, err, "it is cut off");
	case Z_NEED_DICT:
		return broken(d, err, "it wants a dictionary");
	default:
		return broken(d, err, z->msg ? z->msg : "unknown reason");
	}
}

static int run_gzip(struct decoder *d, struct decoding *io, bool *out_end, struct err *err)
{
	if (d->is_between) {
		*out_end = !io->in_size && io->is_last;
		if (!io->in_size)
			return 0;
		if (d->is_padding || *io->in != GZIP_MAGIC)
			return skip_zeros(d, io, err);
		if (inflateReset(&d->gzip) != Z_OK)
			return broken(d, err, "zlib can't begin");
		d->is_between = false;
	}
	return inflate_some(d, io, err);
}

/* ---- xz ---- */

/* liblzma looks at the streams that follow, and at what stands between them, itself. */
static int run_xz(struct decoder *d, struct decoding *io, bool *out_end, struct err *err)
{
	lzma_stream *xz = &d->xz;
	lzma_ret result;

	xz->next_in = io->in;
	xz->avail_in = io->in_size;
	xz->next_out = io->out;
	xz->avail_out = io->out_size;
	result = lzma_code(xz, io->is_last ? LZMA_FINISH : LZMA_RUN);
	take(io, xz->avail_in, xz->avail_out);
	switch (result) {
	case LZMA_STREAM_END:
		*out_end = true;
		return 0;
	case LZMA_OK:
		return 0;
	case LZMA_MEMLIMIT_ERROR:
		return too_large(err, "xz");
	case LZMA_MEM_ERROR:
		return err_set_sys(err, ENOMEM, "unpack the archive");
	case LZMA_BUF_ERROR:
		return broken(d, err, "it is cut off");
	case LZMA_OPTIONS_ERROR:
		return broken(d, err, "it is of a kind that liblzma does not know");
	default:
		return broken(d, err, "it is damaged, or other bytes follow it");
	}
}

/* ---- zstd ---- */

/* What is not of RFC 8878 (versions before it, which libzstd may know) takes memory of its own. */
static bool is_frame(unsigned char first)
{
	return first == ZSTD_MAGIC || (first >= SKIPPABLE_FIRST && first <= SKIPPABLE_LAST);
}

static int zstd_failed(const struct decoder *d, size_t result, struct err *err)
{
	switch (ZSTD_getErrorCode(result)) {
	case ZSTD_error_frameParameter_windowTooLarge:
		return too_large(err, "zstd");
	case ZSTD_error_memory_allocation:
		return err_set_sys(err, ENOMEM, "unpack the archive");
	default:
		return broken(d, err, ZSTD_getErrorName(result));
	}
}

static int run_zstd(struct decoder *d, struct decoding *io, bool *out_end, struct err *err)
{
	ZSTD_inBuffer in = { io->in, io->in_size, 0 };
	ZSTD_outBuffer out = { io->out, io->out_size, 0 };
	size_t result;

	if (d->is_between) {
		*out_end = !io->in_size && io->is_last;
		if (!io->in_size)
			return 0;
		if (!is_frame(*io->in))
			return broken(d, err, "other bytes follow it");
	}
	result = ZSTD_decompressStream(d->zstd, &out, &in);
	if (ZSTD_isError(result))
		return zstd_failed(d, result, err);
	d->is_between = !result;
	if (io->is_last && result && in.pos == io->in_size && !out.pos)
		return broken(d, err, "it is cut off");
	take(io, in.size - in.pos, out.size - out.pos);
	return 0;
}

int decoder_run(struct decoder *decoder, struct decoding *io, bool *out_end, struct err *err)
{
	switch (decoder->format) {
	case DECODER_GZIP:
		return run_gzip(decoder, io, out_end, err);
	case DECODER_XZ:
		return run_xz(decoder, io, out_end, err);
	default:
		return run_zstd(decoder, io, out_end, err);
	}
}
