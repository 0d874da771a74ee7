/* SPDX-License-Identifier: Apache-2.0 */
#include "base/hash.h"

#include "support/test.h"

#include <string.h>

enum { MAX_SIZE = 40 };

static void depends_on_every_bit_the_size_and_the_seed(void **state)
{
	uint8_t data[MAX_SIZE] = {0};

	(void)state;
	for (size_t size = 0; size < MAX_SIZE; size++) {
		uint64_t hash = hash_bytes(1, data, size);

		assert_true(hash_bytes(2, data, size) != hash);
		assert_true(hash_bytes(1, data, size + 1) != hash);
		for (size_t bit = 0; bit < 8 * size; bit++) {
			data[bit / 8] ^= (uint8_t)(1u << bit % 8);
			assert_true(hash_bytes(1, data, size) != hash);
			data[bit / 8] ^= (uint8_t)(1u << bit % 8);
		}
	}
}

static void reads_nothing_behind_the_data_and_cares_for_no_alignment(void **state)
{
	char text[MAX_SIZE + 8];

	(void)state;
	for (size_t size = 0; size < MAX_SIZE; size++) {
		uint64_t hashes[8];

		for (size_t off = 0; off < 8; off++) {
			memset(text, (int)off, sizeof(text));
			memset(text + off, 'x', size);
			hashes[off] = hash_bytes(3, text + off, size);
			assert_true(hashes[off] == hashes[0]);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(depends_on_every_bit_the_size_and_the_seed),
		cmocka_unit_test(reads_nothing_behind_the_data_and_cares_for_no_alignment),
	};
	return cmocka_run_group_tests_name("base/hash", tests, NULL, NULL);
}
