/* A bounded, growing buffer; see buf.h. */
#include "base/buf.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void buf_release(struct buf *buf)
{
	free(buf->data);
	buf->data = NULL;
	buf->size = 0;
	buf->room = 0;
}

void buf_clear(struct buf *buf)
{
	buf->size = 0;
	if (buf->data)
		buf->data[0] = '\0';
}

static int reserve(struct buf *buf, size_t more, struct err *err)
{
	size_t room = buf->room ? buf->room : 256;
	char *data;

	if (more > buf->max - buf->size)
		return err_set(err, ERR_LIMIT, "more than the %zu bytes allowed", buf->max);
	while (room - 1 < buf->size + more)
		room *= 2;
	if (room == buf->room)
		return 0;
	data = realloc(buf->data, room);
	if (!data)
		return err_set_sys(err, ENOMEM, "buffer of %zu bytes", room);
	data[buf->size] = '\0';
	buf->data = data;
	buf->room = room;
	return 0;
}

int buf_add(struct buf *buf, const void *bytes, size_t size, struct err *err)
{
	if (reserve(buf, size, err))
		return -1;
	if (size)
		memcpy(buf->data + buf->size, bytes, size);
	buf->size += size;
	buf->data[buf->size] = '\0';
	return 0;
}

int buf_addf(struct buf *buf, struct err *err, const char *format, ...)
{
	va_list args, again;
	int length;
	int failed = -1;

	va_start(args, format);
	va_copy(again, args);
	length = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (length < 0) {
		(void)err_set(err, ERR_FORMAT, "text can't be formatted");
	} else if (!reserve(buf, (size_t)length, err)) {
		(void)vsnprintf(buf->data + buf->size, (size_t)length + 1, format, again);
		buf->size += (size_t)length;
		failed = 0;
	}
	va_end(again);
	return failed;
}

const char *buf_text(const struct buf *buf)
{
	return buf->data ? buf->data : "";
}

char *buf_steal(struct buf *buf)
{
	char *data = buf->data ? buf->data : calloc(1, 1);

	buf->data = NULL;
	buf->size = 0;
	buf->room = 0;
	return data;
}
