/* SPDX-License-Identifier: Apache-2.0 */
/* Waits: somebody needs a range; they are linked to the flights of its missing units, and
 * answered when the last has landed, one has failed, patience has ended or they were cancelled. */
#include "fetch_internal.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"

/* The life of a wait. A cancel only changes the state, unless the wait is RUNNING: then it posts a
 * task, and until that has run nobody else answers. So no task ever meets freed memory. */
enum {
	WAIT_IDLE = 0,
	WAIT_STARTING,           /* the start task is on its way */
	WAIT_STARTING_CANCELLED, /* likewise, and answers at once */
	WAIT_RUNNING,            /* known to the net loop */
	WAIT_CANCEL_POSTED,      /* the cancel task is on its way and answers */
	WAIT_CANCELLED,          /* cancelled while idle: the next start is answered at once */
};

static void wait_unlist(struct fetch_wait *wait)
{
	struct fetch_layer *layer = wait->layer;
	struct fetcher *fetcher = layer->fetcher;

	if (!wait->fetcher.listed)
		return;
	wait->fetcher.listed = false;
	if (wait->fetcher.prev)
		wait->fetcher.prev->fetcher.next = wait->fetcher.next;
	else
		fetcher->waits_head = wait->fetcher.next;
	if (wait->fetcher.next)
		wait->fetcher.next->fetcher.prev = wait->fetcher.prev;
	else
		fetcher->waits_tail = wait->fetcher.prev;

	atomic_fetch_sub(&layer->n_waiting, 1);
	if (wait->priority == PRIORITY_READER && atomic_fetch_sub(&fetcher->n_readers, 1) == 1) {
		atomic_store(&fetcher->quiet_since_ns, clock_now_ns());
		fetcher_arm_timer(fetcher);
	}
}

static void wait_list(struct fetch_wait *wait)
{
	struct fetcher *fetcher = wait->layer->fetcher;

	wait->fetcher.deadline_ns = clock_now_ns() + fetcher->options.deadline_ns;
	wait->fetcher.next = NULL;
	wait->fetcher.prev = fetcher->waits_tail;
	if (fetcher->waits_tail)
		fetcher->waits_tail->fetcher.next = wait;
	else
		fetcher->waits_head = wait;
	fetcher->waits_tail = wait;
	wait->fetcher.listed = true;

	atomic_fetch_add(&wait->layer->n_waiting, 1);
	if (wait->priority == PRIORITY_READER)
		atomic_fetch_add(&fetcher->n_readers, 1);
}

static void wait_leave_flights(struct fetch_wait *wait)
{
	while (wait->fetcher.links) {
		struct flight *flight = wait->fetcher.links->flight;

		wait_link_remove(wait->fetcher.links);
		flight_left(flight);
	}
}

static void wait_answer(struct fetch_wait *wait, const struct error *err)
{
	int expected = WAIT_RUNNING;

	if (!atomic_compare_exchange_strong(&wait->fetcher.state, &expected, WAIT_IDLE))
		return;
	wait->layer->n_waits--;
	wait->done(wait, err);
}

void wait_finish(struct fetch_wait *wait, const struct error *err)
{
	wait_leave_flights(wait);
	wait_unlist(wait);
	wait_answer(wait, err);
}

static void wait_record(const struct fetch_wait *wait, const char *origin, const struct error *err)
{
	const struct fetch_layer_options *options = &wait->layer->options;
	uint64_t first = 0;
	uint64_t n = 0;

	if (!options->failed)
		return;
	(void)(unit_table_range(options->units, wait->off, wait->size, &first, &n, NULL) < 0);
	options->failed(options->arg, first, origin, err);
}

void wait_fail_all(struct fetch_layer *layer)
{
	struct error err;
	struct fetch_wait *following;

	(void)error_set(&err, ERROR_CANCELLED, "the layer is being unmounted");
	for (struct fetch_wait *wait = layer->fetcher->waits_head; wait; wait = following) {
		following = wait->fetcher.next;
		if (wait->layer == layer)
			wait_finish(wait, &err);
	}
}

/* Links the wait to the flights of its next missing units, so many that a hostile table of tiny
 * units cannot take all memory; the rest follows when these have landed. */
static int wait_attach(struct fetch_wait *wait, struct error *err)
{
	struct fetch_layer *layer = wait->layer;
	struct flight *flight = NULL;
	uint64_t last_rank = 0;
	uint64_t rank;
	unsigned n = 0;

	for (; wait->fetcher.next_row < wait->fetcher.end_row; wait->fetcher.next_row++) {
		if (layer_store_has(layer->options.store, wait->fetcher.next_row))
			continue;
		if (unit_table_blob_rank(layer->options.units, wait->fetcher.next_row, &rank, err) <
			0)
			return -1;
		/* Siblings share a flight. */
		if (flight && rank >= flight->first_rank &&
			rank - flight->first_rank < flight->n_units)
			continue;
		if (n == WAIT_MAX_FLIGHTS)
			break;
		if (flight_get(layer, rank, wait->priority, &flight, err) < 0)
			return -1;
		last_rank = rank;
		if (flight->waits && flight->waits->wait == wait)
			continue;
		if (wait_link_add(wait, flight, err) < 0) {
			flight_left(flight);
			return -1;
		}
		n++;
	}
	if (n > 0)
		ahead_of_reader(layer, last_rank, wait->off, wait->size);
	return 0;
}

/* Waits for what is still missing, or answers. */
static void wait_go_on(struct fetch_wait *wait)
{
	struct error err = {0};

	if (wait_attach(wait, &err) < 0) {
		wait_record(wait, NULL, &err);
		wait_finish(wait, &err);
	} else if (!wait->fetcher.links)
		wait_finish(wait, NULL);
}

void wait_flight_done(struct fetch_wait *wait)
{
	if (!wait->fetcher.links)
		wait_go_on(wait);
}

static int wait_begin(struct fetch_wait *wait, struct error *err)
{
	uint64_t first;
	uint64_t n;

	if (unit_table_range(wait->layer->options.units, wait->off, wait->size, &first, &n, err) <
		0)
		return -1;
	wait->fetcher.next_row = first;
	wait->fetcher.end_row = first + n;
	return 0;
}

void wait_again(struct fetch_wait *wait)
{
	struct error err;

	if (wait_begin(wait, &err) < 0)
		wait_finish(wait, &err);
	else
		wait_flight_done(wait);
}

bool wait_began_after(const struct fetch_wait *wait, uint64_t sent_ns)
{
	return wait->fetcher.deadline_ns - wait->layer->fetcher->options.deadline_ns > sent_ns;
}

static void on_start(struct loop_task *task)
{
	struct fetch_wait *wait = container_of(task, struct fetch_wait, fetcher.start_task);
	struct fetch_layer *layer = wait->layer;
	struct error err = {0};
	int expected = WAIT_STARTING;

	if (!atomic_compare_exchange_strong(&wait->fetcher.state, &expected, WAIT_RUNNING)) {
		atomic_store(&wait->fetcher.state, WAIT_IDLE);
		(void)error_set(&err, ERROR_CANCELLED, "the reader was interrupted");
		wait->done(wait, &err);
		return;
	}
	wait->fetcher.links = NULL;
	layer->n_waits++;
	wait_list(wait);
	if (layer->closing) {
		(void)error_set(&err, ERROR_CANCELLED, "the layer is being unmounted");
		wait_finish(wait, &err);
		return;
	}
	if (wait_begin(wait, &err) < 0) {
		wait_record(wait, NULL, &err);
		wait_finish(wait, &err);
		return;
	}
	wait_go_on(wait);
	fetcher_arm_timer(layer->fetcher);
}

static void on_cancel(struct loop_task *task)
{
	struct fetch_wait *wait = container_of(task, struct fetch_wait, fetcher.cancel_task);
	struct fetch_layer *layer = wait->layer;
	struct error err;

	(void)error_set(&err, ERROR_CANCELLED, "the reader was interrupted");
	wait_leave_flights(wait);
	wait_unlist(wait);
	atomic_store(&wait->fetcher.state, WAIT_IDLE);
	layer->n_waits--;
	wait->done(wait, &err);
	layer_maybe_closed(layer);
}

void fetch_wait_start(struct fetch_wait *wait)
{
	struct error err;
	int expected = WAIT_IDLE;

	if (!atomic_compare_exchange_strong(&wait->fetcher.state, &expected, WAIT_STARTING)) {
		atomic_store(&wait->fetcher.state, WAIT_IDLE);
		(void)error_set(&err, ERROR_CANCELLED, "the reader was interrupted");
		wait->done(wait, &err);
		return;
	}
	wait->fetcher.start_task.run = on_start;
	loop_post(wait->layer->fetcher->options.loop, &wait->fetcher.start_task);
}

void fetch_wait_cancel(struct fetch_wait *wait)
{
	int state = atomic_load(&wait->fetcher.state);

	for (;;) {
		int next;

		switch (state) {
		case WAIT_IDLE:
			next = WAIT_CANCELLED;
			break;
		case WAIT_STARTING:
			next = WAIT_STARTING_CANCELLED;
			break;
		case WAIT_RUNNING:
			next = WAIT_CANCEL_POSTED;
			break;
		default:
			return;
		}
		if (!atomic_compare_exchange_weak(&wait->fetcher.state, &state, next))
			continue;
		if (next == WAIT_CANCEL_POSTED) {
			wait->fetcher.cancel_task.run = on_cancel;
			loop_post(wait->layer->fetcher->options.loop, &wait->fetcher.cancel_task);
		}
		return;
	}
}

/* The most telling failure of what the wait is still waiting for. */
static const struct flight *failed_flight(const struct fetch_wait *wait)
{
	for (const struct wait_link *link = wait->fetcher.links; link; link = link->next_of_wait) {
		if (link->flight->err.kind != ERROR_NONE)
			return link->flight;
	}
	return NULL;
}

void wait_time_out(struct fetch_wait *wait)
{
	const struct flight *failed = failed_flight(wait);
	uint64_t patience_ms = wait->layer->fetcher->options.deadline_ns / NS_PER_MS;
	struct error err;

	(void)error_set(&err, ERROR_TIMEOUT,
		"no source delivered bytes %llu to %llu of the layer within %llu.%llu s%s%s",
		(unsigned long long)wait->off, (unsigned long long)(wait->off + wait->size),
		(unsigned long long)(patience_ms / 1000),
		(unsigned long long)(patience_ms % 1000 / 100), failed ? ": " : "",
		failed ? failed->err.message : "");
	wait_record(wait, failed ? failed->origin : NULL, &err);
	wait_finish(wait, &err);
}
