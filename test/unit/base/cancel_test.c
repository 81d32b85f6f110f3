/* What is raised for good, and what only interrupts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <poll.h>

#include <cmocka.h>

#include "base/cancel.h"

static bool is_readable(const struct cancel *cancel)
{
	struct pollfd fd = { .fd = cancel_fd(cancel), .events = POLLIN };

	return poll(&fd, 1, 0) == 1;
}

static void interrupts_until_it_goes_on(void **state)
{
	struct err err = { .msg = "" };
	struct cancel *cancel = cancel_new(&err);

	(void)state;
	assert_non_null(cancel);
	cancel_resume(cancel); /* nothing to take back */
	assert_false(cancel_is_raised(cancel));
	cancel_interrupt(cancel);
	assert_true(cancel_is_raised(cancel));
	assert_false(cancel_is_final(cancel));
	assert_true(is_readable(cancel));
	assert_int_equal(cancel_check(cancel, &err), -1);
	assert_int_equal(err.kind, ERR_CANCELLED);
	cancel_resume(cancel);
	assert_false(cancel_is_raised(cancel));
	assert_false(is_readable(cancel));
	cancel_free(cancel);
}

static void a_stop_is_never_taken_back(void **state)
{
	struct err err = { .msg = "" };
	struct cancel *cancel = cancel_new(&err);

	(void)state;
	assert_non_null(cancel);
	cancel_interrupt(cancel);
	cancel_raise(cancel);
	cancel_resume(cancel);
	assert_true(cancel_is_raised(cancel));
	assert_true(cancel_is_final(cancel));
	assert_true(is_readable(cancel));
	cancel_free(cancel);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(interrupts_until_it_goes_on),
		cmocka_unit_test(a_stop_is_never_taken_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
