/* The answers of STS, and what of XML is understood. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "oci/aws_source.h"
#include "oci/aws_xml.h"
#include "oci/limits.h"

#define LEN(array) (sizeof(array) / sizeof((array)[0]))

static void take(struct exchange *exchange, const char *body)
{
	exchange->max_bytes = LIMIT_AWS_BYTES;
	assert_int_equal(exchange_take_body(exchange, 200, -1, body, strlen(body)), 0);
}

static void reads_answers(void **state)
{
	CLEANUP(exchange_release) struct exchange exchange = { .size = EXCHANGE_ANY_SIZE };
	CLEANUP(aws_keys_release) struct aws_keys keys = AWS_KEYS_NONE;
	struct err err;

	(void)state;
	take(&exchange, "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">"
	                "<AssumeRoleResult><Credentials><AccessKeyId>ASIA1</AccessKeyId>"
	                "<SecretAccessKey>s/+</SecretAccessKey><SessionToken>t==</SessionToken>"
	                "<Expiration>2999-01-01T00:00:00Z</Expiration></Credentials>"
	                "</AssumeRoleResult></AssumeRoleResponse>");
	assert_int_equal(aws_sts_read(&exchange, "the role", &keys, &err), 0);
	assert_string_equal(keys.access_key, "ASIA1");
	assert_string_equal(keys.secret_key, "s/+");
	assert_string_equal(keys.session_token, "t==");
	assert_string_equal(keys.source, "the role");
	assert_int_equal(keys.life_s, LIMIT_AWS_LIFE_S);
}

static void refuses_answers(void **state)
{
	static const char *const rows[] = {
		"",
		"<html>",
		"<AccessKeyId>A</AccessKeyId><SecretAccessKey>S</SecretAccessKey>",
		"<AccessKeyId>A</AccessKeyId><SecretAccessKey>S</SecretAccessKey>"
		"<SessionToken>T</SessionToken><Expiration>soon</Expiration>",
		"<AccessKeyId></AccessKeyId><SecretAccessKey>S</SecretAccessKey>"
		"<SessionToken>T</SessionToken><Expiration>2999-01-01T00:00:00Z</Expiration>",
		"<AccessKeyId>A\r\nX: y</AccessKeyId><SecretAccessKey>S</SecretAccessKey>"
		"<SessionToken>T</SessionToken><Expiration>2999-01-01T00:00:00Z</Expiration>",
	};

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		CLEANUP(exchange_release) struct exchange exchange = { .size = EXCHANGE_ANY_SIZE };
		CLEANUP(aws_keys_release) struct aws_keys keys = AWS_KEYS_NONE;
		struct err err = { .kind = ERR_NONE };

		take(&exchange, rows[i]);
		assert_int_equal(aws_sts_read(&exchange, "x", &keys, &err), -1);
		assert_int_equal(err.kind, ERR_FORMAT);
		assert_null(keys.access_key);
	}
}

static void reads_elements(void **state)
{
	static const struct {
		const char *body, *text;
		enum err_kind kind;
	} rows[] = {
		{ "<a><Code>x</Code></a>", "x", ERR_NONE },
		{ "<Code></Code>", "", ERR_NONE },
		{ "<Code>1</Code><Code>2</Code>", "1", ERR_NONE },
		{ "<Code>&lt;a&gt; &amp;amp; &quot;&apos;</Code>", "<a> &amp; \"'", ERR_NONE },
		{ "<Code>&#65;</Code>", NULL, ERR_FORMAT },
		{ "<Code>&x;</Code>", NULL, ERR_FORMAT },
		{ "<Code>&am</Code>", NULL, ERR_FORMAT },
		{ "<Code><b>x</b></Code>", NULL, ERR_FORMAT },
		{ "<Code>x", NULL, ERR_NOT_FOUND },
		{ "<Code/>", NULL, ERR_NOT_FOUND },
		{ "</Code><Code>", NULL, ERR_NOT_FOUND },
		{ "<Codes>x</Codes>", NULL, ERR_NOT_FOUND },
		{ "", NULL, ERR_NOT_FOUND },
	};

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		struct err err = { .kind = ERR_NONE };
		CLEANUP(cleanup_free)
		char *text = aws_xml_text(rows[i].body, strlen(rows[i].body), "Code", &err);

		if (!text != !rows[i].text || err.kind != rows[i].kind)
			fail_msg("%s: %s", rows[i].body, text ? text : err.msg);
		if (text)
			assert_string_equal(text, rows[i].text);
	}
}

static void bounds_elements(void **state)
{
	CLEANUP(buf_release) struct buf body = BUF_INIT(LIMIT_AWS_BYTES);
	struct err err;

	(void)state;
	assert_int_equal(buf_addf(&body, &err, "<C>%0*d</C>", LIMIT_AWS_KEY_BYTES + 1, 0), 0);
	assert_null(aws_xml_text(body.data, body.size, "C", &err));
	assert_int_equal(err.kind, ERR_LIMIT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_answers),
		cmocka_unit_test(refuses_answers),
		cmocka_unit_test(reads_elements),
		cmocka_unit_test(bounds_elements),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
