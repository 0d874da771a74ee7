/* SPDX-License-Identifier: Apache-2.0 */
/* Layers whose index was made by somebody else: a span's digest vouches for its bytes, but only the
 * headers among them say whose bytes they are. So a span is decoded from its beginning, and its
 * headers are compared with the index. A file that began in an earlier span has its headers there:
 * its bytes are held until that span was decoded, which is sent for at the same time. */
#include "fetch_internal.h"

#include <inttypes.h>
#include <stdlib.h>

#include "chunk/decoded.h"

/* Of flights that bring headers and no unit: their key in the table, with the number of the span.
 */
#define HEADERS_KEY (UINT64_C(1) << 63)

/* Units of one file that are looked at, in each direction. */
enum { MAX_NEIGHBOURS = 4096 };

static bool has_window(void *arg, uint64_t blob_off)
{
	const struct fetch_layer *layer = arg;
	struct unit_span span;
	bool found;

	return unit_table_span(layer->options.units, blob_off, &found, &span, NULL) == 0 && found;
}

void headers_prepare(struct fetch_layer *layer)
{
	/* A span that is looked at is in memory. */
	_Static_assert(SPAN_HEADERS_MAX_SPAN <= LARGE_UNIT_SIZE, "size of spans with headers");

	if (layer->options.headers)
		span_headers_drop_windows(layer->options.headers, has_window, layer);
}

/* The units of the file that the span begins with. A file is cut where a span ends, and else only
 * where it is very large. */
static int measure_first(struct flight *flight, struct error *err)
{
	const struct fetch_layer *layer = flight->layer;
	struct span_headers_place place;
	struct unit unit;
	uint64_t row;

	for (flight->n_first = 0; flight->n_first < flight->n_units; flight->n_first++) {
		if (unit_table_by_blob(layer->options.units, flight->first_rank + flight->n_first,
			    &row, err) < 0 ||
			unit_table_get(layer->options.units, row, &unit, err) < 0)
			return -1;
		if (!span_headers_find(
			    layer->options.headers, unit.blob_off, unit.inner_off, &place) ||
			place.entry != flight->first_entry)
			break;
		if (flight->n_first == 0)
			flight->first_off = unit.data_off;
		flight->first_end = unit.data_off + unit.size;
	}
	return 0;
}

int headers_measure(struct flight *flight, const struct unit *first, struct error *err)
{
	struct span_headers *headers = flight->layer->options.headers;
	struct span_headers_place place;

	if (!span_headers_find(headers, first->blob_off, first->inner_off, &place))
		return error_set(err, ERROR_FORMAT,
			"the unit at byte %" PRIu64 " of span %" PRIu64
			" of the blob is of no file in the index",
			first->inner_off, first->blob_off);
	flight->compares = true;
	flight->span_i = place.span;
	flight->first_entry = place.entry;
	flight->has_headers = place.first_span < place.span;
	flight->decoded_off = 0;
	flight->decoded_size = flight->span.decoded_size;
	return flight->has_headers ? measure_first(flight, err) : 0;
}

int headers_compare(struct flight *flight, const struct span_bytes *bytes, struct error *err)
{
	struct span_headers *headers = flight->layer->options.headers;
	const uint8_t *data;
	size_t size;

	data = span_bytes_vouched(bytes, &size);
	if (!data)
		return error_set(err, ERROR_INTERNAL, "headers in a span that nothing vouches for");
	if (span_headers_check_span(headers, flight->span_i, data, size, err) == 0)
		return 0;
	flight->is_contradiction = err->kind == ERROR_FORMAT || err->kind == ERROR_UNSUPPORTED;
	return flight->is_contradiction
		       ? error_prefix(err, "the index is not that of the layer's archive")
		       : -1;
}

bool headers_are_ready(const struct flight *flight)
{
	return !flight->has_headers ||
	       span_headers_are_checked(flight->layer->options.headers, flight->first_entry);
}

bool headers_wants_first(const struct flight *flight)
{
	/* For the sake of the whole layer, or of what comes next. */
	if (flight->ahead != N_PRIORITIES)
		return true;
	for (const struct wait_link *link = flight->waits; link; link = link->next_of_flight) {
		if (link->wait->off < flight->first_end &&
			link->wait->off + link->wait->size > flight->first_off)
			return true;
	}
	return false;
}

static bool is_of_first_entry(const struct flight *flight, uint64_t row)
{
	const struct fetch_layer *layer = flight->layer;
	struct span_headers_place place;
	struct unit unit;

	return row < layer->header->n_units &&
	       unit_table_get(layer->options.units, row, &unit, NULL) == 0 &&
	       span_headers_find(layer->options.headers, unit.blob_off, unit.inner_off, &place) &&
	       place.entry == flight->first_entry;
}

/* Whether the store has any of the file: then that was compared, if in an earlier life. */
static bool was_compared(const struct flight *flight)
{
	const struct fetch_layer *layer = flight->layer;
	uint64_t first;

	if (unit_table_by_blob(layer->options.units, flight->first_rank, &first, NULL) < 0)
		return false;
	for (int step = -1; step <= 1; step += 2) {
		uint64_t row = first + (uint64_t)step;

		for (int n = 0; n < MAX_NEIGHBOURS && is_of_first_entry(flight, row); n++) {
			if (layer_store_has(layer->options.store, row))
				return true;
			row += (uint64_t)step;
		}
	}
	return false;
}

/* Whether a flight, of units or of headers, has sent for this span and not decoded it yet. */
static bool is_on_its_way(const struct flight *flight, size_t span_i)
{
	const struct fetch_layer *layer = flight->layer;
	const struct span_index *index = span_headers_index(layer->options.headers);
	const struct flight *other;
	uint64_t rank;

	if (flight_table_find(&layer->flights, HEADERS_KEY | span_i))
		return true;
	if (group_first_at(layer, flight->first_rank, index->spans[span_i].blob_off, &rank, NULL) <
		0)
		return false;
	other = flight_table_find(&layer->flights, rank);
	return other && other->span_i == span_i && other != flight &&
	       (other->state == FLIGHT_REQUESTED || other->state == FLIGHT_WORKING);
}

void headers_send(struct flight *flight)
{
	struct error err = {0};

	if (request_start(flight->layer, &flight, 1, flight->priority, &err) < 0)
		flight_source_failed(flight, NULL, &err);
}

/* Whoever waits for it holds memory and a place in the plan already, so it takes its own at once:
 * otherwise both could wait for each other. */
static int send_for(struct flight *flight, size_t span_i, struct error *err)
{
	struct fetch_layer *layer = flight->layer;
	const struct span_index *index = span_headers_index(layer->options.headers);
	uint64_t blob_off = index->spans[span_i].blob_off;
	struct flight *sent = flight_new(layer, HEADERS_KEY | span_i, flight->priority);

	if (!sent)
		return error_set(err, ERROR_NO_MEMORY, "no memory to fetch headers");
	/* Spans without a unit are not in the table. */
	if (unit_table_span(layer->options.units, blob_off, &sent->has_span, &sent->span, err) <
		0) {
		free(sent);
		return -1;
	}
	if (!sent->has_span)
		sent->span = index->spans[span_i];
	sent->has_span = true;
	sent->compares = true;
	sent->is_for_headers = true;
	sent->wanted_by = flight->first_rank;
	sent->ahead = flight->priority;
	sent->copy_tried = true;
	sent->span_i = span_i;
	sent->codec = sent->span.codec;
	sent->blob_off = blob_off;
	sent->blob_size = sent->span.blob_size;
	sent->decoded_size = sent->span.decoded_size;
	flight_table_add(&layer->flights, sent);
	headers_send(sent);
	return 0;
}

/* *sent is set when the list of held flights may be another one now. */
static int want(struct flight *flight, bool *sent, struct error *err)
{
	struct span_headers *headers = flight->layer->options.headers;
	size_t span_i;

	*sent = false;
	if (headers_are_ready(flight) || flight->layer->options.n_sources == 0 ||
		!headers_wants_first(flight))
		return 0;
	if (!flight->looked_back && was_compared(flight)) {
		span_headers_set_checked(headers, flight->first_entry);
		return 0;
	}
	flight->looked_back = true;
	if (!span_headers_missing(headers, flight->first_entry, &span_i) ||
		span_i >= flight->span_i || is_on_its_way(flight, span_i))
		return 0;
	*sent = true;
	return send_for(flight, span_i, err);
}

void headers_want(struct flight *flight)
{
	struct error err;
	bool sent;

	/* It is tried again when the flight has been decoded. */
	(void)(want(flight, &sent, &err) < 0);
}

void headers_hold(struct flight *flight)
{
	flight->state = FLIGHT_HELD;
	decoded_unref(TAKE_PTR(flight->encoded));
	queue_push(&flight->layer->held, flight);
}

static void let_go(struct flight *flight)
{
	queue_remove(&flight->layer->held, flight);
	flight_release(flight);
}

/* One step for a flight that is held; false when it goes on waiting. */
static bool look_at(struct flight *flight)
{
	struct error err = {0};
	bool sent;

	if (flight->layer->closing) {
		let_go(flight);
		flight_cancel(flight);
		return true;
	}
	if (want(flight, &sent, &err) < 0) {
		let_go(flight);
		flight_source_failed(flight, NULL, &err);
		return true;
	}
	if (sent)
		return true;
	flight->n_left_out = 0;
	if (!headers_are_ready(flight)) {
		if (headers_wants_first(flight))
			return false;
		/* Another file is read, whose headers are in this span. */
		flight->n_left_out = flight->n_first;
	}
	queue_remove(&flight->layer->held, flight);
	flight_submit_store(flight);
	return true;
}

void headers_look(struct fetch_layer *layer)
{
	struct flight *flight = layer->held.head;

	while (flight)
		flight = look_at(flight) ? layer->held.head : flight->next;
}

void headers_failed(const struct flight *failed)
{
	struct fetch_layer *layer = failed->layer;
	struct flight *flight = layer->held.head;
	size_t span_i;

	while (flight) {
		if (!span_headers_missing(layer->options.headers, flight->first_entry, &span_i) ||
			span_i != failed->span_i) {
			flight = flight->next;
			continue;
		}
		let_go(flight);
		if (failed->is_contradiction || failed->err.kind == ERROR_CANCELLED) {
			flight->err = failed->err;
			flight->recorded = failed->recorded;
			flight_fail(flight);
		} else {
			flight_source_failed(flight, failed->origin, &failed->err);
		}
		flight = layer->held.head;
	}
}
