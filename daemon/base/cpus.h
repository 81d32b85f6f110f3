/* How many CPUs there are for this process. */
#ifndef SPECMAN_BASE_CPUS_H
#define SPECMAN_BASE_CPUS_H

/*
 * Those that it may run on, or what the quota of its control group comes to (a container's limit
 * on a large node), rounded up; 1 at the least. root is put before /proc and /sys: "" but in tests.
 */
unsigned cpus_available(const char *root);

#endif
