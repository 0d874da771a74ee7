/* SPDX-License-Identifier: Apache-2.0 */
/* Reads that were interrupted by a signal which does not end their reader.
 *
 * A signal with a handler must not end a read of a file: programs do not expect EINTR there, and a
 * page fault would become SIGBUS. But the kernel tells of the first signal only, so somebody has to
 * look whether a deadly one came after it: the session's threads do, while they wait for requests.
 */
#include "fs_park.h"

static void link_last(struct fs_park *park, struct parked_read *parked)
{
	parked->watched = true;
	parked->watch_next = NULL;
	parked->watch_prev = park->watched_last;
	if (parked->watch_prev)
		parked->watch_prev->watch_next = parked;
	else
		park->watched = parked;
	park->watched_last = parked;
}

static void unlink_watched(struct fs_park *park, struct parked_read *parked)
{
	parked->watched = false;
	if (parked->watch_prev)
		parked->watch_prev->watch_next = parked->watch_next;
	else
		park->watched = parked->watch_next;
	if (parked->watch_next)
		parked->watch_next->watch_prev = parked->watch_prev;
	else
		park->watched_last = parked->watch_prev;
}

void parked_watch(struct parked_read *parked)
{
	struct fs_park *park = &parked->session->park;
	int state;

	pthread_mutex_lock(&park->lock);
	state = atomic_load(&parked->state);
	/* Whoever answers it moves the state first and then ends the watch. */
	if (!parked->watched && (state == STARTING || state == PARKED)) {
		link_last(park, parked);
		atomic_fetch_add(&park->n_watched, 1);
	}
	pthread_mutex_unlock(&park->lock);
}

void parked_unwatch(struct parked_read *parked)
{
	struct fs_park *park = &parked->session->park;

	pthread_mutex_lock(&park->lock);
	if (parked->watched) {
		unlink_watched(park, parked);
		atomic_fetch_sub(&park->n_watched, 1);
	}
	pthread_mutex_unlock(&park->lock);
}

/* With a reference; the next time it is another one's turn. */
static struct parked_read *next_watched(struct fs_park *park)
{
	struct parked_read *parked;

	pthread_mutex_lock(&park->lock);
	parked = park->watched;
	if (parked) {
		unlink_watched(park, parked);
		link_last(park, parked);
		atomic_fetch_add(&parked->refs, 1);
	}
	pthread_mutex_unlock(&park->lock);
	return parked;
}

void fs_park_look(struct fs_park *park)
{
	for (unsigned n = atomic_load(&park->n_watched); n > 0; n--) {
		struct parked_read *parked = next_watched(park);

		if (!parked)
			return;
		if (reader_is_dying(parked->pid))
			parked_interrupt(parked, false);
		parked_unref(parked);
	}
}

bool fs_park_is_watching(struct fs_park *park)
{
	return atomic_load_explicit(&park->n_watched, memory_order_relaxed) > 0;
}
