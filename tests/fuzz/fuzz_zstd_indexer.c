/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a zstd blob: the same spans come out however it arrives, each of them decodes by
 * itself, and all of them to what the blob does as a whole. */
#include "chunk/zstd_indexer.h"

#include <string.h>

#include "chunk/codec.h"
#include "indexer_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void run(const struct buffer *blob, uint64_t span_size, size_t step, struct indexed *out)
{
	const struct gzip_indexer_options options = indexed_options(out, span_size);
	struct zstd_indexer *indexer;

	require(zstd_indexer_new(&options, &indexer, NULL) == 0);
	out->complete = true;
	for (size_t off = 0; out->complete && off < blob->size; off += step) {
		size_t n = blob->size - off < step ? blob->size - off : step;

		out->complete = zstd_indexer_feed(indexer, blob->data + off, n, NULL) == 0;
	}
	out->complete = out->complete && zstd_indexer_end(indexer, NULL) == 0;
	zstd_indexer_free(indexer);
}

/* By another way through the same library. */
static void check_whole(const struct buffer *blob, const struct indexed *indexed)
{
	CLEANUP(buffer_free) struct buffer decoded = {0};
	int result = codec_decode_all(
		CODEC_ZSTD, blob->data, blob->size, INDEXED_MAX_SIZE, &decoded, NULL);

	if (!indexed->complete)
		return;
	require(result == 0 && decoded.size == indexed->plain.size);
	if (decoded.size > 0)
		require(memcmp(decoded.data, indexed->plain.data, decoded.size) == 0);
}

static void check(const struct buffer *blob, uint64_t span_size)
{
	struct indexed at_once = {0}, in_pieces = {0};

	run(blob, span_size, blob->size, &at_once);
	run(blob, span_size, 7, &in_pieces);
	if (at_once.complete || in_pieces.complete) {
		indexed_require_same(&at_once, &in_pieces);
		indexed_require_spans(blob, &at_once);
	}
	check_whole(blob, &at_once);
	indexed_clear(&at_once);
	indexed_clear(&in_pieces);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buffer blob = {0};

	require(buffer_append(&blob, data, size) == 0);
	/* A span for each frame, and some of several. */
	check(&blob, 1);
	check(&blob, 1000);
	buffer_free(&blob);
	return 0;
}
