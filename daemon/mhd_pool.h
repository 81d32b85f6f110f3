/*
 * libmicrohttpd has a pool of memory for each connection, which it clears after
 * each answer, and half of it before: for a small file that costs as much as the
 * rest of its code, throws everything else out of the processor's nearest cache, and makes all
 * of the pool resident for a connection that used little of it. Nothing depends on it:
 * a new pool comes from malloc, with what was in there before. So the Makefile
 * leads the calls in the object of libmicrohttpd's pools to the function below.
 */
#ifndef SPECMAN_MHD_POOL_H
#define SPECMAN_MHD_POOL_H

#include <stddef.h>

/* What pools call instead of memset: leaves the memory as it is. */
void *mhd_pool_memset(void *bytes, int value, size_t size);

#endif
