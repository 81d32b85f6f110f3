/* The table of advice is whole, and no two of its rows say the same. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <ctype.h>
#include <string.h>

#include "daemon/advice.h"

static void each_cause_has_advice(void **state)
{
	(void)state;
	for (int cause = OCI_CAUSE_NONE + 1; cause < ADVICE_CAUSE_COUNT; cause++) {
		const struct advice *advice = advice_find(cause);

		if (!advice || !advice->name[0] || !advice->text || strlen(advice->text) < 20)
			fail_msg("cause %d has no advice", cause);
	}
	assert_null(advice_find(OCI_CAUSE_NONE));
	assert_null(advice_find(-1));
	assert_null(advice_find(ADVICE_CAUSE_COUNT));
}

static void names_are_kebab_case(void **state)
{
	(void)state;
	for (int cause = OCI_CAUSE_NONE + 1; cause < ADVICE_CAUSE_COUNT; cause++) {
		const char *name = advice_find(cause)->name;

		if (!islower((unsigned char)name[0]) || name[strlen(name) - 1] == '-' ||
		    strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") != strlen(name))
			fail_msg("%s", name);
	}
}

static void no_two_are_equal(void **state)
{
	(void)state;
	for (int a = OCI_CAUSE_NONE + 1; a < ADVICE_CAUSE_COUNT; a++)
		for (int b = OCI_CAUSE_NONE + 1; b < a; b++) {
			assert_string_not_equal(advice_find(a)->name, advice_find(b)->name);
			assert_string_not_equal(advice_find(a)->text, advice_find(b)->text);
		}
}

static void kinds_that_say_enough_have_a_cause(void **state)
{
	struct err err;

	(void)state;
	(void)err_set(&err, ERR_NO_SPACE, "full");
	assert_int_equal(advice_cause_of(&err), ADVICE_DISK_FULL);
	(void)err_set(&err, ERR_DIGEST, "other bytes");
	assert_int_equal(advice_cause_of(&err), ADVICE_DIGEST);
	(void)err_cause(&err, OCI_CAUSE_CONTENT_GONE);
	assert_int_equal(advice_cause_of(&err), OCI_CAUSE_CONTENT_GONE);
	(void)err_set(&err, ERR_NETWORK, "gone");
	assert_int_equal(advice_cause_of(&err), 0);
	(void)err_cause(&err, 12345);
	assert_int_equal(advice_cause_of(&err), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_cause_has_advice),
		cmocka_unit_test(names_are_kebab_case),
		cmocka_unit_test(no_two_are_equal),
		cmocka_unit_test(kinds_that_say_enough_have_a_cause),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
