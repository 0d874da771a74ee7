/* SPDX-License-Identifier: Apache-2.0 */
/* What is in the cache: listings and usage. */
#include "store/store_cache.h"

#include <errno.h>
#include <string.h>
#include <sys/statvfs.h>

#include "layer_store_internal.h"
#include "store_cache_internal.h"

/* What the unit table of a layer says that nothing is stored of. False: it does not open, which is
 * for verification to report. */
static bool describe_unstored(
	struct store *store, const struct known_layer *known, struct cache_layer *out)
{
	CLEANUP(unit_table_closep) struct unit_table *units = NULL;
	const struct unit_table_header *header;
	char name[FILE_NAME_SIZE];

	layer_file_name(known->key, ".units", name);
	if (unit_table_open(store->layers_fd, name, &units, NULL) < 0)
		return false;
	header = unit_table_header(units);
	out->blob = header->blob;
	out->blob_size = header->blob_size;
	out->n_units = header->n_units;
	for (uint64_t i = 0; i < header->n_units; i++) {
		struct unit unit;

		if (unit_table_get(units, i, &unit, NULL) < 0)
			return false;
		out->size += unit.size;
	}
	return true;
}

/* What an open layer has right now is ahead of the database. */
static bool describe(struct store *store, const struct known_layer *known, struct cache_layer *out)
{
	struct layer_state *state;

	*out = (struct cache_layer){
		.blob = known->record.blob,
		.blob_size = known->record.blob_size,
		.n_units = known->record.n_units,
		.n_present = known->record.n_present,
		.size = known->record.size,
		.present = known->record.present,
		.allocated = layer_files_allocated(store->layers_fd, known->key),
		.used_s = known->used_s,
	};
	memcpy(out->key, known->key, sizeof(out->key));
	if (!known->stored && !describe_unstored(store, known, out))
		return false;
	state = state_table_find(store, known->key);
	if (!state)
		return true;
	out->n_present = atomic_load(&state->n_present);
	out->present = layer_state_present_bytes(state);
	out->open = state_table_is_open(store, state);
	state_table_release(store, state);
	return true;
}

int cache_each_layer(struct store *store, int (*each)(void *arg, const struct cache_layer *layer),
	void *arg, struct error *err)
{
	CLEANUP(cleanup_free) struct known_layer *layers = NULL;
	size_t n;

	if (known_layers(store, &layers, &n, err) < 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		struct cache_layer layer;

		if (describe(store, &layers[i], &layer) && each(arg, &layer) != 0)
			break;
	}
	return 0;
}

int cache_usage(struct store *store, struct cache_usage *out, struct error *err)
{
	struct cache_usage usage = {
		.evicted_layers = atomic_load(&store->space.evicted_layers),
		.evicted_bytes = atomic_load(&store->space.evicted_bytes),
	};
	struct statvfs fs;

	if (space_measure(store, &usage.allocated, &usage.quota, err) < 0)
		return -1;
	if (fstatvfs(store->dir_fd, &fs) < 0)
		return error_set_errno(err, errno, "size of the file system of %s", store->dir);
	usage.file_system_free = (uint64_t)fs.f_bavail * fs.f_frsize;
	*out = usage;
	return 0;
}
