/* SPDX-License-Identifier: Apache-2.0 */
/* What the store already has of a layer that is opened. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/bytes.h"
#include "base/log.h"
#include "layer_store_internal.h"
#include "store_presence_internal.h"

struct summary {
	uint64_t size;
	uint64_t fingerprint;
};

static uint64_t mix(uint64_t hash, uint64_t value)
{
	hash = (hash ^ value) * UINT64_C(0x9e3779b97f4a7c15);
	return hash ^ hash >> 32;
}

/* Tells unit tables apart that different versions of a builder make of the same layer: the key
 * already tells layers apart, so nobody gains from a collision. */
static int summarize(const struct unit_table *units, struct summary *out, struct error *err)
{
	const struct unit_table_header *header = unit_table_header(units);
	struct summary summary = {
		.fingerprint = mix(mix(RECORD_VERSION, header->n_units), header->data_size)};

	for (uint64_t i = 0; i < header->n_units; i++) {
		struct unit unit;

		if (unit_table_get(units, i, &unit, err) < 0)
			return -1;
		if (!u64_add(summary.size, unit.size, &summary.size))
			return error_set(err, ERROR_FORMAT, "the sizes of units overflow");
		summary.fingerprint = mix(summary.fingerprint, unit.data_off);
		summary.fingerprint = mix(summary.fingerprint, unit.size);
		summary.fingerprint = mix(summary.fingerprint, le64_load(unit.digest));
	}
	*out = summary;
	return 0;
}

static int set_up(struct layer_state *layer, const struct unit_table *units, struct error *err)
{
	const struct unit_table_header *header = unit_table_header(units);
	struct summary summary;

	if (memcmp(header->key, layer->key, sizeof(layer->key)) != 0)
		return error_set(
			err, ERROR_INVALID, "the unit table is of a layer with another key");
	if (header->n_units >= UINT32_MAX || header->data_size > INT64_MAX ||
		header->data_size % RANGE_ALIGN != 0)
		return error_set(err, ERROR_UNSUPPORTED,
			"cannot store %" PRIu64 " units in a data space of %" PRIu64 " bytes",
			header->n_units, header->data_size);
	if (summarize(units, &summary, err) < 0)
		return -1;

	layer->blob = header->blob;
	layer->blob_size = header->blob_size;
	layer->data_size = header->data_size;
	layer->n_units = header->n_units;
	layer->size = summary.size;
	layer->fingerprint = summary.fingerprint;
	if (bitmap_init(&layer->present, layer->n_units) < 0 ||
		bitmap_init(&layer->durable, layer->n_units) < 0 ||
		bitmap_init(&layer->in_memory, layer->n_units) < 0)
		return error_set(
			err, ERROR_NO_MEMORY, "no memory for %" PRIu64 " units", layer->n_units);
	return 0;
}

int layer_state_check(struct layer_state *layer, const struct unit_table *units, struct error *err)
{
	struct summary summary;

	if (summarize(units, &summary, err) < 0)
		return -1;
	if (summary.fingerprint != layer->fingerprint)
		return error_set(err, ERROR_BUSY, "layer is open with another unit table");
	return 0;
}

static bool is_ours(const struct layer_state *layer, const struct layer_record *record)
{
	return record->fingerprint == layer->fingerprint && record->n_units == layer->n_units &&
	       record->data_size == layer->data_size && record->size == layer->size;
}

/* Presence counts nothing without all of the file under it. */
static bool has_file(struct store *store, const struct layer_state *layer)
{
	char name[FILE_NAME_SIZE];
	struct stat status;

	data_file_name(layer->key, name);
	return fstatat(store->layers_fd, name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
	       S_ISREG(status.st_mode) && (uint64_t)status.st_size == layer->data_size;
}

static int read_page(struct db_txn *txn, struct layer_state *layer, uint32_t page, bool *damaged)
{
	uint64_t first = (uint64_t)page * RECORD_PAGE_UNITS;
	uint8_t bits[RECORD_PAGE_SIZE];
	int code = presence_read(txn, atomic_load(&layer->number), page, bits, damaged);

	if (code != 0)
		return code;
	for (uint64_t i = first; i < first + RECORD_PAGE_UNITS && i < layer->n_units; i++) {
		if (presence_bit(bits, (uint32_t)i)) {
			(void)bitmap_set(&layer->present, i);
			(void)bitmap_set(&layer->durable, i);
		}
	}
	return 0;
}

static int read_presence(struct store *store, struct layer_state *layer, struct error *err)
{
	CLEANUP(db_read_end) struct db_txn txn = {0};
	uint64_t n_pages = (layer->n_units + RECORD_PAGE_UNITS - 1) / RECORD_PAGE_UNITS;
	bool damaged = false;

	if (db_read_begin(store->db, &txn, err) < 0)
		return -1;
	for (uint64_t page = 0; page < n_pages; page++) {
		int code = read_page(&txn, layer, (uint32_t)page, &damaged);

		if (code != 0)
			return db_error(store->db, err, code, "read what is stored of a layer");
	}
	if (damaged)
		log_warning("store %s: the record of what is stored of a layer is damaged: parts "
			    "of it are fetched again",
			store->dir);
	return 0;
}

static int count_present(
	struct layer_state *layer, const struct unit_table *units, struct error *err)
{
	uint64_t n = 0, size = 0;

	for (uint64_t i = 0; i < layer->n_units; i++) {
		struct unit unit;

		if (!bitmap_get(&layer->present, i))
			continue;
		if (unit_table_get(units, i, &unit, err) < 0)
			return -1;
		n++;
		size += unit.size;
	}
	atomic_store(&layer->n_present, n);
	atomic_store(&layer->present_bytes, size);
	return 0;
}

static int read_record(struct store *store, const struct layer_state *layer, bool *found,
	struct layer_record *out, struct error *err)
{
	CLEANUP(db_read_end) struct db_txn txn = {0};
	uint8_t owner[RECORD_KEY_SIZE];
	MDB_val value;
	int code;

	if (db_read_begin(store->db, &txn, err) < 0)
		return -1;
	code = db_get(&txn, DB_LAYERS, layer->key, sizeof(layer->key), &value);
	if (code != 0 && code != MDB_NOTFOUND)
		return db_error(store->db, err, code, "look a layer up");
	*found = code == 0;
	if (!*found)
		return 0;
	/* A record that nobody wrote, or with the number of another layer, claims nothing. */
	if (record_layer_decode(value.mv_data, value.mv_size, out)) {
		code = presence_owner(&txn, out->number, owner);
		if (code != 0 && code != MDB_NOTFOUND)
			return db_error(store->db, err, code, "look a layer up");
		if (code == 0 && memcmp(owner, layer->key, sizeof(owner)) == 0)
			return 0;
	}
	memset(out, 0, sizeof(*out));
	return 0;
}

/* Nothing is claimed: what is in a data file of this name must not show up between units. Where it
 * cannot be removed, the layer lives in memory. */
static void start_empty(struct store *store, struct layer_state *layer)
{
	struct error err = {0};

	atomic_store(&layer->clean, true);
	if (store->read_only || layer_store_remove(store, layer->key, &err) == 0)
		return;
	log_warning("store %s: a layer is kept in memory only: %s", store->dir, err.message);
	layer->memory_only = true;
}

static int load_recorded(struct store *store, struct layer_state *layer,
	const struct unit_table *units, bool strict, struct error *err)
{
	struct layer_record record;
	bool recorded;
	bool ours;

	if (read_record(store, layer, &recorded, &record, err) < 0)
		return -1;
	ours = recorded && is_ours(layer, &record);
	if (ours && has_file(store, layer)) {
		atomic_store(&layer->number, record.number);
		if (read_presence(store, layer, err) < 0)
			return -1;
		return count_present(layer, units, err);
	}

	if (recorded && strict)
		return error_set(err, ERROR_FORMAT,
			ours ? "the data file is missing or has another size"
			     : "what is stored belongs to another unit table");
	if (recorded)
		log_warning("store %s: a layer is fetched again: %s", store->dir,
			ours ? "its data file is missing or has another size"
			     : "what is stored belongs to another unit table");
	start_empty(store, layer);
	return 0;
}

int layer_state_load(struct store *store, struct layer_state *layer, const struct unit_table *units,
	bool strict, struct error *err)
{
	if (set_up(layer, units, err) < 0)
		return -1;
	if (load_recorded(store, layer, units, strict, err) == 0)
		return 0;
	if (strict || !db_is_lost(store->db))
		return -1;
	/* Nobody knows what is in its data file. Units that were found before the loss are here. */
	layer->memory_only = true;
	return count_present(layer, units, err);
}

void layer_state_free(struct layer_state *layer)
{
	bitmap_free(&layer->present);
	bitmap_free(&layer->durable);
	bitmap_free(&layer->in_memory);
	free(layer);
}
