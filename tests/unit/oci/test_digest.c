/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/digest.h"

#include "support/test.h"

#include <pthread.h>
#include <string.h>

#define EMPTY_SHA256 "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define HELLO_SHA256 "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
#define HELLO_SHA512                                                                               \
	"sha512:9b71d224bd62f3785d96d46ad3ea3d73319bfbc2890caadae2dff72519673ca7"                  \
	"2323c3d99ba5c11d7c7acc6e14b8c5da0c4663475c2e5c3adef46f73bcdec043"

static void a_digest_survives_parsing_and_formatting(void **state)
{
	(void)state;
	static const char *const texts[] = {EMPTY_SHA256, HELLO_SHA512};

	for (size_t i = 0; i < 2; i++) {
		struct digest digest;
		char text[DIGEST_TEXT_SIZE];

		assert_int_equal(digest_parse(texts[i], &digest, NULL), 0);
		assert_string_equal(digest_format(&digest, text), texts[i]);
	}
}

static void parsing_leaves_unused_bytes_zero_so_that_memcmp_compares(void **state)
{
	(void)state;
	struct digest a, b;

	memset(&a, 0xaa, sizeof(a));
	memset(&b, 0x55, sizeof(b));
	assert_int_equal(digest_parse(HELLO_SHA256, &a, NULL), 0);
	assert_int_equal(digest_compute(DIGEST_SHA256, "hello", 5, &b, NULL), 0);
	assert_memory_equal(&a, &b, sizeof(a));
	assert_true(digest_equal(&a, &b));
}

static void refuses_what_is_not_a_digest(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		enum error_kind kind;
	} cases[] = {
		{"", ERROR_FORMAT},
		{"sha256", ERROR_FORMAT},
		{"sha256:", ERROR_FORMAT},
		{"sha256:e3b0", ERROR_FORMAT},
		{EMPTY_SHA256 "0", ERROR_FORMAT},
		{EMPTY_SHA256 " ", ERROR_FORMAT},
		{"sha256:E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855",
			ERROR_FORMAT},
		{"SHA256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
			ERROR_FORMAT},
		{"sha512:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
			ERROR_FORMAT},
		{"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", ERROR_FORMAT},
		{":abcd", ERROR_FORMAT},
		{"sha256+:abcd", ERROR_FORMAT},
		{"blake3:a b", ERROR_FORMAT},
		{"blake3:af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262",
			ERROR_UNSUPPORTED},
		{"multihash+base58:QmRZxt2b1FVZPNqd8hsiykDL3TdBDeTSPX9Kv46HmX4Gx8",
			ERROR_UNSUPPORTED},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct digest digest = {.algorithm = DIGEST_SHA512};
		struct error err = {0};

		assert_int_equal(digest_parse(cases[i].text, &digest, &err), -1);
		assert_int_equal(err.kind, cases[i].kind);
		assert_non_null(strstr(err.message, cases[i].text));
		assert_int_equal(digest.algorithm, DIGEST_SHA512);
	}
}

static void a_long_hostile_text_is_cut_in_the_message(void **state)
{
	(void)state;
	CLEANUP(cleanup_free) char *text = malloc(1 << 20);
	struct digest digest;
	struct error err = {0};

	assert_non_null(text);
	memset(text, 'a', 1 << 20);
	memcpy(text, "sha256:", 7);
	text[(1 << 20) - 1] = '\0';
	assert_int_equal(digest_parse(text, &digest, &err), -1);
	assert_int_equal(err.kind, ERROR_FORMAT);
	assert_true(strlen(err.message) < 300);
}

static void hashing_in_pieces_gives_the_digest_of_the_whole(void **state)
{
	(void)state;
	CLEANUP(digest_hasher_freep) struct digest_hasher *hasher = NULL;
	char text[DIGEST_TEXT_SIZE];
	struct digest digest;

	assert_int_equal(digest_hasher_new(DIGEST_SHA512, &hasher, NULL), 0);
	assert_int_equal(digest_hasher_update(hasher, "hel", 3, NULL), 0);
	assert_int_equal(digest_hasher_update(hasher, NULL, 0, NULL), 0);
	assert_int_equal(digest_hasher_update(hasher, "lo", 2, NULL), 0);
	assert_int_equal(digest_hasher_final(hasher, &digest, NULL), 0);
	assert_string_equal(digest_format(&digest, text), HELLO_SHA512);
}

static void a_reset_hasher_starts_anew(void **state)
{
	(void)state;
	CLEANUP(digest_hasher_freep) struct digest_hasher *hasher = NULL;
	char text[DIGEST_TEXT_SIZE];
	struct digest digest;

	assert_int_equal(digest_hasher_new(DIGEST_SHA256, &hasher, NULL), 0);
	assert_int_equal(digest_hasher_update(hasher, "other", 5, NULL), 0);
	assert_int_equal(digest_hasher_reset(hasher, NULL), 0);
	assert_int_equal(digest_hasher_final(hasher, &digest, NULL), 0);
	assert_string_equal(digest_format(&digest, text), EMPTY_SHA256);
	assert_int_equal(digest_hasher_reset(hasher, NULL), 0);
	assert_int_equal(digest_hasher_update(hasher, "hello", 5, NULL), 0);
	assert_int_equal(digest_hasher_final(hasher, &digest, NULL), 0);
	assert_string_equal(digest_format(&digest, text), HELLO_SHA256);
}

static void a_mismatch_names_both_digests(void **state)
{
	(void)state;
	struct digest expected;
	struct error err = {0};

	assert_int_equal(digest_parse(HELLO_SHA256, &expected, NULL), 0);
	assert_int_equal(digest_check(&expected, "hello", 5, &err), 0);
	assert_int_equal(digest_check(&expected, "", 0, &err), -1);
	assert_int_equal(err.kind, ERROR_DIGEST_MISMATCH);
	assert_string_equal(
		err.message, "0 bytes have digest " EMPTY_SHA256 " instead of " HELLO_SHA256);
}

static void digests_of_different_algorithms_differ(void **state)
{
	(void)state;
	static const uint8_t zeros[32];
	struct digest a;
	struct digest b = {.algorithm = DIGEST_SHA512};

	digest_from_sha256(zeros, &a);
	assert_int_equal(digest_size(&a), 32);
	assert_int_equal(digest_size(&b), 64);
	assert_false(digest_equal(&a, &b));
}

static void *hash_hello(void *arg)
{
	struct digest *out = arg;

	return digest_compute(DIGEST_SHA256, "hello", 5, out, NULL) == 0 ? out : NULL;
}

static void threads_may_hash_at_the_same_time(void **state)
{
	(void)state;
	enum { N_THREADS = 8 };
	pthread_t threads[N_THREADS];
	struct digest digests[N_THREADS];
	char text[DIGEST_TEXT_SIZE];

	for (int i = 0; i < N_THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, hash_hello, &digests[i]), 0);
	for (int i = 0; i < N_THREADS; i++) {
		void *result = NULL;

		assert_int_equal(pthread_join(threads[i], &result), 0);
		assert_ptr_equal(result, &digests[i]);
		assert_string_equal(digest_format(&digests[i], text), HELLO_SHA256);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_digest_survives_parsing_and_formatting),
		cmocka_unit_test(parsing_leaves_unused_bytes_zero_so_that_memcmp_compares),
		cmocka_unit_test(refuses_what_is_not_a_digest),
		cmocka_unit_test(a_long_hostile_text_is_cut_in_the_message),
		cmocka_unit_test(hashing_in_pieces_gives_the_digest_of_the_whole),
		cmocka_unit_test(a_reset_hasher_starts_anew),
		cmocka_unit_test(a_mismatch_names_both_digests),
		cmocka_unit_test(digests_of_different_algorithms_differ),
		cmocka_unit_test(threads_may_hash_at_the_same_time),
	};
	return cmocka_run_group_tests_name("oci/digest", tests, NULL, NULL);
}
