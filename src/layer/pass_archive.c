/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the members of an archive that goes by, hashes their pieces, and puts their bytes where the
 * index will have them. */
#include "pass_internal.h"

#include <stdlib.h>
#include <string.h>

#include "format/tar.h"
#include "index/layer_index.h"

struct pass_archive {
	struct span_index *index;      /* borrowed */
	struct layer_staging *staging; /* borrowed */
	struct tar_reader *reader;     /* owned */
	struct digest_hasher *hasher;  /* owned; of the piece */
	uint64_t data_end;             /* of the data space */
	uint64_t data_off;             /* of the file */
	size_t segment;                /* of the file, with its next byte */
	uint64_t segment_left;         /* bytes of it that are to come */
	uint64_t feeding;              /* the span that is being fed */
	uint64_t span;                 /* of the piece */
	uint64_t piece_size;           /* so far; 0: none begun */
	uint8_t (*digests)[32];        /* owned; of all pieces before */
	size_t n_digests;
	size_t capacity;
};

static int end_piece(struct pass_archive *archive, struct error *err)
{
	struct digest digest;

	if (archive->piece_size == 0)
		return 0;
	if (archive->n_digests == archive->capacity) {
		size_t capacity = archive->capacity > 0 ? 2 * archive->capacity : 1024;
		void *more = reallocarray(archive->digests, capacity, sizeof(*archive->digests));

		if (!more)
			return error_set(err, ERROR_NO_MEMORY, "no memory for digests of files");
		archive->digests = more;
		archive->capacity = capacity;
	}
	if (digest_hasher_final(archive->hasher, &digest, err) < 0 ||
		digest_hasher_reset(archive->hasher, err) < 0)
		return -1;
	memcpy(archive->digests[archive->n_digests++], digest.bytes, sizeof(*archive->digests));
	archive->piece_size = 0;
	return 0;
}

static int on_entry(void *arg, const struct tar_entry *entry, struct error *err)
{
	struct pass_archive *archive = arg;
	const struct toc *toc = archive->index->toc;
	const struct toc_entry *added;

	if (span_index_add_member(archive->index, entry, err) < 0)
		return -1;
	added = &toc->entries[toc->n_entries - 1];
	archive->segment = 0;
	archive->segment_left = entry->n_segments > 0 ? entry->segments[0].size : 0;
	if (added->type != TOC_REGULAR || added->size == 0)
		return 0;
	return layer_place_next(&archive->data_end, added->size, &archive->data_off, err);
}

/* As span_index_cut() cuts: where the span ends, and where the piece would be too large. */
static int hash(struct pass_archive *archive, const uint8_t *data, size_t size, struct error *err)
{
	if (archive->span != archive->feeding && end_piece(archive, err) < 0)
		return -1;
	archive->span = archive->feeding;
	while (size > 0) {
		uint64_t room = SPAN_INDEX_MAX_PIECE - archive->piece_size;
		size_t n = size < room ? size : (size_t)room;

		if (digest_hasher_update(archive->hasher, data, n, err) < 0)
			return -1;
		archive->piece_size += n;
		data += n;
		size -= n;
		if (archive->piece_size == SPAN_INDEX_MAX_PIECE && end_piece(archive, err) < 0)
			return -1;
	}
	return 0;
}

static int on_payload(void *arg, const struct tar_entry *entry, uint64_t file_off, const void *data,
	size_t size, struct error *err)
{
	struct pass_archive *archive = arg;

	if (hash(archive, data, size, err) < 0 ||
		layer_staging_write(
			archive->staging, archive->data_off + file_off, data, size, err) < 0)
		return -1;
	archive->segment_left -= size;
	if (archive->segment_left > 0)
		return 0;
	if (++archive->segment < entry->n_segments)
		archive->segment_left = entry->segments[archive->segment].size;
	return end_piece(archive, err);
}

int pass_archive_new(struct span_index *index, struct layer_staging *staging,
	struct pass_archive **out, struct error *err)
{
	CLEANUP(pass_archive_freep) struct pass_archive *archive = calloc(1, sizeof(*archive));

	if (!archive)
		return error_set(err, ERROR_NO_MEMORY, "no memory to read an archive");
	archive->index = index;
	archive->staging = staging;
	if (digest_hasher_new(DIGEST_SHA256, &archive->hasher, err) < 0 ||
		tar_reader_new_with_payload(on_entry, on_payload, archive, &archive->reader, err) <
			0)
		return -1;
	*out = TAKE_PTR(archive);
	return 0;
}

void pass_archive_free(struct pass_archive *archive)
{
	if (!archive)
		return;
	tar_reader_free(archive->reader);
	digest_hasher_free(archive->hasher);
	free(archive->digests);
	free(archive);
}

void pass_archive_freep(struct pass_archive **archive)
{
	pass_archive_free(*archive);
	*archive = NULL;
}

int pass_archive_feed(struct pass_archive *archive, uint64_t span, const void *data, size_t size,
	struct error *err)
{
	archive->feeding = span;
	return tar_reader_feed(archive->reader, data, size, err);
}

int pass_archive_end(struct pass_archive *archive, struct error *err)
{
	return tar_reader_finish(archive->reader, err);
}

uint8_t (*pass_archive_take_digests(struct pass_archive *archive, size_t *ret_n))[32]
{
	*ret_n = archive->n_digests;
	return TAKE_PTR(archive->digests);
}
