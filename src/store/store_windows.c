/* SPDX-License-Identifier: Apache-2.0 */
/* Read-ahead windows of small reads. */
#include "store_windows_internal.h"

#include <string.h>

#include "base/bytes.h"

void windows_init(struct windows *windows)
{
	*windows = (struct windows){.lock = PTHREAD_MUTEX_INITIALIZER};
}

void windows_destroy(struct windows *windows)
{
	for (unsigned i = 0; i < N_WINDOWS; i++)
		stored_range_free(windows->windows[i].range);
	(void)pthread_mutex_destroy(&windows->lock);
}

/* Whether a read at off goes on where this stream was, or a little before or behind: directories
 * are not read in the order of the layer, but nearly. */
static bool is_near(const struct window *window, uint64_t off)
{
	uint64_t distance =
		off > window->last_end ? off - window->last_end : window->last_end - off;

	return distance <= WINDOW_NEAR;
}

static bool holds(const struct window *window, uint64_t version, uint64_t off, size_t size)
{
	return window->range_valid && window->range_version == version &&
	       off >= window->range_off &&
	       range_within(off - window->range_off, size, stored_range_size(window->range));
}

/* The stream that a read belongs to, or the oldest one, started anew. Under the lock. */
static struct window *find_stream(
	struct windows *windows, const struct layer_state *layer, uint64_t off)
{
	struct window *oldest = &windows->windows[0];

	for (unsigned i = 0; i < N_WINDOWS; i++) {
		struct window *window = &windows->windows[i];

		if (window->layer == layer && is_near(window, off))
			return window;
		if (window->used < oldest->used)
			oldest = window;
	}
	oldest->layer = layer;
	oldest->streak = 0;
	oldest->range_valid = false;
	return oldest;
}

enum window_advice windows_get(struct windows *windows, const struct layer_state *layer,
	uint64_t version, uint64_t off, size_t size, uint8_t *out)
{
	enum window_advice advice = WINDOW_NONE;
	struct window *window;

	if (size > WINDOW_MAX_READ)
		return WINDOW_NONE;
	(void)pthread_mutex_lock(&windows->lock);
	window = find_stream(windows, layer, off);
	window->used = ++windows->n_reads;
	window->last_end = off + size;
	/* While units are put a window would be out of date before it is used. */
	window->streak = window->version == version ? window->streak + 1 : 0;
	window->version = version;
	if (holds(window, version, off, size)) {
		memcpy(out, stored_range_data(window->range) + (off - window->range_off), size);
		advice = WINDOW_COPIED;
	} else if (window->streak > WINDOW_STREAK) {
		/* Earned again before the next one, so that reads all over the place pay little. */
		window->streak = 0;
		advice = WINDOW_READ;
	}
	(void)pthread_mutex_unlock(&windows->lock);
	return advice;
}

void windows_fill(struct windows *windows, const struct layer_state *layer, uint64_t version,
	uint64_t off, struct stored_range *range)
{
	struct stored_range *old;
	struct window *window;

	(void)pthread_mutex_lock(&windows->lock);
	window = find_stream(windows, layer, off);
	old = window->range;
	window->used = ++windows->n_reads;
	window->range = range;
	window->range_off = off;
	window->range_version = version;
	window->range_valid = true;
	(void)pthread_mutex_unlock(&windows->lock);
	stored_range_free(old);
}

void windows_forget(struct windows *windows, const struct layer_state *layer)
{
	struct stored_range *freed[N_WINDOWS] = {NULL};

	(void)pthread_mutex_lock(&windows->lock);
	for (unsigned i = 0; i < N_WINDOWS; i++) {
		struct window *window = &windows->windows[i];

		if (window->layer != layer)
			continue;
		freed[i] = window->range;
		*window = (struct window){0};
	}
	(void)pthread_mutex_unlock(&windows->lock);
	for (unsigned i = 0; i < N_WINDOWS; i++)
		stored_range_free(freed[i]);
}
