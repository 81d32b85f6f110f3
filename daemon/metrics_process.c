/*
 * The process, by the names that Prometheus' client libraries give to these
 * (prometheus.io/docs/instrumenting/writing_clientlibs, "Process metrics"), and
 * its threads.
 */
#include "metrics_parts.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/io.h"

struct process {
	double cpu_s;
	double threads;
	double start_s; /* since boot */
	double virtual_bytes;
	double resident_bytes;
};

/* proc(5), /proc/[pid]/stat: what follows the name, which may have anything in it. */
static int read_stat(struct process *out)
{
	CLEANUP(buf_release) struct buf text = BUF_INIT(4096);
	unsigned long user, system, size;
	unsigned long long start;
	const char *at;
	long threads, pages;
	double tick = (double)sysconf(_SC_CLK_TCK);
	struct err err;

	if (io_read_file(AT_FDCWD, "/proc/self/stat", &text, &err))
		return -1;
	at = strrchr(buf_text(&text), ')');
	if (!at || sscanf(at + 1,
	                  " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %*d %*d %*d %*d "
	                  "%ld %*d %llu %lu %ld",
	                  &user, &system, &threads, &start, &size, &pages) != 6)
		return -1;
	*out = (struct process){
		.cpu_s = (double)(user + system) / tick,
		.threads = (double)threads,
		.start_s = (double)start / tick,
		.virtual_bytes = (double)size,
		.resident_bytes = (double)pages * (double)sysconf(_SC_PAGESIZE),
	};
	return 0;
}

/* Open descriptors, that of the folder itself left out. -1: they can't be listed. */
static double count_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	const struct dirent *entry;
	double count = -1;

	if (!dir)
		return -1;
	while ((entry = readdir(dir)))
		count += entry->d_name[0] != '.';
	(void)closedir(dir);
	return count;
}

/* When the machine was started, by the clock as it is now. */
static double boot_s(void)
{
	struct timespec now, up;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	(void)clock_gettime(CLOCK_BOOTTIME, &up);
	return (double)(now.tv_sec - up.tv_sec) + (double)(now.tv_nsec - up.tv_nsec) / 1e9;
}

static void add_descriptors(struct exposition *e)
{
	static const struct metric open = { "process_open_fds", METRIC_GAUGE, NULL,
		                            "Open file descriptors." };
	static const struct metric most = { "process_max_fds", METRIC_GAUGE, NULL,
		                            "How many there may be." };
	double count = count_descriptors();
	struct rlimit limit;

	if (count >= 0)
		exposition_single(e, &open, count);
	if (!getrlimit(RLIMIT_NOFILE, &limit))
		exposition_single(e, &most, (double)limit.rlim_cur);
}

void metrics_add_process(struct exposition *e)
{
	struct process process;

	add_descriptors(e);
	/* Without /proc there is nothing to tell. */
	if (read_stat(&process))
		return;
	const struct single singles[] = {
		{ { "process_cpu_seconds", METRIC_COUNTER, "seconds",
		    "Processor time used, by user and system." },
		  process.cpu_s },
		{ { "process_resident_memory_bytes", METRIC_GAUGE, "bytes", "Memory in use." },
		  process.resident_bytes },
		{ { "process_virtual_memory_bytes", METRIC_GAUGE, "bytes",
		    "Address space in use." },
		  process.virtual_bytes },
		{ { "process_start_time_seconds", METRIC_GAUGE, "seconds",
		    "When the process was started." },
		  boot_s() + process.start_s },
		{ { "process_threads", METRIC_GAUGE, NULL, "Threads." }, process.threads },
	};

	add_singles(e, singles, sizeof(singles) / sizeof(singles[0]));
}
