/* SPDX-License-Identifier: Apache-2.0 */
/* Which units are fetched together: those that come out of the same encoded bytes. */
#include "fetch_internal.h"

static int unit_at_rank(
	const struct fetch_layer *layer, uint64_t rank, struct unit *unit, struct error *err)
{
	uint64_t row;

	if (unit_table_by_blob(layer->options.units, rank, &row, err) < 0)
		return -1;
	return unit_table_get(layer->options.units, row, unit, err);
}

/* Found from @rank on backwards: there may be a million siblings. */
int group_first_at(const struct fetch_layer *layer, uint64_t rank, uint64_t blob_off, uint64_t *out,
	struct error *err)
{
	uint64_t high = rank;
	uint64_t low;
	uint64_t step = 1;
	struct unit unit;

	for (low = rank; low > 0; step *= 2) {
		low = low > step ? low - step : 0;
		if (unit_at_rank(layer, low, &unit, err) < 0)
			return -1;
		if (unit.blob_off < blob_off)
			break;
		high = low;
	}
	while (low < high) {
		uint64_t middle = low + (high - low) / 2;

		if (unit_at_rank(layer, middle, &unit, err) < 0)
			return -1;
		if (unit.blob_off < blob_off)
			low = middle + 1;
		else
			high = middle;
	}
	*out = high;
	return 0;
}

int group_first(
	const struct fetch_layer *layer, uint64_t rank, uint64_t *first_rank, struct error *err)
{
	struct unit unit;
	uint64_t first;

	if (unit_at_rank(layer, rank, &unit, err) < 0)
		return -1;
	if (unit.flags & UNIT_ZEROS) {
		*first_rank = rank;
		return 0;
	}
	if (group_first_at(layer, rank, unit.blob_off, &first, err) < 0)
		return -1;
	/* Zeros that claim a place in the blob need none of its bytes. */
	for (; first < rank; first++) {
		if (unit_at_rank(layer, first, &unit, err) < 0)
			return -1;
		if (!(unit.flags & UNIT_ZEROS))
			break;
	}
	*first_rank = first;
	return 0;
}

static void include(struct flight *flight, const struct unit *unit, uint64_t *end)
{
	if (unit->flags & UNIT_ZEROS)
		return;
	if (unit->blob_size > flight->blob_size)
		flight->blob_size = unit->blob_size;
	if (unit->inner_off + unit->size > *end)
		*end = unit->inner_off + unit->size;
}

/* What the span of a flight needs to be decoded and verified. */
static int measure_span(struct flight *flight, const struct unit *first, struct error *err)
{
	if (unit_table_span(flight->layer->options.units, flight->blob_off, &flight->has_span,
		    &flight->span, err) < 0)
		return -1;
	if (!flight->has_span || flight->span.digest_kind == SPAN_DIGEST_NONE)
		return 0;
	/* Nobody knows the digests of such units: there is nothing to look for. */
	flight->copy_tried = true;
	if (flight->span.digest_kind == SPAN_DIGEST_DECODED) {
		flight->decoded_off = 0;
		flight->decoded_size = flight->span.decoded_size;
	}
	return flight->layer->options.headers ? headers_measure(flight, first, err) : 0;
}

int group_measure(struct flight *flight, struct error *err)
{
	const struct fetch_layer *layer = flight->layer;
	uint64_t rank = flight->first_rank;
	struct unit first, unit;
	uint64_t end = 0;

	if (unit_at_rank(layer, rank, &unit, err) < 0)
		return -1;
	first = unit;
	flight->blob_off = unit.blob_off;
	flight->codec = unit.codec;
	flight->decoded_off = unit.inner_off;
	flight->zeros = unit.flags & UNIT_ZEROS;
	flight->n_units = 1;
	if (flight->zeros)
		return 0;
	include(flight, &unit, &end);
	while (++rank < layer->header->n_units) {
		if (unit_at_rank(layer, rank, &unit, err) < 0)
			return -1;
		if (unit.blob_off != flight->blob_off)
			break;
		include(flight, &unit, &end);
		flight->n_units++;
	}
	flight->decoded_size = end - flight->decoded_off;
	return measure_span(flight, &first, err);
}
