/* SPDX-License-Identifier: Apache-2.0 */
/* What somebody says that spans decode to, against the archive that goes by. A span may begin with
 * a window of the claimant's making: bytes that have the digest he says need not be the layer's. */
#include "pass_internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "chunk/codec.h"

struct pass_claim {
	const struct span_index *index; /* borrowed */

	/* Of the thread with the blob. */
	/* What each span decodes to, as he says, or by his window; algorithm 0: not known. */
	struct digest *said;   /* owned */
	size_t encoded_span;   /* whose bytes are being collected */
	struct buffer encoded; /* owned; of the blob, from encoded_off on */
	uint64_t encoded_off;
	bool is_broken;
	struct error broken; /* why the first of them cannot be decoded */

	/* Of the thread with the archive. */
	struct digest *found;         /* owned; of each span */
	struct digest_hasher *hasher; /* owned */
	size_t span;                  /* that the next byte is in */
	uint64_t left;                /* bytes of it that have not gone by */
};

static int set_said(struct pass_claim *claim, struct error *err)
{
	for (size_t i = 0; i < claim->index->n_spans; i++) {
		const struct unit_span *span = &claim->index->spans[i];

		if (span->digest_kind == SPAN_DIGEST_DECODED) {
			claim->said[i].algorithm = DIGEST_SHA256;
			memcpy(claim->said[i].bytes, span->digest, sizeof(span->digest));
		} else if (span->blob_size > PASS_CLAIM_MAX_SPAN ||
			   span->decoded_size > PASS_CLAIM_MAX_SPAN)
			return error_set(err, ERROR_UNSUPPORTED,
				"its index has a span of %" PRIu64 " bytes that decodes to %" PRIu64
				", too many to be checked",
				span->blob_size, span->decoded_size);
	}
	return 0;
}

int pass_claim_new(const struct span_index *index, struct pass_claim **out, struct error *err)
{
	CLEANUP(pass_claim_freep) struct pass_claim *claim = calloc(1, sizeof(*claim));

	if (claim) {
		claim->said = calloc(index->n_spans + 1, sizeof(*claim->said));
		claim->found = calloc(index->n_spans + 1, sizeof(*claim->found));
	}
	if (!claim || !claim->said || !claim->found)
		return error_set(err, ERROR_NO_MEMORY, "no memory to check the index of a layer");
	claim->index = index;
	if (digest_hasher_new(DIGEST_SHA256, &claim->hasher, err) < 0 || set_said(claim, err) < 0)
		return -1;
	if (index->n_spans > 0)
		claim->left = index->spans[0].decoded_size;
	*out = TAKE_PTR(claim);
	return 0;
}

void pass_claim_free(struct pass_claim *claim)
{
	if (!claim)
		return;
	digest_hasher_free(claim->hasher);
	buffer_free(&claim->encoded);
	free(claim->said);
	free(claim->found);
	free(claim);
}

void pass_claim_freep(struct pass_claim **claim)
{
	pass_claim_free(*claim);
}

/* @bytes: all of the span. */
static int decode_span(struct pass_claim *claim, size_t i, const uint8_t *bytes, struct error *err)
{
	const struct unit_span *span = &claim->index->spans[i];
	CLEANUP(decoded_unrefp) struct decoded *decoded = NULL;
	struct digest encoded = {.algorithm = DIGEST_SHA256};
	struct error why = {0};

	memcpy(encoded.bytes, span->digest, sizeof(span->digest));
	if (digest_check(&encoded, bytes, (size_t)span->blob_size, &why) == 0 &&
		codec_decode_span(span, bytes, (size_t)span->blob_size, 0,
			(size_t)span->decoded_size, &decoded, &why) == 0)
		return digest_compute(DIGEST_SHA256, decoded_data(decoded), decoded_size(decoded),
			&claim->said[i], err);
	if (why.kind == ERROR_NO_MEMORY || why.kind == ERROR_INTERNAL) {
		if (err)
			*err = why;
		return -1;
	}
	if (!claim->is_broken)
		(void)error_set(&claim->broken, ERROR_FORMAT,
			"bytes %" PRIu64 " to %" PRIu64
			" of the blob are no span as the index says: %.300s",
			span->blob_off, span->blob_off + span->blob_size, why.message);
	claim->is_broken = true;
	return 0;
}

/* The next span that has to be decoded may begin before this one ends. */
static void forget_before(struct pass_claim *claim, uint64_t off)
{
	struct buffer *encoded = &claim->encoded;
	uint64_t end = claim->encoded_off + encoded->size;
	uint64_t to = off < end ? off : end;
	size_t n;

	if (to <= claim->encoded_off)
		return;
	n = (size_t)(to - claim->encoded_off);
	memmove(encoded->data, encoded->data + n, encoded->size - n);
	encoded->size -= n;
	claim->encoded_off = to;
}

int pass_claim_feed_blob(struct pass_claim *claim, const void *data, size_t size, struct error *err)
{
	const struct span_index *index = claim->index;

	if (claim->encoded_span == index->n_spans)
		return 0;
	if (buffer_append(&claim->encoded, data, size) < 0)
		return error_set(err, ERROR_NO_MEMORY, "no memory to check the index of a layer");
	for (; claim->encoded_span < index->n_spans; claim->encoded_span++) {
		const struct unit_span *span = &index->spans[claim->encoded_span];

		if (span->digest_kind == SPAN_DIGEST_DECODED)
			continue;
		forget_before(claim, span->blob_off);
		if (span->blob_off < claim->encoded_off ||
			claim->encoded_off + claim->encoded.size - span->blob_off < span->blob_size)
			return 0;
		if (decode_span(claim, claim->encoded_span,
			    claim->encoded.data + (span->blob_off - claim->encoded_off), err) < 0)
			return -1;
	}
	buffer_free(&claim->encoded);
	return 0;
}

static int end_span(struct pass_claim *claim, struct error *err)
{
	if (digest_hasher_final(claim->hasher, &claim->found[claim->span], err) < 0 ||
		digest_hasher_reset(claim->hasher, err) < 0)
		return -1;
	if (++claim->span < claim->index->n_spans)
		claim->left = claim->index->spans[claim->span].decoded_size;
	return 0;
}

int pass_claim_feed(struct pass_claim *claim, const void *data, size_t size, struct error *err)
{
	const uint8_t *bytes = data;

	/* More than was claimed shows when the sizes of the archives are compared. */
	while (size > 0 && claim->span < claim->index->n_spans) {
		size_t n = size < claim->left ? size : (size_t)claim->left;

		if (digest_hasher_update(claim->hasher, bytes, n, err) < 0)
			return -1;
		claim->left -= n;
		bytes += n;
		size -= n;
		if (claim->left == 0 && end_span(claim, err) < 0)
			return -1;
	}
	return 0;
}

int pass_claim_end(struct pass_claim *claim, struct error *err)
{
	const struct span_index *index = claim->index;
	char said[DIGEST_TEXT_SIZE], found[DIGEST_TEXT_SIZE];

	if (claim->is_broken)
		return error_set(err, ERROR_FORMAT, "%s", claim->broken.message);
	if (claim->span < index->n_spans)
		return error_set(err, ERROR_FORMAT,
			"the archive ends before span %zu of %zu in the index does", claim->span,
			index->n_spans);
	for (size_t i = 0; i < index->n_spans; i++) {
		const struct unit_span *span = &index->spans[i];

		if (!digest_equal(&claim->said[i], &claim->found[i]))
			return error_set(err, ERROR_FORMAT,
				"what bytes %" PRIu64 " to %" PRIu64
				" of the blob decode to has the digest %s by the index, but has %s",
				span->blob_off, span->blob_off + span->blob_size,
				digest_format(&claim->said[i], said),
				digest_format(&claim->found[i], found));
	}
	return 0;
}
