/* SPDX-License-Identifier: Apache-2.0 */
/* What is in the cache: listings and usage. */
#include "store/store_cache.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "layer_store_internal.h"
#include "store_cache_internal.h"

static int by_use(const void *a, const void *b)
{
	int64_t left = ((const struct known_layer *)a)->used_s;
	int64_t right = ((const struct known_layer *)b)->used_s;

	return left < right ? -1 : left > right;
}

static int read_access(struct db_txn *txn, const uint8_t *key, int64_t *out)
{
	MDB_val value;
	int code = db_get(txn, DB_ACCESS, key, RECORD_KEY_SIZE, &value);

	*out = 0;
	if (code == 0 && !record_time_decode(value.mv_data, value.mv_size, out))
		*out = 0;
	return code == MDB_NOTFOUND ? 0 : code;
}

static int collect(struct db_txn *txn, struct known_layer **out, size_t *n)
{
	CLEANUP(cleanup_free) struct known_layer *layers = NULL;
	MDB_cursor *cursor;
	MDB_val key = {0}, value;
	size_t n_entries;
	int code = db_count(txn, DB_LAYERS, &n_entries);

	*n = 0;
	if (code == 0)
		code = db_cursor_open(txn, DB_LAYERS, &cursor);
	if (code != 0)
		return code;
	layers = calloc(n_entries > 0 ? n_entries : 1, sizeof(*layers));
	if (!layers)
		code = ENOMEM;
	while (code == 0 && *n < n_entries) {
		struct known_layer *layer = &layers[*n];

		code = db_cursor_get(txn, cursor, &key, &value, MDB_NEXT);
		if (code != 0 || !record_key_decode(key.mv_data, key.mv_size, layer->key) ||
			!record_layer_decode(value.mv_data, value.mv_size, &layer->record))
			continue;
		code = read_access(txn, layer->key, &layer->used_s);
		if (code == 0)
			++*n;
	}
	db_cursor_close(txn, cursor);
	if (code != 0 && code != MDB_NOTFOUND)
		return code;
	*out = TAKE_PTR(layers);
	return 0;
}

int known_layers(struct store *store, struct known_layer **out, size_t *n, struct error *err)
{
	CLEANUP(db_read_end) struct db_txn txn = {0};
	int code;

	if (db_read_begin(store->db, &txn, err) < 0)
		return -1;
	code = collect(&txn, out, n);
	if (code != 0)
		return db_error(store->db, err, code, "list layers");
	qsort(*out, *n, sizeof(**out), by_use);
	return 0;
}

static uint64_t allocated(struct store *store, const uint8_t *key)
{
	char name[FILE_NAME_SIZE];
	struct stat status;

	data_file_name(key, name);
	if (fstatat(store->layers_fd, name, &status, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	return (uint64_t)status.st_blocks * 512;
}

/* What an open layer has right now is ahead of the database. */
static void describe(struct store *store, const struct known_layer *known, struct cache_layer *out)
{
	struct layer_state *state = state_table_find(store, known->key);

	*out = (struct cache_layer){
		.blob = known->record.blob,
		.blob_size = known->record.blob_size,
		.n_units = known->record.n_units,
		.n_present = known->record.n_present,
		.size = known->record.size,
		.present = known->record.present,
		.allocated = allocated(store, known->key),
		.used_s = known->used_s,
	};
	memcpy(out->key, known->key, sizeof(out->key));
	if (!state)
		return;
	out->n_present = atomic_load(&state->n_present);
	out->present = layer_state_present_bytes(state);
	out->open = state_table_is_open(store, state);
	state_table_release(store, state);
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

		describe(store, &layers[i], &layer);
		if (each(arg, &layer) != 0)
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
