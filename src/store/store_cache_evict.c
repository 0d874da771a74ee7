/* SPDX-License-Identifier: Apache-2.0 */
/* Makes room: layers that nobody uses, least recently used first. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/log.h"
#include "layer_store_internal.h"
#include "store/store_cache.h"
#include "store_cache_internal.h"
#include "store_writer_internal.h"

enum { DROP_STEP = 4096, DATA_NAME_LENGTH = 2 * RECORD_KEY_SIZE + 5 };

struct drop_chunks_job {
	struct writer_job job;
	const struct unit_table *units;
	uint64_t first;
	uint64_t end;
	uint32_t number;
};

static int drop_chunk(
	struct db_txn *txn, const uint8_t digest[RECORD_CHUNK_KEY_SIZE], uint32_t number)
{
	struct chunk_record record;
	MDB_val value;
	int code = db_get(txn, DB_CHUNKS, digest, RECORD_CHUNK_KEY_SIZE, &value);

	if (code != 0)
		return code == MDB_NOTFOUND ? 0 : code;
	if (record_chunk_decode(value.mv_data, value.mv_size, &record) && record.number != number)
		return 0;
	return db_delete(txn, DB_CHUNKS, digest, RECORD_CHUNK_KEY_SIZE);
}

static int drop_chunks(struct db_txn *txn, void *arg)
{
	const struct drop_chunks_job *drop = arg;

	for (uint64_t i = drop->first; i < drop->end; i++) {
		struct unit unit;
		int code;

		if (unit_table_get(drop->units, i, &unit, NULL) < 0)
			return 0;
		code = drop_chunk(txn, unit.digest, drop->number);
		if (code != 0)
			return code;
	}
	return 0;
}

static int run_drop_chunks(struct store *store, struct writer_job *job, struct error *err)
{
	return db_write(store->db, drop_chunks, job, "forget where chunks are", err);
}

/* Places of a file that is gone are recognised when they are looked up; they are removed here so
 * that the table does not keep those that nobody looks up. */
static void forget_chunks(struct store *store, const struct known_layer *layer)
{
	CLEANUP(unit_table_closep) struct unit_table *units = NULL;
	char name[FILE_NAME_SIZE];
	struct error err = {0};
	uint64_t n_units;

	layer_file_name(layer->key, ".units", name);
	if (unit_table_open(store->layers_fd, name, &units, &err) < 0)
		return;
	n_units = unit_table_header(units)->n_units;
	for (uint64_t i = 0; i < n_units; i += DROP_STEP) {
		struct drop_chunks_job drop = {
			.job.run = run_drop_chunks,
			.units = units,
			.first = i,
			.end = i + DROP_STEP < n_units ? i + DROP_STEP : n_units,
			.number = layer->record.number,
		};

		if (writer_call(store, &drop.job, &err) < 0) {
			log_warning("store %s: %s", store->dir, err.message);
			return;
		}
	}
}

static int evict_claimed(struct store *store, const struct known_layer *layer, bool indexes,
	uint64_t *freed, struct error *err)
{
	uint64_t size = data_file_allocated(store->layers_fd, layer->key);

	if (layer_store_erase(store, layer->key, err) < 0)
		return -1;
	if (layer->stored)
		forget_chunks(store, layer);
	if (indexes && indexes_remove(store, layer->key, &size, err) < 0)
		return -1;
	*freed += size;
	atomic_fetch_add(&store->space.evicted_layers, 1);
	atomic_fetch_add(&store->space.evicted_bytes, size);
	return 0;
}

/* @indexes: they may go, too. */
static int evict_one(struct store *store, const struct known_layer *layer, bool indexes,
	uint64_t *freed, struct error *err)
{
	struct layer_state *claim;
	int ret;

	if (!layer->stored && !indexes)
		return 0;
	if (state_table_claim(store, layer->key, &claim, err) < 0)
		return -1;
	if (!claim)
		return 0;
	ret = evict_claimed(store, layer, indexes, freed, err);
	state_table_release(store, claim);
	return ret;
}

static int evict_until(struct store *store, const struct known_layer *layers, size_t n,
	uint64_t wanted, uint64_t *freed, struct error *err)
{
	bool indexes = indexes_begin_removal(store);
	int ret = indexes ? indexes_remove_unnamed(store, freed, err) : 0;

	for (size_t i = 0; ret == 0 && i < n && *freed < wanted; i++)
		ret = evict_one(store, &layers[i], indexes, freed, err);
	if (ret == 0 && indexes && *freed < wanted)
		ret = artifacts_evict(store, wanted, freed, err);
	if (indexes)
		indexes_end_removal(store);
	return ret;
}

int evict_layers(struct store *store, uint64_t wanted, uint64_t *freed, struct error *err)
{
	CLEANUP(cleanup_free) struct known_layer *layers = NULL;
	int ret;
	size_t n;

	*freed = 0;
	if (known_layers(store, &layers, &n, err) < 0)
		return -1;
	ret = evict_until(store, layers, n, wanted, freed, err);
	if (*freed > 0)
		log_info("store %s: evicted %" PRIu64 " bytes", store->dir, *freed);
	return ret;
}

struct evict_job {
	struct writer_job job;
	uint64_t freed;
};

static int run_evict(struct store *store, struct writer_job *job, struct error *err)
{
	return space_check(store, &((struct evict_job *)job)->freed, err);
}

int cache_evict(struct store *store, uint64_t *freed, struct error *err)
{
	struct evict_job evict = {.job.run = run_evict};

	*freed = 0;
	/* A layer that was just closed counts as used until its last units are written. */
	if (writer_sync(store, err) < 0)
		return -1;
	if (writer_call(store, &evict.job, err) < 0)
		return -1;
	*freed = evict.freed;
	return 0;
}

static bool ends_with(const char *name, const char *end)
{
	size_t size = strlen(name);
	size_t end_size = strlen(end);

	return size >= end_size && strcmp(name + size - end_size, end) == 0;
}

static int is_recorded(struct db_txn *txn, const char *name, bool *recorded)
{
	struct layer_record record;
	uint8_t key[RECORD_KEY_SIZE];
	MDB_val value;
	int code;

	*recorded = false;
	if (hex_decode(name, (size_t)2 * RECORD_KEY_SIZE, key, sizeof(key)) < 0)
		return 0;
	code = db_get(txn, DB_LAYERS, key, sizeof(key), &value);
	*recorded = code == 0 && record_layer_decode(value.mv_data, value.mv_size, &record);
	return code == MDB_NOTFOUND ? 0 : code;
}

/* Names that this program gives to files before they are complete start with ".new-". */
static int is_orphan(struct db_txn *txn, const char *name, bool *orphan)
{
	bool recorded;
	int code;

	*orphan = strncmp(name, ".new-", 5) == 0;
	if (*orphan || !ends_with(name, ".data") || strlen(name) != DATA_NAME_LENGTH)
		return 0;
	code = is_recorded(txn, name, &recorded);
	*orphan = code == 0 && !recorded;
	return code;
}

/* Takes fd. */
static int sweep(struct store *store, int fd, struct error *err)
{
	CLEANUP(db_read_end) struct db_txn txn = {0};
	DIR *directory = fdopendir(fd);
	struct dirent *entry;
	int code = 0;

	if (!directory) {
		(void)close(fd);
		return error_set(err, ERROR_NO_MEMORY, "no memory to list %s", store->dir);
	}
	if (db_read_begin(store->db, &txn, err) < 0) {
		(void)closedir(directory);
		return -1;
	}
	while (code == 0 && (entry = readdir(directory))) {
		bool orphan;

		code = is_orphan(&txn, entry->d_name, &orphan);
		if (code == 0 && orphan && unlinkat(dirfd(directory), entry->d_name, 0) < 0)
			log_warning("store %s: remove %s: %s", store->dir, entry->d_name,
				strerror(errno));
	}
	(void)closedir(directory);
	return code == 0 ? 0 : db_error(store->db, err, code, "look for orphans");
}

int remove_orphans(struct store *store, struct error *err)
{
	static const char *const names[] = {".", "layers", "images"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		int fd = openat(store->dir_fd, names[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		if (fd < 0)
			return error_set_errno(err, errno, "open %s/%s", store->dir, names[i]);
		if (sweep(store, fd, err) < 0)
			return -1;
	}
	return 0;
}
