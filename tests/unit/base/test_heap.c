/* SPDX-License-Identifier: Apache-2.0 */
#include "base/heap.h"

#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
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

static void mapped_memory_is_zeros_and_as_large_as_asked_for(void **state)
{
	static const size_t sizes[] = {1, 4096, HEAP_HUGE_PAGE, 5 * (size_t)HEAP_HUGE_PAGE / 2 + 3};

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		uint8_t *data = heap_map(sizes[i]);

		assert_non_null(data);
		for (size_t at = 0; at < sizes[i]; at++)
			assert_int_equal(data[at], 0);
		memset(data, 1, sizes[i]);
		if (sizes[i] >= HEAP_HUGE_PAGE)
			assert_int_equal((uintptr_t)data % HEAP_HUGE_PAGE, 0);
		assert_int_equal(munmap(data, sizes[i]), 0);
	}
	assert_null(heap_map(SIZE_MAX));
	assert_null(heap_map(SIZE_MAX / 2));
}

static void preferring_huge_pages_leaves_the_bytes_alone(void **state)
{
	size_t size = 3 * (size_t)HEAP_HUGE_PAGE;
	uint8_t *data = malloc(size);

	(void)state;
	assert_non_null(data);
	memset(data, 7, size);
	heap_prefer_huge(data);
	data = realloc(data, 2 * size);
	assert_non_null(data);
	for (size_t at = 0; at < size; at++)
		assert_int_equal(data[at], 7);
	free(data);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mapped_memory_is_zeros_and_as_large_as_asked_for),
		cmocka_unit_test(preferring_huge_pages_leaves_the_bytes_alone),
		cmocka_unit_test(freed_memory_is_given_back),
	};
	return cmocka_run_group_tests_name("base/heap", tests, NULL, NULL);
}
