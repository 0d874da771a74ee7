/* SPDX-License-Identifier: Apache-2.0 */
#include "chunk/verify.h"

#include "support/test.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "oci/digest.h"
#include "support/encode.h"

enum { SIZE = 100000 };

static struct unit unit_of(const void *data, size_t size)
{
	struct unit unit = {.size = size};
	struct digest digest;
	struct error err = {0};

	assert_int_equal(digest_compute(DIGEST_SHA256, data, size, &digest, &err), 0);
	memcpy(unit.digest, digest.bytes, sizeof(unit.digest));
	return unit;
}

static struct decoded *decoded_text(size_t size)
{
	struct decoded *decoded;
	struct error err = {0};

	assert_int_equal(decoded_new(size, &decoded, &err), 0);
	fill_text(decoded_data(decoded), size, 5);
	return decoded;
}

static int file_of(const void *data, size_t size)
{
	int fd = memfd_create("chunk", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, size), size);
	return fd;
}

static void bytes_of_the_right_digest_become_a_chunk_that_keeps_them(void **state)
{
	(void)state;
	struct decoded *decoded = decoded_text(SIZE);
	struct unit whole = unit_of(decoded_data(decoded), SIZE);
	struct unit part = unit_of(decoded_data(decoded) + 500, 700);
	struct verified_chunk *chunks[2];
	struct error err = {0};
	uint64_t off = 77;
	uint8_t first_byte = decoded_data(decoded)[500];

	assert_int_equal(chunk_verify(&whole, decoded, 0, &chunks[0], &err), 0);
	assert_int_equal(chunk_verify(&part, decoded, 500, &chunks[1], &err), 0);
	decoded_unref(decoded);

	assert_int_equal(chunk_size(chunks[0]), SIZE);
	assert_int_equal(chunk_size(chunks[1]), 700);
	assert_ptr_equal(chunk_data(chunks[1]), chunk_data(chunks[0]) + 500);
	assert_false(chunk_is_zeros(chunks[0]));
	assert_int_equal(chunk_fd(chunks[0], &off), -1);
	assert_int_equal(off, 77);
	assert_ptr_equal(chunk_ref(chunks[0]), chunks[0]);
	chunk_unref(chunks[0]);
	chunk_unrefp(&chunks[0]);
	assert_null(chunks[0]);
	assert_int_equal(chunk_data(chunks[1])[0], first_byte);
	chunk_unref(chunks[1]);
	chunk_unref(NULL);
}

static void bytes_of_another_digest_are_refused_with_both_digests_named(void **state)
{
	(void)state;
	struct decoded *decoded = decoded_text(SIZE);
	struct unit unit = unit_of("abc", 3);
	struct verified_chunk *chunk = NULL;
	struct error err = {0};

	memcpy(decoded_data(decoded), "abd", 3);
	assert_int_equal(chunk_verify(&unit, decoded, 0, &chunk, &err), -1);
	assert_int_equal(err.kind, ERROR_DIGEST_MISMATCH);
	assert_non_null(strstr(err.message, "expected sha256:ba7816bf8f01cfea414140de5dae2223"));
	assert_non_null(strstr(err.message, "have digest sha256:"));
	assert_null(chunk);

	/* One bit anywhere is enough. */
	unit = unit_of(decoded_data(decoded), SIZE);
	decoded_data(decoded)[SIZE - 1] ^= 1;
	assert_int_equal(chunk_verify(&unit, decoded, 0, &chunk, &err), -1);
	assert_null(chunk);
	decoded_unref(decoded);
}

static void a_range_outside_the_decoded_bytes_is_refused(void **state)
{
	(void)state;
	struct decoded *decoded = decoded_text(100);
	struct unit unit = unit_of(decoded_data(decoded), 100);
	struct verified_chunk *chunk = NULL;
	struct error err = {0};

	assert_int_equal(chunk_verify(&unit, decoded, 1, &chunk, &err), -1);
	assert_int_equal(err.kind, ERROR_INTERNAL);
	unit.size = UINT64_MAX;
	assert_int_equal(chunk_verify(&unit, decoded, 1, &chunk, &err), -1);
	assert_int_equal(err.kind, ERROR_INTERNAL);
	unit.size = 0;
	assert_int_equal(chunk_verify(&unit, decoded, 0, &chunk, &err), -1);
	assert_null(chunk);
	decoded_unref(decoded);
}

static void zeros_are_recognised_and_take_no_memory(void **state)
{
	(void)state;
	static const size_t positions[] = {0, 1, 4095, SIZE - 1};
	struct decoded *decoded = decoded_text(SIZE);
	struct verified_chunk *chunk = NULL;
	struct error err = {0};
	struct unit unit;

	memset(decoded_data(decoded), 0, SIZE);
	unit = unit_of(decoded_data(decoded), SIZE);
	assert_int_equal(chunk_verify(&unit, decoded, 0, &chunk, &err), 0);
	assert_true(chunk_is_zeros(chunk));
	assert_null(chunk_data(chunk));
	assert_int_equal(chunk_size(chunk), SIZE);
	chunk_unref(chunk);

	for (size_t i = 0; i < sizeof(positions) / sizeof(positions[0]); i++) {
		memset(decoded_data(decoded), 0, SIZE);
		decoded_data(decoded)[positions[i]] = 1;
		unit = unit_of(decoded_data(decoded), SIZE);
		assert_int_equal(chunk_verify(&unit, decoded, 0, &chunk, &err), 0);
		assert_false(chunk_is_zeros(chunk));
		chunk_unref(chunk);
	}
	unit = unit_of("", 1);
	decoded_data(decoded)[0] = 0;
	assert_int_equal(chunk_verify(&unit, decoded, 0, &chunk, &err), 0);
	assert_true(chunk_is_zeros(chunk));
	chunk_unref(chunk);
	decoded_unref(decoded);
}

static void only_a_unit_marked_as_zeros_is_zeros_unseen(void **state)
{
	(void)state;
	struct unit unit = {.size = UINT64_C(1) << 40, .flags = UNIT_ZEROS};
	struct verified_chunk *chunk = NULL;
	struct error err = {0};

	assert_int_equal(chunk_zeros(&unit, &chunk, &err), 0);
	assert_true(chunk_is_zeros(chunk));
	assert_int_equal(chunk_size(chunk), UINT64_C(1) << 40);
	chunk_unrefp(&chunk);

	unit.flags = UNIT_UNVERIFIED;
	assert_int_equal(chunk_zeros(&unit, &chunk, &err), -1);
	assert_int_equal(err.kind, ERROR_INTERNAL);
	assert_null(chunk);
}

static void a_file_has_the_zeros_that_a_unit_is_marked_as(void **state)
{
	(void)state;
	struct decoded *decoded = decoded_text(SIZE);
	struct unit unit = {.size = SIZE, .flags = UNIT_ZEROS};
	struct verified_chunk *chunk = NULL;
	struct error err = {0};
	int fd = file_of(decoded_data(decoded), SIZE);

	assert_int_equal(chunk_verify_file(&unit, fd, 0, &chunk, &err), -1);
	assert_int_equal(err.kind, ERROR_DIGEST_MISMATCH);
	assert_null(chunk);
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(ftruncate(fd, SIZE), 0);
	assert_int_equal(chunk_verify_file(&unit, fd, 0, &chunk, &err), 0);
	assert_true(chunk_is_zeros(chunk));
	chunk_unref(chunk);
	close(fd);
	decoded_unref(decoded);
}

static void only_a_unit_marked_as_unverified_is_taken_without_a_digest(void **state)
{
	(void)state;
	struct decoded *decoded = decoded_text(SIZE);
	struct unit unit = {.size = SIZE, .flags = UNIT_UNVERIFIED};
	struct verified_chunk *chunk = NULL;
	struct error err = {0};
	int fd = file_of(decoded_data(decoded), SIZE);

	assert_int_equal(chunk_verify(&unit, decoded, 0, &chunk, &err), 0);
	chunk_unrefp(&chunk);
	assert_int_equal(chunk_verify_file(&unit, fd, 0, &chunk, &err), 0);
	chunk_unrefp(&chunk);
	unit.flags = 0;
	assert_int_equal(chunk_verify(&unit, decoded, 0, &chunk, &err), -1);
	assert_int_equal(chunk_verify_file(&unit, fd, 0, &chunk, &err), -1);
	assert_int_equal(err.kind, ERROR_DIGEST_MISMATCH);
	close(fd);
	decoded_unref(decoded);
}

static void a_file_is_verified_and_kept_open(void **state)
{
	(void)state;
	enum { FILE_SIZE = (3 << 20) + 17, OFF = 12345 };
	struct decoded *decoded = decoded_text(FILE_SIZE);
	struct unit unit = unit_of(decoded_data(decoded) + OFF, FILE_SIZE - OFF);
	struct verified_chunk *chunk = NULL;
	struct error err = {0};
	uint64_t off = 0;
	uint8_t bytes[64];
	int fd = file_of(decoded_data(decoded), FILE_SIZE);

	assert_int_equal(chunk_verify_file(&unit, fd, OFF - 1, &chunk, &err), -1);
	assert_int_equal(err.kind, ERROR_DIGEST_MISMATCH);
	assert_int_equal(chunk_verify_file(&unit, fd, OFF + 1, &chunk, &err), -1);
	assert_null(chunk); /* the file ends before the unit does */

	assert_int_equal(chunk_verify_file(&unit, fd, OFF, &chunk, &err), 0);
	close(fd);
	assert_null(chunk_data(chunk));
	assert_false(chunk_is_zeros(chunk));
	assert_int_equal(pread(chunk_fd(chunk, &off), bytes, sizeof(bytes), (off_t)OFF), 64);
	assert_int_equal(off, OFF);
	assert_memory_equal(bytes, decoded_data(decoded) + OFF, 64);
	chunk_unref(chunk);
	decoded_unref(decoded);
}

static void a_file_of_zeros_is_not_kept(void **state)
{
	(void)state;
	struct decoded *decoded = decoded_text(2 << 20);
	struct verified_chunk *chunk = NULL;
	struct error err = {0};
	uint64_t off;
	struct unit unit;
	int fd;

	memset(decoded_data(decoded), 0, 2 << 20);
	unit = unit_of(decoded_data(decoded), 2 << 20);
	fd = file_of(decoded_data(decoded), 2 << 20);
	assert_int_equal(chunk_verify_file(&unit, fd, 0, &chunk, &err), 0);
	assert_true(chunk_is_zeros(chunk));
	assert_int_equal(chunk_fd(chunk, &off), -1);
	chunk_unref(chunk);
	close(fd);
	decoded_unref(decoded);
}

static void *use_and_drop(void *arg)
{
	struct verified_chunk *chunk = arg;
	uint64_t sum = 0;

	for (size_t i = 0; i < chunk_size(chunk); i++)
		sum += chunk_data(chunk)[i];
	chunk_unref(chunk);
	return (void *)(uintptr_t)sum;
}

static void threads_may_drop_the_last_reference(void **state)
{
	(void)state;
	for (int round = 0; round < 50; round++) {
		struct decoded *decoded = decoded_text(5000);
		struct unit unit = unit_of(decoded_data(decoded), 5000);
		struct verified_chunk *chunk;
		struct error err = {0};
		pthread_t threads[3];
		void *sums[3];

		assert_int_equal(chunk_verify(&unit, decoded, 0, &chunk, &err), 0);
		decoded_unref(decoded);
		for (int i = 0; i < 3; i++)
			assert_int_equal(
				pthread_create(&threads[i], NULL, use_and_drop, chunk_ref(chunk)),
				0);
		chunk_unref(chunk);
		for (int i = 0; i < 3; i++)
			assert_int_equal(pthread_join(threads[i], &sums[i]), 0);
		assert_ptr_equal(sums[0], sums[1]);
		assert_ptr_equal(sums[0], sums[2]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_of_the_right_digest_become_a_chunk_that_keeps_them),
		cmocka_unit_test(bytes_of_another_digest_are_refused_with_both_digests_named),
		cmocka_unit_test(a_range_outside_the_decoded_bytes_is_refused),
		cmocka_unit_test(zeros_are_recognised_and_take_no_memory),
		cmocka_unit_test(only_a_unit_marked_as_zeros_is_zeros_unseen),
		cmocka_unit_test(a_file_has_the_zeros_that_a_unit_is_marked_as),
		cmocka_unit_test(only_a_unit_marked_as_unverified_is_taken_without_a_digest),
		cmocka_unit_test(a_file_is_verified_and_kept_open),
		cmocka_unit_test(a_file_of_zeros_is_not_kept),
		cmocka_unit_test(threads_may_drop_the_last_reference),
	};
	return cmocka_run_group_tests_name("chunk/verify", tests, NULL, NULL);
}
