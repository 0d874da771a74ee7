/* SPDX-License-Identifier: Apache-2.0 */
/* From the members of a tar archive to a table of contents. */
#include "format/tar_toc.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "tar_internal.h"
#include "toc_entry_internal.h"

/* What is known about an entry beside what the table of contents has. */
struct member {
	size_t first_segment;
	size_t n_segments;
	bool is_cut; /* has its chunks */
};

struct tar_toc {
	struct toc *toc;        /* owned */
	struct member *members; /* owned; as many as entries */
	size_t members_capacity;
	struct tar_segment *segments; /* owned */
	size_t n_segments;
	size_t segments_capacity;
};

static int no_memory(struct error *err)
{
	return error_set(err, ERROR_NO_MEMORY, "no memory for a table of contents of this size");
}

int tar_toc_new(struct tar_toc **out, struct error *err)
{
	CLEANUP(tar_toc_freep) struct tar_toc *tar_toc = calloc(1, sizeof(*tar_toc));

	if (!tar_toc)
		return no_memory(err);
	if (toc_new(&tar_toc->toc, err) < 0)
		return -1;
	*out = TAKE_PTR(tar_toc);
	return 0;
}

void tar_toc_free(struct tar_toc *tar_toc)
{
	if (!tar_toc)
		return;
	toc_free(tar_toc->toc);
	free(tar_toc->members);
	free(tar_toc->segments);
	free(tar_toc);
}

void tar_toc_freep(struct tar_toc **tar_toc)
{
	tar_toc_free(*tar_toc);
	*tar_toc = NULL;
}

static int add_segments(struct tar_toc *tar_toc, const struct tar_entry *from, struct error *err)
{
	size_t index = tar_toc->toc->n_entries;

	if (tar_grow(&tar_toc->members, &tar_toc->members_capacity, index + 1,
		    sizeof(*tar_toc->members)) < 0 ||
		tar_grow(&tar_toc->segments, &tar_toc->segments_capacity,
			tar_toc->n_segments + from->n_segments, sizeof(*tar_toc->segments)) < 0)
		return no_memory(err);
	tar_toc->members[index] = (struct member){
		.first_segment = tar_toc->n_segments, .n_segments = from->n_segments};
	if (from->n_segments > 0)
		memcpy(tar_toc->segments + tar_toc->n_segments, from->segments,
			from->n_segments * sizeof(*from->segments));
	return 0;
}

static int add_entry(struct tar_toc *tar_toc, const struct tar_entry *from, struct error *err)
{
	struct toc *toc = tar_toc->toc;
	struct toc_entry entry;

	if (toc_entry_from_tar(toc, from, &entry, err) < 0 ||
		add_segments(tar_toc, from, err) < 0 || toc_add_entry(toc, &entry, err) < 0)
		return -1;
	tar_toc->n_segments += from->n_segments;
	return 0;
}

int tar_toc_add(struct tar_toc *tar_toc, const struct tar_entry *entry, size_t *ret_index,
	struct error *err)
{
	size_t index = tar_toc->toc->n_entries;

	if (add_entry(tar_toc, entry, err) < 0)
		return toc_entry_blame(index, entry->name, err);
	*ret_index = index;
	return 0;
}

size_t tar_toc_n_entries(const struct tar_toc *tar_toc)
{
	return tar_toc->toc->n_entries;
}

const struct tar_segment *tar_toc_segments(
	const struct tar_toc *tar_toc, size_t index, size_t *ret_n)
{
	const struct member *member = &tar_toc->members[index];

	*ret_n = member->n_segments;
	return member->n_segments > 0 ? tar_toc->segments + member->first_segment : NULL;
}

/* Zeros up to @end, with the place in the blob of @neighbour. */
static int add_hole(struct tar_toc *tar_toc, struct toc_entry *entry, uint64_t off, uint64_t end,
	const struct toc_chunk *neighbour, struct error *err)
{
	struct toc_chunk chunk = {
		.file_off = off,
		.size = end - off,
		.blob_off = neighbour->blob_off,
		.inner_off = neighbour->inner_off,
		.codec = neighbour->codec,
		.flags = UNIT_ZEROS,
	};

	if (off == end)
		return 0;
	entry->n_chunks++;
	return toc_add_chunk(tar_toc->toc, &chunk, err);
}

/* A segment cut into the chunks from *i on. */
static int add_data(struct tar_toc *tar_toc, struct toc_entry *entry,
	const struct tar_segment *segment, const struct toc_chunk *chunks, size_t n, size_t *i,
	struct error *err)
{
	uint64_t done = 0;

	for (; done < segment->size; (*i)++) {
		const struct toc_chunk *chunk = &chunks[*i];

		if (*i >= n || chunk->file_off != segment->file_off + done || chunk->size == 0 ||
			chunk->size > segment->size - done)
			return error_set(err, ERROR_INTERNAL,
				"chunks that are not the data at %" PRIu64,
				segment->file_off + done);
		if (toc_add_chunk(tar_toc->toc, chunk, err) < 0)
			return -1;
		entry->n_chunks++;
		done += chunk->size;
	}
	return 0;
}

static int add_chunks(struct tar_toc *tar_toc, struct toc_entry *entry,
	const struct tar_segment *segments, size_t n_segments, const struct toc_chunk *chunks,
	size_t n, struct error *err)
{
	uint64_t off = 0;
	size_t i = 0;

	for (size_t j = 0; j < n_segments; j++) {
		if (i >= n)
			return error_set(err, ERROR_INTERNAL, "chunks of a part of the data");
		if (add_hole(tar_toc, entry, off, segments[j].file_off, &chunks[i], err) < 0 ||
			add_data(tar_toc, entry, &segments[j], chunks, n, &i, err) < 0)
			return -1;
		off = segments[j].file_off + segments[j].size;
	}
	if (i != n || n == 0)
		return error_set(err, ERROR_INTERNAL, "chunks of more than the data");
	return add_hole(tar_toc, entry, off, entry->size, &chunks[n - 1], err);
}

int tar_toc_set_chunks(struct tar_toc *tar_toc, size_t index, const struct toc_chunk *chunks,
	size_t n, struct error *err)
{
	struct member *member = &tar_toc->members[index];
	struct toc_entry *entry = &tar_toc->toc->entries[index];
	size_t n_segments;
	const struct tar_segment *segments = tar_toc_segments(tar_toc, index, &n_segments);

	if (member->is_cut) {
		(void)error_set(err, ERROR_INTERNAL, "chunks for the second time");
		return toc_entry_blame(index, entry->name, err);
	}
	entry->first_chunk = tar_toc->toc->n_chunks;
	member->is_cut = true;
	if (add_chunks(tar_toc, entry, segments, n_segments, chunks, n, err) < 0)
		return toc_entry_blame(index, entry->name, err);
	return 0;
}

/* A file that is one hole is behind whatever has a place in the blob. */
static int finish_entry(
	struct tar_toc *tar_toc, size_t index, struct toc_chunk *previous, struct error *err)
{
	struct toc_entry *entry = &tar_toc->toc->entries[index];
	const struct member *member = &tar_toc->members[index];

	if (member->n_segments > 0 && !member->is_cut)
		return error_set(err, ERROR_INTERNAL, "no chunks");
	if (member->n_segments == 0 && entry->size > 0) {
		entry->first_chunk = tar_toc->toc->n_chunks;
		if (add_hole(tar_toc, entry, 0, entry->size, previous, err) < 0)
			return -1;
	}
	if (entry->n_chunks > 0)
		*previous = tar_toc->toc->chunks[entry->first_chunk + entry->n_chunks - 1];
	return 0;
}

int tar_toc_finish(struct tar_toc *tar_toc, struct toc **out, struct error *err)
{
	struct toc_chunk previous = {0};

	for (size_t i = 0; i < tar_toc->toc->n_entries; i++) {
		if (finish_entry(tar_toc, i, &previous, err) < 0)
			return toc_entry_blame(i, tar_toc->toc->entries[i].name, err);
	}
	*out = TAKE_PTR(tar_toc->toc);
	return 0;
}
