/* SPDX-License-Identifier: Apache-2.0 */
/* The layers in use: at most one state for each key, whoever opens it. */
#include <stdlib.h>
#include <string.h>

#include "layer_store_internal.h"

static struct layer_state **bucket_of(struct store *store, const uint8_t *key)
{
	return &store->layers.buckets[key[0] % LAYER_N_BUCKETS];
}

static struct layer_state *find(struct store *store, const uint8_t *key)
{
	struct layer_state *layer = *bucket_of(store, key);

	while (layer && memcmp(layer->key, key, RECORD_KEY_SIZE) != 0)
		layer = layer->next;
	return layer;
}

static struct layer_state *claim_new(const uint8_t *key, struct error *err)
{
	struct layer_state *layer = calloc(1, sizeof(*layer));

	if (!layer) {
		(void)error_set(err, ERROR_NO_MEMORY, "no memory for a layer");
		return NULL;
	}
	memcpy(layer->key, key, RECORD_KEY_SIZE);
	layer->phase = LAYER_CLAIMED;
	atomic_init(&layer->refs, 1);
	return layer;
}

/* Under the lock. */
static void insert(struct store *store, struct layer_state *layer)
{
	struct layer_state **bucket = bucket_of(store, layer->key);

	layer->next = *bucket;
	*bucket = layer;
}

int state_table_open(struct store *store, const uint8_t key[RECORD_KEY_SIZE],
	struct layer_state **out, bool *fresh, struct error *err)
{
	struct state_table *table = &store->layers;
	struct layer_state *mine = claim_new(key, err);
	struct layer_state *layer;

	if (!mine)
		return -1;
	(void)pthread_mutex_lock(&table->lock);
	while ((layer = find(store, key)) && layer->phase == LAYER_CLAIMED)
		(void)pthread_cond_wait(&table->changed, &table->lock);
	*fresh = !layer;
	if (layer) {
		layer->n_handles++;
		atomic_fetch_add(&layer->refs, 1);
	} else {
		layer = mine;
		mine = NULL;
		layer->n_handles = 1;
		insert(store, layer);
	}
	(void)pthread_mutex_unlock(&table->lock);
	free(mine);
	*out = layer;
	return 0;
}

void state_table_ready(struct store *store, struct layer_state *layer)
{
	struct state_table *table = &store->layers;

	(void)pthread_mutex_lock(&table->lock);
	layer->phase = LAYER_READY;
	(void)pthread_cond_broadcast(&table->changed);
	(void)pthread_mutex_unlock(&table->lock);
}

int state_table_claim(struct store *store, const uint8_t key[RECORD_KEY_SIZE],
	struct layer_state **out, struct error *err)
{
	struct state_table *table = &store->layers;
	struct layer_state *mine = claim_new(key, err);

	if (!mine)
		return -1;
	*out = mine;
	(void)pthread_mutex_lock(&table->lock);
	if (find(store, key))
		*out = NULL;
	else
		insert(store, mine);
	(void)pthread_mutex_unlock(&table->lock);
	if (!*out)
		free(mine);
	return 0;
}

void state_table_release(struct store *store, struct layer_state *layer)
{
	struct state_table *table = &store->layers;
	bool last;

	(void)pthread_mutex_lock(&table->lock);
	last = atomic_fetch_sub(&layer->refs, 1) == 1;
	if (last) {
		struct layer_state **link = bucket_of(store, layer->key);

		while (*link != layer)
			link = &(*link)->next;
		*link = layer->next;
		(void)pthread_cond_broadcast(&table->changed);
	}
	(void)pthread_mutex_unlock(&table->lock);
	if (last)
		layer_state_free(layer);
}

struct layer_state *state_table_find(struct store *store, const uint8_t key[RECORD_KEY_SIZE])
{
	struct state_table *table = &store->layers;
	struct layer_state *layer;

	(void)pthread_mutex_lock(&table->lock);
	layer = find(store, key);
	if (layer && layer->phase != LAYER_READY)
		layer = NULL;
	if (layer)
		atomic_fetch_add(&layer->refs, 1);
	(void)pthread_mutex_unlock(&table->lock);
	return layer;
}

bool state_table_close(struct store *store, struct layer_state *layer)
{
	struct state_table *table = &store->layers;
	bool last;

	(void)pthread_mutex_lock(&table->lock);
	last = --layer->n_handles == 0;
	(void)pthread_mutex_unlock(&table->lock);
	return last;
}

bool state_table_is_open(struct store *store, struct layer_state *layer)
{
	bool open;

	(void)pthread_mutex_lock(&store->layers.lock);
	open = layer->n_handles > 0;
	(void)pthread_mutex_unlock(&store->layers.lock);
	return open;
}

bool state_table_in_use(struct store *store)
{
	bool used = false;

	(void)pthread_mutex_lock(&store->layers.lock);
	for (size_t i = 0; i < LAYER_N_BUCKETS; i++)
		used |= store->layers.buckets[i] != NULL;
	(void)pthread_mutex_unlock(&store->layers.lock);
	return used;
}
