/* SPDX-License-Identifier: Apache-2.0 */
/* Real blobs, read as the layer code reads them; tests/golden/estargz/generate.py says what they
 * are. */
#include "support/test.h"

#include <string.h>

#include "format/estargz.h"
#include "golden.h"

static int parse_blob(
	const char *name, const struct buffer *blob, struct toc **toc, struct error *err)
{
	struct buffer digest_text = golden_read_line(name, "digest");
	struct buffer external = golden_read(name, "toc");
	struct estargz_toc_options options = {.blob_size = blob->size};
	struct estargz_footer footer;
	struct digest digest;
	int result;

	assert_int_equal(digest_parse((char *)digest_text.data, &digest, err), 0);
	options.toc_digest = &digest;
	result = estargz_footer_parse(blob->data, blob->size, blob->size, &footer, err);
	if (result == 0 && external.size > 0) {
		assert_int_equal(footer.kind, ESTARGZ_EXTERNAL);
		options.payload_end = blob->size;
		result = estargz_toc_parse(external.data, external.size, &options, toc, err);
	} else if (result == 0) {
		assert_true(footer.kind == ESTARGZ_FOOTER || footer.kind == ESTARGZ_LEGACY);
		options.payload_end = footer.toc_off;
		result = estargz_toc_parse(blob->data + footer.toc_off,
			blob->size - footer.toc_off - footer.size, &options, toc, err);
	}
	buffer_free(&digest_text);
	buffer_free(&external);
	return result;
}

static void check_good(const char *name)
{
	golden_check_good(name, parse_blob);
}

static void check_bad(const char *name)
{
	golden_check_bad(name, parse_blob);
}

static void every_golden_blob_reads_as_recorded_and_every_chunk_verifies(void **state)
{
	(void)state;
	golden_each(false, check_good);
}

static void every_blob_that_should_fail_does_so_with_its_reason(void **state)
{
	(void)state;
	golden_each(true, check_bad);
}

static void a_missing_digest_is_refused_unless_that_is_allowed(void **state)
{
	(void)state;
	struct buffer blob = golden_read("should-fail-legacy", "blob");
	struct estargz_toc_options options = {.blob_size = blob.size};
	struct estargz_footer footer;
	struct toc *toc = NULL;
	struct error err = {0};
	const uint8_t *member;
	size_t member_size;

	assert_int_equal(estargz_footer_parse(blob.data, blob.size, blob.size, &footer, &err), 0);
	assert_int_equal(footer.kind, ESTARGZ_LEGACY);
	options.payload_end = footer.toc_off;
	member = blob.data + footer.toc_off;
	member_size = blob.size - footer.toc_off - footer.size;

	assert_int_equal(estargz_toc_parse(member, member_size, &options, &toc, &err), -1);
	assert_int_equal(err.kind, ERROR_UNSUPPORTED);
	assert_non_null(strstr(err.message, ESTARGZ_TOC_DIGEST_ANNOTATION));

	options.allow_unverified = true;
	if (estargz_toc_parse(member, member_size, &options, &toc, &err) < 0)
		fail_msg("%s", err.message);
	assert_true(toc->n_chunks > 0);
	for (size_t i = 0; i < toc->n_chunks; i++)
		assert_int_equal(toc->chunks[i].flags, UNIT_UNVERIFIED);
	toc_free(toc);
	buffer_free(&blob);
}

static void a_wrong_toc_digest_is_a_digest_mismatch(void **state)
{
	(void)state;
	struct buffer blob = golden_read("should-fail-other-digest", "blob");
	struct toc *toc = NULL;
	struct error err = {0};

	assert_int_equal(parse_blob("should-fail-other-digest", &blob, &toc, &err), -1);
	assert_int_equal(err.kind, ERROR_DIGEST_MISMATCH);
	assert_null(toc);
	buffer_free(&blob);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_golden_blob_reads_as_recorded_and_every_chunk_verifies),
		cmocka_unit_test(every_blob_that_should_fail_does_so_with_its_reason),
		cmocka_unit_test(a_missing_digest_is_refused_unless_that_is_allowed),
		cmocka_unit_test(a_wrong_toc_digest_is_a_digest_mismatch),
	};
	return cmocka_run_group_tests_name("format/estargz_golden", tests, NULL, NULL);
}
