/* Streams: what stands behind the last entry of an archive. */
#include "harness.h"

#include <sys/syscall.h>

enum { TAIL_BYTES = 20 << 20, LATE = TAIL_BYTES / 2, AHEAD_BYTES = 8 << 20 };

/* Raised once a file is read behind LATE; see pread. */
static struct cancel *stop_late;
static off_t furthest; /* that was read then */

/* Stands before libc's. */
ssize_t pread(int fd, void *bytes, size_t size, off_t at)
{
	if (stop_late && at > LATE) {
		cancel_raise(stop_late);
		furthest = at;
	}
	return syscall(SYS_pread64, fd, bytes, size, at);
}

/* A plain archive with a file, and zeros behind it. */
static void pack_with_tail(struct fixture *f, struct buf *out)
{
	CLEANUP(cleanup_free) char *tail = calloc(1, TAIL_BYTES);
	struct archive *a = archive_write_new();
	struct archive_entry *e = archive_entry_new();
	char path[96];
	struct err err;

	(void)snprintf(path, sizeof(path), "%s/archive", f->dir);
	archive_write_set_format_pax_restricted(a);
	assert_int_equal(archive_write_open_filename(a, path), ARCHIVE_OK);
	archive_entry_set_pathname(e, "file");
	archive_entry_set_filetype(e, AE_IFREG);
	archive_entry_set_size(e, 1);
	assert_int_equal(archive_write_header(a, e), ARCHIVE_OK);
	assert_int_equal(archive_write_data(a, "x", 1), 1);
	archive_entry_free(e);
	assert_int_equal(archive_write_close(a), ARCHIVE_OK);
	archive_write_free(a);
	assert_int_equal(io_read_file(AT_FDCWD, path, out, &err), 0);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(buf_add(out, tail, TAIL_BYTES, &err), 0);
}

/* There may be as much of it as of what stands in front. */
static void a_stop_ends_the_reading_of_what_follows_as_well(void **state)
{
	struct fixture *f = *state;
	CLEANUP(buf_release) struct buf archive = BUF_INIT(2 * TAIL_BYTES);
	struct err err = { .msg = "" };

	pack_with_tail(f, &archive);
	stop_late = f->cancel;
	assert_int_equal(publish_bytes(f, "1.0.0", archive.data, archive.size, &err), -1);
	stop_late = NULL;
	assert_int_equal(err.kind, ERR_CANCELLED);
	assert_true(furthest < LATE + AHEAD_BYTES); /* what is read is some MiB ahead */
}

static void what_follows_is_read(void **state)
{
	struct fixture *f = *state;
	CLEANUP(buf_release) struct buf archive = BUF_INIT(2 * TAIL_BYTES);
	struct err err = { .msg = "" };

	pack_with_tail(f, &archive);
	if (publish_bytes(f, "1.0.0", archive.data, archive.size, &err))
		fail_msg("%s", err.msg);
	assert_string_equal(look(f, "file"), "x");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_follows_is_read, setup, teardown),
		cmocka_unit_test_setup_teardown(a_stop_ends_the_reading_of_what_follows_as_well,
		                                setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
