/* SPDX-License-Identifier: Apache-2.0 */
#include "crc32c.h"

#include "support/test.h"

/* The check value of CRC-32C's catalogue is inverted at the end. */
static void the_well_known_check_value_comes_out(void **state)
{
	(void)state;
	assert_int_equal(~crc32c((uint32_t)CRC32C_SEED, "123456789", 9), 0xe3069283);
	assert_int_equal(~crc32c_portable((uint32_t)CRC32C_SEED, "123456789", 9), 0xe3069283);
}

static void both_implementations_agree_at_every_length_and_alignment(void **state)
{
	(void)state;
	uint8_t data[80];

	for (unsigned i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 37 + 11);
	for (size_t off = 0; off < 8; off++) {
		for (size_t size = 0; off + size <= sizeof(data); size++)
			assert_int_equal(
				crc32c(7, data + off, size), crc32c_portable(7, data + off, size));
	}
}

static void a_sum_goes_on_from_the_one_before(void **state)
{
	(void)state;
	uint32_t crc = crc32c((uint32_t)CRC32C_SEED, "12345", 5);

	assert_int_equal(crc32c(crc, "6789", 4), crc32c((uint32_t)CRC32C_SEED, "123456789", 9));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_well_known_check_value_comes_out),
		cmocka_unit_test(both_implementations_agree_at_every_length_and_alignment),
		cmocka_unit_test(a_sum_goes_on_from_the_one_before),
	};
	return cmocka_run_group_tests_name("index/crc32c", tests, NULL, NULL);
}
