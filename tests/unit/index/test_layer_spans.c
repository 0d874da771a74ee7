/* SPDX-License-Identifier: Apache-2.0 */
/* What the index of a layer keeps of its spans. */
#include "index/layer_index.h"

#include "support/test.h"

#include <string.h>

#include "base/bytes.h"
#include "support/layer_text.h"
#include "support/scratch.h"

/* One of a file, and one of a file that is replaced later. */
static void spans_come_into_the_unit_table_unless_nothing_is_in_them(void **state)
{
	const struct scratch *scratch = *state;
	CLEANUP(toc_freep) struct toc *toc = toc_of_text("f a 10\nf b 20\nf b 0");
	CLEANUP(layer_index_closep) struct layer_index *layer = NULL;
	static const uint8_t key[INDEX_KEY_SIZE] = {0xdd};
	struct digest blob = {.algorithm = DIGEST_SHA256};
	struct unit_span spans[2] = {0}, span;
	struct layer_index_build_options options = {
		.key = key, .blob = &blob, .blob_size = 10000, .spans = spans, .n_spans = 2};
	struct error err = {0};
	bool found;

	for (int i = 0; i < 2; i++) {
		struct toc_chunk *chunk = &toc->chunks[i];

		chunk->flags = UNIT_IN_SPAN;
		memset(chunk->digest, 0, sizeof(chunk->digest));
		/* Not in order. */
		spans[1 - i] = (struct unit_span){
			.blob_off = chunk->blob_off,
			.blob_size = chunk->blob_size,
			.decoded_size = 100,
			.digest = {7},
			.digest_kind = SPAN_DIGEST_DECODED,
			.codec = CODEC_GZIP,
		};
	}
	spans[1].decoded_size = 9;
	assert_int_equal(layer_index_build(scratch->fd, toc, &options, &err), -1);
	assert_int_equal(err.kind, ERROR_FORMAT);
	assert_non_null(strstr(err.message, "ends behind its span"));
	spans[1].decoded_size = 10;
	assert_int_equal(layer_index_build(scratch->fd, toc, &options, &err), 0);
	assert_int_equal(layer_index_open(scratch->fd, key, &layer, &err), 0);
	assert_int_equal(unit_table_header(layer->units)->n_spans, 1);
	assert_int_equal(unit_table_span(layer->units, spans[1].blob_off, &found, &span, &err), 0);
	assert_true(found);
	assert_int_equal(span.digest[0], 7);
}

#define IN_SCRATCH(test) cmocka_unit_test_setup_teardown(test, scratch_setup, scratch_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_SCRATCH(spans_come_into_the_unit_table_unless_nothing_is_in_them),
	};
	return cmocka_run_group_tests_name("index/layer_spans", tests, NULL, NULL);
}
