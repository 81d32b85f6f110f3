/* What a client would rather have. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/accept.h"

static void gzip_is_negotiated(void **state)
{
	static const struct {
		const char *lines[3];
		bool wanted;
	} cases[] = {
		{ { NULL }, false },
		{ { "" }, false },
		{ { "gzip" }, true },
		{ { " gzip \t" }, true },
		{ { "deflate,gzip" }, true },
		{ { ",,gzip,," }, true },
		{ { "gzip;q=0" }, false },
		{ { "gzip;q=0.0" }, false },
		{ { "gzip;q=0.001" }, true },
		{ { "gzip;q=1.000 " }, true },
		{ { "gzip;q=1.001" }, false },
		{ { "gzip;q=0.0001" }, false },
		{ { "gzip;q=" }, false },
		{ { "gzip;q=2" }, false },
		{ { "gzip;q=-1" }, false },
		{ { "gzip ; Q=0.5" }, true },
		{ { "gzip;x=y;q=0" }, false },
		{ { "gzip;" }, true },
		{ { "*" }, true },
		{ { "*;q=0" }, false },
		{ { "*, gzip;q=0" }, false },
		{ { "*;q=0, gzip" }, true },
		{ { "identity, gzip;q=0.9" }, false },
		{ { "identity;q=0.9, gzip" }, true },
		{ { "identity;q=0" }, false },
		{ { "x-gzip" }, true },
		{ { "gzipx" }, false },
		{ { "gzi" }, false },
		{ { "br", "gzip" }, true },
		{ { "gzip", "gzip;q=0" }, true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (accept_gzip(cases[i].lines) != cases[i].wanted)
			fail_msg("case %zu: %s", i, cases[i].lines[0]);
}

static void json_is_negotiated(void **state)
{
	static const struct {
		const char *lines[3];
		bool wanted;
	} cases[] = {
		{ { NULL }, false },
		{ { "application/json" }, true },
		{ { "Application/JSON;charset=utf-8" }, true },
		{ { "application/json, text/plain, */*" }, true },
		{ { "text/html,application/xhtml+xml,*/*;q=0.8" }, false },
		{ { "text/html, application/json" }, false },
		{ { "text/html;q=0.9, application/json" }, true },
		{ { "text/html", "application/json;q=0.9" }, false },
		{ { "application/json;q=0" }, false },
		{ { "*/*" }, false },
		{ { "application/*" }, false },
		{ { "application/jsonp" }, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (accept_json(cases[i].lines) != cases[i].wanted)
			fail_msg("case %zu: %s", i, cases[i].lines[0]);
}

static void openmetrics_is_negotiated(void **state)
{
	static const struct {
		const char *lines[3];
		bool wanted;
	} cases[] = {
		{ { NULL }, false },
		{ { "*/*" }, false },
		{ { "text/plain;version=0.0.4" }, false },
		{ { "application/openmetrics-text" }, true },
		{ { "application/openmetrics-text;version=1.0.0,application/openmetrics-text;"
		    "version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1" },
		  true },
		{ { "text/plain;q=0.5, application/openmetrics-text;q=0.5" }, true },
		{ { "text/plain", "application/openmetrics-text;q=0.9" }, false },
		{ { "application/openmetrics-text;q=0" }, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (accept_openmetrics(cases[i].lines) != cases[i].wanted)
			fail_msg("case %zu: %s", i, cases[i].lines[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gzip_is_negotiated),
		cmocka_unit_test(json_is_negotiated),
		cmocka_unit_test(openmetrics_is_negotiated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
