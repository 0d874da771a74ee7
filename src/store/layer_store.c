/* SPDX-License-Identifier: Apache-2.0 */
/* Handles of layers: open, close, and what is known of one without reading it. */
#include "store/layer_store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/bytes.h"
#include "layer_store_internal.h"
#include "store_writer_internal.h"

static int open_state(struct store *store, const uint8_t *key, const struct unit_table *units,
	bool strict, struct layer_state **out, struct error *err)
{
	struct layer_state *state;
	bool fresh;

	if (state_table_open(store, key, &state, &fresh, err) < 0)
		return -1;
	if (fresh ? layer_state_load(store, state, units, strict, err) < 0
		  : layer_state_check(state, units, err) < 0) {
		(void)state_table_close(store, state);
		state_table_release(store, state);
		return -1;
	}
	if (fresh)
		state_table_ready(store, state);
	*out = state;
	return 0;
}

int layer_store_attach(struct store *store, const uint8_t key[RECORD_KEY_SIZE],
	const struct unit_table *units, bool strict, struct layer_store **out, struct error *err)
{
	CLEANUP(cleanup_free) struct layer_store *layer = calloc(1, sizeof(*layer));

	if (!layer)
		return error_set(err, ERROR_NO_MEMORY, "no memory for a layer");
	layer->store = store;
	layer->units = units;
	if (open_state(store, key, units, strict, &layer->state, err) < 0) {
		char text[2 * RECORD_KEY_SIZE + 1];

		hex_encode(key, RECORD_KEY_SIZE, text);
		return error_prefix(err, "layer %s in store %s", text, store->dir);
	}
	*out = TAKE_PTR(layer);
	return 0;
}

int layer_store_open(struct store *store, const uint8_t key[32], const struct unit_table *units,
	struct layer_store **out, struct error *err)
{
	if (layer_store_attach(store, key, units, false, out, err) < 0)
		return -1;
	writer_touch(store, (*out)->state);
	return 0;
}

/* The last handle takes the chunks in memory along: nobody would look for them. */
static void layer_store_detach(struct layer_store *layer)
{
	struct layer_state *state = layer->state;
	struct store *store = layer->store;

	if (state_table_close(store, state)) {
		chunk_memory_forget_layer(&store->memory, state);
		windows_forget(&store->windows, state);
		if (atomic_load(&store->space.caching) == CACHING_QUOTA)
			writer_check_space(store);
	}
	state_table_release(store, state);
	free(layer);
}

void layer_store_detachp(struct layer_store **layer)
{
	if (*layer)
		layer_store_detach(*layer);
}

void layer_store_close(struct layer_store *layer)
{
	if (!layer)
		return;
	writer_touch(layer->store, layer->state);
	layer_store_detach(layer);
}

void layer_store_closep(struct layer_store **layer)
{
	layer_store_close(*layer);
}

bool layer_store_has(const struct layer_store *layer, uint64_t i)
{
	const struct layer_state *state = layer->state;

	return i < state->n_units &&
	       (bitmap_get(&state->present, i) || bitmap_get(&state->in_memory, i));
}

bool layer_store_may_copy(const struct layer_store *layer)
{
	bool own = atomic_load(&layer->state->number) > 0;

	if (db_is_lost(layer->store->db))
		return false;
	return atomic_load(&layer->store->n_stored) > (own ? 1 : 0);
}

bool layer_state_set_present(struct layer_state *layer, uint64_t i, uint64_t size)
{
	if (!bitmap_set(&layer->present, i))
		return false;
	atomic_fetch_add(&layer->n_present, 1);
	atomic_fetch_add(&layer->present_bytes, size);
	return true;
}

bool layer_state_clear_present(struct layer_state *layer, uint64_t i, uint64_t size)
{
	if (!bitmap_clear(&layer->present, i))
		return false;
	(void)bitmap_clear(&layer->durable, i);
	atomic_fetch_sub(&layer->n_present, 1);
	atomic_fetch_sub(&layer->present_bytes, size);
	return true;
}

uint64_t layer_state_present_bytes(const struct layer_state *layer)
{
	uint64_t bytes = atomic_load(&layer->present_bytes);

	return bytes < layer->size ? bytes : layer->size;
}

bool layer_store_is_complete(const struct layer_store *layer)
{
	return atomic_load(&layer->state->n_present) == layer->state->n_units;
}

void layer_store_stats(struct layer_store *layer, struct layer_store_stats *out)
{
	struct layer_state *state = layer->state;

	*out = (struct layer_store_stats){
		.n_units = state->n_units,
		.n_present = atomic_load(&state->n_present),
		.size = state->size,
		.present = layer_state_present_bytes(state),
	};
	out->complete = out->n_present == out->n_units;
	out->allocated = data_file_allocated(layer->store->layers_fd, state->key);
}

int layer_store_sync(struct layer_store *layer, struct error *err)
{
	return writer_sync(layer->store, err);
}

int layer_store_data_fd(struct layer_store *layer, int *fd, struct error *err)
{
	struct data_files *files = &layer->store->files;
	struct data_file *file;
	char name[FILE_NAME_SIZE];
	int ret = data_file_create(files, layer->state->key, layer->state->data_size, &file);

	data_file_name(layer->state->key, name);
	if (ret < 0)
		return error_set_errno(err, -ret, "open %s/layers/%s", layer->store->dir, name);
	data_file_close(files, file);
	*fd = openat(layer->store->layers_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (*fd < 0)
		return error_set_errno(err, errno, "open %s/layers/%s", layer->store->dir, name);
	return 0;
}
