/* SPDX-License-Identifier: Apache-2.0 */
/* A read of a layer's data space: from the store at once, or after a wait that holds no thread. */
#include "layer_internal.h"

/* Bytes that were present can be gone again before they are read (evicted, found damaged). More
 * often than this in one read means that the store cannot keep them. */
enum { MAX_ROUNDS = 4 };

static bool is_contradicted(const struct layer *layer)
{
	return atomic_load(&layer->trust) == LAYER_CONTRADICTED;
}

/* A read that began before the layer was contradicted ends like those that begin later. */
static void read_done(struct layer_read *read, struct stored_range *range, const struct error *err)
{
	struct layer *layer = read->layer;

	if (is_contradicted(layer)) {
		stored_range_free(range);
		range = NULL;
		err = &layer->contradiction;
	}
	if (range)
		atomic_fetch_add_explicit(
			&layer->read_bytes, stored_range_size(range), memory_order_relaxed);
	else if (err->kind != ERROR_CANCELLED)
		atomic_fetch_add_explicit(&layer->n_failed, 1, memory_order_relaxed);
	read->done(read, range, err);
}

/* A failure that the fetcher has not heard of. */
static void read_failed(struct layer_read *read, const struct error *err)
{
	struct layer *layer = read->layer;
	uint64_t unit = 0;
	uint64_t n;

	(void)(unit_table_range(layer->index->units, read->off, 1, &unit, &n, NULL) < 0);
	layer_record_failure(layer, unit, NULL, err);
	read_done(read, NULL, err);
}

/* True when the read was answered. */
static bool read_from_store(struct layer_read *read)
{
	struct layer *layer = read->layer;
	struct stored_range *range = NULL;
	struct error err;
	bool present;

	if (store_get(layer->store, read->off, read->size, &present, &range, &err) < 0) {
		read_failed(read, &err);
		return true;
	}
	if (!present)
		return false;
	fetch_layer_note_read(layer->fetch, read->off + read->size - 1);
	read_done(read, range, NULL);
	return true;
}

static void read_work(struct work *work)
{
	struct layer_read *read = container_of(work, struct layer_read, layer_private.work);
	struct error err = read->layer_private.err;

	if (read->layer_private.failed) {
		read_done(read, NULL, &err);
		return;
	}
	if (read_from_store(read))
		return;
	if (++read->layer_private.n_rounds >= MAX_ROUNDS) {
		(void)error_set(&err, ERROR_NO_SPACE,
			"bytes %llu to %llu of the layer were fetched %d times and could not be "
			"kept long enough to be read",
			(unsigned long long)read->off, (unsigned long long)(read->off + read->size),
			MAX_ROUNDS);
		read_failed(read, &err);
		return;
	}
	fetch_wait_start(&read->layer_private.wait);
}

/* On the net loop: the answer, and the disk it may need, are a worker's. */
static void on_wait_done(struct fetch_wait *wait, const struct error *err)
{
	struct layer_read *read = container_of(wait, struct layer_read, layer_private.wait);

	read->layer_private.failed = err != NULL;
	if (err)
		read->layer_private.err = *err;
	read->layer_private.work.run = read_work;
	read->layer_private.work.priority = PRIORITY_READER;
	workers_submit(read->layer->workers, &read->layer_private.work);
}

void layer_read_start(struct layer_read *read)
{
	struct layer *layer = read->layer;

	atomic_fetch_add_explicit(&layer->n_reads, 1, memory_order_relaxed);
	read->layer_private.n_rounds = 0;
	if (is_contradicted(layer)) {
		read_failed(read, &layer->contradiction);
		return;
	}
	if (read_from_store(read))
		return;
	read->layer_private.wait.layer = layer->fetch;
	read->layer_private.wait.off = read->off;
	read->layer_private.wait.size = read->size;
	read->layer_private.wait.priority = PRIORITY_READER;
	read->layer_private.wait.done = on_wait_done;
	fetch_wait_start(&read->layer_private.wait);
}

void layer_read_cancel(struct layer_read *read)
{
	fetch_wait_cancel(&read->layer_private.wait);
}
