/* SPDX-License-Identifier: Apache-2.0 */
#include "support/test.h"

#include <string.h>

#include "format/estargz.h"

/* Footers as the reference implementation writes them. */
static const uint8_t footer[] = {0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 0xff, 26, 0, 'S', 'G', 22, 0, '0',
	'0', '0', '0', '0', '0', '0', '0', '0', '0', '0', '1', 'e', '2', '4', '0', 'S', 'T', 'A',
	'R', 'G', 'Z', 1, 0, 0, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0};
static const uint8_t legacy[] = {0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 0xff, 22, 0, '0', '0', '0', '0',
	'0', '0', '0', '0', '0', '0', '0', '1', 'e', '2', '4', '0', 'S', 'T', 'A', 'R', 'G', 'Z', 1,
	0, 0, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0};
static const uint8_t external[] = {0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 0xff, 21, 0, 'S', 'G', 17, 0,
	'S', 'T', 'A', 'R', 'G', 'Z', 'E', 'X', 'T', 'E', 'R', 'N', 'A', 'L', 'T', 'O', 'C', 1, 0,
	0, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0};

enum { TOC_OFF = 0x1e240, BLOB_SIZE = 200000 };

_Static_assert(sizeof(footer) == ESTARGZ_FOOTER_SIZE, "");
_Static_assert(sizeof(legacy) == ESTARGZ_LEGACY_FOOTER_SIZE, "");
_Static_assert(sizeof(external) == ESTARGZ_EXTERNAL_FOOTER_SIZE, "");

/* The footer at the end of a longer tail, in a heap copy of exactly that size. */
static struct estargz_footer parse_tail(const uint8_t *bytes, size_t size, size_t before)
{
	struct estargz_footer out = {.kind = (enum estargz_footer_kind)99};
	struct error err = {0};
	uint8_t *tail = calloc(1, before + size + 1);

	assert_non_null(tail);
	memcpy(tail + before, bytes, size);
	if (estargz_footer_parse(tail, before + size, BLOB_SIZE, &out, &err) < 0)
		fail_msg("%s", err.message);
	free(tail);
	return out;
}

static void all_three_footers_are_found_at_the_end_of_a_tail(void **state)
{
	(void)state;
	static const size_t before[] = {0, 1, 4, 5, 1000};

	for (size_t i = 0; i < sizeof(before) / sizeof(before[0]); i++) {
		struct estargz_footer found = parse_tail(footer, sizeof(footer), before[i]);

		assert_int_equal(found.kind, ESTARGZ_FOOTER);
		assert_int_equal(found.toc_off, TOC_OFF);
		assert_int_equal(found.size, 51);
		found = parse_tail(legacy, sizeof(legacy), before[i]);
		assert_int_equal(found.kind, ESTARGZ_LEGACY);
		assert_int_equal(found.toc_off, TOC_OFF);
		assert_int_equal(found.size, 47);
		found = parse_tail(external, sizeof(external), before[i]);
		assert_int_equal(found.kind, ESTARGZ_EXTERNAL);
		assert_int_equal(found.size, 46);
	}
}

static void bytes_without_a_footer_are_no_error(void **state)
{
	(void)state;
	static const struct {
		size_t at;
		uint8_t value;
	} changes[] = {{0, 0}, {2, 7}, {3, 0}, {10, 25}, {12, 'X'}, {13, 'X'}, {14, 21}, {37, 'z'}};
	uint8_t zeros[200] = {0};

	assert_int_equal(parse_tail(zeros, 0, 0).kind, ESTARGZ_FOOTER_NONE);
	assert_int_equal(parse_tail(zeros, sizeof(zeros), 0).kind, ESTARGZ_FOOTER_NONE);
	assert_int_equal(parse_tail(footer, sizeof(footer) - 1, 0).kind, ESTARGZ_FOOTER_NONE);
	assert_int_equal(parse_tail(footer + 1, sizeof(footer) - 1, 0).kind, ESTARGZ_FOOTER_NONE);
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		uint8_t changed[sizeof(footer)];

		memcpy(changed, footer, sizeof(footer));
		changed[changes[i].at] = changes[i].value;
		assert_int_equal(parse_tail(changed, sizeof(changed), 3).kind, ESTARGZ_FOOTER_NONE);
	}
}

static void a_footer_that_points_outside_the_blob_is_refused(void **state)
{
	(void)state;
	struct estargz_footer out = {.kind = (enum estargz_footer_kind)99};
	struct error err = {0};
	uint8_t changed[sizeof(footer)];

	assert_int_equal(estargz_footer_parse(footer, sizeof(footer), TOC_OFF + 52, &out, &err), 0);
	out.kind = (enum estargz_footer_kind)99;
	assert_int_equal(
		estargz_footer_parse(footer, sizeof(footer), TOC_OFF + 51, &out, &err), -1);
	assert_int_equal(err.kind, ERROR_FORMAT);
	assert_non_null(strstr(err.message, "123456"));
	assert_int_equal(estargz_footer_parse(footer, sizeof(footer), 51, &out, &err), -1);
	assert_int_equal(estargz_footer_parse(legacy, sizeof(legacy), 1000, &out, &err), -1);

	memcpy(changed, footer, sizeof(footer));
	memset(changed + 16, 'f', 16);
	assert_int_equal(
		estargz_footer_parse(changed, sizeof(changed), UINT64_MAX, &out, &err), -1);
	changed[20] = '\n';
	err = (struct error){0};
	assert_int_equal(estargz_footer_parse(changed, sizeof(changed), BLOB_SIZE, &out, &err), -1);
	assert_int_equal(err.kind, ERROR_FORMAT);
	assert_int_equal(out.kind, 99);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_three_footers_are_found_at_the_end_of_a_tail),
		cmocka_unit_test(bytes_without_a_footer_are_no_error),
		cmocka_unit_test(a_footer_that_points_outside_the_blob_is_refused),
	};
	return cmocka_run_group_tests_name("format/estargz_footer", tests, NULL, NULL);
}
