/* SPDX-License-Identifier: Apache-2.0 */
#include "span_pass.h"

#include <stdbool.h>
#include <string.h>

#include "chunk/gzip_indexer.h"
#include "format/tar.h"

struct pass {
	struct span_index *index;           /* owned */
	struct tar_reader *tar;             /* owned */
	struct digest_hasher *archive_hash; /* owned */
	struct digest_hasher *span_hash;    /* owned */
};

static void pass_cleanup(struct pass *pass)
{
	span_index_free(pass->index);
	tar_reader_free(pass->tar);
	digest_hasher_free(pass->archive_hash);
	digest_hasher_free(pass->span_hash);
}

static int add_member(void *arg, const struct tar_entry *member, struct error *err)
{
	struct pass *pass = arg;

	return span_index_add_member(pass->index, member, err);
}

static int take(struct pass *pass, const void *data, size_t size, struct error *err)
{
	if (digest_hasher_update(pass->archive_hash, data, size, err) < 0 ||
		digest_hasher_update(pass->span_hash, data, size, err) < 0)
		return -1;
	return tar_reader_feed(pass->tar, data, size, err) < 0 ? -1 : 0;
}

static int end_span(struct pass *pass, const struct unit_span *found, struct error *err)
{
	struct unit_span span = *found;
	struct digest digest;

	if (digest_hasher_final(pass->span_hash, &digest, err) < 0 ||
		digest_hasher_reset(pass->span_hash, err) < 0)
		return -1;
	span.digest_kind = SPAN_DIGEST_DECODED;
	memcpy(span.digest, digest.bytes, sizeof(span.digest));
	return span_index_add_span(pass->index, &span, err);
}

static int take_piece(void *arg, uint64_t span, struct decoded *piece, struct error *err)
{
	(void)span;
	return take(arg, decoded_data(piece), decoded_size(piece), err);
}

static int take_span(void *arg, uint64_t span, uint64_t out_off, const struct unit_span *found,
	struct error *err)
{
	(void)span;
	(void)out_off;
	return end_span(arg, found, err);
}

static int read_gzip(struct pass *pass, const void *blob, size_t blob_size, uint64_t span_size,
	struct error *err)
{
	CLEANUP(gzip_indexer_freep) struct gzip_indexer *indexer = NULL;
	struct gzip_indexer_options options = {
		.span_size = span_size, .data = take_piece, .found = take_span, .arg = pass};

	if (gzip_indexer_new(&options, &indexer, err) < 0 ||
		gzip_indexer_feed(indexer, blob, blob_size, err) < 0)
		return -1;
	return gzip_indexer_end(indexer, NULL, err);
}

static int read_plain(struct pass *pass, const uint8_t *blob, size_t blob_size, uint64_t span_size,
	struct error *err)
{
	size_t most = span_size ? (size_t)span_size : SPAN_DEFAULT_SIZE;

	for (size_t off = 0; off < blob_size;) {
		size_t size = blob_size - off < most ? blob_size - off : most;
		struct unit_span span = {.blob_off = off, .blob_size = size, .decoded_size = size};

		if (take(pass, blob + off, size, err) < 0 || end_span(pass, &span, err) < 0)
			return -1;
		off += size;
	}
	return 0;
}

static int run(struct pass *pass, const void *blob, size_t blob_size, uint64_t span_size,
	struct error *err)
{
	struct span_index *index = pass->index;
	int result;

	if (tar_reader_new(add_member, pass, &pass->tar, err) < 0 ||
		digest_hasher_new(DIGEST_SHA256, &pass->archive_hash, err) < 0 ||
		digest_hasher_new(DIGEST_SHA256, &pass->span_hash, err) < 0 ||
		digest_compute(DIGEST_SHA256, blob, blob_size, &index->blob, err) < 0)
		return -1;
	if (index->codec == CODEC_GZIP)
		result = read_gzip(pass, blob, blob_size, span_size, err);
	else
		result = read_plain(pass, blob, blob_size, span_size, err);
	if (result < 0 || tar_reader_finish(pass->tar, err) < 0)
		return -1;
	return digest_hasher_final(pass->archive_hash, &index->diff_id, err);
}

int span_pass(enum codec codec, const void *blob, size_t blob_size, uint64_t span_size,
	struct span_index **out, struct error *err)
{
	CLEANUP(pass_cleanup) struct pass pass = {0};

	if (span_index_new(&pass.index, err) < 0)
		return -1;
	pass.index->codec = codec;
	pass.index->blob_size = blob_size;
	if (run(&pass, blob, blob_size, span_size, err) < 0)
		return -1;
	*out = TAKE_PTR(pass.index);
	return 0;
}
