/* File descriptors: how many connections the process may have because of them. */
#ifndef SPECMAN_DESCRIPTORS_H
#define SPECMAN_DESCRIPTORS_H

/*
 * Raise the process's limit as far as it may go, and say how many of the wanted
 * connections it has room for: all of them, or fewer, and then that is logged.
 */
unsigned descriptors_fit(unsigned connections);

#endif
