/*
 * CPUs; see cpus.h. Control groups of both kinds: cgroup v2 (the kernel's
 * Documentation/admin-guide/cgroup-v2.rst, "cpu.max") and v1
 * (Documentation/scheduler/sched-bwc.rst). What can't be read limits nothing.
 */
#include "base/cpus.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/io.h"

enum { FILE_MAX_BYTES = 64 * 1024, CPUS_MAX = 8192 };

static bool read_text(const char *path, struct buf *text)
{
	struct err err;

	buf_clear(text);
	return !io_read_file(AT_FDCWD, path, text, &err);
}

/* A quota in one period, both in microseconds, as CPUs; 0: there is none. */
static unsigned as_cpus(int64_t quota, int64_t period)
{
	if (quota <= 0 || period <= 0 || quota / period >= CPUS_MAX)
		return 0;
	return (unsigned)((quota + period - 1) / period);
}

/* That of one group: "max 100000" or "150000 100000". */
static unsigned quota_of_v2(const char *group)
{
	CLEANUP(buf_release) struct buf text = BUF_INIT(FILE_MAX_BYTES);
	char path[PATH_MAX];
	int64_t quota, period;

	(void)snprintf(path, sizeof(path), "%.*s/cpu.max", PATH_MAX - 32, group);
	if (!read_text(path, &text) ||
	    sscanf(buf_text(&text), "%" SCNd64 " %" SCNd64, &quota, &period) != 2)
		return 0;
	return as_cpus(quota, period);
}

static unsigned quota_of_v1(const char *group)
{
	static const char *const names[] = { "cpu.cfs_quota_us", "cpu.cfs_period_us" };
	CLEANUP(buf_release) struct buf text = BUF_INIT(FILE_MAX_BYTES);
	char path[PATH_MAX];
	int64_t values[2];

	for (size_t i = 0; i < 2; i++) {
		(void)snprintf(path, sizeof(path), "%.*s/%s", PATH_MAX - 32, group, names[i]);
		if (!read_text(path, &text) || sscanf(buf_text(&text), "%" SCNd64, &values[i]) != 1)
			return 0;
	}
	return as_cpus(values[0], values[1]);
}

/*
 * The least of a group and of those above it. In a container that sees the host's names the path
 * leads nowhere, and its own group is at the top.
 */
static unsigned least_quota(const char *top, const char *path, unsigned (*quota)(const char *))
{
	char group[PATH_MAX];
	size_t length = strlen(top);
	unsigned least = 0;
	char *slash;

	(void)snprintf(group, sizeof(group), "%s%s", top, path);
	do {
		unsigned found = quota(group);

		if (found && (!least || found < least))
			least = found;
		slash = strrchr(group + length, '/');
		if (slash)
			*slash = '\0';
	} while (slash);
	return least;
}

/* Whether a list such as "cpu,cpuacct" has it. */
static bool has_controller(const char *list, size_t length)
{
	static const char wanted[] = "cpu";

	while (length) {
		size_t one = strcspn(list, ",:");

		if (one == strlen(wanted) && !memcmp(list, wanted, one))
			return true;
		if (one == length)
			return false;
		list += one + 1;
		length -= one + 1;
	}
	return false;
}

/* By cgroups(7), /proc/pid/cgroup: "0::/path" of v2, "4:cpu,cpuacct:/path" of v1. 0: no quota. */
static unsigned quota_of_all(const char *root)
{
	CLEANUP(buf_release) struct buf text = BUF_INIT(FILE_MAX_BYTES);
	char path[PATH_MAX], top[PATH_MAX];
	char *rest = NULL;
	unsigned least = 0;

	(void)snprintf(path, sizeof(path), "%s/proc/self/cgroup", root);
	if (!read_text(path, &text) || !text.size)
		return 0;
	for (char *line = strtok_r(text.data, "\n", &rest); line;
	     line = strtok_r(NULL, "\n", &rest)) {
		const char *list = strchr(line, ':');
		const char *group = list ? strchr(list + 1, ':') : NULL;
		bool is_v2 = group == (list ? list + 1 : NULL);
		unsigned found;

		if (!group || (!is_v2 && !has_controller(list + 1, (size_t)(group - list - 1))))
			continue;
		(void)snprintf(top, sizeof(top), "%s/sys/fs/cgroup%s", root, is_v2 ? "" : "/cpu");
		found = least_quota(top, group + 1, is_v2 ? quota_of_v2 : quota_of_v1);
		if (found && (!least || found < least))
			least = found;
	}
	return least;
}

static unsigned may_run_on(void)
{
	cpu_set_t *set = CPU_ALLOC(CPUS_MAX);
	size_t size = CPU_ALLOC_SIZE(CPUS_MAX);
	int count = 0;

	if (set && !sched_getaffinity(0, size, set))
		count = CPU_COUNT_S(size, set);
	CPU_FREE(set);
	return count > 0 ? (unsigned)count : 1;
}

unsigned cpus_available(const char *root)
{
	unsigned count = may_run_on(), quota = quota_of_all(root);

	return quota && quota < count ? quota : count;
}
