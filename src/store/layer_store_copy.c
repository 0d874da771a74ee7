/* SPDX-License-Identifier: Apache-2.0 */
/* Units that another layer of this store already has: read again, hashed again, put. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#include "base/bytes.h"
#include "base/fdio.h"
#include "base/log.h"
#include "layer_store_internal.h"
#include "store_presence_internal.h"
#include "store_writer_internal.h"

/* Larger units are hashed where they are. */
static const uint64_t max_in_memory = 64 << 20;

/* Where the database says the bytes are. */
struct place {
	uint8_t key[RECORD_KEY_SIZE];
	struct chunk_record record;
};

/* *live false: there is a record, but the layer or the unit it names is gone. LMDB's codes. */
static int read_place(struct db_txn *txn, const uint8_t digest[RECORD_CHUNK_KEY_SIZE],
	struct place *out, bool *live)
{
	MDB_val value;
	int code = db_get(txn, DB_CHUNKS, digest, RECORD_CHUNK_KEY_SIZE, &value);

	*live = false;
	if (code != 0 || !record_chunk_decode(value.mv_data, value.mv_size, &out->record))
		return code;
	code = presence_owner(txn, out->record.number, out->key);
	if (code != 0)
		return code == MDB_NOTFOUND ? 0 : code;
	return presence_has(txn, out->record.number, out->record.unit, live);
}

static int find_place(struct store *store, const struct unit *unit, bool *found, struct place *out,
	struct error *err)
{
	CLEANUP(db_read_end) struct db_txn txn = {0};
	int code;

	if (db_read_begin(store->db, &txn, err) < 0)
		return -1;
	code = read_place(&txn, unit->digest, out, found);
	if (code != 0 && code != MDB_NOTFOUND)
		return db_error(store->db, err, code, "look a chunk up");
	if (code == 0 && !*found)
		writer_stale(store, unit->digest);
	return 0;
}

/* 0 with *out NULL: the bytes are not what the digest says, or cannot be read; @reason tells. */
static int read_chunk(const struct unit *unit, const struct place *place, int fd,
	struct verified_chunk **out, struct error *reason)
{
	CLEANUP(decoded_unrefp) struct decoded *decoded = NULL;
	uint64_t off = place->record.data_off;
	int ret;

	if (!range_within(off, unit->size, INT64_MAX))
		return error_set(reason, ERROR_FORMAT, "a place outside any file");
	if (unit->size > max_in_memory)
		return chunk_verify_file(unit, fd, off, out, reason);
	if (decoded_new((size_t)unit->size, &decoded, reason) < 0)
		return -1;
	ret = fd_pread_exact(fd, decoded_data(decoded), (size_t)unit->size, off);
	if (ret < 0)
		return error_set_errno(
			reason, -ret, "read %" PRIu64 " bytes at %" PRIu64, unit->size, off);
	/* File data is cached once, above us. */
	(void)posix_fadvise(fd, (off_t)off, (off_t)unit->size, POSIX_FADV_DONTNEED);
	return chunk_verify(unit, decoded, 0, out, reason);
}

/* In the open layer, or in one that is claimed for the moment so that nobody opens it. */
static int forget_place(
	struct store *store, const struct place *place, uint64_t size, struct error *err)
{
	const struct chunk_record *record = &place->record;
	struct layer_state *state = state_table_find(store, place->key);
	int ret = 0;

	if (state) {
		ret = layer_store_forget_unit(
			store, state, record->number, record->unit, size, err);
		state_table_release(store, state);
		return ret;
	}
	if (state_table_claim(store, place->key, &state, err) < 0)
		return -1;
	if (!state)
		return 0;
	ret = layer_store_forget_unit(store, NULL, record->number, record->unit, size, err);
	state_table_release(store, state);
	return ret;
}

/* Out of memory is ours; everything else is the fault of that place. */
static int give_up_place(struct layer_store *layer, const struct place *place, uint64_t size,
	const struct error *reason, struct error *err)
{
	struct store *store = layer->store;
	char name[FILE_NAME_SIZE];

	if (reason->kind == ERROR_NO_MEMORY || reason->kind == ERROR_UNAVAILABLE) {
		if (err)
			*err = *reason;
		return -1;
	}
	data_file_name(place->key, name);
	log_warning("%s/layers/%s: unit %" PRIu32 " is damaged and was forgotten: %s", store->dir,
		name, place->record.unit, reason->message);
	if (store->read_only || db_is_lost(store->db))
		return 0;
	return forget_place(store, place, size, err);
}

static int copy_from(struct layer_store *layer, uint64_t i, const struct unit *unit,
	const struct place *place, bool *found, struct error *err)
{
	CLEANUP(chunk_unrefp) struct verified_chunk *chunk = NULL;
	struct data_files *files = &layer->store->files;
	struct clone_source source = {.off = place->record.data_off};
	struct data_file *file;
	struct error reason = {0};
	int ret = data_file_open(files, place->key, &file);

	if (ret == -ENOENT)
		return 0;
	if (ret < 0)
		return error_set_errno(err, -ret, "open the data file of another layer");
	if (read_chunk(unit, place, file->fd, &chunk, &reason) < 0)
		ret = give_up_place(layer, place, unit->size, &reason, err);
	else {
		source.fd = file->fd;
		ret = layer_store_put(layer, i, chunk, &source, err);
		*found = ret == 0;
	}
	data_file_close(files, file);
	return ret;
}

int store_copy(struct layer_store *layer, uint64_t i, bool *found, struct error *err)
{
	struct place place;
	struct unit unit;
	bool recorded;

	*found = layer_store_has(layer, i);
	if (*found || !layer_store_may_copy(layer))
		return 0;
	if (unit_table_get(layer->units, i, &unit, err) < 0)
		return -1;
	if (unit.flags & (UNIT_ZEROS | UNIT_UNVERIFIED | UNIT_IN_SPAN))
		return 0;
	if (find_place(layer->store, &unit, &recorded, &place, err) < 0)
		return -1;
	return recorded ? copy_from(layer, i, &unit, &place, found, err) : 0;
}
