/* SPDX-License-Identifier: Apache-2.0 */
#include "chunk/decoded.h"

#include "support/test.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

/* Bytes of address space. Buffers of the pool are mappings of their own, and sanitizers keep their
 * shadow of them mapped from the start. */
static size_t mapped_memory(void)
{
	FILE *file = fopen("/proc/self/statm", "re");
	size_t pages = 0;

	assert_non_null(file);
	assert_int_equal(fscanf(file, "%zu", &pages), 1);
	fclose(file);
	return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static struct decoded *take(size_t size)
{
	struct decoded *decoded;
	struct error err = {0};

	if (decoded_new(size, &decoded, &err) < 0)
		fail_msg("%s", err.message);
	assert_int_equal(decoded_size(decoded), size);
	return decoded;
}

static void every_byte_of_any_size_can_be_written(void **state)
{
	(void)state;
	static const size_t sizes[] = {0, 1, 100, 16 << 10, 48 << 10, 65536, 100000, 131072, 131073,
		1 << 20, 4 << 20, (8 << 20) - 1, 8 << 20, 20 << 20, 50 << 20};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct decoded *decoded = take(sizes[i]);

		memset(decoded_data(decoded), 0xa5, sizes[i]);
		decoded_unref(decoded);
	}
	decoded_pool_trim(0);
}

static void a_buffer_is_used_again_only_after_its_last_reference_is_gone(void **state)
{
	(void)state;
	struct decoded *first = take(4 << 20);
	struct decoded *other = decoded_ref(first);
	struct decoded *second;
	uint8_t *data = decoded_data(first);

	decoded_unrefp(&first);
	assert_null(first);
	second = take(4 << 20);
	assert_ptr_not_equal(decoded_data(second), data);
	decoded_unref(other);
	other = take(4 << 20);
	assert_ptr_equal(decoded_data(other), data);
	decoded_unref(other);
	decoded_unref(second);
	decoded_unref(NULL);
	decoded_pool_trim(0);
}

static void the_pool_keeps_a_bounded_part_and_gives_it_back(void **state)
{
	(void)state;
	enum { N = 32, SIZE = 4 << 20 };
	struct decoded *taken[N];
	size_t before, kept, after;

	decoded_pool_trim(0);
	before = mapped_memory();
	for (int i = 0; i < N; i++) {
		taken[i] = take(SIZE);
		memset(decoded_data(taken[i]), 1, SIZE);
	}
	for (int i = 0; i < N; i++)
		decoded_unref(taken[i]);
	kept = mapped_memory();
	decoded_pool_trim(3600 * NS_PER_SECOND);
	assert_int_equal(mapped_memory(), kept);
	decoded_pool_trim(0);
	after = mapped_memory();
	assert_true(kept <= before + (33 << 20));
	assert_true(kept >= before + (16 << 20));
	assert_true(after <= before + (1 << 20));
}

static void *churn(void *arg)
{
	uintptr_t seed = (uintptr_t)arg;

	for (size_t i = 0; i < 2000; i++) {
		size_t size = (size_t)((seed * 7919 + i * 104729) % 3000000) + 1;
		struct decoded *decoded;

		if (decoded_new(size, &decoded, NULL) < 0)
			return arg;
		decoded_data(decoded)[0] = (uint8_t)seed;
		decoded_data(decoded)[size - 1] = (uint8_t)seed;
		if (decoded_data(decoded)[0] != (uint8_t)seed)
			return arg;
		decoded_unref(decoded);
		if (i % 500 == 0)
			decoded_pool_trim(0);
	}
	return NULL;
}

static void threads_share_the_pool(void **state)
{
	(void)state;
	pthread_t threads[4];

	for (uintptr_t i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, churn, (void *)(i + 1)), 0);
	for (int i = 0; i < 4; i++) {
		void *failed;

		assert_int_equal(pthread_join(threads[i], &failed), 0);
		assert_null(failed);
	}
	decoded_pool_trim(0);
}

static void a_size_beyond_all_memory_is_an_error(void **state)
{
	(void)state;
	struct decoded *decoded = NULL;
	struct error err = {0};

	assert_int_equal(decoded_new(SIZE_MAX, &decoded, &err), -1);
	assert_int_equal(err.kind, ERROR_NO_MEMORY);
	assert_int_equal(decoded_new(SIZE_MAX / 4, &decoded, &err), -1);
	assert_int_equal(err.kind, ERROR_NO_MEMORY);
	assert_null(decoded);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_byte_of_any_size_can_be_written),
		cmocka_unit_test(a_buffer_is_used_again_only_after_its_last_reference_is_gone),
		cmocka_unit_test(the_pool_keeps_a_bounded_part_and_gives_it_back),
		cmocka_unit_test(threads_share_the_pool),
		cmocka_unit_test(a_size_beyond_all_memory_is_an_error),
	};
	return cmocka_run_group_tests_name("chunk/decoded", tests, NULL, NULL);
}
