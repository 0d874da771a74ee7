/* SPDX-License-Identifier: Apache-2.0 */
/* Reads and hashes everything that the store claims to have. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "layer_store_internal.h"
#include "store/store_cache.h"
#include "store_cache_internal.h"
#include "store_unit_digests_internal.h"
#include "store_writer_internal.h"

struct verification {
	struct store *store;
	const struct cache_verify_options *options;
	struct cache_verify_result result;
	uint64_t total_bytes;
	bool stopped; /* by the progress function */
};

static void report(
	struct verification *verification, const uint8_t *key, uint64_t unit, const char *what)
{
	const struct cache_verify_options *options = verification->options;

	if (options->finding)
		options->finding(options->arg, key, unit, what);
}

static void advance(struct verification *verification, uint64_t size)
{
	const struct cache_verify_options *options = verification->options;

	verification->result.checked_bytes += size;
	if (verification->result.checked_bytes > verification->total_bytes)
		verification->total_bytes = verification->result.checked_bytes;
	if (options->progress && options->progress(options->arg, verification->result.checked_bytes,
					 verification->total_bytes) != 0)
		verification->stopped = true;
}

/* Zeros are kept as holes, and one may be larger than anybody waits for to be read. */
static bool is_hole(int fd, const struct unit *unit)
{
	off_t data = lseek(fd, (off_t)unit->data_off, SEEK_DATA);

	return data < 0 ? errno == ENXIO : (uint64_t)data >= unit->data_off + unit->size;
}

/* 0 with *right false: @reason says what is wrong with the bytes. */
static int check_unit(struct layer_store *layer, const struct unit *unit, bool *right,
	struct error *reason, struct error *err)
{
	CLEANUP(chunk_unrefp) struct verified_chunk *chunk = NULL;
	struct data_files *files = &layer->store->files;
	struct data_file *file;
	int ret = data_file_open(files, layer->state->key, &file);

	*right = false;
	if (ret == -ENOMEM || ret == -EMFILE || ret == -ENFILE)
		return error_set_errno(err, -ret, "open a data file");
	if (ret < 0) {
		(void)error_set_errno(reason, -ret, "open its data file");
		return 0;
	}
	*right = ((unit->flags & UNIT_ZEROS) && is_hole(file->fd, unit)) ||
		 chunk_verify_file(unit, file->fd, unit->data_off, &chunk, reason) == 0;
	(void)posix_fadvise(
		file->fd, (off_t)unit->data_off, (off_t)unit->size, POSIX_FADV_DONTNEED);
	data_file_close(files, file);
	if (!*right && (reason->kind == ERROR_NO_MEMORY || reason->kind == ERROR_UNAVAILABLE)) {
		if (err)
			*err = *reason;
		return -1;
	}
	return 0;
}

/* The digest that was computed when the span of a unit vouched for it. *ready false: it is still on
 * its way into the database. *found false: it is lost, and nothing can be said for the unit. */
static int load_digest(struct layer_store *layer, uint64_t i, struct unit *unit, bool *ready,
	bool *found, struct error *err)
{
	CLEANUP(db_read_end) struct db_txn txn = {0};
	struct layer_state *state = layer->state;
	struct db *db = layer->store->db;
	int code;

	*found = false;
	*ready = bitmap_get(&state->durable, i);
	if (!*ready)
		return 0;
	if (db_read_begin(db, &txn, err) < 0)
		return -1;
	code = unit_digest_get(&txn, atomic_load(&state->number), (uint32_t)i, unit->digest);
	if (code != 0 && code != MDB_NOTFOUND)
		return db_error(db, err, code, "look the digest of a unit up");
	*found = code == 0;
	unit->flags &= ~(unsigned)UNIT_IN_SPAN;
	return 0;
}

static int found_wrong(struct verification *verification, struct layer_store *layer, uint64_t i,
	const char *why, struct error *err)
{
	struct cache_verify_result *result = &verification->result;

	result->n_wrong++;
	report(verification, layer->state->key, i, why);
	if (!verification->options->repair)
		return 0;
	if (store_forget(layer, i, err) < 0)
		return -1;
	result->n_repaired++;
	return 0;
}

static int verify_unit(struct verification *verification, struct layer_store *layer,
	struct unit *unit, uint64_t i, struct error *err)
{
	struct error reason = {0};
	bool ready = true, found = true;
	bool right;

	if ((unit->flags & UNIT_IN_SPAN) && load_digest(layer, i, unit, &ready, &found, err) < 0)
		return -1;
	if (!ready)
		return 0;
	if (!found)
		return found_wrong(
			verification, layer, i, "the record of its digest is missing", err);
	if (check_unit(layer, unit, &right, &reason, err) < 0)
		return -1;
	verification->result.n_checked++;
	advance(verification, unit->size);
	return right ? 0 : found_wrong(verification, layer, i, reason.message, err);
}

static int verify_units(
	struct verification *verification, struct layer_store *layer, struct error *err)
{
	for (uint64_t i = 0; i < layer->state->n_units && !verification->stopped; i++) {
		struct unit unit;

		if (!bitmap_get(&layer->state->present, i))
			continue;
		if (unit_table_get(layer->units, i, &unit, err) < 0)
			return -1;
		/* Without a digest there is nothing to compare with. */
		if (unit.flags & UNIT_UNVERIFIED)
			continue;
		if (verify_unit(verification, layer, &unit, i, err) < 0)
			return -1;
	}
	return 0;
}

static int erase(struct store *store, const uint8_t *key, struct error *err)
{
	uint64_t freed = 0;

	if (layer_store_erase(store, key, err) < 0)
		return -1;
	/* Whoever looks for it right now finds what is wrong himself. */
	if (!indexes_begin_removal(store))
		return 0;
	if (indexes_remove(store, key, &freed, err) < 0) {
		indexes_end_removal(store);
		return -1;
	}
	indexes_end_removal(store);
	return 0;
}

/* A layer whose unit table does not open or is another one: nobody could read a byte of it. */
static int verify_broken(struct verification *verification, const uint8_t *key,
	const struct error *reason, struct error *err)
{
	struct store *store = verification->store;
	struct layer_state *claim;
	int ret;

	verification->result.n_broken_indexes++;
	report(verification, key, UINT64_MAX, reason->message);
	if (!verification->options->repair || store->read_only)
		return 0;
	if (state_table_claim(store, key, &claim, err) < 0)
		return -1;
	if (!claim)
		return 0;
	ret = erase(store, key, err);
	state_table_release(store, claim);
	return ret;
}

static int verify_layer(
	struct verification *verification, const struct known_layer *known, struct error *err)
{
	CLEANUP(unit_table_closep) struct unit_table *units = NULL;
	CLEANUP(layer_store_detachp) struct layer_store *layer = NULL;
	struct store *store = verification->store;
	struct error reason = {0};
	char name[FILE_NAME_SIZE];

	layer_file_name(known->key, ".units", name);
	if (unit_table_open(store->layers_fd, name, &units, &reason) < 0) {
		/* Evicted since it was listed. */
		if (reason.kind == ERROR_NOT_FOUND &&
			layer_files_allocated(store->layers_fd, known->key) == 0)
			return 0;
	}
	verification->result.n_layers++;
	if (!units || layer_store_attach(store, known->key, units, true, &layer, &reason) < 0) {
		if (reason.kind == ERROR_NO_MEMORY || reason.kind == ERROR_UNAVAILABLE) {
			if (err)
				*err = reason;
			return -1;
		}
		return verify_broken(verification, known->key, &reason, err);
	}
	return verify_units(verification, layer, err);
}

int cache_verify(struct store *store, const struct cache_verify_options *options,
	struct cache_verify_result *out, struct error *err)
{
	struct verification verification = {.store = store, .options = options};
	CLEANUP(cleanup_free) struct known_layer *layers = NULL;
	size_t n;

	/* What is open is ahead of the database, but for layers it does not know yet. */
	if (writer_sync(store, err) < 0)
		return -1;
	if (known_layers(store, &layers, &n, err) < 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		verification.total_bytes += layers[i].record.present;
	for (size_t i = 0; i < n && !verification.stopped; i++)
		if (verify_layer(&verification, &layers[i], err) < 0)
			return -1;
	*out = verification.result;
	return 0;
}
