/* SPDX-License-Identifier: Apache-2.0 */
/* Records in a transaction. What is read leaves LMDB's map as a copy, so that only the copying can
 * meet a page that the disk does not give. */
#include <errno.h>
#include <string.h>

#include "base/bytes.h"
#include "store_db_env_internal.h"
#include "store_records_internal.h"

/* A size that is larger is damage: nothing that we put is. */
static const size_t max_value = RECORD_DOCUMENT_LIMIT + (64 << 10);

/* Arguments of one call. */
struct record_call {
	struct db_txn *txn;
	MDB_dbi table;
	MDB_cursor *cursor;
	MDB_cursor_op op;
	MDB_val key;
	MDB_val value;
	size_t n;
};

static MDB_val value_of(const void *data, size_t size)
{
	union {
		const void *in;
		void *out;
	} pointer = {.in = data};

	return (MDB_val){.mv_size = size, .mv_data = pointer.out};
}

static int keep(struct buffer *buffer, MDB_val *value)
{
	if (value->mv_size > max_value)
		return MDB_CORRUPTED;
	buffer->size = 0;
	if (buffer_append(buffer, value->mv_data, value->mv_size) < 0)
		return ENOMEM;
	value->mv_data = buffer->data;
	return 0;
}

static int call_get(void *arg)
{
	struct record_call *call = arg;
	int code = mdb_get(call->txn->txn, call->table, &call->key, &call->value);

	return code == 0 ? keep(&call->txn->value, &call->value) : code;
}

int db_get(
	struct db_txn *txn, enum db_table table, const void *key, size_t key_size, MDB_val *value)
{
	struct record_call call = {
		.txn = txn, .table = txn->db->tables[table], .key = value_of(key, key_size)};
	int code;

	if (call.table == DB_NO_TABLE)
		return MDB_NOTFOUND;
	code = db_guard(txn->db, call_get, &call);
	*value = call.value;
	return code;
}

static int call_put(void *arg)
{
	struct record_call *call = arg;

	return mdb_put(call->txn->txn, call->table, &call->key, &call->value, 0);
}

int db_put(struct db_txn *txn, enum db_table table, const void *key, size_t key_size,
	const void *data, size_t size)
{
	struct record_call call = {
		.txn = txn,
		.table = txn->db->tables[table],
		.key = value_of(key, key_size),
		.value = value_of(data, size),
	};

	return db_guard(txn->db, call_put, &call);
}

static int call_delete(void *arg)
{
	struct record_call *call = arg;

	return mdb_del(call->txn->txn, call->table, &call->key, NULL);
}

int db_delete(struct db_txn *txn, enum db_table table, const void *key, size_t key_size)
{
	struct record_call call = {
		.txn = txn, .table = txn->db->tables[table], .key = value_of(key, key_size)};
	int code = db_guard(txn->db, call_delete, &call);

	return code == MDB_NOTFOUND ? 0 : code;
}

static int call_cursor_open(void *arg)
{
	struct record_call *call = arg;

	return mdb_cursor_open(call->txn->txn, call->table, &call->cursor);
}

int db_cursor_open(struct db_txn *txn, enum db_table table, MDB_cursor **out)
{
	struct record_call call = {.txn = txn, .table = txn->db->tables[table]};
	int code = db_guard(txn->db, call_cursor_open, &call);

	*out = call.cursor;
	return code;
}

static int call_cursor_get(void *arg)
{
	struct record_call *call = arg;
	int code = mdb_cursor_get(call->cursor, &call->key, &call->value, call->op);

	if (code == 0)
		code = keep(&call->txn->key, &call->key);
	return code == 0 ? keep(&call->txn->value, &call->value) : code;
}

int db_cursor_get(
	struct db_txn *txn, MDB_cursor *cursor, MDB_val *key, MDB_val *value, MDB_cursor_op op)
{
	struct record_call call = {.txn = txn, .cursor = cursor, .op = op, .key = *key};
	int code = db_guard(txn->db, call_cursor_get, &call);

	*key = call.key;
	*value = call.value;
	return code;
}

static int call_cursor_delete(void *arg)
{
	struct record_call *call = arg;

	return mdb_cursor_del(call->cursor, 0);
}

int db_cursor_delete(struct db_txn *txn, MDB_cursor *cursor)
{
	struct record_call call = {.cursor = cursor};

	return db_guard(txn->db, call_cursor_delete, &call);
}

static int call_cursor_close(void *arg)
{
	struct record_call *call = arg;

	mdb_cursor_close(call->cursor);
	return 0;
}

void db_cursor_close(struct db_txn *txn, MDB_cursor *cursor)
{
	struct record_call call = {.cursor = cursor};

	(void)db_guard(txn->db, call_cursor_close, &call);
}

static int call_count(void *arg)
{
	struct record_call *call = arg;
	MDB_stat stat;
	int code = mdb_stat(call->txn->txn, call->table, &stat);

	if (code == 0)
		call->n = stat.ms_entries;
	return code;
}

int db_count(struct db_txn *txn, enum db_table table, size_t *out)
{
	struct record_call call = {.txn = txn, .table = txn->db->tables[table]};
	int code = db_guard(txn->db, call_count, &call);

	if (code == 0)
		*out = call.n;
	return code;
}

int db_delete_prefix(
	struct db_txn *txn, enum db_table table, const void *first, size_t size, size_t prefix_size)
{
	MDB_cursor *cursor;
	int code = db_cursor_open(txn, table, &cursor);

	if (code != 0)
		return code;
	while (code == 0) {
		MDB_val key = value_of(first, size);
		MDB_val value;

		code = db_cursor_get(txn, cursor, &key, &value, MDB_SET_RANGE);
		if (code != 0 || key.mv_size != size ||
			memcmp(key.mv_data, first, prefix_size) != 0)
			break;
		code = db_cursor_delete(txn, cursor);
	}
	db_cursor_close(txn, cursor);
	return code == MDB_NOTFOUND ? 0 : code;
}

int db_meta_get(struct db_txn *txn, const char *name, uint32_t *out)
{
	MDB_val value;
	int code = db_get(txn, DB_META, name, strlen(name), &value);

	if (code != 0)
		return code;
	return record_u32_decode(value.mv_data, value.mv_size, out) ? 0 : MDB_CORRUPTED;
}

int db_meta_put(struct db_txn *txn, const char *name, uint32_t value)
{
	uint8_t data[4];

	le32_store(data, value);
	return db_put(txn, DB_META, name, strlen(name), data, sizeof(data));
}
