/* SPDX-License-Identifier: Apache-2.0 */
/* Takes back what the database claims: one unit, or a whole data file. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "layer_store_internal.h"
#include "store_cache_internal.h"
#include "store_presence_internal.h"
#include "store_unit_digests_internal.h"
#include "store_writer_internal.h"

struct forget_job {
	struct writer_job job;
	struct layer_state *layer; /* NULL: it is not open */
	uint32_t number;
	uint32_t unit;
	uint64_t size;
};

/* What listings show of a layer that nobody opens after this. */
static int count_down(struct db_txn *txn, const struct forget_job *forget)
{
	uint8_t key[RECORD_KEY_SIZE], bytes[RECORD_LAYER_SIZE];
	struct layer_record record;
	MDB_val value;
	int code = presence_owner(txn, forget->number, key);

	if (code == 0)
		code = db_get(txn, DB_LAYERS, key, sizeof(key), &value);
	if (code != 0)
		return code == MDB_NOTFOUND ? 0 : code;
	if (!record_layer_decode(value.mv_data, value.mv_size, &record) ||
		record.number != forget->number)
		return 0;
	record.n_present -= record.n_present > 0;
	record.present -= record.present < forget->size ? record.present : forget->size;
	record_layer_encode(&record, bytes);
	return db_put(txn, DB_LAYERS, key, sizeof(key), bytes, sizeof(bytes));
}

static int clear_bit(struct db_txn *txn, void *arg)
{
	const struct forget_job *forget = arg;
	bool had;
	int code = presence_has(txn, forget->number, forget->unit, &had);

	if (code != 0 || !had)
		return code;
	code = presence_clear(txn, forget->number, forget->unit);
	return code == 0 ? count_down(txn, forget) : code;
}

static void forget_pending(struct pending_units *pending, uint32_t unit)
{
	for (size_t i = 0; i < pending->n; i++)
		if (pending->units[i].unit == unit)
			pending->units[i].forgotten = true;
}

/* On the writer, so that no commit in between brings the unit back. */
static int run_forget(struct store *store, struct writer_job *job, struct error *err)
{
	struct forget_job *forget = (struct forget_job *)job;
	struct layer_state *layer = forget->layer;

	/* Its data file is another one by now: nothing there is meant. */
	if (layer && forget->number > 0 && forget->number != atomic_load(&layer->number))
		return 0;
	if (layer) {
		/* A hole made there later has something to remove. */
		atomic_store(&layer->clean, false);
		(void)pthread_mutex_lock(&store->writer.lock);
		forget_pending(&layer->pending, forget->unit);
		(void)pthread_mutex_unlock(&store->writer.lock);
		forget_pending(&layer->flushing, forget->unit);
		(void)layer_state_clear_present(layer, forget->unit, forget->size);
		forget->number = atomic_load(&layer->number);
	}
	if (forget->number == 0)
		return 0;
	if (db_write(store->db, clear_bit, forget, "forget a damaged unit", err) < 0)
		return -1;
	if (layer)
		(void)bitmap_clear(&layer->durable, forget->unit);
	return 0;
}

int layer_store_forget_unit(struct store *store, struct layer_state *layer, uint32_t number,
	uint32_t unit, uint64_t size, struct error *err)
{
	struct forget_job forget = {.job.run = run_forget,
		.layer = layer,
		.number = number,
		.unit = unit,
		.size = size};

	return writer_call(store, &forget.job, err);
}

int store_forget(struct layer_store *layer, uint64_t i, struct error *err)
{
	struct store *store = layer->store;
	struct forget_job forget = {
		.job.run = run_forget, .layer = layer->state, .unit = (uint32_t)i};
	struct unit unit;

	if (unit_table_get(layer->units, i, &unit, err) < 0)
		return -1;
	forget.size = unit.size;
	/* Readers miss it at once. */
	(void)layer_state_clear_present(layer->state, i, unit.size);
	chunk_memory_forget(&store->memory, layer->state, i);
	if (store->read_only || db_is_lost(store->db))
		return 0;
	return writer_call(store, &forget.job, err);
}

struct drop_job {
	struct writer_job job;
	uint8_t key[RECORD_KEY_SIZE];
	bool dropped;
};

/* Unless it is another layer's. */
static int drop_number(struct db_txn *txn, const uint8_t key[RECORD_KEY_SIZE], uint32_t number)
{
	uint8_t owner[RECORD_KEY_SIZE];
	uint8_t name[4];
	int code = presence_owner(txn, number, owner);

	if (code != 0 || memcmp(owner, key, sizeof(owner)) != 0)
		return code == MDB_NOTFOUND ? 0 : code;
	record_number_key(number, name);
	code = db_delete(txn, DB_NUMBERS, name, sizeof(name));
	if (code == 0)
		code = presence_drop(txn, number);
	return code == 0 ? unit_digests_drop(txn, number) : code;
}

static int drop_layer(struct db_txn *txn, void *arg)
{
	struct drop_job *drop = arg;
	struct layer_record record;
	MDB_val value;
	int code = db_get(txn, DB_LAYERS, drop->key, sizeof(drop->key), &value);

	drop->dropped = code == 0;
	if (code != 0 && code != MDB_NOTFOUND)
		return code;
	if (code == MDB_NOTFOUND)
		return db_delete(txn, DB_ACCESS, drop->key, sizeof(drop->key));
	if (record_layer_decode(value.mv_data, value.mv_size, &record))
		code = drop_number(txn, drop->key, record.number);
	if (code == 0)
		code = db_delete(txn, DB_ACCESS, drop->key, sizeof(drop->key));
	if (code == 0)
		code = db_delete(txn, DB_LAYERS, drop->key, sizeof(drop->key));
	return code;
}

static int run_drop(struct store *store, struct writer_job *job, struct error *err)
{
	struct drop_job *drop = (struct drop_job *)job;

	if (db_write(store->db, drop_layer, drop, "forget a layer", err) < 0)
		return -1;
	if (drop->dropped)
		atomic_fetch_sub(&store->n_stored, 1);
	return 0;
}

/* Most layers that are opened for the first time have nothing to drop, and a commit costs. */
static int is_recorded(
	struct store *store, const uint8_t key[RECORD_KEY_SIZE], bool *recorded, struct error *err)
{
	CLEANUP(db_read_end) struct db_txn txn = {0};
	MDB_val value;
	int code;

	if (db_read_begin(store->db, &txn, err) < 0)
		return -1;
	code = db_get(&txn, DB_LAYERS, key, RECORD_KEY_SIZE, &value);
	*recorded = code == 0;
	if (code != 0 && code != MDB_NOTFOUND)
		return db_error(store->db, err, code, "look a layer up");
	return 0;
}

static int remove_data(struct store *store, const uint8_t key[RECORD_KEY_SIZE], struct error *err)
{
	char name[FILE_NAME_SIZE];
	int ret = data_file_remove(&store->files, key);

	data_file_name(key, name);
	if (ret < 0)
		return error_set_errno(err, -ret, "remove %s/layers/%s", store->dir, name);
	return 0;
}

int layer_store_remove(struct store *store, const uint8_t key[RECORD_KEY_SIZE], struct error *err)
{
	bool recorded;

	if (is_recorded(store, key, &recorded, err) < 0)
		return -1;
	return recorded ? layer_store_erase(store, key, err) : remove_data(store, key, err);
}

int layer_store_erase(struct store *store, const uint8_t key[RECORD_KEY_SIZE], struct error *err)
{
	struct drop_job drop = {.job.run = run_drop};

	memcpy(drop.key, key, sizeof(drop.key));
	if (writer_call(store, &drop.job, err) < 0)
		return -1;
	return remove_data(store, key, err);
}

struct discard_job {
	struct writer_job job;
	struct layer_state *state;
};

/* Behind what was pending: nothing of it comes back. */
static int run_discard(struct store *store, struct writer_job *job, struct error *err)
{
	struct layer_state *state = ((struct discard_job *)job)->state;
	uint64_t freed = 0;

	if (layer_store_erase(store, state->key, err) < 0)
		return -1;
	atomic_store(&state->number, 0);
	if (artifact_remove(store, state->key, err) < 0)
		return -1;
	return indexes_remove(store, state->key, &freed, err);
}

static void clear_units(struct layer_store *layer)
{
	struct layer_state *state = layer->state;
	struct unit unit;

	for (uint64_t i = 0; i < state->n_units; i++)
		if (unit_table_get(layer->units, i, &unit, NULL) == 0)
			(void)layer_state_clear_present(state, i, unit.size);
	chunk_memory_forget_layer(&layer->store->memory, state);
	windows_forget(&layer->store->windows, state);
}

int layer_store_discard(struct layer_store *layer, struct error *err)
{
	struct discard_job discard = {.job.run = run_discard, .state = layer->state};
	struct store *store = layer->store;

	clear_units(layer);
	if (store->read_only || db_is_lost(store->db))
		return 0;
	if (writer_sync(store, err) < 0)
		return -1;
	atomic_store(&layer->state->discarded, true);
	return writer_call(store, &discard.job, err);
}
