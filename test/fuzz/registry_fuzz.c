/*
 * Any bytes as what a registry, its token server or a service of AWS may answer, header lines
 * and bodies, and as a docker config. Reading ends, and what it takes keeps to the rules that
 * the rest relies on.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "oci/aws_error.h"
#include "oci/challenge.h"
#include "oci/error_body.h"
#include "oci/exchange.h"
#include "oci/limits.h"
#include "oci/link.h"
#include "oci/manifest.h"
#include "oci/oci.h"
#include "oci/tags.h"
#include "oci/token.h"
#include "must.h"

static void read_realm(const struct challenge *challenge)
{
	static const struct place registry = { .secure = true, .host = "h", .port = 443 };
	CLEANUP(cleanup_free) char *url = NULL;
	CLEANUP(cleanup_free) char *form = NULL;
	struct place place;
	struct err err;

	if (token_check_realm(challenge->realm, &registry, &err))
		return;
	MUST(!url_place(challenge->realm, &place, &err) && place.secure);
	MUST(!strcmp(place.host, registry.host) || !place_is_internal(&place));
	url = token_url(challenge, &err);
	MUST(!url || !strpbrk(url, " \r\n\t"));
	form = token_form(challenge, "t&=\n", &err);
	MUST(form && !strpbrk(form, " \r\n\t"));
}

static void read_challenge(const char *text)
{
	struct challenge challenge = { .bearer = false };

	challenge_add(&challenge, text);
	if (!challenge.bearer)
		return;
	MUST(challenge.realm[0] && strlen(challenge.realm) < sizeof(challenge.realm));
	MUST(strlen(challenge.service) < sizeof(challenge.service));
	MUST(strlen(challenge.scope) < sizeof(challenge.scope));
	read_realm(&challenge);
}

/* Wherever a link leads, it is the page's own host. */
static void read_link(const char *text)
{
	static const char page[] = "https://registry.example.com:5000/v2/a/tags/list?n=1";
	CLEANUP(cleanup_free) char *target = link_next(text);
	CLEANUP(cleanup_free) char *url = NULL;
	struct place from, to;
	struct err err;

	if (!target || !(url = link_resolve(page, target, &err)))
		return;
	MUST(!url_place(page, &from, &err) && !url_place(url, &to, &err));
	MUST(place_equal(&from, &to));
}

static void read_place(const char *text)
{
	struct err err;
	CLEANUP(cleanup_free) char *url = url_resolve("https://h/a/b", text, &err);
	struct place place;

	if (!url || url_place(url, &place, &err))
		return;
	MUST(place.host[0] && strlen(place.host) < sizeof(place.host));
	MUST(!strpbrk(place.host, "/@?# \r\n"));
	(void)place_is_internal(&place);
	(void)!token_check_realm(url, &place, &err);
}

static void read_tags(const char *text, size_t size)
{
	CLEANUP(nameset_release) struct nameset tags = NAMESET_INIT;
	struct err err;

	(void)!tags_add_page(&tags, text, size, &err);
	MUST(tags.count <= LIMIT_TAGS);
	for (size_t i = 0; i < tags.count; i++)
		MUST(oci_tag_is_valid(tags.names[i]) && !tag_is_attachment(tags.names[i]));
}

static void read_manifest(const char *text, size_t size)
{
	static const char *const types[] = { NULL, "application/vnd.oci.image.index.v1+json",
		                             "application/vnd.oci.artifact.manifest.v1+json" };
	struct manifest manifest;
	struct err err;

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		if (manifest_read(text, size, types[i], "linux/amd64", &manifest, &err))
			continue;
		MUST(manifest.chosen.size >= 0 && manifest.chosen.digest.algorithm);
		MUST(strlen(manifest.title) < sizeof(manifest.title));
		MUST(!strpbrk(manifest.title, "/\\"));
		MUST(strlen(manifest.created) < sizeof(manifest.created));
	}
}

static void read_token(const char *text, size_t size)
{
	CLEANUP(cleanup_free) char *token = NULL;
	int64_t seconds;
	struct err err;

	if (token_read(text, size, &token, &seconds, &err))
		return;
	MUST(token[0] && seconds >= 1 && seconds <= LIMIT_TOKEN_S);
	for (const char *c = token; *c; c++)
		MUST(*c > ' ' && *c <= '~');
}

static void read_errors(const char *text, size_t size)
{
	char said[ERROR_BODY_SIZE], right[AWS_RIGHT_SIZE];
	struct aws_error error;

	MUST(strlen(error_body_format(text, size, said)) < sizeof(said));
	aws_error_read(text, size, &error);
	MUST(strlen(error.code) < sizeof(error.code));
	MUST(!strpbrk(error.message, "\r\n") && strlen(error.message) < sizeof(error.message));
	if (aws_error_right(text, right))
		MUST(strlen(right) < sizeof(right));
}

static void read_config(const char *text, size_t size)
{
	const struct oci_reference reference = { .host = "h:5000", .name = "a/b" };
	CLEANUP(oci_credentials_release) struct oci_credentials found = { .username = NULL };
	struct err err;

	if (oci_docker_config_find(text, size, "", &reference, &found, &err))
		return;
	MUST(found.username || found.identity_token || found.registry_token);
	MUST(!found.username || !strchr(found.username, ':'));
}

/* Up to the first empty line a head, behind it a body of 200, and of an error. */
static void read_answer(const char *text, size_t size)
{
	const long statuses[] = { 200, 206, 401 };

	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
		CLEANUP(exchange_release)
		struct exchange exchange = { .size = statuses[i] == 206 ? 100 : EXCHANGE_ANY_SIZE,
			                     .offset = statuses[i] == 206 ? 10 : 0,
			                     .max_bytes = 200,
			                     .authorization = "Basic YQ==",
			                     .secret = "b/c" };
		const char *at = text, *end = text + size;
		int failed = 0;

		while (at < end && !failed && !exchange.headers_ended) {
			const char *line = memchr(at, '\n', (size_t)(end - at));
			const char *next = line ? line + 1 : end;

			failed = exchange_take_line(&exchange, at, (size_t)(next - at));
			at = next;
		}
		if (!failed)
			failed = exchange_take_body(&exchange, statuses[i], -1, at,
			                            (size_t)(end - at));
		if (!failed)
			exchange_end(&exchange, statuses[i], -1);
		for (size_t n = 0; exchange_header(&exchange, "Link", n); n++)
			;
		MUST(exchange.headers.size <= LIMIT_HEADER_BYTES);
		MUST(exchange.body.size <= LIMIT_ERROR_BYTES);
		if (!failed && statuses[i] == 401)
			MUST(!memmem(buf_text(&exchange.body), exchange.body.size, "YQ==", 4) &&
			     !memmem(buf_text(&exchange.body), exchange.body.size, "b/c", 3));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	CLEANUP(cleanup_free) char *text = malloc(size + 1);

	MUST(text);
	memcpy(text, bytes, size);
	text[size] = '\0';
	read_challenge(text);
	read_link(text);
	read_place(text);
	read_tags(text, size);
	read_manifest(text, size);
	read_token(text, size);
	read_errors(text, size);
	read_config(text, size);
	read_answer(text, size);
	return 0;
}
