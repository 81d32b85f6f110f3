/* How many CPUs there are, by the files of control groups in a folder that stands for the root. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cpus.h"

static char root[64];

/* Write a file below the root, with the folders that it lies in. */
static void put(const char *name, const char *text)
{
	char path[PATH_MAX];
	FILE *file;

	(void)snprintf(path, sizeof(path), "%s/%s", root, name);
	for (char *slash = path + strlen(root) + 1; (slash = strchr(slash, '/')); slash++) {
		*slash = '\0';
		if (mkdir(path, 0700) && errno != EEXIST)
			fail_msg("%s", path);
		*slash = '/';
	}
	file = fopen(path, "w");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static int make_root(void **state)
{
	(void)state;
	(void)strcpy(root, "/tmp/specman-cpus-XXXXXX");
	return mkdtemp(root) ? 0 : -1;
}

static int remove_root(void **state)
{
	char command[128];

	(void)state;
	(void)snprintf(command, sizeof(command), "rm -r %s", root);
	return system(command);
}

/* What there is without any quota. */
static unsigned all(void)
{
	cpu_set_t set;

	assert_int_equal(sched_getaffinity(0, sizeof(set), &set), 0);
	return (unsigned)CPU_COUNT(&set);
}

static unsigned least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

static void without_groups_all_count(void **state)
{
	(void)state;
	assert_int_equal(cpus_available(root), all());
	put("proc/self/cgroup", "0::/\n");
	assert_int_equal(cpus_available(root), all());
	put("sys/fs/cgroup/cpu.max", "max 100000\n");
	assert_int_equal(cpus_available(root), all());
	put("sys/fs/cgroup/cpu.max", "nonsense\n");
	assert_int_equal(cpus_available(root), all());
	put("sys/fs/cgroup/cpu.max", "900000000 100000\n");
	assert_int_equal(cpus_available(root), all());
	put("proc/self/cgroup", "neither this nor that\n:\n");
	assert_int_equal(cpus_available(root), all());
}

static void the_quota_of_a_container_counts(void **state)
{
	(void)state;
	put("proc/self/cgroup", "0::/\n");
	put("sys/fs/cgroup/cpu.max", "50000 100000\n");
	assert_int_equal(cpus_available(root), 1);
	put("sys/fs/cgroup/cpu.max", "100000 100000\n");
	assert_int_equal(cpus_available(root), 1);
	put("sys/fs/cgroup/cpu.max", "100001 100000\n");
	assert_int_equal(cpus_available(root), least(2, all()));
}

/* The container's own, where it sees the host's names; and that of a group above. */
static void the_least_on_the_way_up_counts(void **state)
{
	(void)state;
	put("proc/self/cgroup", "0::/kubepods/pod1/specman\n");
	put("sys/fs/cgroup/cpu.max", "100000 100000\n");
	assert_int_equal(cpus_available(root), 1);
	put("sys/fs/cgroup/cpu.max", "max 100000\n");
	put("sys/fs/cgroup/kubepods/pod1/specman/cpu.max", "900000 100000\n");
	assert_int_equal(cpus_available(root), least(9, all()));
	put("sys/fs/cgroup/kubepods/pod1/cpu.max", "10000 100000\n");
	assert_int_equal(cpus_available(root), 1);
}

static void version_1_counts_as_well(void **state)
{
	(void)state;
	put("proc/self/cgroup", "5:cpuset:/a\n4:cpu,cpuacct:/a\n1:name=systemd:/a\n0::/a\n");
	put("sys/fs/cgroup/cpu/a/cpu.cfs_period_us", "100000\n");
	put("sys/fs/cgroup/cpu/a/cpu.cfs_quota_us", "-1\n");
	assert_int_equal(cpus_available(root), all());
	put("sys/fs/cgroup/cpu/a/cpu.cfs_quota_us", "20000\n");
	assert_int_equal(cpus_available(root), 1);
	/* That of another controller is none. */
	put("proc/self/cgroup", "5:cpuset,cpuacct:/a\n");
	assert_int_equal(cpus_available(root), all());
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_root, remove_root)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(without_groups_all_count),
		TEST(the_quota_of_a_container_counts),
		TEST(the_least_on_the_way_up_counts),
		TEST(version_1_counts_as_well),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
