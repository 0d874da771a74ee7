/* SPDX-License-Identifier: Apache-2.0 */
/* One decoder for blobs of every codec. */
#include "pass_internal.h"

#include <stdlib.h>

#include "chunk/gzip_indexer.h"
#include "chunk/zstd_indexer.h"

struct pass_decoder {
	struct gzip_indexer_options options; /* where there is nothing to decode */
	struct gzip_indexer *gzip;           /* owned; or NULL */
	struct zstd_indexer *zstd;           /* owned; or NULL */
	uint64_t off;
};

int pass_decoder_new(enum codec codec, const struct gzip_indexer_options *options,
	struct pass_decoder **out, struct error *err)
{
	CLEANUP(pass_decoder_freep) struct pass_decoder *decoder = calloc(1, sizeof(*decoder));

	if (!decoder)
		return error_set(err, ERROR_NO_MEMORY, "no memory for a decoder");
	decoder->options = *options;
	if (codec == CODEC_GZIP && gzip_indexer_new(options, &decoder->gzip, err) < 0)
		return -1;
	if (codec == CODEC_ZSTD && zstd_indexer_new(options, &decoder->zstd, err) < 0)
		return -1;
	*out = TAKE_PTR(decoder);
	return 0;
}

void pass_decoder_free(struct pass_decoder *decoder)
{
	if (!decoder)
		return;
	gzip_indexer_free(decoder->gzip);
	zstd_indexer_free(decoder->zstd);
	free(decoder);
}

void pass_decoder_freep(struct pass_decoder **decoder)
{
	pass_decoder_free(*decoder);
	*decoder = NULL;
}

static int end_plain_span(struct pass_decoder *decoder, struct error *err)
{
	uint64_t size = (decoder->off - 1) % SPAN_DEFAULT_SIZE + 1;
	const struct unit_span span = {
		.blob_off = decoder->off - size,
		.blob_size = size,
		.decoded_size = size,
		.codec = CODEC_NONE,
	};

	return decoder->options.found(
		decoder->options.arg, span.blob_off / SPAN_DEFAULT_SIZE, span.blob_off, &span, err);
}

/* Headers alone would say where the files are. But nothing would vouch for what is read there: the
 * digest of the blob is known to be right only when all of it was hashed. */
static int feed_plain(struct pass_decoder *decoder, struct decoded *bytes, struct error *err)
{
	_Static_assert(SPAN_DEFAULT_SIZE % PASS_RANGE_SIZE == 0, "a range lies in one span");
	uint64_t span = decoder->off / SPAN_DEFAULT_SIZE;

	decoder->off += decoded_size(bytes);
	if (decoder->options.data(decoder->options.arg, span, bytes, err) < 0)
		return -1;
	return decoder->off % SPAN_DEFAULT_SIZE == 0 ? end_plain_span(decoder, err) : 0;
}

int pass_decoder_feed(struct pass_decoder *decoder, struct decoded *bytes, struct error *err)
{
	if (decoder->gzip)
		return gzip_indexer_feed(
			decoder->gzip, decoded_data(bytes), decoded_size(bytes), err);
	if (decoder->zstd)
		return zstd_indexer_feed(
			decoder->zstd, decoded_data(bytes), decoded_size(bytes), err);
	return feed_plain(decoder, bytes, err);
}

int pass_decoder_end(struct pass_decoder *decoder, struct error *err)
{
	if (decoder->gzip)
		return gzip_indexer_end(decoder->gzip, NULL, err);
	if (decoder->zstd)
		return zstd_indexer_end(decoder->zstd, err);
	return decoder->off % SPAN_DEFAULT_SIZE > 0 ? end_plain_span(decoder, err) : 0;
}
