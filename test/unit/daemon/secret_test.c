/* The mounted secret, read while the kubelet changes it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "daemon/secret.h"

enum { READS = 10000, SWAPS_A_READ = 3 };

static const char *const keys[] = { "endpoint", "password" };

struct mount {
	char dir[64];
	int fd;
	atomic_bool ended;
	atomic_uint swaps;
	atomic_uint least; /* swaps when the reader began */
};

/* A version of the secret, in which each key has the version's own name. */
static void make_version(const struct mount *mount, const char *version)
{
	assert_int_equal(mkdirat(mount->fd, version, 0700), 0);
	for (size_t i = 0; i < 2; i++) {
		char path[64];
		CLEANUP(cleanup_fd) int fd = -1;

		(void)snprintf(path, sizeof(path), "%s/%s", version, keys[i]);
		fd = openat(mount->fd, path, O_CREAT | O_WRONLY, 0600);
		assert_true(fd >= 0);
		assert_int_equal(write(fd, version, strlen(version)), strlen(version));
	}
	assert_int_equal(symlinkat(version, mount->fd, "..data_tmp"), 0);
	assert_int_equal(renameat(mount->fd, "..data_tmp", mount->fd, "..data"), 0);
}

static void remove_version(const struct mount *mount, const char *version)
{
	for (size_t i = 0; i < 2; i++) {
		char path[64];

		(void)snprintf(path, sizeof(path), "%s/%s", version, keys[i]);
		assert_int_equal(unlinkat(mount->fd, path, 0), 0);
	}
	assert_int_equal(unlinkat(mount->fd, version, AT_REMOVEDIR), 0);
}

static void *swap(void *ctx)
{
	struct mount *mount = ctx;
	char before[32] = "..0", now[32];

	for (unsigned i = 1; !atomic_load(&mount->ended); i++) {
		/* It reads again as often as that; a busy machine may let us come more often. */
		while (i > atomic_load(&mount->least) + SWAPS_A_READ && !atomic_load(&mount->ended))
			(void)usleep(10);
		atomic_store(&mount->swaps, i);
		(void)snprintf(now, sizeof(now), "..%u", i);
		make_version(mount, now);
		remove_version(mount, before);
		memcpy(before, now, sizeof(before));
		(void)usleep(100); /* a pace, not a wait: the reader is to come between */
	}
	remove_version(mount, before);
	return NULL;
}

/* Else a password of before went to an endpoint of after. */
static void is_read_as_it_was_at_one_moment(void **state)
{
	struct mount mount = { .dir = "/tmp/specman-secret-XXXXXX" };
	pthread_t thread;

	(void)state;
	assert_non_null(mkdtemp(mount.dir));
	mount.fd = open(mount.dir, O_DIRECTORY | O_RDONLY);
	assert_true(mount.fd >= 0);
	make_version(&mount, "..0");
	for (size_t i = 0; i < 2; i++) {
		char target[64];

		(void)snprintf(target, sizeof(target), "..data/%s", keys[i]);
		assert_int_equal(symlinkat(target, mount.fd, keys[i]), 0);
	}
	assert_int_equal(pthread_create(&thread, NULL, swap, &mount), 0);
	for (size_t i = 0; i < READS; i++) {
		CLEANUP(secret_release) struct secret secret = { .values = { { .data = NULL } } };
		struct err err = { .kind = ERR_NONE };

		atomic_store(&mount.least, atomic_load(&mount.swaps));
		if (secret_read(mount.dir, &secret, &err))
			fail_msg("%s", err.msg);
		assert_string_equal(secret_value(&secret, SECRET_ENDPOINT),
		                    secret_value(&secret, SECRET_PASSWORD));
	}
	atomic_store(&mount.ended, true);
	assert_int_equal(pthread_join(thread, NULL), 0);
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(unlinkat(mount.fd, keys[i], 0), 0);
	assert_int_equal(unlinkat(mount.fd, "..data", 0), 0);
	assert_int_equal(close(mount.fd), 0);
	assert_int_equal(rmdir(mount.dir), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(is_read_as_it_was_at_one_moment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
