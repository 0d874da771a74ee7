/* SPDX-License-Identifier: Apache-2.0 */
/* Which headers of a layer were compared with its index, and where they are. */
#include "format/span_headers.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "span_index_internal.h"
#include "toc_entry_internal.h"

/* Headers of which some spans were seen. */
struct header_parts {
	struct header_parts *next;
	struct span_headers_place place;
	size_t n_seen;
	bool *seen; /* one for each of place.n_spans; behind the bytes */
	uint8_t bytes[];
};

struct span_headers {
	struct span_index *index; /* owned */
	atomic_bool *checked;     /* owned; one for each entry */
	pthread_mutex_t lock;
	struct header_parts *parts; /* guarded by lock; owned list */
	uint64_t parts_size;        /* guarded by lock; of all their bytes */
};

static int check_spans(const struct span_index *index, struct error *err)
{
	for (size_t i = 0; i < index->n_spans; i++) {
		const struct unit_span *span = &index->spans[i];

		if (span->decoded_size > SPAN_HEADERS_MAX_SPAN ||
			span->blob_size > SPAN_HEADERS_MAX_SPAN)
			return error_set(err, ERROR_UNSUPPORTED,
				"span %zu of %" PRIu64 " bytes, decoded %" PRIu64
				"; spans of up to %d are supported",
				i, span->blob_size, span->decoded_size, (int)SPAN_HEADERS_MAX_SPAN);
	}
	return 0;
}

static int check_room(const struct span_index *index, struct error *err)
{
	for (size_t i = 0; i < index->toc->n_entries; i++) {
		uint64_t off, size;

		span_index_headers(index, i, &off, &size);
		if (size < TAR_RECORD) {
			(void)error_set(err, ERROR_FORMAT, "the index has no room for its header");
			return toc_entry_blame(i, index->toc->entries[i].name, err);
		}
		if (size > SPAN_HEADERS_MAX_SIZE) {
			(void)error_set(err, ERROR_UNSUPPORTED,
				"%" PRIu64 " bytes of headers; %d are supported", size,
				(int)SPAN_HEADERS_MAX_SIZE);
			return toc_entry_blame(i, index->toc->entries[i].name, err);
		}
		if (!range_within(off, size, index->archive_size)) {
			(void)error_set(err, ERROR_FORMAT, "its header lies behind the spans");
			return toc_entry_blame(i, index->toc->entries[i].name, err);
		}
	}
	return 0;
}

int span_headers_new(struct span_index *index, struct span_headers **out, struct error *err)
{
	struct span_headers *headers;
	size_t n = index->toc->n_entries;

	if (check_spans(index, err) < 0 || check_room(index, err) < 0)
		return -1;
	headers = calloc(1, sizeof(*headers));
	if (headers)
		headers->checked = calloc(n + 1, sizeof(*headers->checked));
	if (!headers || !headers->checked) {
		free(headers);
		return error_set(err, ERROR_NO_MEMORY, "no memory for the headers of a layer");
	}
	for (size_t i = 0; i < n; i++)
		atomic_init(&headers->checked[i], false);
	(void)pthread_mutex_init(&headers->lock, NULL);
	headers->index = index;
	*out = headers;
	return 0;
}

void span_headers_free(struct span_headers *headers)
{
	if (!headers)
		return;
	while (headers->parts) {
		struct header_parts *parts = headers->parts;

		headers->parts = parts->next;
		free(parts);
	}
	(void)pthread_mutex_destroy(&headers->lock);
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
	out->span = span;
	return true;
}

bool span_headers_are_checked(const struct span_headers *headers, size_t entry)
{
	return atomic_load_explicit(&headers->checked[entry], memory_order_relaxed);
}

void span_headers_set_checked(struct span_headers *headers, size_t entry)
{
	atomic_store_explicit(&headers->checked[entry], true, memory_order_relaxed);
}

void span_headers_drop_windows(
	struct span_headers *headers, bool (*has)(void *arg, uint64_t blob_off), void *arg)
{
	struct span_index *index = headers->index;

	/* The newest windows are found first. */
	for (size_t i = index->n_spans; i-- > 0;) {
		if (index->spans[i].window_size > 0 && has(arg, index->spans[i].blob_off))
			span_index_drop_window(index, i);
	}
}

static struct header_parts *find_parts(const struct span_headers *headers, size_t entry)
{
	struct header_parts *parts = headers->parts;

	while (parts && parts->place.entry != entry)
		parts = parts->next;
	return parts;
}

bool span_headers_missing(struct span_headers *headers, size_t entry, size_t *span)
{
	struct span_headers_place place = place_of(headers->index, entry);
	const struct header_parts *parts;
	size_t i = 0;

	(void)pthread_mutex_lock(&headers->lock);
	parts = find_parts(headers, entry);
	while (parts && i < place.n_spans && parts->seen[i])
		i++;
	(void)pthread_mutex_unlock(&headers->lock);
	*span = place.first_span + i;
	return !span_headers_are_checked(headers, entry);
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
	span_headers_set_checked(headers, entry);
	return 0;
}

/* With the lock. */
static struct header_parts *add_parts(
	struct span_headers *headers, const struct span_headers_place *place, struct error *err)
{
	struct header_parts *parts;

	if (headers->parts_size + place->size > SPAN_HEADERS_MAX_PARTS) {
		(void)error_set(err, ERROR_UNSUPPORTED,
			"more than %d bytes of headers that lie in several spans",
			(int)SPAN_HEADERS_MAX_PARTS);
		return NULL;
	}
	parts = calloc(1, sizeof(*parts) + (size_t)place->size + place->n_spans);
	if (!parts) {
		(void)error_set(err, ERROR_NO_MEMORY, "no memory for the headers of a file");
		return NULL;
	}
	parts->place = *place;
	parts->seen = (bool *)(parts->bytes + place->size);
	parts->next = headers->parts;
	headers->parts = parts;
	headers->parts_size += place->size;
	return parts;
}

static void remove_parts(struct span_headers *headers, struct header_parts *parts)
{
	struct header_parts **link = &headers->parts;

	while (*link != parts)
		link = &(*link)->next;
	*link = parts->next;
	headers->parts_size -= parts->place.size;
	free(parts);
}

/* With the lock: what a span has of headers that lie in several; the last one completes them. */
static int take_part(struct span_headers *headers, const struct span_headers_place *place,
	size_t span, const uint8_t *decoded, uint64_t decoded_size, struct error *err)
{
	uint64_t start = headers->index->memory->starts[span];
	uint64_t from = place->off > start ? place->off - start : 0;
	uint64_t to = place->off + place->size - start;
	struct header_parts *parts = find_parts(headers, place->entry);
	int result;

	if (span_headers_are_checked(headers, place->entry))
		return 0;
	if (!parts)
		parts = add_parts(headers, place, err);
	if (!parts)
		return -1;
	if (parts->seen[span - place->first_span])
		return 0;
	if (to > decoded_size)
		to = decoded_size;
	memcpy(parts->bytes + (start + from - place->off), decoded + from, (size_t)(to - from));
	parts->seen[span - place->first_span] = true;
	if (++parts->n_seen < place->n_spans)
		return 0;
	result = span_headers_check(headers, place->entry, parts->bytes, (size_t)place->size, err);
	remove_parts(headers, parts);
	return result;
}

static int check_entry(struct span_headers *headers, size_t entry, size_t span,
	const uint8_t *decoded, size_t size, struct error *err)
{
	struct span_headers_place place = place_of(headers->index, entry);
	uint64_t start = headers->index->memory->starts[span];
	int result;

	if (place.n_spans == 1)
		return range_within(place.inner_off, place.size, size)
			       ? span_headers_check(headers, entry, decoded + place.inner_off,
					 (size_t)place.size, err)
			       : 0;
	if (size < headers->index->spans[span].decoded_size &&
		place.off + place.size > start + size)
		return 0;
	(void)pthread_mutex_lock(&headers->lock);
	result = take_part(headers, &place, span, decoded, size, err);
	(void)pthread_mutex_unlock(&headers->lock);
	return result;
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
		if (off >= start + size)
			break;
		if (check_entry(headers, i, span, decoded, size, err) < 0)
			return -1;
	}
	return 0;
}
