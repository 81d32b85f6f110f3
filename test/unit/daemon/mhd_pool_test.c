/*
 * Pools of the libmicrohttpd that is linked leave what was in them, and take
 * into memory what is used of them alone. That answers are right over it is tested
 * by all of test/integration.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdbool.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "mhd_pool.h"

enum { POOL = 32 * 1024, HEAD = 100 };

/* libmicrohttpd's own, memorypool.h of version 0.9.75. */
struct MemoryPool;
struct MemoryPool *MHD_pool_create(size_t max);
void MHD_pool_destroy(struct MemoryPool *pool);
void *MHD_pool_allocate(struct MemoryPool *pool, size_t size, bool from_end);
void *MHD_pool_reallocate(struct MemoryPool *pool, void *old, size_t old_size, size_t new_size);
void *MHD_pool_reset(struct MemoryPool *pool, void *keep, size_t copy_bytes, size_t new_size);

static void pools_are_not_cleared(void **state)
{
	struct MemoryPool *pool = MHD_pool_create(POOL);
	char used[POOL / 2], *buffer;

	(void)state;
	assert_non_null(pool);
	memset(used, 'x', sizeof(used));
	buffer = MHD_pool_allocate(pool, sizeof(used), false);
	assert_non_null(buffer);
	memcpy(buffer, used, sizeof(used));
	/* A head is read: the rest of the buffer is for the answer. */
	assert_ptr_equal(MHD_pool_reallocate(pool, buffer, sizeof(used), HEAD), buffer);
	assert_memory_equal(buffer, used, sizeof(used));
	/* It is answered. */
	assert_ptr_equal(MHD_pool_reset(pool, buffer, HEAD, sizeof(used)), buffer);
	assert_memory_equal(buffer, used, sizeof(used));
	MHD_pool_destroy(pool);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(pools_are_not_cleared) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
