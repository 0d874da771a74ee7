/* SPDX-License-Identifier: Apache-2.0 */
/* Whether the spans of an index decode to what their digests say. */
#include <inttypes.h>
#include <string.h>

#include "chunk/verify.h"
#include "image_indexing_internal.h"

/* Larger spans are those of layers that are one span; they have their like in the actual index. */
#define MAX_SPAN (UINT64_C(256) << 20)

/* The same bytes of the blob, decoding to as many: what both digests are of is the same. */
static bool is_same_place(const struct unit_span *a, const struct unit_span *b)
{
	return a->blob_off == b->blob_off && a->bits == b->bits && a->in_member == b->in_member &&
	       a->decoded_size == b->decoded_size;
}

/* Its like among those of the layer, which a pass has made, from *first on. */
static const struct unit_span *find_like(
	const struct span_index *actual, const struct unit_span *span, size_t *first)
{
	while (*first < actual->n_spans && actual->spans[*first].blob_off < span->blob_off)
		(*first)++;
	for (size_t i = *first; i < actual->n_spans && actual->spans[i].blob_off == span->blob_off;
		i++) {
		if (is_same_place(&actual->spans[i], span))
			return &actual->spans[i];
	}
	return NULL;
}

static bool is_same(const struct unit_span *a, const struct unit_span *b)
{
	return a->blob_size == b->blob_size && a->digest_kind == b->digest_kind &&
	       memcmp(a->digest, b->digest, sizeof(a->digest)) == 0 &&
	       a->window_size == b->window_size &&
	       (a->window_size == 0 || memcmp(a->window, b->window, a->window_size) == 0);
}

/* Both digests are of the same bytes, and those of the layer are known. */
static int compare_digests(
	const struct unit_span *claimed, const struct unit_span *actual, struct error *err)
{
	char texts[2][2 * sizeof(claimed->digest) + 1];

	if (claimed->digest_kind != SPAN_DIGEST_DECODED ||
		actual->digest_kind != SPAN_DIGEST_DECODED ||
		memcmp(claimed->digest, actual->digest, sizeof(claimed->digest)) == 0)
		return 0;
	hex_encode(claimed->digest, sizeof(claimed->digest), texts[0]);
	hex_encode(actual->digest, sizeof(actual->digest), texts[1]);
	return error_set(err, ERROR_FORMAT,
		"the index says that it decodes to bytes with the digest %s, but it is %s",
		texts[0], texts[1]);
}

static int decode(const struct layer_blob *blob, const struct unit_span *span, struct error *err)
{
	CLEANUP(buffer_free) struct buffer encoded = {0};
	CLEANUP(span_bytes_freep) struct span_bytes *bytes = NULL;

	if (span->blob_size > MAX_SPAN || span->decoded_size > MAX_SPAN)
		return error_set(err, ERROR_UNSUPPORTED,
			"it has %" PRIu64 " bytes of the blob and decodes to %" PRIu64
			", too many to check",
			span->blob_size, span->decoded_size);
	if (layer_blob_read(blob, span->blob_off, span->blob_size, &encoded, err) < 0)
		return -1;
	return span_bytes_decode(
		span, encoded.data, encoded.size, 0, span->decoded_size, &bytes, err);
}

static int check_span(const struct layer_blob *blob, const struct unit_span *claimed,
	const struct unit_span *like, struct error *err)
{
	if (like && is_same(like, claimed))
		return 0;
	if (like && compare_digests(claimed, like, err) < 0)
		return -1;
	return decode(blob, claimed, err);
}

int image_index_check_spans(const struct layer_blob *blob, const struct span_index *claimed,
	const struct span_index *actual, struct error *err)
{
	size_t next = 0;

	for (size_t i = 0; i < claimed->n_spans; i++) {
		const struct unit_span *span = &claimed->spans[i];
		const struct unit_span *like = find_like(actual, span, &next);

		if (check_span(blob, span, like, err) < 0)
			return error_prefix(
				err, "span at byte %" PRIu64 " of the blob", span->blob_off);
	}
	return 0;
}
