/* SPDX-License-Identifier: Apache-2.0 */
/* Which headers of a layer were compared with its index, and where they are. */
#include "format/span_headers.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "span_index_internal.h"

struct span_headers {
	struct span_index *index; /* owned */
	atomic_bool *checked;     /* owned; one for each entry */
};

int span_headers_new(struct span_index *index, struct span_headers **out, struct error *err)
{
	struct span_headers *headers = calloc(1, sizeof(*headers));
	size_t n = index->toc->n_entries;

	if (headers)
		headers->checked = calloc(n + 1, sizeof(*headers->checked));
	if (!headers || !headers->checked) {
		free(headers);
		return error_set(err, ERROR_NO_MEMORY, "no memory for the headers of a layer");
	}
	for (size_t i = 0; i < n; i++)
		atomic_init(&headers->checked[i], false);
	headers->index = index;
	*out = headers;
	return 0;
}

void span_headers_free(struct span_headers *headers)
{
	if (!headers)
		return;
	span_index_free(headers->index);
	free(headers->checked);
	free(headers);
}

void span_headers_freep(struct span_headers **headers)
{
	span_headers_free(*headers);
	*headers = NULL;
}

const struct span_index *span_headers_index(const struct span_headers *headers)
{
	return headers->index;
}

/* The span that starts there, or n_spans. */
static size_t find_span(const struct span_index *index, uint64_t blob_off)
{
	size_t low = 0, high = index->n_spans;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (index->spans[middle].blob_off < blob_off)
			low = middle + 1;
		else
			high = middle;
	}
	if (low < index->n_spans && index->spans[low].blob_off == blob_off)
		return low;
	return index->n_spans;
}

/* How many entries have a payload that starts at or before @off of the archive. */
static size_t count_up_to(const struct span_index *index, uint64_t off)
{
	size_t low = 0, high = index->toc->n_entries;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (index->payloads[middle].off <= off)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct span_headers_place place_of(const struct span_index *index, size_t entry)
{
	struct span_headers_place place = {.entry = entry};
	uint64_t start;

	span_index_headers(index, entry, &place.off, &place.size);
	place.first_span = span_index_find(index, place.off, &start);
	place.inner_off = place.off - start;
	place.n_spans = 1;
	if (place.size > 0)
		place.n_spans = span_index_find(index, place.off + place.size - 1, &start) -
				place.first_span + 1;
	return place;
}

bool span_headers_find(const struct span_headers *headers, uint64_t blob_off, uint64_t inner_off,
	struct span_headers_place *out)
{
	const struct span_index *index = headers->index;
	size_t span = find_span(index, blob_off);
	uint64_t off;
	size_t n;

	if (span == index->n_spans || inner_off >= index->spans[span].decoded_size)
		return false;
	off = index->memory->starts[span] + inner_off;
	n = count_up_to(index, off);
	if (n == 0 || off - index->payloads[n - 1].off >= span_index_stored_size(index, n - 1))
		return false;
	*out = place_of(index, n - 1);
	return true;
}

bool span_headers_are_checked(const struct span_headers *headers, size_t entry)
{
	return atomic_load_explicit(&headers->checked[entry], memory_order_relaxed);
}

int span_headers_check(struct span_headers *headers, size_t entry, const void *bytes, size_t size,
	struct error *err)
{
	const struct span_index *index = headers->index;
	uint64_t off, expected_size;

	span_index_headers(index, entry, &off, &expected_size);
	if (size != expected_size)
		return error_set(err, ERROR_INTERNAL, "headers of %zu bytes instead of %" PRIu64,
			size, expected_size);
	if (span_headers_are_checked(headers, entry))
		return 0;
	if (span_headers_compare(index->toc, &index->toc->entries[entry], bytes, size, err) < 0)
		return -1;
	atomic_store_explicit(&headers->checked[entry], true, memory_order_relaxed);
	return 0;
}

int span_headers_check_span(struct span_headers *headers, size_t span, const void *decoded,
	size_t size, struct error *err)
{
	const struct span_index *index = headers->index;
	uint64_t start = index->memory->starts[span];

	/* Headers end where a payload starts: the first that can be in here is of the first payload
	 * behind the span's beginning. */
	for (size_t i = count_up_to(index, start); i < index->toc->n_entries; i++) {
		uint64_t off, headers_size;

		span_index_headers(index, i, &off, &headers_size);
		if (off < start)
			continue;
		if (!range_within(off - start, headers_size, size))
			break;
		if (span_headers_check(headers, i, (const uint8_t *)decoded + (off - start),
			    (size_t)headers_size, err) < 0)
			return -1;
	}
	return 0;
}
