/* SPDX-License-Identifier: Apache-2.0 */
/* Units that share encoded bytes, and units that need none. */
#include "fetch_fixture.h"

#include "support/test.h"

#include <string.h>

#include "oci/digest.h"
#include "support/encode.h"

static void set_digest(struct unit *unit, const uint8_t *data)
{
	struct digest digest;

	assert_int_equal(digest_compute(DIGEST_SHA256, data, unit->size, &digest, NULL), 0);
	memcpy(unit->digest, digest.bytes, 32);
}

/* Groups of @n_siblings units of @size bytes each, @skip bytes of something else before each: one
 * gzip member a group. */
static struct fixture_blob gzip_groups(
	uint64_t n_groups, uint64_t n_siblings, uint64_t size, uint64_t skip)
{
	uint64_t place = (size + 4095) / 4096 * 4096;
	uint64_t group_size = n_siblings * (skip + size);
	uint8_t *plain = malloc(group_size);
	struct buffer encoded = {0};
	struct fixture_blob blob = {
		.n_units = n_groups * n_siblings,
		.data_size = n_groups * n_siblings * place,
	};

	blob.data = calloc(blob.n_units, place);
	blob.units = calloc(blob.n_units, sizeof(struct unit));
	assert_true(plain && blob.data && blob.units);
	for (uint64_t i = 0; i < n_groups; i++) {
		uint64_t start = encoded.size;

		fill_text(plain, group_size, (uint32_t)i + 1);
		encode_frame(CODEC_GZIP, plain, group_size, &encoded);
		for (uint64_t j = 0; j < n_siblings; j++) {
			struct unit *unit = &blob.units[i * n_siblings + j];

			*unit = (struct unit){
				.data_off = (i * n_siblings + j) * place,
				.size = size,
				.blob_off = start,
				.blob_size = encoded.size - start,
				.inner_off = j * (skip + size) + skip,
				.codec = CODEC_GZIP,
			};
			memcpy(blob.data + unit->data_off, plain + unit->inner_off, size);
			set_digest(unit, plain + unit->inner_off);
		}
	}
	free(plain);
	blob.blob = encoded.data;
	blob.blob_size = encoded.size;
	return blob;
}

static void siblings_are_fetched_and_decoded_once(void **state)
{
	struct fixture_blob blob = gzip_groups(4, 5, 3000, 512);
	struct unit unit = blob.units[7];
	struct fixture f;

	(void)state;
	fixture_open(&f, &(struct fixture_options){.blob = &blob});
	assert_int_equal(fixture_fetch(&f, 7, 1), ERROR_NONE);
	for (uint64_t i = 0; i < 20; i++)
		assert_int_equal(layer_store_has(f.layer_store, i), i >= 5 && i < 10);
	for (uint64_t i = 5; i < 10; i++)
		assert_unit_is_right(&f, i);
	assert_int_equal(atomic_load(&f.sources[0].n_started), 1);
	assert_int_equal(f.sources[0].log[0].off, unit.blob_off);
	assert_int_equal(f.sources[0].log[0].size, unit.blob_size);
	assert_int_equal(fixture_fetch(&f, 0, 20), ERROR_NONE);
	assert_int_equal(atomic_load(&f.sources[0].bytes_asked), f.blob_size);
	for (uint64_t i = 0; i < 20; i++)
		assert_unit_is_right(&f, i);
	fixture_close(&f);
}

static void waits_for_different_siblings_share_a_flight(void **state)
{
	struct fixture_blob blob = gzip_groups(2, 5, 3000, 0);
	struct waiter waiters[10];
	struct fixture f;

	(void)state;
	fixture_open(&f, &(struct fixture_options){.blob = &blob});
	atomic_store(&f.sources[0].delay_us, 50000);
	for (uint64_t i = 0; i < 10; i++)
		waiter_start(&waiters[i], &f, 9 - i, 1);
	for (uint64_t i = 0; i < 10; i++)
		assert_int_equal(waiter_join(&waiters[i]), ERROR_NONE);
	assert_int_equal(atomic_load(&f.sources[0].bytes_asked), f.blob_size);
	fixture_close(&f);
}

static void a_sibling_with_another_digest_fails_alone(void **state)
{
	struct fixture_blob blob = gzip_groups(1, 5, 3000, 512);
	struct waiter waiters[5];
	struct fixture f;

	(void)state;
	blob.units[1].digest[0] ^= 1;
	fixture_open(&f, &(struct fixture_options){.blob = &blob});
	atomic_store(&f.sources[0].delay_us, 50000);
	/* The wrong one first: who comes after a request may have another one sent. */
	for (uint64_t i = 1; i <= 5; i++)
		waiter_start(&waiters[i % 5], &f, i % 5, 1);
	for (uint64_t i = 0; i < 5; i++)
		assert_int_equal(
			waiter_join(&waiters[i]), i == 1 ? ERROR_DIGEST_MISMATCH : ERROR_NONE);
	for (uint64_t i = 0; i < 5; i++)
		assert_int_equal(layer_store_has(f.layer_store, i), i != 1);
	assert_int_equal(atomic_load(&f.n_failed), 1);
	fixture_close(&f);
}

static void fifty_thousand_siblings_are_one_flight(void **state)
{
	struct fixture_blob blob = gzip_groups(1, 1, 50000, 0);
	struct unit whole = blob.units[0];
	struct fixture f;

	(void)state;
	free(blob.units);
	blob.n_units = whole.size;
	blob.units = calloc(blob.n_units, sizeof(struct unit));
	assert_non_null(blob.units);
	for (uint64_t i = 0; i < blob.n_units; i++) {
		blob.units[i] = whole;
		blob.units[i].data_off = i;
		blob.units[i].inner_off = i;
		blob.units[i].size = 1;
		set_digest(&blob.units[i], blob.data + i);
	}
	fixture_open(&f, &(struct fixture_options){.blob = &blob});
	assert_int_equal(fixture_fetch(&f, 0, f.n_units), ERROR_NONE);
	assert_int_equal(atomic_load(&f.sources[0].n_started), 1);
	assert_int_equal(fixture_count(&f), 50000);
	fixture_close(&f);
}

/* Zeros at the place of every group: before, between and behind its units. */
static struct fixture_blob groups_with_zeros(void)
{
	struct fixture_blob blob = gzip_groups(3, 2, 4096, 0);
	struct unit *units = calloc(12, sizeof(*units));
	uint8_t *data = calloc(12, 4096);

	assert_true(units && data);
	for (uint64_t i = 0; i < 12; i++) {
		const struct unit *sibling = &blob.units[i / 2];

		units[i] = *sibling;
		units[i].data_off = i * 4096;
		if (i % 2) {
			memcpy(data + i * 4096, blob.data + sibling->data_off, 4096);
			continue;
		}
		units[i].flags = UNIT_ZEROS;
		units[i].blob_size = 0;
		units[i].inner_off = i % 4 ? sibling->inner_off - 1 : 0;
		memset(units[i].digest, 0, 32);
	}
	free(blob.units);
	free(blob.data);
	blob.units = units;
	blob.data = data;
	blob.n_units = 12;
	blob.data_size = (uint64_t)12 * 4096;
	return blob;
}

static void zeros_are_made_without_asking_anybody(void **state)
{
	struct fixture_blob blob = groups_with_zeros();
	struct fixture f;

	(void)state;
	fixture_open(&f, &(struct fixture_options){.blob = &blob});
	atomic_store(&f.sources[0].forbids, true);
	for (uint64_t i = 0; i < 12; i += 2)
		assert_int_equal(fixture_fetch(&f, i, 1), ERROR_NONE);
	assert_int_equal(atomic_load(&f.sources[0].n_started), 0);
	assert_int_equal(fixture_count(&f), 6);
	for (uint64_t i = 0; i < 12; i += 2)
		assert_unit_is_right(&f, i);
	fixture_close(&f);
}

static void zeros_among_others_are_served_with_them(void **state)
{
	struct fixture_blob blob = groups_with_zeros();
	struct fixture f;

	(void)state;
	fixture_open(&f, &(struct fixture_options){.blob = &blob, .background = true});
	assert_int_equal(fixture_fetch(&f, 0, 12), ERROR_NONE);
	assert_int_equal(atomic_load(&f.sources[0].bytes_asked), f.blob_size);
	for (uint64_t i = 0; i < 12; i++)
		assert_unit_is_right(&f, i);
	wait_until(atomic_load(&f.n_completed) == 1);
	fixture_close(&f);
}

static void ranges_that_overlap_are_fetched_each_for_itself(void **state)
{
	struct fixture_blob blob = {
		.blob = malloc(8192),
		.blob_size = 8192,
		.data = calloc(4, 4096),
		.data_size = (uint64_t)4 * 4096,
		.units = calloc(4, sizeof(struct unit)),
		.n_units = 4,
	};
	struct fixture f;

	(void)state;
	assert_true(blob.blob && blob.data && blob.units);
	fill_random(blob.blob, 8192, 1);
	for (uint64_t i = 0; i < 4; i++) {
		blob.units[i] = (struct unit){
			.data_off = i * 4096,
			.size = 1000 + i,
			/* Two groups that overlap; in the second, siblings of other sizes. */
			.blob_off = i < 1 ? 0 : 500,
			.blob_size = 1000 + i * 1000,
			.inner_off = i * 10,
			.codec = CODEC_NONE,
		};
		memcpy(blob.data + i * 4096,
			blob.blob + blob.units[i].blob_off + blob.units[i].inner_off, 1000 + i);
		set_digest(&blob.units[i], blob.data + i * 4096);
	}
	fixture_open(&f, &(struct fixture_options){.blob = &blob, .read_ahead = true});
	assert_int_equal(fixture_fetch(&f, 0, 4), ERROR_NONE);
	assert_int_equal(atomic_load(&f.sources[0].n_started), 2);
	for (uint64_t i = 0; i < 4; i++)
		assert_unit_is_right(&f, i);
	fixture_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(siblings_are_fetched_and_decoded_once),
		cmocka_unit_test(waits_for_different_siblings_share_a_flight),
		cmocka_unit_test(a_sibling_with_another_digest_fails_alone),
		cmocka_unit_test(fifty_thousand_siblings_are_one_flight),
		cmocka_unit_test(zeros_are_made_without_asking_anybody),
		cmocka_unit_test(zeros_among_others_are_served_with_them),
		cmocka_unit_test(ranges_that_overlap_are_fetched_each_for_itself),
	};
	return cmocka_run_group_tests_name("fetch/groups", tests, NULL, NULL);
}
