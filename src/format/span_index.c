/* SPDX-License-Identifier: Apache-2.0 */
/* Entries and spans of a layer, in growing arrays that are checked as they grow. */
#include "span_index_internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

struct span_index_window {
	struct span_index_window *next;
	uint8_t bytes[];
};

/* RFC 1951: at best two bits stand for 258 bytes. */
enum { DEFLATE_MAX_RATIO = 1032 };

int span_index_new(struct span_index **out, struct error *err)
{
	CLEANUP(span_index_freep) struct span_index *index = calloc(1, sizeof(*index));

	if (index)
		index->memory = calloc(1, sizeof(*index->memory));
	if (!index || !index->memory)
		return error_set(err, ERROR_NO_MEMORY, "no memory for an index of spans");
	if (toc_new(&index->toc, err) < 0)
		return -1;
	*out = TAKE_PTR(index);
	return 0;
}

static void free_memory(struct span_index_memory *memory)
{
	if (!memory)
		return;
	while (memory->windows) {
		struct span_index_window *window = memory->windows;

		memory->windows = window->next;
		free(window);
	}
	free(memory->starts);
	free(memory);
}

void span_index_free(struct span_index *index)
{
	if (!index)
		return;
	free_memory(index->memory);
	toc_free(index->toc);
	free(index->payloads);
	free(index->extents);
	free(index->spans);
	free(index);
}

void span_index_freep(struct span_index **index)
{
	span_index_free(*index);
	*index = NULL;
}

static int out_of_memory(struct error *err)
{
	return error_set(err, ERROR_NO_MEMORY, "no memory for an index of spans of this size");
}

/* The array with room for @n > 0 elements; NULL without memory. The old one stays valid then. */
static void *grow(void *array, size_t n, size_t *capacity, size_t element_size)
{
	size_t wanted = *capacity ? *capacity : 64;
	void *grown;

	if (n <= *capacity)
		return array;
	while (wanted < n)
		wanted *= 2;
	grown = reallocarray(array, wanted, element_size);
	if (grown)
		*capacity = wanted;
	return grown;
}

static uint64_t payload_size(const struct toc_entry *entry, const struct span_payload *payload,
	const struct span_extent *extents)
{
	uint64_t size = 0;

	if (entry->type != TOC_REGULAR)
		return 0;
	if (!payload->is_sparse)
		return entry->size;
	for (uint32_t i = 0; i < payload->n_extents; i++)
		size += extents[i].size;
	return size;
}

uint64_t span_index_stored_size(const struct span_index *index, size_t i)
{
	const struct span_payload *payload = &index->payloads[i];
	const struct span_extent *extents =
		payload->n_extents > 0 ? &index->extents[payload->first_extent] : NULL;

	return payload_size(&index->toc->entries[i], payload, extents);
}

static int check_extents(const struct toc_entry *entry, const struct span_payload *payload,
	const struct span_extent *extents, struct error *err)
{
	uint64_t end = 0;

	if (payload->n_extents > 0 && (!payload->is_sparse || entry->type != TOC_REGULAR))
		return error_set(err, ERROR_FORMAT, "parts of a file that is not sparse");
	for (uint32_t i = 0; i < payload->n_extents; i++) {
		const struct span_extent *extent = &extents[i];

		if (extent->size == 0 || extent->file_off < end ||
			!range_within(extent->file_off, extent->size, entry->size))
			return error_set(err, ERROR_FORMAT,
				"part %" PRIu32 " of a sparse file, %" PRIu64 " bytes at %" PRIu64
				", is empty, overlaps or lies behind its %" PRIu64 " bytes",
				i, extent->size, extent->file_off, entry->size);
		end = extent->file_off + extent->size;
	}
	return 0;
}

static int check_entry(const struct span_index *index, const struct toc_entry *entry,
	const struct span_payload *payload, const struct span_extent *extents, struct error *err)
{
	uint64_t size;

	if (check_extents(entry, payload, extents, err) < 0)
		return -1;
	size = payload_size(entry, payload, extents);
	if (payload->off < index->memory->payload_end)
		return error_set(err, ERROR_FORMAT,
			"payload at %" PRIu64
			" of the archive, but the one before it ends at %" PRIu64,
			payload->off, index->memory->payload_end);
	if (!range_within(payload->off, size, SPAN_INDEX_MAX_ARCHIVE) ||
		entry->size > SPAN_INDEX_MAX_ARCHIVE)
		return error_set(err, ERROR_UNSUPPORTED,
			"%" PRIu64 " bytes at %" PRIu64 " of the archive; 16 TiB are supported",
			entry->size, payload->off);
	if (index->n_extents + payload->n_extents > SPAN_INDEX_MAX_EXTENTS)
		return error_set(err, ERROR_UNSUPPORTED, "more than %d parts of sparse files",
			(int)SPAN_INDEX_MAX_EXTENTS);
	return 0;
}

static int reserve_entry(struct span_index *index, uint32_t n_extents, struct error *err)
{
	struct span_index_memory *memory = index->memory;
	struct span_payload *payloads = grow(index->payloads, index->toc->n_entries + 1,
		&memory->payloads_capacity, sizeof(*payloads));
	struct span_extent *extents = NULL;

	if (!payloads)
		return out_of_memory(err);
	index->payloads = payloads;
	if (n_extents == 0)
		return 0;
	extents = grow(index->extents, index->n_extents + n_extents, &memory->extents_capacity,
		sizeof(*extents));
	if (!extents)
		return out_of_memory(err);
	index->extents = extents;
	return 0;
}

int span_index_add_entry(struct span_index *index, const struct toc_entry *entry,
	const struct span_payload *payload, const struct span_extent *extents, struct error *err)
{
	size_t n = index->toc->n_entries;
	struct span_payload *added;

	if (check_entry(index, entry, payload, extents, err) < 0 ||
		reserve_entry(index, payload->n_extents, err) < 0 ||
		toc_add_entry(index->toc, entry, err) < 0)
		return -1;

	added = &index->payloads[n];
	*added = *payload;
	added->first_extent = (uint32_t)index->n_extents;
	if (payload->n_extents > 0)
		memcpy(index->extents + index->n_extents, extents,
			payload->n_extents * sizeof(*extents));
	index->n_extents += payload->n_extents;
	index->memory->payload_end =
		align_up(payload->off + payload_size(entry, payload, extents), TAR_RECORD);
	return 0;
}

/* Behind the span before, with which it may share the byte that its own bits begin in. */
static int check_span_place(
	const struct span_index *index, const struct unit_span *span, struct error *err)
{
	const struct unit_span *before;
	uint64_t end;

	if (index->n_spans == 0)
		return 0;
	before = &index->spans[index->n_spans - 1];
	end = before->blob_off + before->blob_size;
	if (span->blob_off + (span->bits > 0 ? 1 : 0) < end || span->blob_off <= before->blob_off)
		return error_set(err, ERROR_FORMAT,
			"it starts at %" PRIu64 " of the blob, the one before it ends at %" PRIu64,
			span->blob_off, end);
	return 0;
}

static int check_span_sizes(
	const struct span_index *index, const struct unit_span *span, struct error *err)
{
	if (span->decoded_size > SPAN_INDEX_MAX_ARCHIVE - index->archive_size)
		return error_set(err, ERROR_UNSUPPORTED,
			"the layer decodes to more than the supported 16 TiB");
	if (span->decoded_size == 0 ||
		(index->codec == CODEC_GZIP &&
			span->decoded_size / DEFLATE_MAX_RATIO > span->blob_size) ||
		(index->codec == CODEC_NONE && span->decoded_size != span->blob_size))
		return error_set(err, ERROR_FORMAT,
			"%" PRIu64 " bytes at %" PRIu64 " of the blob cannot decode to %" PRIu64,
			span->blob_size, span->blob_off, span->decoded_size);
	return 0;
}

static int check_span(
	const struct span_index *index, const struct unit_span *span, struct error *err)
{
	const char *problem = span_problem(span, index->blob_size);

	if (!problem && span->codec != index->codec)
		problem = "is of another codec than the layer";
	if (problem)
		return error_set(err, ERROR_FORMAT, "it %s", problem);
	if (check_span_place(index, span, err) < 0)
		return -1;
	return check_span_sizes(index, span, err);
}

static int copy_window(struct span_index *index, struct unit_span *span, struct error *err)
{
	struct span_index_window *window;

	if (span->window_size == 0)
		return 0;
	window = malloc(sizeof(*window) + span->window_size);
	if (!window)
		return out_of_memory(err);
	memcpy(window->bytes, span->window, span->window_size);
	window->next = index->memory->windows;
	index->memory->windows = window;
	span->window = window->bytes;
	return 0;
}

void span_index_drop_window(struct span_index *index, size_t i)
{
	struct span_index_window **link = &index->memory->windows;
	struct unit_span *span = &index->spans[i];
	struct span_index_window *window;

	while (*link && (*link)->bytes != span->window)
		link = &(*link)->next;
	window = *link;
	if (!window)
		return;
	*link = window->next;
	free(window);
	span->window = NULL;
	span->window_size = 0;
}

static int reserve_span(struct span_index *index, struct error *err)
{
	struct span_index_memory *memory = index->memory;
	size_t n = index->n_spans + 1;
	struct unit_span *spans = grow(index->spans, n, &memory->spans_capacity, sizeof(*spans));
	uint64_t *starts;

	if (!spans)
		return out_of_memory(err);
	index->spans = spans;
	starts = grow(memory->starts, n, &memory->starts_capacity, sizeof(*starts));
	if (!starts)
		return out_of_memory(err);
	memory->starts = starts;
	return 0;
}

int span_index_add_span(struct span_index *index, const struct unit_span *span, struct error *err)
{
	size_t n = index->n_spans;

	if (n >= SPAN_INDEX_MAX_SPANS)
		return error_set(
			err, ERROR_UNSUPPORTED, "more than %d spans", (int)SPAN_INDEX_MAX_SPANS);
	if (check_span(index, span, err) < 0 || reserve_span(index, err) < 0)
		return -1;
	index->spans[n] = *span;
	if (copy_window(index, &index->spans[n], err) < 0)
		return -1;
	index->memory->starts[n] = index->archive_size;
	index->archive_size += span->decoded_size;
	index->n_spans = n + 1;
	return 0;
}

void span_index_headers(const struct span_index *index, size_t i, uint64_t *off, uint64_t *size)
{
	uint64_t start = 0;

	if (i > 0)
		start = align_up(index->payloads[i - 1].off + span_index_stored_size(index, i - 1),
			TAR_RECORD);
	*off = start;
	*size = index->payloads[i].off - start;
}

size_t span_index_find(const struct span_index *index, uint64_t off, uint64_t *start)
{
	const uint64_t *starts = index->memory->starts;
	size_t low = 0, high = index->n_spans;

	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;

		if (starts[middle] <= off)
			low = middle;
		else
			high = middle;
	}
	*start = starts[low];
	return low;
}
