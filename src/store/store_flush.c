/* SPDX-License-Identifier: Apache-2.0 */
/* One batch: data files to the disk, then their units into the database, in this order. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/log.h"
#include "layer_store_internal.h"
#include "store_presence_internal.h"
#include "store_unit_digests_internal.h"
#include "store_writer_internal.h"

static int by_unit(const void *a, const void *b)
{
	uint32_t left = ((const struct pending_unit *)a)->unit;
	uint32_t right = ((const struct pending_unit *)b)->unit;

	return left < right ? -1 : left > right;
}

/* What the kernel could not write it forgets: those units are missing again. */
static void unclaim(struct layer_state *layer)
{
	struct pending_units *pending = &layer->flushing;

	for (size_t i = 0; i < pending->n; i++)
		(void)layer_state_clear_present(
			layer, pending->units[i].unit, pending->units[i].size);
	atomic_store(&layer->clean, false);
	layer->failed = true;
}

static int sync_data(struct store *store, struct layer_state *layer, struct error *err)
{
	struct pending_units *pending = &layer->flushing;
	char name[FILE_NAME_SIZE];

	if (pending->n == 0)
		return 0;
	qsort(pending->units, pending->n, sizeof(*pending->units), by_unit);
	if (fdatasync(pending->file->fd) == 0)
		return 0;
	data_file_name(layer->key, name);
	(void)error_set_errno(err, errno, "write layers/%s to the disk", name);
	(void)space_learn(store, errno, 0);
	unclaim(layer);
	return -1;
}

/* A file whose name is lost in a power cut would be claimed and not be there. */
static int sync_directory(struct store *store, struct error *err)
{
	if (!atomic_exchange(&store->files.directory_changed, false))
		return 0;
	if (fsync(store->layers_fd) == 0 || errno == EINVAL)
		return 0;
	atomic_store(&store->files.directory_changed, true);
	return error_set_errno(err, errno, "write the directory %s/layers to the disk", store->dir);
}

static int take_number(struct db_txn *txn, uint32_t *out)
{
	uint8_t key[RECORD_KEY_SIZE];
	uint32_t next;
	int code = db_meta_get(txn, "next_layer", &next);

	if (code == MDB_NOTFOUND)
		next = 1;
	else if (code != 0)
		return code;
	if (next == 0 || next == UINT32_MAX)
		return MDB_CORRUPTED;
	/* A number that somebody has would bring his claims along. */
	code = presence_owner(txn, next, key);
	if (code != MDB_NOTFOUND)
		return code == 0 ? MDB_CORRUPTED : code;
	*out = next;
	return db_meta_put(txn, "next_layer", next + 1);
}

static int put_layer(struct db_txn *txn, struct layer_state *layer)
{
	const struct layer_record record = {
		.number = layer->new_number,
		.fingerprint = layer->fingerprint,
		.blob_size = layer->blob_size,
		.data_size = layer->data_size,
		.n_units = layer->n_units,
		.size = layer->size,
		.n_present = atomic_load(&layer->n_present),
		.present = layer_state_present_bytes(layer),
		.blob = layer->blob,
	};
	uint8_t value[RECORD_LAYER_SIZE];
	uint8_t name[4];
	int code;

	record_layer_encode(&record, value);
	code = db_put(txn, DB_LAYERS, layer->key, sizeof(layer->key), value, sizeof(value));
	if (code != 0 || atomic_load(&layer->number) > 0)
		return code;
	record_number_key(layer->new_number, name);
	return db_put(txn, DB_NUMBERS, name, sizeof(name), layer->key, sizeof(layer->key));
}

/* Units [*next, n) of the sorted batch as far as they are on the page of the first of them. */
static int put_page(struct db_txn *txn, struct layer_state *layer, size_t *next)
{
	const struct pending_units *pending = &layer->flushing;
	uint32_t page = pending->units[*next].unit / RECORD_PAGE_UNITS;
	uint8_t bits[RECORD_PAGE_SIZE];
	int code = presence_read(txn, layer->new_number, page, bits, NULL);

	if (code != 0)
		return code;
	for (; *next < pending->n; ++*next) {
		const struct pending_unit *unit = &pending->units[*next];

		if (unit->unit / RECORD_PAGE_UNITS != page)
			break;
		if (!unit->forgotten)
			bits[unit->unit % RECORD_PAGE_UNITS / 8] |= (uint8_t)(1u << unit->unit % 8);
	}
	return presence_write(txn, layer->new_number, page, bits);
}

static int put_chunks(struct db_txn *txn, const struct layer_state *layer)
{
	for (size_t i = 0; i < layer->flushing.n; i++) {
		const struct pending_unit *unit = &layer->flushing.units[i];
		const struct chunk_record record = {
			.number = layer->new_number,
			.unit = unit->unit,
			.data_off = unit->data_off,
		};
		uint8_t value[RECORD_CHUNK_SIZE];
		int code;

		if (unit->forgotten || !unit->findable)
			continue;
		record_chunk_encode(&record, value);
		code = db_put(
			txn, DB_CHUNKS, unit->digest, RECORD_CHUNK_KEY_SIZE, value, sizeof(value));
		if (code != 0)
			return code;
	}
	return 0;
}

static int put_unit_digests(struct db_txn *txn, const struct layer_state *layer)
{
	for (size_t i = 0; i < layer->flushing.n; i++) {
		const struct pending_unit *unit = &layer->flushing.units[i];
		int code;

		if (unit->forgotten || !unit->recorded)
			continue;
		code = unit_digest_put(txn, layer->new_number, unit->unit, unit->digest);
		if (code != 0)
			return code;
	}
	return 0;
}

static int put_access(struct db_txn *txn, const struct layer_state *layer)
{
	uint8_t value[8];

	le64_store(value, (uint64_t)clock_wall_s());
	return db_put(txn, DB_ACCESS, layer->key, sizeof(layer->key), value, sizeof(value));
}

static int fill_layer(struct db_txn *txn, struct layer_state *layer)
{
	int code = 0;

	layer->new_number = atomic_load(&layer->number);
	if (layer->new_number == 0 && layer->flushing.n > 0)
		code = take_number(txn, &layer->new_number);
	if (code == 0 && layer->flushing.n > 0)
		code = put_layer(txn, layer);
	for (size_t next = 0; code == 0 && next < layer->flushing.n;)
		code = put_page(txn, layer, &next);
	if (code == 0)
		code = put_chunks(txn, layer);
	if (code == 0)
		code = put_unit_digests(txn, layer);
	if (code == 0 && (layer->flushing.used || layer->flushing.n > 0))
		code = put_access(txn, layer);
	return code;
}

/* Whether what is recorded for a digest is a unit that some layer still claims. */
static int is_live(struct db_txn *txn, const MDB_val *value, bool *live)
{
	struct chunk_record record;
	uint8_t key[RECORD_KEY_SIZE];
	int code;

	*live = false;
	if (!record_chunk_decode(value->mv_data, value->mv_size, &record))
		return 0;
	code = presence_owner(txn, record.number, key);
	if (code != 0)
		return code == MDB_NOTFOUND ? 0 : code;
	return presence_has(txn, record.number, record.unit, live);
}

static int drop_stale(struct db_txn *txn, const struct flush *flush)
{
	for (size_t i = 0; i < flush->n_stale; i++) {
		MDB_val value;
		bool live;
		int code = db_get(txn, DB_CHUNKS, flush->stale[i], sizeof(flush->stale[i]), &value);

		if (code == MDB_NOTFOUND)
			continue;
		if (code == 0)
			code = is_live(txn, &value, &live);
		if (code == 0 && !live)
			code = db_delete(txn, DB_CHUNKS, flush->stale[i], sizeof(flush->stale[i]));
		if (code != 0)
			return code;
	}
	return 0;
}

static int fill(struct db_txn *txn, void *arg)
{
	const struct flush *flush = arg;
	int code = 0;

	for (struct layer_state *layer = flush->layers; code == 0 && layer;
		layer = layer->next_flushing)
		if (!layer->failed)
			code = fill_layer(txn, layer);
	if (code == 0)
		code = drop_stale(txn, flush);
	return code;
}

/* File data is cached once, above us: what is on the disk need not stay in the page cache. */
static void drop_cached(const struct pending_units *pending)
{
	static const uint64_t gap = 64 << 10;
	uint64_t start = 0, end = 0;

	for (size_t i = 0; i < pending->n; i++) {
		const struct pending_unit *unit = &pending->units[i];

		if (end == 0 || unit->data_off > end + gap) {
			if (end > 0)
				(void)posix_fadvise(pending->file->fd, (off_t)start,
					(off_t)(end - start), POSIX_FADV_DONTNEED);
			start = align_down(unit->data_off, RANGE_ALIGN);
		}
		end = align_up(unit->data_off + unit->size, RANGE_ALIGN);
	}
	if (end > 0)
		(void)posix_fadvise(
			pending->file->fd, (off_t)start, (off_t)(end - start), POSIX_FADV_DONTNEED);
}

static void committed(struct store *store, struct layer_state *layer)
{
	const struct pending_units *pending = &layer->flushing;

	if (atomic_load(&layer->number) == 0 && layer->new_number > 0) {
		atomic_store(&layer->number, layer->new_number);
		atomic_fetch_add(&store->n_stored, 1);
	}
	for (size_t i = 0; i < pending->n; i++)
		if (!pending->units[i].forgotten)
			(void)bitmap_set(&layer->durable, pending->units[i].unit);
	drop_cached(pending);
}

static bool has_records(const struct flush *flush)
{
	if (flush->n_stale > 0)
		return true;
	for (const struct layer_state *layer = flush->layers; layer; layer = layer->next_flushing)
		if (!layer->failed && (layer->flushing.n > 0 || layer->flushing.used))
			return true;
	return false;
}

static int commit(struct store *store, struct flush *flush, struct error *err)
{
	struct error reason = {0};
	int result = sync_directory(store, &reason);

	if (result == 0)
		result = db_write(store->db, fill, flush, "record what was stored", &reason);
	/* For good: not something to be tried again. */
	if (!db_is_lost(store->db))
		space_learn_commit(store, &reason);
	if (result < 0 && err)
		*err = reason;
	return result;
}

int flush_run(struct store *store, struct flush *flush, struct error *err)
{
	int result = 0;

	flush->committed = false;
	for (struct layer_state *layer = flush->layers; layer; layer = layer->next_flushing) {
		if (sync_data(store, layer, err) < 0)
			result = -1;
		writer_run_jobs(store);
	}
	if (has_records(flush) && commit(store, flush, err) < 0)
		return -1;
	for (struct layer_state *layer = flush->layers; layer; layer = layer->next_flushing)
		if (!layer->failed)
			committed(store, layer);
	flush->n_stale = 0;
	flush->committed = true;
	return result;
}
