/* The base: errors, buffers, digests, addresses, files. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/digest.h"
#include "base/io.h"
#include "base/listen.h"

static void errors_gather_context(void **state)
{
	char longest[600];
	struct err err;

	(void)state;
	assert_int_equal(err_set(&err, ERR_LIMIT, "a\nb %d", 7), -1);
	assert_string_equal(err.msg, "a?b 7");
	assert_int_equal(err_context(&err, "pull %s", "4.5.15"), -1);
	assert_string_equal(err.msg, "pull 4.5.15: a?b 7");
	assert_int_equal(err.kind, ERR_LIMIT);
	assert_int_equal(err_set_sys(&err, ENOSPC, "write x"), -1);
	assert_int_equal(err.kind, ERR_NO_SPACE);
	assert_string_equal(err.msg, "write x: No space left on device");
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	assert_int_equal(err_set(&err, ERR_IO, "%s", longest), -1);
	assert_int_equal(strlen(err.msg), sizeof(err.msg) - 1);
}

static void buffers_are_bounded(void **state)
{
	CLEANUP(buf_release) struct buf buf = BUF_INIT(1000);
	struct err err;

	(void)state;
	assert_string_equal(buf_text(&buf), "");
	for (int i = 0; i < 100; i++)
		assert_int_equal(buf_addf(&buf, &err, "%010d", i), 0);
	assert_int_equal(buf_add(&buf, "x", 1, &err), -1);
	assert_int_equal(err.kind, ERR_LIMIT);
	assert_int_equal(buf.size, 1000);
	assert_string_equal(buf.data + 990, "0000000099");
}

static void digests_parse_strictly(void **state)
{
	static const char empty[] =
		"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
	static const char *const bad[] = {
		"",
		"sha256:",
		"md5:00",
		"sha256:E3B0",
		"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b85g",
		"sha256:E3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
		"sha512:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
		"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b8550",
	};
	char text[DIGEST_TEXT_SIZE];
	struct digest parsed, found;
	struct err err;

	(void)state;
	assert_int_equal(digest_parse(empty, &parsed, &err), 0);
	assert_int_equal(digest_of(DIGEST_SHA256, "", 0, &found, &err), 0);
	assert_true(digest_equal(&parsed, &found));
	assert_string_equal(digest_format(&found, text), empty);
	assert_int_equal(digest_of(DIGEST_SHA512, "abc", 3, &found, &err), 0);
	assert_memory_equal(digest_format(&found, text), "sha512:ddaf35a193617aba", 23);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(digest_parse(bad[i], &parsed, &err), -1);
}

static void addresses_parse(void **state)
{
	static const struct {
		const char *text;
		const char *shown; /* NULL: refused */
	} cases[] = {
		{ "127.0.0.1:8443", "127.0.0.1:8443" },
		{ "[::1]:0", "[::1]:0" },
		{ ":8080", "[::]:8080" },
		{ "[::]:65535", "[::]:65535" },
		{ "localhost:1", NULL },
		{ "127.0.0.1", NULL },
		{ "127.0.0.1:65536", NULL },
		{ "127.0.0.1:-1", NULL },
		{ "127.0.0.1:", NULL },
		{ "::1:80", NULL },
		{ "", NULL },
	};
	char text[LISTEN_TEXT_SIZE];
	struct listen_address address;
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int failed = listen_parse(cases[i].text, &address, &err);

		assert_int_equal(failed, cases[i].shown ? 0 : -1);
		if (!failed)
			assert_string_equal(listen_format(&address, text), cases[i].shown);
	}
}

/* They are printed on terminals, which take some of what comes from outside as orders. */
static void errors_have_no_control_characters(void **state)
{
	struct err err;

	(void)state;
	(void)err_set(&err, ERR_FORMAT, "%s", "\x1b[2J \x7f \xc2\x9b\x32J \xc2\x80\xc2\x9f \xc2");
	assert_string_equal(err.msg, "?[2J ? ??2J ???? \xc2");
	(void)err_context(&err, "%s", "gr\xc3\xbc\xc3\x9f \xc2\xa0\xe2\x82\xac\n");
	assert_string_equal(err.msg,
	                    "gr\xc3\xbc\xc3\x9f \xc2\xa0\xe2\x82\xac?: ?[2J ? ??2J ???? \xc2");
}

static void files_are_replaced_whole(void **state)
{
	CLEANUP(buf_release) struct buf buf = BUF_INIT(8);
	char dir[] = "/tmp/specman-base-XXXXXX";
	struct stat st;
	struct err err;
	int fd;

	(void)state;
	assert_non_null(mkdtemp(dir));
	fd = open(dir, O_RDONLY | O_DIRECTORY);
	assert_int_equal(io_read_file(fd, "x", &buf, &err), -1);
	assert_int_equal(err.kind, ERR_NOT_FOUND);
	assert_int_equal(io_replace_file(fd, "x", "one", 3, 0600, &err), 0);
	assert_int_equal(io_replace_file(fd, "x", "three", 5, 0600, &err), 0);
	assert_int_equal(io_read_file(fd, "x", &buf, &err), 0);
	assert_string_equal(buf_text(&buf), "three");
	assert_int_equal(fstatat(fd, "x", &st, 0), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(fstatat(fd, "x.new", &st, 0), -1);
	assert_int_equal(io_replace_file(fd, "x", "123456789", 9, 0600, &err), 0);
	buf_clear(&buf);
	assert_int_equal(io_read_file(fd, "x", &buf, &err), -1);
	assert_int_equal(err.kind, ERR_LIMIT);
	assert_int_equal(unlinkat(fd, "x", 0), 0);
	close(fd);
	assert_int_equal(rmdir(dir), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(errors_gather_context),
		cmocka_unit_test(buffers_are_bounded),
		cmocka_unit_test(digests_parse_strictly),
		cmocka_unit_test(addresses_parse),
		cmocka_unit_test(files_are_replaced_whole),
		cmocka_unit_test(errors_have_no_control_characters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
