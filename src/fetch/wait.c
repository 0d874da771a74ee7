/* SPDX-License-Identifier: Apache-2.0 */
/* Waits: somebody needs a range; they are attached to the flights of its missing units, and
 * answered when the last has landed, one has failed, patience has ended or they were cancelled. */
#include "fetch_internal.h"

#include "base/clock.h"

/* The life of a wait. Only RUNNING and CANCEL_POSTED belong to the fetcher. */
enum {
	WAIT_IDLE = 0,
	WAIT_RUNNING,
	WAIT_CANCEL_POSTED, /* the cancel task is on its way and answers */
	WAIT_CANCELLED,     /* cancelled while idle: the next start is answered at once */
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
	if (wait->priority == PRIORITY_READER && --layer->n_readers == 0) {
		layer->quiet_since_ns = clock_now_ns();
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
		wait->layer->n_readers++;
}

static void wait_leave_flights(struct fetch_wait *wait)
{
	struct fetch_layer *layer = wait->layer;
	struct flight *following;

	if (wait->fetcher.n_flights == 0)
		return;
	wait->fetcher.n_flights = 0;
	for (size_t i = 0; i < FLIGHT_BUCKETS; i++) {
		for (struct flight *flight = layer->buckets[i]; flight; flight = following) {
			following = flight->hash_next;
			flight_drop_wait(flight, wait);
		}
	}
}

static void wait_answer(struct fetch_wait *wait, const struct error *err)
{
	int expected = WAIT_RUNNING;

	/* If a cancel is on its way its task answers, so that it never meets freed memory. */
	if (atomic_compare_exchange_strong(&wait->fetcher.state, &expected, WAIT_IDLE))
		wait->done(wait, err);
}

void wait_finish(struct fetch_wait *wait, const struct error *err)
{
	wait_leave_flights(wait);
	wait_unlist(wait);
	wait_answer(wait, err);
}

void wait_flight_done(struct fetch_wait *wait)
{
	if (--wait->fetcher.n_flights > 0)
		return;
	wait_unlist(wait);
	wait_answer(wait, NULL);
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

static int wait_attach(struct fetch_wait *wait, struct error *err)
{
	struct fetch_layer *layer = wait->layer;
	uint64_t last_rank = 0;
	uint64_t first;
	uint64_t n;
	uint64_t rank;

	if (unit_table_range(layer->options.units, wait->off, wait->size, &first, &n, err) < 0)
		return -1;
	for (uint64_t i = first; i < first + n; i++) {
		struct flight *flight;

		if (layer_store_has(layer->options.store, i))
			continue;
		if (unit_table_blob_rank(layer->options.units, i, &rank, err) < 0 ||
			flight_get(layer, rank, wait->priority, &flight, err) < 0)
			return -1;
		last_rank = rank;
		/* Siblings share a flight. */
		if (flight->n_waits > 0 && flight->waits[flight->n_waits - 1] == wait)
			continue;
		if (flight_add_wait(flight, wait, err) < 0)
			return -1;
		wait->fetcher.n_flights++;
	}
	if (wait->fetcher.n_flights > 0)
		ahead_of_reader(layer, last_rank);
	return 0;
}

static void on_start(struct loop_task *task)
{
	struct fetch_wait *wait = container_of(task, struct fetch_wait, fetcher.start_task);
	struct fetch_layer *layer = wait->layer;
	struct error err = {0};

	wait->fetcher.n_flights = 0;
	wait_list(wait);
	if (layer->closing) {
		(void)error_set(&err, ERROR_CANCELLED, "the layer is being unmounted");
		wait_finish(wait, &err);
		return;
	}
	if (wait_attach(wait, &err) < 0) {
		wait_finish(wait, &err);
		return;
	}
	if (wait->fetcher.n_flights == 0) {
		wait_finish(wait, NULL);
		return;
	}
	fetcher_arm_timer(layer->fetcher);
}

static void on_cancel(struct loop_task *task)
{
	struct fetch_wait *wait = container_of(task, struct fetch_wait, fetcher.cancel_task);
	struct error err;

	(void)error_set(&err, ERROR_CANCELLED, "the reader was interrupted");
	wait_leave_flights(wait);
	wait_unlist(wait);
	atomic_store(&wait->fetcher.state, WAIT_IDLE);
	wait->done(wait, &err);
}

void fetch_wait_start(struct fetch_wait *wait)
{
	struct error err;
	int expected = WAIT_IDLE;

	if (!atomic_compare_exchange_strong(&wait->fetcher.state, &expected, WAIT_RUNNING)) {
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
	for (;;) {
		int state = WAIT_RUNNING;

		if (atomic_compare_exchange_strong(
			    &wait->fetcher.state, &state, WAIT_CANCEL_POSTED)) {
			wait->fetcher.cancel_task.run = on_cancel;
			loop_post(wait->layer->fetcher->options.loop, &wait->fetcher.cancel_task);
			return;
		}
		if (state != WAIT_IDLE)
			return;
		if (atomic_compare_exchange_strong(&wait->fetcher.state, &state, WAIT_CANCELLED))
			return;
	}
}

void fetcher_on_timer(struct fetcher *fetcher)
{
	uint64_t now = clock_now_ns();

	while (fetcher->waits_head && fetcher->waits_head->fetcher.deadline_ns <= now) {
		struct fetch_wait *wait = fetcher->waits_head;
		struct error err;

		(void)error_set(&err, ERROR_TIMEOUT,
			"no source delivered bytes %llu to %llu of the layer within %llu s",
			(unsigned long long)wait->off, (unsigned long long)(wait->off + wait->size),
			(unsigned long long)(fetcher->options.deadline_ns / NS_PER_SECOND));
		if (wait->layer->options.failed) {
			uint64_t first = 0;
			uint64_t n = 0;

			(void)(unit_table_range(wait->layer->options.units, wait->off, wait->size,
				       &first, &n, NULL) < 0);
			wait->layer->options.failed(wait->layer->options.arg, first, NULL, &err);
		}
		wait_finish(wait, &err);
	}

	for (struct fetch_layer *layer = fetcher->layers; layer; layer = layer->next) {
		struct flight *following;

		for (struct flight *flight = layer->delayed.head; flight; flight = following) {
			following = flight->next;
			if (flight->retry_ns > now)
				continue;
			queue_remove(&layer->delayed, flight);
			flight_requeue(flight);
		}
		ahead_follow_notes(layer);
		ahead_background(layer, now);
	}
	fetcher_arm_timer(fetcher);
	plan_post(fetcher);
}

void fetcher_arm_timer(struct fetcher *fetcher)
{
	uint64_t now = clock_now_ns();
	uint64_t at = UINT64_MAX;

	if (fetcher->waits_head)
		at = fetcher->waits_head->fetcher.deadline_ns;
	for (struct fetch_layer *layer = fetcher->layers; layer; layer = layer->next) {
		for (struct flight *flight = layer->delayed.head; flight; flight = flight->next) {
			if (flight->retry_ns < at)
				at = flight->retry_ns;
		}
		/* Ten looks a second are enough to fill gaps between readers. */
		if (atomic_load(&layer->background_wanted) && !layer->complete && !layer->closing &&
			now + 100 * NS_PER_MS < at)
			at = now + 100 * NS_PER_MS;
	}
	if (at == UINT64_MAX)
		loop_timer_cancel(fetcher->timer);
	else
		loop_timer_set(fetcher->timer, at > now ? at - now : 0);
}
