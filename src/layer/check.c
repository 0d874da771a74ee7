/* SPDX-License-Identifier: Apache-2.0 */
/* Reads layers whose index somebody claims as a whole, and decides. */
#include "check_internal.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"
#include "layer_internal.h"
#include "pass_internal.h"
#include "verdict_internal.h"

#define FIRST_PAUSE_NS (5 * NS_PER_SECOND)
#define LAST_PAUSE_NS (600 * NS_PER_SECOND)

/* Readers of a slow network wait behind what is under way. */
enum { N_RANGES = 2, MAX_SOURCES = 8 };

struct layer_checks {
	atomic_uint refs;
	pthread_mutex_t lock; /* of everything in checks that more than one thread uses */
	pthread_cond_t changed;
	bool busy; /* guarded by lock */
};

struct layer_check {
	struct layer_checks *checks; /* a reference */
	struct layer *layer;         /* borrowed */
	struct verdict_place place;
	struct fetcher *fetcher;
	struct loop *loop;
	struct source *sources[MAX_SOURCES]; /* borrowed */
	size_t n_sources;
	struct pass_cancel cancel;

	pthread_t thread;
	bool open; /* guarded by checks->lock, as all below */
	bool started;
	bool complete; /* every unit is here */
	bool background;
	bool settled;
	bool stop;
	bool is_false;          /* it has shown already that the claim is */
	struct error why;       /* then */
	uint64_t not_before_ns; /* after a failure */
	uint64_t pause_ns;      /* after the next one */
};

int layer_checks_new(struct layer_checks **out, struct error *err)
{
	struct layer_checks *checks = calloc(1, sizeof(*checks));
	pthread_condattr_t monotonic;

	if (!checks)
		return error_set(err, ERROR_NO_MEMORY, "no memory to check indexes");
	atomic_init(&checks->refs, 1);
	(void)pthread_mutex_init(&checks->lock, NULL);
	(void)pthread_condattr_init(&monotonic);
	(void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&checks->changed, &monotonic);
	(void)pthread_condattr_destroy(&monotonic);
	*out = checks;
	return 0;
}

void layer_checks_unref(struct layer_checks *checks)
{
	if (!checks || atomic_fetch_sub(&checks->refs, 1) != 1)
		return;
	(void)pthread_cond_destroy(&checks->changed);
	(void)pthread_mutex_destroy(&checks->lock);
	free(checks);
}

void layer_checks_unrefp(struct layer_checks **checks)
{
	layer_checks_unref(*checks);
}

/* Under the lock, which is released meanwhile. */
static void wait_ns(struct layer_checks *checks, uint64_t ns)
{
	uint64_t at_ns = clock_now_ns() + ns;
	const struct timespec until = {.tv_sec = (time_t)(at_ns / NS_PER_SECOND),
		.tv_nsec = (long)(at_ns % NS_PER_SECOND)};

	(void)pthread_cond_timedwait(&checks->changed, &checks->lock, &until);
}

/* Under the lock. */
static bool is_wanted(const struct layer_check *check)
{
	return check->background || check->complete || check->is_false;
}

enum turn { TURN_NONE, TURN_TO_READ, TURN_TO_REFUSE };

/* TURN_NONE: there is nothing to do any more. */
static enum turn begin_turn(struct layer_check *check)
{
	struct layer_checks *checks = check->checks;
	enum turn turn = TURN_NONE;

	(void)pthread_mutex_lock(&checks->lock);
	while (!check->stop && turn == TURN_NONE) {
		uint64_t now_ns = clock_now_ns();

		if (check->is_false)
			turn = TURN_TO_REFUSE;
		else if (!checks->busy && is_wanted(check) && now_ns >= check->not_before_ns)
			turn = TURN_TO_READ;
		else if (check->not_before_ns > now_ns)
			wait_ns(checks, check->not_before_ns - now_ns);
		else
			(void)pthread_cond_wait(&checks->changed, &checks->lock);
	}
	checks->busy |= turn == TURN_TO_READ;
	(void)pthread_mutex_unlock(&checks->lock);
	return turn;
}

static void end_turn(struct layer_check *check)
{
	struct layer_checks *checks = check->checks;

	(void)pthread_mutex_lock(&checks->lock);
	checks->busy = false;
	(void)pthread_cond_broadcast(&checks->changed);
	(void)pthread_mutex_unlock(&checks->lock);
}

/* As layers are completed that nobody claims anything of: not while readers wait, and not faster
 * than is allowed. */
static int pace(void *arg, uint64_t size, struct error *err)
{
	struct layer_check *check = arg;
	struct layer_checks *checks = check->checks;
	bool stop;

	(void)pthread_mutex_lock(&checks->lock);
	while (!check->stop && !check->is_false) {
		uint64_t ns = NS_PER_SECOND;

		if (is_wanted(check))
			ns = fetcher_background_wait_ns(check->fetcher, size);
		if (ns == 0)
			break;
		wait_ns(checks, ns);
	}
	stop = check->stop || check->is_false;
	(void)pthread_mutex_unlock(&checks->lock);
	return stop ? error_set(err, ERROR_CANCELLED, "the layer is being unmounted") : 0;
}

/* In longer and longer steps. What is served meanwhile goes on being believed. */
static void put_off(struct layer_check *check, const struct error *why)
{
	struct layer_checks *checks = check->checks;
	char text[DIGEST_TEXT_SIZE];
	uint64_t pause_ns;
	bool stop;

	(void)pthread_mutex_lock(&checks->lock);
	pause_ns = check->pause_ns > 0 ? check->pause_ns : FIRST_PAUSE_NS;
	check->pause_ns = pause_ns < LAST_PAUSE_NS / 2 ? 2 * pause_ns : LAST_PAUSE_NS;
	check->not_before_ns = clock_now_ns() + pause_ns;
	stop = check->stop || check->is_false;
	(void)pthread_mutex_unlock(&checks->lock);
	if (!stop)
		log_warning("layer %s: its index could not be checked, it is tried again: %s",
			digest_format(&layer_descriptor(check->layer)->digest, text), why->message);
}

/* Whether the layer was read to its end, and what came of that is known. */
static int read_layer(struct layer_check *check, struct span_index *claimed,
	struct layer_staging *staging, struct error *err)
{
	const struct layer_claim *claim = check->layer->claim;
	CLEANUP(pass_result_clear) struct pass_result result = {0};
	struct pass_options options = {
		.loop = check->loop,
		.sources = check->sources,
		.n_sources = check->n_sources,
		.borrows_sources = true,
		.patience_ns = fetcher_deadline_ns(check->fetcher),
		.n_ranges = N_RANGES,
		.descriptor = layer_descriptor(check->layer),
		.diff_id = &claim->diff_id,
		.codec = claim->codec,
		.staging = staging,
		.pace = pace,
		.arg = check,
		.cancel = &check->cancel,
		.claimed = claimed,
	};
	struct error why = {0};

	if (pass_run(&options, &result, &why) < 0) {
		/* The right blob, and not what the index says of it. */
		if (!result.blob_is_right ||
			(why.kind != ERROR_FORMAT && why.kind != ERROR_UNSUPPORTED &&
				why.kind != ERROR_DIGEST_MISMATCH)) {
			if (err)
				*err = why;
			return -1;
		}
		verdict_false(check->layer, &check->place, &why);
	} else if (result.contradiction.kind != ERROR_NONE)
		verdict_false(check->layer, &check->place, &result.contradiction);
	else
		verdict_true(check->layer, &check->place, result.index, staging);
	return 0;
}

static int look(struct layer_check *check, struct error *err)
{
	const struct layer_claim *claim = check->layer->claim;
	CLEANUP(layer_staging_freep) struct layer_staging *staging = NULL;
	CLEANUP(span_index_freep) struct span_index *claimed = NULL;

	if (layer_claim_parse(claim, layer_descriptor(check->layer), &claimed, err) < 0 ||
		layer_staging_new(check->place.store, &staging, err) < 0)
		return -1;
	return read_layer(check, claimed, staging, err);
}

/* What the verdict leaves to be fetched is the fetcher's. */
static void settle(struct layer_check *check)
{
	struct layer_checks *checks = check->checks;
	bool background;

	(void)pthread_mutex_lock(&checks->lock);
	check->settled = true;
	background = check->background;
	(void)pthread_mutex_unlock(&checks->lock);
	if (background && layer_trust(check->layer) == LAYER_AUTHENTIC)
		fetch_layer_set_background(check->layer->fetch, true);
}

/* Whether it is known what the claim is worth. */
static bool take_turn(struct layer_check *check, enum turn turn)
{
	struct error err;
	int result;

	if (turn == TURN_TO_REFUSE) {
		verdict_false(check->layer, &check->place, &check->why);
		return true;
	}
	result = look(check, &err);
	end_turn(check);
	if (result < 0)
		put_off(check, &err);
	return result == 0;
}

static void *run(void *arg)
{
	struct layer_check *check = arg;
	enum turn turn;

	while ((turn = begin_turn(check)) != TURN_NONE) {
		if (!take_turn(check, turn))
			continue;
		settle(check);
		break;
	}
	return NULL;
}

/* Under the lock. Most layers of a mount without background are never complete. */
static void wake(struct layer_check *check)
{
	char text[DIGEST_TEXT_SIZE];
	int ret;

	(void)pthread_cond_broadcast(&check->checks->changed);
	if (check->started || check->stop || !check->open || !is_wanted(check))
		return;
	ret = thread_start(&check->thread, "check", run, check);
	check->started = ret == 0;
	if (ret < 0)
		log_warning("layer %s: no thread to check its index: %s",
			digest_format(&layer_descriptor(check->layer)->digest, text),
			strerror(-ret));
}

int layer_check_new(struct layer *layer, const struct layer_options *options,
	struct layer_check **out, struct error *err)
{
	struct layer_check *check = calloc(1, sizeof(*check));

	if (!check)
		return error_set(err, ERROR_NO_MEMORY, "no memory to check an index");
	if (options->n_sources > MAX_SOURCES) {
		free(check);
		return error_set(err, ERROR_INVALID, "%zu sources of a layer, %d are the most",
			options->n_sources, (int)MAX_SOURCES);
	}
	check->checks = options->checks;
	atomic_fetch_add(&check->checks->refs, 1);
	check->layer = layer;
	check->place.store = options->store;
	check->fetcher = options->fetcher;
	check->loop = options->loop;
	memcpy(check->sources, options->sources, options->n_sources * sizeof(*options->sources));
	check->n_sources = options->n_sources;
	pass_cancel_init(&check->cancel);
	*out = check;
	return 0;
}

void layer_check_begin(struct layer_check *check, bool background)
{
	(void)pthread_mutex_lock(&check->checks->lock);
	check->open = true;
	check->background = background;
	wake(check);
	(void)pthread_mutex_unlock(&check->checks->lock);
}

void layer_check_stop(struct layer_check *check)
{
	bool started;

	if (!check)
		return;
	(void)pthread_mutex_lock(&check->checks->lock);
	check->stop = true;
	started = check->started;
	(void)pthread_cond_broadcast(&check->checks->changed);
	(void)pthread_mutex_unlock(&check->checks->lock);
	pass_cancel(&check->cancel);
	if (started)
		(void)pthread_join(check->thread, NULL);
}

void layer_check_free(struct layer_check *check)
{
	if (!check)
		return;
	pass_cancel_destroy(&check->cancel);
	layer_checks_unref(check->checks);
	free(check);
}

void layer_check_set_background(struct layer_check *check, bool on)
{
	bool settled;

	(void)pthread_mutex_lock(&check->checks->lock);
	check->background = on;
	settled = check->settled;
	wake(check);
	(void)pthread_mutex_unlock(&check->checks->lock);
	if (settled)
		fetch_layer_set_background(check->layer->fetch, on);
}

bool layer_check_has_background(struct layer_check *check)
{
	bool on;

	(void)pthread_mutex_lock(&check->checks->lock);
	on = check->background;
	(void)pthread_mutex_unlock(&check->checks->lock);
	return on;
}

void layer_check_completed(struct layer_check *check)
{
	(void)pthread_mutex_lock(&check->checks->lock);
	check->complete = true;
	wake(check);
	(void)pthread_mutex_unlock(&check->checks->lock);
}

void layer_check_contradict(struct layer_check *check, const struct error *why)
{
	(void)pthread_mutex_lock(&check->checks->lock);
	if (!check->is_false)
		check->why = *why;
	check->is_false = true;
	wake(check);
	(void)pthread_mutex_unlock(&check->checks->lock);
	pass_cancel(&check->cancel);
}
