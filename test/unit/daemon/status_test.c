/* What the daemon knows of its own syncing: rounds, troubles, and when they are over. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>

#include "base/cleanup.h"
#include "daemon/advice.h"
#include "daemon/status.h"

DEFINE_CLEANUP(cleanup_status, struct status, status_free);

static const struct sync_outcome done = { .verdict = SYNC_VERDICT_DONE };

static struct status *make(void)
{
	struct err err;
	struct status *status = status_new(&err);

	assert_non_null(status);
	return status;
}

static void happen(struct status *status, const char *subject, bool is_tag, enum err_kind kind)
{
	struct err err;

	err_fill(&err, kind, "why %s fails", subject);
	status_happened(status, subject, is_tag, "Failed", &err);
}

static void rounds_are_counted(void **state)
{
	CLEANUP(cleanup_status) struct status *status = make();
	const struct sync_outcome failed = { SYNC_VERDICT_FAILED, "tag 1 is no archive" };
	struct status_snapshot now;

	(void)state;
	status_read(status, &now);
	assert_true(now.started_at > 0);
	assert_int_equal(now.round_began_at, 0);
	status_set_source(status, "registry:5000/manifest");
	status_round_began(status);
	status_read(status, &now);
	assert_true(now.is_syncing);
	assert_string_equal(now.source, "registry:5000/manifest");
	status_round_ended(status, SYNC_DONE, &failed);
	status_set_next(status, 60 * 1000);
	status_read(status, &now);
	assert_false(now.is_syncing);
	assert_int_equal(now.success_at, 0);
	assert_string_equal(now.reason, "tag 1 is no archive");
	assert_true(now.next_at >= now.round_ended_at + 60);
	status_round_began(status);
	status_round_ended(status, SYNC_DONE, &done);
	status_read(status, &now);
	assert_int_equal(now.success_at, now.round_ended_at);
	assert_string_equal(now.reason, "");
	assert_int_equal(now.rounds[SYNC_DONE], 2);
}

static void troubles_last_until_they_are_over(void **state)
{
	CLEANUP(cleanup_status) struct status *status = make();
	struct status_snapshot now;

	(void)state;
	status_round_began(status);
	happen(status, "sync", false, ERR_NETWORK);
	happen(status, "sync", true, ERR_NO_SPACE); /* a tag of that name is another */
	happen(status, "sync", true, ERR_NO_SPACE);
	status_warned(status, "4.6.0", true, "Kept", "it is newer", ADVICE_ROLLBACK);
	status_read(status, &now);
	assert_int_equal(now.trouble_count, 3);
	assert_string_equal(now.troubles[0].subject, "sync");
	assert_false(now.troubles[0].is_tag);
	assert_int_equal(now.troubles[0].kind, ERR_NETWORK);
	assert_int_equal(now.troubles[1].times, 2);
	assert_int_equal(now.troubles[1].cause, ADVICE_DISK_FULL);
	assert_string_equal(now.troubles[1].error, "why sync fails");
	assert_true(now.troubles[2].is_warning);
	assert_int_equal(now.failures[ADVICE_DISK_FULL], 2);
	assert_int_equal(now.failures[ADVICE_ROLLBACK], 0); /* a warning is none */
	status_over(status, "sync", false);
	status_over(status, "sync", false);
	status_read(status, &now);
	assert_int_equal(now.trouble_count, 2);
	assert_true(now.troubles[0].is_tag);
}

static void tags_that_are_met_no_more_are_well(void **state)
{
	CLEANUP(cleanup_status) struct status *status = make();
	struct status_snapshot now;
	struct err err;

	(void)state;
	status_round_began(status);
	happen(status, "1", true, ERR_FORMAT);
	happen(status, "2", true, ERR_FORMAT);
	happen(status, "certificate", false, ERR_FORMAT);
	status_sweep_tags(status);
	status_round_ended(status, SYNC_DONE, &done);
	status_read(status, &now);
	assert_int_equal(now.trouble_count, 3);
	status_round_began(status);
	assert_true(status_stays(status, "2", &err));
	assert_int_equal(err.kind, ERR_FORMAT);
	assert_string_equal(err.msg, "why 2 fails");
	assert_false(status_stays(status, "3", &err));
	status_read(status, &now);
	assert_int_equal(now.trouble_count, 4); /* the round may fail yet */
	status_sweep_tags(status);
	status_read(status, &now);
	assert_int_equal(now.trouble_count, 3);
	assert_string_equal(now.troubles[0].error, "why 2 fails");
	assert_string_equal(now.troubles[1].subject, "certificate");
	assert_string_equal(now.troubles[2].error, "as at its first try, which the log tells of");
	status_round_began(status);
	status_lost(status, "2", "Lost", "for good");
	status_lost(status, "4", "Lost", "for good");
	status_sweep_tags(status);
	status_read(status, &now);
	assert_int_equal(now.trouble_count, 3);
	assert_string_equal(now.troubles[0].error, "why 2 fails");
	assert_string_equal(now.troubles[2].what, "Lost");
}

static void many_tags_leave_room_for_the_others(void **state)
{
	CLEANUP(cleanup_status) struct status *status = make();
	struct status_snapshot now;

	(void)state;
	for (unsigned round = 0; round < 2; round++) {
		status_round_began(status);
		for (unsigned i = 0; i < 100; i++) {
			char tag[16];

			(void)snprintf(tag, sizeof(tag), "1.0.%u", i);
			happen(status, tag, true, ERR_NETWORK);
		}
		happen(status, "sync", false, ERR_IO);
		status_sweep_tags(status);
		status_round_ended(status, SYNC_FAILED, &done);
		status_read(status, &now);
		assert_int_equal(now.trouble_count, STATUS_TAGS_MAX + 1);
		assert_int_equal(now.troubles_lost, 100 - STATUS_TAGS_MAX);
	}
	assert_int_equal(now.failures[0], 202);
	assert_string_equal(now.troubles[0].subject, "1.0.0");
	assert_string_equal(now.troubles[STATUS_TAGS_MAX].subject, "sync");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rounds_are_counted),
		cmocka_unit_test(troubles_last_until_they_are_over),
		cmocka_unit_test(tags_that_are_met_no_more_are_well),
		cmocka_unit_test(many_tags_leave_room_for_the_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
