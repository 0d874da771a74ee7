/* SPDX-License-Identifier: Apache-2.0 */
/* Reads that wait for bytes, without holding a thread.
 *
 * A request is answered once, by whoever moves the state of its read from STARTING or PARKED on:
 *
 *	STARTING -> DONE_EARLY	the layer, before the starting thread was through: that one answers
 *	STARTING -> INTERRUPTED	an interrupt, likewise
 *	STARTING -> PARKED	the starting thread, which then forgets the read
 *	PARKED   -> CLAIMED	the layer or an interrupt, and that one answers
 *
 * So no request is answered, and freed, while the starting thread still registers its interrupt
 * function; and a read that finds its bytes at once is never registered. libfuse calls an interrupt
 * function under a lock of the request: fuse_req_interrupt_func(request, NULL, NULL) returns when
 * it is not running any more.
 *
 * A read has two references: the layer's, until done() has returned, and the request's. */
#include <errno.h>
#include <stdlib.h>

#include "base/log.h"
#include "fs_park.h"

void parked_unref(struct parked_read *parked)
{
	if (atomic_fetch_sub(&parked->refs, 1) == 1)
		free(parked);
}

static bool move(struct parked_read *parked, enum parked_state from, enum parked_state to)
{
	int expected = (int)from;

	return atomic_compare_exchange_strong(&parked->state, &expected, (int)to);
}

static void under_way_add(struct fs_park *park, struct parked_read *parked)
{
	parked->list = UNDER_WAY;
	parked->prev = NULL;
	parked->next = park->under_way;
	if (parked->next)
		parked->next->prev = parked;
	park->under_way = parked;
}

static void under_way_remove(struct fs_park *park, struct parked_read *parked)
{
	if (parked->list != UNDER_WAY)
		return;
	parked->list = UNLISTED;
	if (parked->prev)
		parked->prev->next = parked->next;
	else
		park->under_way = parked->next;
	if (parked->next)
		parked->next->prev = parked->prev;
}

static void queue_add(struct fs_park *park, struct parked_read *parked)
{
	parked->list = QUEUED;
	parked->next = NULL;
	*park->queue_tail = parked;
	park->queue_tail = &parked->next;
}

static void queue_remove(struct fs_park *park, struct parked_read *parked)
{
	struct parked_read **link = &park->queue;

	while (*link != parked)
		link = &(*link)->next;
	*link = parked->next;
	if (!parked->next)
		park->queue_tail = link;
	parked->list = UNLISTED;
}

/* The read has left its layer. Returns the queued one that may now be started. */
static struct parked_read *leave(struct parked_read *parked)
{
	struct fs_park *park = &parked->session->park;
	struct parked_read *following = NULL;

	pthread_mutex_lock(&park->lock);
	under_way_remove(park, parked);
	park->n--;
	if (park->queue && !park->closing) {
		following = park->queue;
		queue_remove(park, following);
		under_way_add(park, following);
		park->n++;
	}
	if (park->n == 0)
		pthread_cond_broadcast(&park->idle);
	pthread_mutex_unlock(&park->lock);
	return following;
}

/* The answers; whoever gives one has moved the state. */
static void reply_done(struct parked_read *parked, struct stored_range *range)
{
	if (parked->registered) {
		fuse_req_interrupt_func(parked->request, NULL, NULL);
		parked_unwatch(parked);
	}
	if (range)
		(void)fuse_reply_buf(parked->request, (const char *)stored_range_data(range),
			stored_range_size(range));
	else
		(void)fuse_reply_err(parked->request, EIO);
	stored_range_free(range);
}

static void reply_interrupted(struct parked_read *parked)
{
	parked_unwatch(parked);
	atomic_fetch_add_explicit(&parked->session->park.n_interrupted, 1, memory_order_relaxed);
	(void)fuse_reply_err(parked->request, EINTR);
}

/* The answers of the starting thread. They return what to start next. */
static struct parked_read *answer_done(struct parked_read *parked)
{
	struct parked_read *following;

	reply_done(parked, TAKE_PTR(parked->range));
	following = leave(parked);
	parked_unref(parked);
	parked_unref(parked);
	return following;
}

static void answer_interrupted(struct parked_read *parked)
{
	fuse_req_interrupt_func(parked->request, NULL, NULL);
	reply_interrupted(parked);
	layer_read_cancel(&parked->read);
	parked_unref(parked);
}

void parked_interrupt(struct parked_read *parked, bool in_callback)
{
	struct fs_park *park = &parked->session->park;
	bool queued = false;
	bool mine = false;

	pthread_mutex_lock(&park->lock);
	if (parked->list == QUEUED) {
		queue_remove(park, parked);
		atomic_store(&parked->state, CLAIMED);
		queued = true;
	} else if (!move(parked, STARTING, INTERRUPTED))
		mine = move(parked, PARKED, CLAIMED);
	pthread_mutex_unlock(&park->lock);
	if (!queued && !mine)
		return;

	if (!in_callback)
		fuse_req_interrupt_func(parked->request, NULL, NULL);
	reply_interrupted(parked);
	if (queued)
		/* The layer has never seen it. */
		parked_unref(parked);
	else
		layer_read_cancel(&parked->read);
	parked_unref(parked);
}

/* Any thread of the session, under a lock of the request. */
static void on_interrupt(fuse_req_t request, void *data)
{
	struct parked_read *parked = data;

	(void)request;
	if (reader_is_dying(parked->pid))
		parked_interrupt(parked, true);
	else
		parked_watch(parked);
}

static void register_interrupt(struct parked_read *parked)
{
	parked->registered = true;
	fuse_req_interrupt_func(parked->request, on_interrupt, parked);
}

/* Returns what to start next, if this read has left already. */
static struct parked_read *start(struct parked_read *parked)
{
	struct fs_park *park = &parked->session->park;

	layer_read_start(&parked->read);
	if (atomic_load(&parked->state) == DONE_EARLY)
		return answer_done(parked);

	if (!parked->registered) {
		pthread_mutex_lock(&park->lock);
		if (atomic_load(&parked->state) == STARTING)
			under_way_add(park, parked);
		pthread_mutex_unlock(&park->lock);
		register_interrupt(parked);
	}
	if (move(parked, STARTING, PARKED))
		return NULL;
	if (atomic_load(&parked->state) == DONE_EARLY)
		return answer_done(parked);
	answer_interrupted(parked);
	return NULL;
}

/* Threads that may block on a disk. */
static void start_all(struct parked_read *parked)
{
	while (parked)
		parked = start(parked);
}

static void on_done(struct layer_read *read, struct stored_range *range, const struct error *err)
{
	struct parked_read *parked = container_of(read, struct parked_read, read);
	struct parked_read *following;

	if (!range)
		log_debug("%s: read of %zu bytes at %llu of a layer: %s",
			parked->session->mountpoint, read->size, (unsigned long long)read->off,
			err->message);
	parked->range = range;
	if (move(parked, STARTING, DONE_EARLY))
		return;
	if (move(parked, PARKED, CLAIMED)) {
		reply_done(parked, TAKE_PTR(parked->range));
		parked_unref(parked);
	} else
		stored_range_free(TAKE_PTR(parked->range));
	following = leave(parked);
	parked_unref(parked);
	start_all(following);
}

/* Beyond the cap: what is here is answered all the same. */
static bool answer_from_store(struct parked_read *parked)
{
	struct layer_read *read = &parked->read;
	struct stored_range *range = NULL;
	struct error err;
	bool present;

	if (layer_trust(read->layer) == LAYER_CONTRADICTED ||
		store_get(layer_store_of(read->layer), read->off, read->size, &present, &range,
			&err) < 0 ||
		!present)
		return false;
	reply_done(parked, range);
	parked_unref(parked);
	parked_unref(parked);
	return true;
}

static bool enter(struct fs_park *park)
{
	bool entered;

	pthread_mutex_lock(&park->lock);
	entered = park->n < park->max;
	park->n += entered;
	pthread_mutex_unlock(&park->lock);
	return entered;
}

static void wait_in_queue(struct parked_read *parked)
{
	struct fs_park *park = &parked->session->park;
	bool entered = false;

	if (answer_from_store(parked))
		return;
	register_interrupt(parked);
	pthread_mutex_lock(&park->lock);
	if (atomic_load(&parked->state) == STARTING) {
		entered = park->n < park->max;
		if (entered) {
			park->n++;
			under_way_add(park, parked);
		} else {
			queue_add(park, parked);
			parked = NULL;
		}
	}
	pthread_mutex_unlock(&park->lock);

	if (entered)
		start_all(parked);
	else if (parked) {
		/* The layer has never seen it. */
		answer_interrupted(parked);
		parked_unref(parked);
	}
}

void fs_park_read(struct fs_session *session, fuse_req_t request, struct layer *layer, uint64_t off,
	size_t size)
{
	struct parked_read *parked = calloc(1, sizeof(*parked));

	if (!parked) {
		(void)fuse_reply_err(request, EIO);
		return;
	}
	parked->session = session;
	parked->request = request;
	parked->pid = fuse_req_ctx(request)->pid;
	parked->read.layer = layer;
	parked->read.off = off;
	parked->read.size = size;
	parked->read.done = on_done;
	atomic_init(&parked->state, STARTING);
	atomic_init(&parked->refs, 2);
	if (enter(&session->park))
		start_all(parked);
	else
		wait_in_queue(parked);
}

void fs_park_init(struct fs_park *park, size_t max)
{
	(void)pthread_mutex_init(&park->lock, NULL);
	(void)pthread_cond_init(&park->idle, NULL);
	park->max = max;
	park->queue_tail = &park->queue;
	atomic_init(&park->n_interrupted, 0);
	atomic_init(&park->n_watched, 0);
}

/* Under the lock; one that was not cancelled yet. */
static struct parked_read *next_to_cancel(struct fs_park *park)
{
	struct parked_read *parked = park->under_way;

	while (parked && parked->cancelled)
		parked = parked->next;
	if (!parked)
		return NULL;
	parked->cancelled = true;
	atomic_fetch_add(&parked->refs, 1);
	return parked;
}

void fs_park_drain(struct fs_park *park)
{
	struct parked_read *parked;

	pthread_mutex_lock(&park->lock);
	park->closing = true;
	while (park->queue) {
		parked = park->queue;
		queue_remove(park, parked);
		pthread_mutex_unlock(&park->lock);
		reply_done(parked, NULL);
		parked_unref(parked);
		parked_unref(parked);
		pthread_mutex_lock(&park->lock);
	}
	while ((parked = next_to_cancel(park))) {
		pthread_mutex_unlock(&park->lock);
		layer_read_cancel(&parked->read);
		parked_unref(parked);
		pthread_mutex_lock(&park->lock);
	}
	while (park->n > 0)
		pthread_cond_wait(&park->idle, &park->lock);
	pthread_mutex_unlock(&park->lock);
}

void fs_park_destroy(struct fs_park *park)
{
	(void)pthread_cond_destroy(&park->idle);
	(void)pthread_mutex_destroy(&park->lock);
}

size_t fs_park_n(struct fs_park *park)
{
	size_t n;

	pthread_mutex_lock(&park->lock);
	n = park->n;
	for (const struct parked_read *parked = park->queue; parked; parked = parked->next)
		n++;
	pthread_mutex_unlock(&park->lock);
	return n;
}
