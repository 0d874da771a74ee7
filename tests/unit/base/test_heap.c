/* SPDX-License-Identifier: Apache-2.0 */
#include "base/heap.h"

#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { N_BLOCKS = 8192, BLOCK_SIZE = 4000 };

/* Bytes of memory that this process has. */
static size_t resident(void)
{
	FILE *file = fopen("/proc/self/statm", "re");
	size_t total = 0;
	size_t pages = 0;

	assert_non_null(file);
	assert_int_equal(fscanf(file, "%zu %zu", &total, &pages), 2);
	assert_int_equal(fclose(file), 0);
	return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static void freed_memory_is_given_back(void **state)
{
	static void *blocks[N_BLOCKS];
	size_t before;

	(void)state;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	print_message("a sanitizer has an allocator of its own\n");
	skip();
#endif
	heap_configure();
	for (size_t i = 0; i < N_BLOCKS; i++) {
		blocks[i] = malloc(BLOCK_SIZE);
		assert_non_null(blocks[i]);
		memset(blocks[i], 1, BLOCK_SIZE);
	}
	before = resident();
	/* The last one keeps the heap from shrinking by itself. */
	for (size_t i = 0; i + 1 < N_BLOCKS; i++)
		free(blocks[i]);
	heap_trim();
	assert_true(resident() < before - (size_t)N_BLOCKS * BLOCK_SIZE / 2);
	free(blocks[N_BLOCKS - 1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(freed_memory_is_given_back),
	};
	return cmocka_run_group_tests_name("base/heap", tests, NULL, NULL);
}
