/* SPDX-License-Identifier: Apache-2.0 */
/* What somebody says that spans decode to, against the archive that goes by. A span may begin with
 * a window of the claimant's making: bytes that have the digest he says need not be the layer's. */
#include "pass_internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct pass_claim {
	const struct span_index *index; /* borrowed */
	struct digest_hasher *hasher;   /* owned */
	size_t span;                    /* that the next byte is in */
	uint64_t left;                  /* bytes of it that have not gone by */
	bool is_wrong;
	struct error wrong; /* the first */
};

int pass_claim_new(const struct span_index *index, struct pass_claim **out, struct error *err)
{
	CLEANUP(pass_claim_freep) struct pass_claim *claim = calloc(1, sizeof(*claim));

	if (!claim)
		return error_set(err, ERROR_NO_MEMORY, "no memory to check the index of a layer");
	claim->index = index;
	if (digest_hasher_new(DIGEST_SHA256, &claim->hasher, err) < 0)
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
	free(claim);
}

void pass_claim_freep(struct pass_claim **claim)
{
	pass_claim_free(*claim);
}

static void note_wrong(struct pass_claim *claim, const struct digest *actual)
{
	const struct unit_span *span = &claim->index->spans[claim->span];
	struct digest said = {.algorithm = DIGEST_SHA256};
	char said_text[DIGEST_TEXT_SIZE], actual_text[DIGEST_TEXT_SIZE];

	memcpy(said.bytes, span->digest, sizeof(span->digest));
	if (!claim->is_wrong)
		(void)error_set(&claim->wrong, ERROR_FORMAT,
			"what bytes %" PRIu64 " to %" PRIu64
			" of the blob decode to has the digest %s in the index, but has %s",
			span->blob_off, span->blob_off + span->blob_size,
			digest_format(&said, said_text), digest_format(actual, actual_text));
	claim->is_wrong = true;
}

static int end_span(struct pass_claim *claim, struct error *err)
{
	const struct unit_span *span = &claim->index->spans[claim->span];
	struct digest actual;

	if (digest_hasher_final(claim->hasher, &actual, err) < 0 ||
		digest_hasher_reset(claim->hasher, err) < 0)
		return -1;
	if (span->digest_kind == SPAN_DIGEST_DECODED &&
		memcmp(actual.bytes, span->digest, sizeof(span->digest)) != 0)
		note_wrong(claim, &actual);
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
	if (claim->is_wrong) {
		if (err)
			*err = claim->wrong;
		return -1;
	}
	return 0;
}
