/* Compressed twins; see twin.h. */
#include "twin.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <zlib.h>

#include "base/cleanup.h"

enum { PACKED_BLOCK = 64 * 1024, GZIP_WINDOW = 15 + 16, MEMORY_LEVEL = 9, SYSTEM_UNKNOWN = 255 };

struct twin_maker {
	z_stream stream;
	bool is_ready;
	unsigned char block[PACKED_BLOCK];
};

/* The length of the UTF-8 sequence at `at` (RFC 3629, section 4), or 0. */
static size_t sequence(const unsigned char *at, size_t left)
{
	size_t length = at[0] >= 0xf0 ? 4 : at[0] >= 0xe0 ? 3 : 2;
	unsigned char low = 0x80, high = 0xbf;

	if (at[0] < 0xc2 || at[0] > 0xf4 || length > left)
		return 0;
	if (at[0] == 0xe0)
		low = 0xa0; /* no longer than need be */
	else if (at[0] == 0xed)
		high = 0x9f; /* no surrogates */
	else if (at[0] == 0xf0)
		low = 0x90;
	else if (at[0] == 0xf4)
		high = 0x8f; /* up to U+10FFFF */
	if (at[1] < low || at[1] > high)
		return 0;
	for (size_t i = 2; i < length; i++)
		if ((at[i] & 0xc0) != 0x80)
			return 0;
	return length;
}

static bool is_text_byte(unsigned char c)
{
	return (c >= 0x20 && c < 0x7f) || c == '\n' || c == '\t' || c == '\r' || c == '\f';
}

bool twin_is_wanted(const void *bytes, size_t size)
{
	const unsigned char *at = bytes;
	const unsigned char *end;

	if (size < TWIN_BYTES_MIN || size > TWIN_BYTES_MAX)
		return false;
	for (end = at + size; at < end;) {
		size_t length = is_text_byte(*at) ? 1 : 0;

		if (!length && *at >= 0x80)
			length = sequence(at, (size_t)(end - at));
		if (!length)
			return false;
		at += length;
	}
	return true;
}

DEFINE_CLEANUP(cleanup_maker, struct twin_maker, twin_maker_free);

struct twin_maker *twin_maker_new(struct err *err)
{
	CLEANUP(cleanup_maker) struct twin_maker *maker = calloc(1, sizeof(*maker));

	if (!maker || deflateInit2(&maker->stream, Z_BEST_COMPRESSION, Z_DEFLATED, GZIP_WINDOW,
	                           MEMORY_LEVEL, Z_DEFAULT_STRATEGY) != Z_OK) {
		(void)err_set_sys(err, ENOMEM, "packer");
		return NULL;
	}
	maker->is_ready = true;
	return STEAL(maker);
}

void twin_maker_free(struct twin_maker *maker)
{
	if (!maker)
		return;
	if (maker->is_ready)
		(void)deflateEnd(&maker->stream);
	free(maker);
}

int twin_make(struct twin_maker *maker, struct object_writer *writer, const void *bytes,
              size_t size, struct digest *out_digest, uint64_t *out_size, struct err *err)
{
	gz_header header = { .os = SYSTEM_UNKNOWN };
	z_stream *stream = &maker->stream;
	uint64_t packed = 0;
	int result = Z_OK;

	if (deflateReset(stream) != Z_OK || deflateSetHeader(stream, &header) != Z_OK)
		return err_set(err, ERR_IO, "zlib can't start to pack");
	stream->next_in = (unsigned char *)(uintptr_t)bytes;
	stream->avail_in = (uInt)size;
	while (result == Z_OK) {
		size_t length;

		stream->next_out = maker->block;
		stream->avail_out = sizeof(maker->block);
		result = deflate(stream, Z_FINISH);
		length = sizeof(maker->block) - stream->avail_out;
		packed += length;
		if (packed > size - size / 10) {
			object_writer_reset(writer);
			*out_size = 0;
			return 0;
		}
		if (object_writer_add(writer, maker->block, length, err))
			return -1;
	}
	if (result != Z_STREAM_END)
		return err_set(err, ERR_IO, "zlib can't pack: %d", result);
	return object_writer_end(writer, out_digest, out_size, err);
}
