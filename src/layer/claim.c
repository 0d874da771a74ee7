/* SPDX-License-Identifier: Apache-2.0 */
/* Documents that say what is in a layer, and whether they can be about this one at all. */
#include "claim_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "format/span_index_file.h"
#include "format/ztoc.h"
#include "pass_internal.h"

void layer_claim_clear(struct layer_claim *claim)
{
	buffer_free(&claim->document);
	span_headers_freep(&claim->headers);
}

void layer_claim_free(struct layer_claim *claim)
{
	if (!claim)
		return;
	layer_claim_clear(claim);
	free(claim);
}

void layer_claim_freep(struct layer_claim **claim)
{
	layer_claim_free(*claim);
}

/* A ztoc is a flatbuffer: it begins with the place of its root. */
static enum layer_claimant claimant_of(const struct buffer *document)
{
	size_t size = strlen(SPAN_INDEX_FILE_MAGIC);

	if (document->size >= size && memcmp(document->data, SPAN_INDEX_FILE_MAGIC, size) == 0)
		return LAYER_CLAIMED_BY_VARVE;
	return LAYER_CLAIMED_BY_SOCI;
}

int layer_claim_new(struct buffer *document, struct layer_claim **out, struct error *err)
{
	CLEANUP(layer_claim_freep) struct layer_claim *claim = calloc(1, sizeof(*claim));

	if (!claim)
		return error_set(err, ERROR_NO_MEMORY, "no memory for the index of a layer");
	if (digest_compute(DIGEST_SHA256, document->data, document->size, &claim->digest, err) < 0)
		return -1;
	claim->by = claimant_of(document);
	claim->document = *document;
	*document = (struct buffer){0};
	*out = TAKE_PTR(claim);
	return 0;
}

static int parse_document(const struct layer_claim *claim, const struct descriptor *descriptor,
	struct span_index **out, struct error *err)
{
	const struct ztoc_options options = {
		.blob = &descriptor->digest,
		.blob_size = descriptor->size,
	};
	const struct buffer *document = &claim->document;

	if (claim->by == LAYER_CLAIMED_BY_SOCI)
		return ztoc_parse(document->data, document->size, &options, out, err);
	return span_index_parse(document->data, document->size, out, err);
}

/* What can be told without reading the layer. */
static int check_subject(const struct layer_claim *claim, const struct span_index *index,
	const struct descriptor *descriptor, struct error *err)
{
	const struct digest *diff_id = &claim->diff_id;
	char said[DIGEST_TEXT_SIZE], wanted[DIGEST_TEXT_SIZE];

	if (!digest_equal(&index->blob, &descriptor->digest))
		return error_set(err, ERROR_FORMAT, "it is the index of another layer: of %s",
			digest_format(&index->blob, said));
	if (index->blob_size != descriptor->size)
		return error_set(err, ERROR_FORMAT,
			"it is of a blob of %" PRIu64 " bytes, but the manifest says %" PRIu64,
			index->blob_size, descriptor->size);
	if (index->codec != claim->codec)
		return error_set(err, ERROR_FORMAT,
			"it is of a layer of another compression than the media type %s says",
			descriptor->media_type);
	/* Of the others the archive alone has to be hashed. */
	for (size_t i = 0; i < index->n_spans; i++)
		if (index->spans[i].digest_kind != SPAN_DIGEST_DECODED &&
			(index->spans[i].decoded_size > PASS_CLAIM_MAX_SPAN ||
				index->spans[i].blob_size > PASS_CLAIM_MAX_SPAN))
			return error_set(err, ERROR_UNSUPPORTED,
				"it has a span that is too large to be checked: more than %d bytes",
				(int)PASS_CLAIM_MAX_SPAN);
	/* A ztoc does not say it. */
	if (index->diff_id.algorithm != 0 && !digest_equal(&index->diff_id, diff_id))
		return error_set(err, ERROR_FORMAT,
			"it is of an archive with the digest %s, but the image's config (diffID) "
			"says %s",
			digest_format(&index->diff_id, said), digest_format(diff_id, wanted));
	return 0;
}

int layer_claim_parse(const struct layer_claim *claim, const struct descriptor *descriptor,
	struct span_index **out, struct error *err)
{
	CLEANUP(span_index_freep) struct span_index *index = NULL;

	if (parse_document(claim, descriptor, &index, err) < 0 ||
		check_subject(claim, index, descriptor, err) < 0)
		return -1;
	*out = TAKE_PTR(index);
	return 0;
}

int layer_claim_keep_headers(
	struct layer_claim *claim, struct span_index **index, struct error *err)
{
	if (claim->by != LAYER_CLAIMED_BY_SOCI || claim->headers)
		return 0;
	if (span_headers_new(*index, &claim->headers, err) < 0)
		return -1;
	*index = NULL;
	return 0;
}

enum { RECORD_NAME_SIZE = 2 * DIGEST_TEXT_SIZE + 64 };

/* What no tag can be. */
static void record_name(
	const struct digest *blob, const struct digest *document, char out[RECORD_NAME_SIZE])
{
	char blob_text[DIGEST_TEXT_SIZE], document_text[DIGEST_TEXT_SIZE];

	(void)snprintf(out, RECORD_NAME_SIZE, "refused layer index: %s %s",
		digest_format(blob, blob_text), digest_format(document, document_text));
}

int layer_claim_refuse(struct store *store, const struct digest *blob,
	const struct digest *document, struct error *err)
{
	const struct store_ref ref = {.digest = *document, .resolved_s = clock_wall_s()};
	char name[RECORD_NAME_SIZE];

	record_name(blob, document, name);
	return store_ref_put(store, name, &ref, err);
}

int layer_claim_is_refused(struct store *store, const struct digest *blob,
	const struct digest *document, bool *refused, struct error *err)
{
	struct store_ref ref;
	char name[RECORD_NAME_SIZE];

	record_name(blob, document, name);
	return store_ref_get(store, name, refused, &ref, err);
}
