/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a gzip blob: the same spans come out however it arrives, and each of them decodes by
 * itself. The first byte chooses the size of spans, the second the pieces in which the blob
 * arrives; where its highest bit is set the rest is a deflate stream, to which a right header and
 * trailer are made, so that not every change ends at a checksum. */
#include "indexer_check.h"
#include "support/encode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void run(const struct buffer *blob, uint64_t span_size, size_t step, struct indexed *out)
{
	const struct gzip_indexer_options options = indexed_options(out, span_size);
	struct gzip_indexer_summary summary;
	struct gzip_indexer *indexer;

	require(gzip_indexer_new(&options, &indexer, NULL) == 0);
	out->complete = true;
	for (size_t off = 0; out->complete && off < blob->size; off += step) {
		size_t n = blob->size - off < step ? blob->size - off : step;

		out->complete = gzip_indexer_feed(indexer, blob->data + off, n, NULL) == 0;
	}
	out->complete = out->complete && gzip_indexer_end(indexer, &summary, NULL) == 0;
	if (out->complete) {
		require(summary.blob_size == blob->size);
		require(summary.decoded_size == out->plain.size);
		require(summary.n_spans == out->n_spans);
	}
	gzip_indexer_free(indexer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct indexed at_once = {0}, in_pieces = {0};
	struct buffer blob = {0};
	uint64_t span_size;
	size_t step;

	if (size < 3)
		return 0;
	span_size = 1 + (uint64_t)data[0] * 400;
	step = 1 + (data[1] & 0x7f);
	if (data[1] & 0x80)
		wrap_deflate(data + 2, size - 2, INDEXED_MAX_SIZE, &blob);
	else
		require(buffer_append(&blob, data + 2, size - 2) == 0);
	run(&blob, span_size, blob.size, &at_once);
	run(&blob, span_size, step, &in_pieces);
	if (at_once.complete || in_pieces.complete) {
		indexed_require_same(&at_once, &in_pieces);
		indexed_require_spans(&blob, &at_once);
	}
	indexed_clear(&at_once);
	indexed_clear(&in_pieces);
	buffer_free(&blob);
	return 0;
}
