/* SPDX-License-Identifier: Apache-2.0 */
/* One layer being served: ties its index, its place in the store and its fetching together. */
#include "layer_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "check_internal.h"

static bool is_same(const struct layer_failure *a, const struct layer_failure *b)
{
	return a->unit == b->unit && a->kind == b->kind && strcmp(a->origin, b->origin) == 0;
}

/* The same again replaces what it repeats, so that a program which tries for ever does not drive
 * out all others. */
void layer_record_failure(
	struct layer *layer, uint64_t unit, const char *origin, const struct error *err)
{
	struct layer_failure failure = {
		.when_s = clock_wall_s(),
		.n_times = 1,
		.unit = unit,
		.kind = err->kind,
	};
	size_t i = 0;

	(void)snprintf(failure.origin, sizeof(failure.origin), "%s", origin ? origin : "");
	(void)snprintf(failure.message, sizeof(failure.message), "%s", err->message);
	pthread_mutex_lock(&layer->failures_lock);
	while (i < layer->n_failures && !is_same(&layer->failures[i], &failure))
		i++;
	if (i < layer->n_failures)
		failure.n_times += layer->failures[i].n_times;
	else if (i < LAYER_MAX_FAILURES)
		layer->n_failures++;
	else
		i--;
	memmove(&layer->failures[1], &layer->failures[0], i * sizeof(failure));
	layer->failures[0] = failure;
	pthread_mutex_unlock(&layer->failures_lock);
}

static void on_failed(void *arg, uint64_t unit, const char *origin, const struct error *err)
{
	layer_record_failure(arg, unit, origin, err);
}

static void on_contradicted(void *arg, const struct error *err)
{
	struct layer *layer = arg;

	if (layer->check)
		layer_check_contradict(layer->check, err);
}

static void on_completed(void *arg)
{
	struct layer *layer = arg;

	if (layer->check)
		layer_check_completed(layer->check);
}

/* Who checks a claim reads the whole layer anyway: that is its background. */
static int layer_start_fetching(
	struct layer *layer, const struct layer_options *options, struct error *err)
{
	struct fetch_layer_options fetch = {
		.store = layer->store,
		.units = layer->index->units,
		.sources = options->sources,
		.n_sources = options->n_sources,
		.prefetch = options->prefetch,
		.background = options->background && !layer->check,
		.read_ahead = options->prefetch || options->background,
		.headers = options->claim ? options->claim->headers : NULL,
		.failed = on_failed,
		.contradicted = on_contradicted,
		.completed = on_completed,
		.arg = layer,
	};

	return fetch_layer_new(options->fetcher, &fetch, &layer->fetch, err);
}

static void layer_destroy(struct layer *layer)
{
	layer_check_stop(layer->check);
	fetch_layer_free(layer->fetch);
	layer_check_free(layer->check);
	layer_store_close(layer->store);
	layer_index_close(layer->index);
	descriptor_clear(&layer->descriptor);
	layer_claim_free(layer->claim);
	(void)pthread_mutex_destroy(&layer->contradiction_lock);
	(void)pthread_mutex_destroy(&layer->failures_lock);
	free(layer);
}

/* What the layer borrows until it is open. */
static int layer_start(struct layer *layer, const struct layer_options *options, struct error *err)
{
	layer->index = options->index;
	layer->claim = options->claim;
	if ((!layer->claim || layer_check_new(layer, options, &layer->check, err) == 0) &&
		layer_start_fetching(layer, options, err) == 0)
		return 0;
	layer_check_free(TAKE_PTR(layer->check));
	layer->index = NULL;
	layer->claim = NULL;
	return -1;
}

int layer_open(const struct layer_options *options, struct layer **out, struct error *err)
{
	struct layer *layer = calloc(1, sizeof(*layer));

	if (!layer)
		return error_set(err, ERROR_NO_MEMORY, "no memory for a layer");
	atomic_init(&layer->refs, 1);
	layer->loop = options->loop;
	layer->workers = options->workers;
	atomic_init(&layer->trust, options->trust);
	(void)pthread_mutex_init(&layer->failures_lock, NULL);
	(void)pthread_mutex_init(&layer->contradiction_lock, NULL);
	if (descriptor_copy(options->descriptor, &layer->descriptor, err) < 0 ||
		layer_store_open(options->store, options->index->key, options->index->units,
			&layer->store, err) < 0 ||
		layer_start(layer, options, err) < 0) {
		layer_destroy(layer);
		return -1;
	}
	if (layer->check)
		layer_check_begin(layer->check, options->background);
	*out = layer;
	return 0;
}

struct layer *layer_ref(struct layer *layer)
{
	atomic_fetch_add(&layer->refs, 1);
	return layer;
}

void layer_unref(struct layer *layer)
{
	if (layer && atomic_fetch_sub(&layer->refs, 1) == 1)
		layer_destroy(layer);
}

void layer_unrefp(struct layer **layer)
{
	layer_unref(*layer);
}

const struct layer_index *layer_index_of(const struct layer *layer)
{
	return layer->index;
}

const struct descriptor *layer_descriptor(const struct layer *layer)
{
	return &layer->descriptor;
}

struct layer_store *layer_store_of(struct layer *layer)
{
	return layer->store;
}

void layer_trust_state(struct layer *layer, struct layer_trust_state *out)
{
	*out = (struct layer_trust_state){.trust = atomic_load(&layer->trust)};
	if (out->trust == LAYER_CONTRADICTED)
		(void)snprintf(out->contradiction, sizeof(out->contradiction), "%s",
			layer->contradiction.message);
	if (layer->claim) {
		out->by = layer->claim->by;
		out->document = layer->claim->digest;
	}
}

enum layer_trust layer_trust(const struct layer *layer)
{
	return atomic_load(&layer->trust);
}

void layer_on_contradicted(
	struct layer *layer, void (*hear)(void *arg, struct layer *layer), void *arg)
{
	(void)pthread_mutex_lock(&layer->contradiction_lock);
	layer->on_contradicted = hear;
	layer->on_contradicted_arg = arg;
	if (hear && layer->contradiction_told)
		hear(arg, layer);
	(void)pthread_mutex_unlock(&layer->contradiction_lock);
}

const char *layer_trust_name(enum layer_trust trust)
{
	static const char *const names[] = {
		[LAYER_AUTHENTIC] = "authentic",
		[LAYER_REPOSITORY_TRUSTED] = "repository-trusted",
		[LAYER_UNVERIFIED] = "unverified",
		[LAYER_CONTRADICTED] = "contradicted",
	};

	return names[trust];
}

const char *layer_claimant_name(enum layer_claimant claimant)
{
	static const char *const names[] = {
		[LAYER_CLAIMED_BY_NOBODY] = "",
		[LAYER_CLAIMED_BY_VARVE] = "varve",
		[LAYER_CLAIMED_BY_SOCI] = "soci",
	};

	return names[claimant];
}

void layer_set_background(struct layer *layer, bool on)
{
	if (layer->check)
		layer_check_set_background(layer->check, on);
	else
		fetch_layer_set_background(layer->fetch, on);
}

size_t layer_failures(struct layer *layer, struct layer_failure *out, size_t max)
{
	size_t n;

	pthread_mutex_lock(&layer->failures_lock);
	n = layer->n_failures < max ? layer->n_failures : max;
	memcpy(out, layer->failures, n * sizeof(out[0]));
	pthread_mutex_unlock(&layer->failures_lock);
	return n;
}

void layer_stats(struct layer *layer, struct layer_stats *out)
{
	layer_store_stats(layer->store, &out->store);
	fetch_layer_stats(layer->fetch, &out->fetch);
	if (layer->check)
		out->fetch.background = layer_check_has_background(layer->check);
	out->n_reads = atomic_load(&layer->n_reads);
	out->read_bytes = atomic_load(&layer->read_bytes);
	out->n_failed = atomic_load(&layer->n_failed);
}
