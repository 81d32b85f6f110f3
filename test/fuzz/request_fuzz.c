/*
 * Fuzzing of all that reads what a client sends: targets, ranges, conditions,
 * what is accepted, heads. The first byte chooses. Beside crashes, what is
 * promised of the results is checked.
 *
 *	make fuzz [FUZZ_SECONDS=60]     libFuzzer, with ASan and UBSan
 *
 * test/unit/daemon/request_fuzz_test.c runs it on mutations of a few seeds.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/accept.h"
#include "daemon/base/cleanup.h"
#include "daemon/conditional.h"
#include "daemon/escape.h"
#include "daemon/head.h"
#include "daemon/listing.h"
#include "daemon/multipart.h"
#include "daemon/range.h"
#include "daemon/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
	if (!holds)
		abort();
}

/* A path that was accepted is its own when it is encoded and parsed again. */
static void fuzz_target(const char *text)
{
	CLEANUP(buf_release) struct buf encoded = BUF_INIT(4 * TARGET_MAX_BYTES);
	struct target target, again;
	struct err err;

	if (target_parse(text, &target, &err))
		return;
	require(strlen(target.path) == target.length && target.length < TARGET_MAX_BYTES);
	require(target.path[0] != '/' && !strstr(target.path, "//"));
	require(!strstr(target.path, "/../") && strncmp(target.path, "../", 3) != 0);
	require(!target.length || target.path[target.length - 1] != '/');
	if (target.query) {
		CLEANUP(buf_release) struct buf query = BUF_INIT(4 * TARGET_MAX_BYTES);

		(void)listing_order(target.query, target.query_length);
		require(!target_encode_query(&query, target.query, target.query_length, &err));
	}
	require(!buf_addf(&encoded, &err, "/") && !target_encode(&encoded, target.path, &err));
	if (encoded.size >= TARGET_MAX_BYTES)
		return;
	require(!target_parse(encoded.data, &again, &err));
	require(!strcmp(again.path, target.path));
}

static void fuzz_range(const char *text, uint64_t size)
{
	struct parts parts;
	struct multipart multipart;
	const struct multipart_kind kind = { "boundary", "type", size };
	uint64_t total = 0;
	struct err err;

	if (range_parse(text, size, &parts) != RANGE_PARTS)
		return;
	require(parts.count > 0 && parts.count <= RANGES_MAX);
	for (size_t i = 0; i < parts.count; i++) {
		require(parts.at[i].length > 0 && parts.at[i].first < size);
		require(parts.at[i].length <= size - parts.at[i].first);
		require(parts.at[i].length <= size - total);
		total += parts.at[i].length;
	}
	require(!multipart_init(&multipart, &parts, &kind, &err));
	for (uint64_t at = 0, steps = 0; at < multipart.size; steps++) {
		struct multipart_piece piece = multipart_at(&multipart, at);

		require(piece.length > 0 && steps < 2 * RANGES_MAX + 1);
		require(piece.text || (piece.first < size && piece.length <= size - piece.first));
		at += piece.length;
	}
	multipart_release(&multipart);
}

static void fuzz_conditions(const char *text)
{
	const struct head head = {
		.if_modified_since = text,
		.if_unmodified_since = text,
		.range = "bytes=0-1",
		.if_range = text,
		.if_match = { { text }, 1 },
		.if_none_match = { { text }, 1 },
	};
	struct parts parts;
	int64_t date;
	char shown[HTTP_DATE_SIZE];

	(void)conditional_judge(&head, false, "\"tag\"", 1000, 100, &parts);
	if (http_date_parse(text, &date))
		require(strlen(http_date(date, shown)) == 29);
}

static void fuzz_accept(const char *text)
{
	const char *const lines[] = { text, NULL };

	(void)accept_gzip(lines);
	(void)accept_json(lines);
}

static void fuzz_escape(const char *text)
{
	CLEANUP(buf_release) struct buf html = BUF_INIT(1 << 20), json = BUF_INIT(1 << 20);
	struct err err;

	require(!escape_html(&html, text, &err) && !escape_json(&json, text, &err));
	require(!html.data || !strpbrk(html.data, "<>\""));
	for (size_t i = 0; i < json.size; i++)
		require((unsigned char)json.data[i] >= ' ');
}

/* As libmicrohttpd leaves a head, or as it never would: where the target lies is in the data, too.
 */
static void fuzz_head(const uint8_t *data, size_t size)
{
	struct head_bytes raw = { .fields = size ? data[0] % 8 : 0 };
	struct head head;
	size_t target, length;

	if (size < 8)
		return;
	size -= 4;
	raw.bytes = (const char *)data + 4;
	raw.size = size;
	target = strnlen(raw.bytes, size) + 1;
	target = target < size ? target : size;
	length = strnlen(raw.bytes + target, size - target);
	raw.target = raw.bytes + target;
	raw.target_length = data[1] % 16 ? length : data[2];
	raw.version = raw.bytes + (target + length + 1 < size ? target + length + 1 : size);
	if (head_read(&raw, &head) == HEAD_FINE && head.host)
		require(head.host > raw.bytes && head.host < raw.bytes + size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(cleanup_free) char *text = NULL;
	uint64_t number = 0;

	if (size < 2)
		return 0;
	text = strndup((const char *)data + 1, size - 1);
	if (!text)
		return 0;
	switch (data[0] % 6) {
	case 0:
		fuzz_target(text);
		break;
	case 1:
		for (size_t i = 0; i < 8 && text[i]; i++)
			number = number << 8 | (unsigned char)text[i];
		/* No file is larger: sizes are off_t's. */
		fuzz_range(strlen(text) > 8 ? text + 8 : text, number & INT64_MAX);
		fuzz_range(text, 100);
		break;
	case 2:
		fuzz_conditions(text);
		break;
	case 3:
		fuzz_accept(text);
		break;
	case 4:
		fuzz_escape(text);
		break;
	default:
		fuzz_head(data + 1, size - 1);
	}
	return 0;
}
