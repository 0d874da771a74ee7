/* SPDX-License-Identifier: Apache-2.0 */
/* Where the contents of files are in the blob: chunks in both dialects, their ranges and digests.
 */
#include "crfs_payload_internal.h"

#include <inttypes.h>
#include <string.h>

#include "base/bytes.h"
#include "oci/digest.h"

enum {
	/* RFC 1951: at best two bits stand for 258 bytes. */
	DEFLATE_MAX_RATIO = 1032,
	/* RFC 8878 section 3.1.1.2: at best a block of 4 bytes stands for 128 KiB. */
	ZSTD_MAX_RATIO = (128 << 10) / 4,
};

int crfs_digest_parse(
	struct crfs_text text, const char *field, struct digest *out, struct error *err)
{
	char copy[DIGEST_TEXT_SIZE];

	if (text.size >= sizeof(copy) || memchr(text.data, '\0', text.size))
		return error_set(err, ERROR_FORMAT, "%s is no digest", field);
	memcpy(copy, text.data, text.size);
	copy[text.size] = '\0';
	if (digest_parse(copy, out, err) < 0)
		return error_prefix(err, "%s", field);
	return 0;
}

static int parse_sha256(
	struct crfs_text text, const char *field, uint8_t out[32], struct error *err)
{
	struct digest digest;

	if (crfs_digest_parse(text, field, &digest, err) < 0)
		return -1;
	if (digest.algorithm != DIGEST_SHA256)
		return error_set(err, ERROR_UNSUPPORTED, "%s is not SHA-256", field);
	memcpy(out, digest.bytes, 32);
	return 0;
}

/* A decoder that makes more of so few bytes does not exist. */
static int check_ratio(const struct crfs_payload *payload, uint64_t off, uint64_t encoded,
	uint64_t decoded, struct error *err)
{
	uint64_t ratio = payload->options->codec == CODEC_ZSTD ? ZSTD_MAX_RATIO : DEFLATE_MAX_RATIO;

	if (decoded / ratio <= encoded)
		return 0;
	return error_set(err, ERROR_FORMAT,
		"%" PRIu64 " bytes at %" PRIu64 " of the blob cannot decode to %" PRIu64, encoded,
		off, decoded);
}

/* Encoded bytes of the open group end where the next one begins. */
static int close_group(struct crfs_payload *payload, uint64_t end, struct error *err)
{
	struct crfs_group *group = &payload->group;
	uint64_t blob_size = end - group->off;

	if (!group->is_open)
		return 0;
	group->is_open = false;
	if (check_ratio(payload, group->off, blob_size, group->inner_end, err) < 0)
		return -1;
	for (size_t i = group->first_chunk; i < payload->toc->n_chunks; i++)
		payload->toc->chunks[i].blob_size = blob_size;
	return 0;
}

static int check_offset(const struct crfs_payload *payload, uint64_t offset, struct error *err)
{
	if (offset < payload->options->payload_end)
		return 0;
	return error_set(err, ERROR_FORMAT,
		"offset %" PRIu64 " lies behind the payloads, which end at %" PRIu64, offset,
		payload->options->payload_end);
}

/* Where a payload is: in the same encoded bytes as the one before and behind it there, or in later
 * ones. So ranges never overlap. */
static int place_in_group(struct crfs_payload *payload, const struct crfs_record *record,
	uint64_t size, struct error *err)
{
	struct crfs_group *group = &payload->group;
	uint64_t inner_end;

	if (check_offset(payload, record->offset, err) < 0)
		return -1;
	if (!u64_add(record->inner_offset, size, &inner_end))
		return error_set(err, ERROR_FORMAT, "innerOffset %" PRIu64 " is impossible",
			record->inner_offset);

	if (!group->is_open || record->offset > group->off) {
		if (close_group(payload, record->offset, err) < 0)
			return -1;
		*group = (struct crfs_group){
			.is_open = true,
			.off = record->offset,
			.first_chunk = payload->toc->n_chunks,
		};
	}
	if (record->offset < group->off)
		return error_set(err, ERROR_FORMAT,
			"offset %" PRIu64 " lies before %" PRIu64 " of the payload before it",
			record->offset, group->off);
	if (record->inner_offset < group->inner_end)
		return error_set(err, ERROR_FORMAT,
			"payload at offset %" PRIu64 ", innerOffset %" PRIu64
			" overlaps the one before it",
			record->offset, record->inner_offset);
	group->inner_end = inner_end;
	return 0;
}

/* The encoded bytes of the last chunk of the open file end here. */
static int end_chunk(struct crfs_payload *payload, uint64_t end, struct error *err)
{
	struct toc_chunk *chunk;
	bool is_zeros;

	if (payload->file.covered == 0)
		return 0;
	chunk = &payload->toc->chunks[payload->toc->n_chunks - 1];
	is_zeros = chunk->flags & UNIT_ZEROS;
	if (end < chunk->blob_off || (end == chunk->blob_off && !is_zeros))
		return error_set(err, ERROR_FORMAT,
			"a chunk from %" PRIu64 " to %" PRIu64 " of the blob", chunk->blob_off,
			end);
	chunk->blob_size = end - chunk->blob_off;
	return is_zeros ? 0
			: check_ratio(payload, chunk->blob_off, chunk->blob_size, chunk->size, err);
}

/* Frames of one file, in order. Those of other files may be anywhere: nothing says that a table is
 * in the order of the blob. */
static int place_in_file(
	struct crfs_payload *payload, const struct crfs_record *record, struct error *err)
{
	if (record->inner_offset != 0)
		return error_set(err, ERROR_FORMAT,
			"innerOffset %" PRIu64 " in a file with an endOffset",
			record->inner_offset);
	if (check_offset(payload, record->offset, err) < 0)
		return -1;
	return end_chunk(payload, record->offset, err);
}

static int set_type(const struct crfs_record *record, struct toc_chunk *chunk, struct error *err)
{
	if (record->chunk_type.size == 0)
		return 0;
	if (!crfs_text_is(record->chunk_type, "zeros"))
		return error_set(err, ERROR_UNSUPPORTED, "chunkType \"%.*s\" is unknown",
			(int)(record->chunk_type.size < 32 ? record->chunk_type.size : 32),
			record->chunk_type.data);
	chunk->flags |= UNIT_ZEROS;
	return 0;
}

/* A chunk is checked by its own digest. That of the file serves only where the chunk is the file.
 * Zeros are what the table says they are. */
static int set_digest(const struct crfs_payload *payload, const struct crfs_record *record,
	bool is_whole_file, struct toc_chunk *chunk, struct error *err)
{
	if (record->chunk_digest.size > 0)
		return parse_sha256(record->chunk_digest, "chunkDigest", chunk->digest, err);
	if (is_whole_file && record->digest.size > 0)
		return parse_sha256(record->digest, "digest", chunk->digest, err);
	if (chunk->flags & UNIT_ZEROS)
		return 0;
	if (!payload->options->allow_unverified)
		return error_set(err, ERROR_UNSUPPORTED,
			"no chunkDigest, and unverified content is not allowed");
	chunk->flags |= UNIT_UNVERIFIED;
	return 0;
}

static int place(struct crfs_payload *payload, const struct crfs_record *record,
	struct toc_chunk *chunk, struct error *err)
{
	if (payload->dialect == CRFS_STARGZ)
		return place_in_group(payload, record, chunk->size, err);
	if (place_in_file(payload, record, err) < 0)
		return -1;
	return set_type(record, chunk, err);
}

int crfs_payload_add(
	struct crfs_payload *payload, const struct crfs_record *record, struct error *err)
{
	struct crfs_file *file = &payload->file;
	uint64_t left = file->size - file->covered;
	uint64_t size = record->chunk_size != 0 ? record->chunk_size : left;
	struct toc_chunk chunk = {
		.file_off = file->covered,
		.size = size,
		.blob_off = record->offset,
		.inner_off = record->inner_offset,
		.codec = (uint8_t)payload->options->codec,
	};

	if (!file->is_open)
		return error_set(err, ERROR_FORMAT, "chunk of no regular file");
	if (record->chunk_offset != file->covered)
		return error_set(err, ERROR_FORMAT,
			"chunkOffset %" PRIu64 ", but the chunks before it end at %" PRIu64,
			record->chunk_offset, file->covered);
	if (size == 0 || size > left)
		return error_set(err, ERROR_FORMAT,
			"chunkSize %" PRIu64 " at %" PRIu64 " of a file of %" PRIu64 " bytes",
			record->chunk_size, file->covered, file->size);
	if (place(payload, record, &chunk, err) < 0)
		return -1;
	file->covered += size;
	if (file->is_hidden)
		return 0;
	if (set_digest(payload, record, size == file->size, &chunk, err) < 0 ||
		toc_add_chunk(payload->toc, &chunk, err) < 0)
		return -1;
	payload->toc->entries[payload->toc->n_entries - 1].n_chunks++;
	return 0;
}

int crfs_payload_tell(
	struct crfs_payload *payload, const struct crfs_record *record, struct error *err)
{
	bool has_end = record->end_offset != 0;

	if (payload->options->dialect != CRFS_BY_CONTENT)
		return 0;
	if (payload->dialect == CRFS_BY_CONTENT)
		payload->dialect = has_end ? CRFS_CONTAINERS : CRFS_STARGZ;
	if (has_end != (payload->dialect == CRFS_CONTAINERS))
		return error_set(err, ERROR_FORMAT,
			"%s endOffset, unlike the files before it: the table mixes two dialects",
			has_end ? "an" : "no");
	return 0;
}

int crfs_payload_open(struct crfs_payload *payload, const struct crfs_record *record,
	bool is_hidden, struct error *err)
{
	payload->file = (struct crfs_file){
		.is_open = true,
		.is_hidden = is_hidden,
		.size = record->size,
		.end_off = record->end_offset,
	};
	if (record->size == 0)
		return 0;
	if (payload->dialect == CRFS_CONTAINERS &&
		record->end_offset > payload->options->payload_end)
		return error_set(err, ERROR_FORMAT,
			"endOffset %" PRIu64 " lies behind the payloads, which end at %" PRIu64,
			record->end_offset, payload->options->payload_end);
	return crfs_payload_add(payload, record, err);
}

int crfs_payload_close(struct crfs_payload *payload, struct error *err)
{
	struct crfs_file file = payload->file;

	if (!file.is_open)
		return 0;
	if (file.covered != file.size)
		return error_set(err, ERROR_FORMAT,
			"the file before it has chunks for %" PRIu64 " of its %" PRIu64 " bytes",
			file.covered, file.size);
	if (payload->dialect == CRFS_CONTAINERS && end_chunk(payload, file.end_off, err) < 0)
		return error_prefix(err, "the file before it");
	payload->file = (struct crfs_file){0};
	return 0;
}

int crfs_payload_finish(struct crfs_payload *payload, struct error *err)
{
	return close_group(payload, payload->options->payload_end, err);
}
