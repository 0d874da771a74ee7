/* SPDX-License-Identifier: Apache-2.0 */
/* LMDB transactions and records, growing the map when it is full. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/log.h"
#include "store_db_env_internal.h"
#include "store_records_internal.h"

int db_error(struct db *db, struct error *err, int code, const char *what)
{
	enum error_kind kind = ERROR_IO;

	if (code > 0)
		return error_set_errno(err, code, "database %s: %s", db->path, what);
	if (code == MDB_CORRUPTED || code == MDB_PAGE_NOTFOUND || code == MDB_INVALID) {
		int fd = openat(db->dir_fd, DB_SUSPECT_NAME, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

		/* Without the mark the next owner meets the damage again, as we did. */
		if (fd >= 0)
			(void)close(fd);
		kind = ERROR_FORMAT;
	}
	if (code == MDB_MAP_FULL)
		kind = ERROR_NO_SPACE;
	return error_set(err, kind, "database %s: %s: %s", db->path, what, mdb_strerror(code));
}

int db_read_begin(struct db *db, struct db_txn *out, struct error *err)
{
	int code;

	(void)pthread_rwlock_rdlock(&db->resize);
	code = db->env ? mdb_txn_begin(db->env, NULL, MDB_RDONLY, &out->txn) : MDB_PANIC;
	if (code != 0) {
		(void)pthread_rwlock_unlock(&db->resize);
		return db_error(db, err, code, "begin to read");
	}
	out->db = db;
	return 0;
}

void db_read_end(struct db_txn *txn)
{
	if (!txn->db)
		return;
	mdb_txn_abort(txn->txn);
	(void)pthread_rwlock_unlock(&txn->db->resize);
	txn->db = NULL;
}

/* No transaction is open while the map moves. */
static int grow(struct db *db)
{
	MDB_envinfo info;
	size_t size;
	int code;

	(void)pthread_rwlock_wrlock(&db->resize);
	code = mdb_env_info(db->env, &info);
	if (code == 0 && __builtin_mul_overflow(info.me_mapsize, 2, &size))
		code = ENOMEM;
	if (code == 0)
		code = mdb_env_set_mapsize(db->env, size);
	(void)pthread_rwlock_unlock(&db->resize);
	return code;
}

/* After a meta page could not be written LMDB refuses everything until it is opened again. */
static int reopen(struct db *db)
{
	int code;

	(void)pthread_rwlock_wrlock(&db->resize);
	mdb_env_close(db->env);
	db->env = NULL;
	code = db_env_open(db);
	(void)pthread_rwlock_unlock(&db->resize);
	return code;
}

static int write_once(struct db *db, int (*fill)(struct db_txn *txn, void *arg), void *arg)
{
	struct db_txn txn = {.db = db};
	int code = mdb_txn_begin(db->env, NULL, 0, &txn.txn);

	if (code != 0)
		return code;
	code = fill(&txn, arg);
	if (code != 0) {
		mdb_txn_abort(txn.txn);
		return code;
	}
	return mdb_txn_commit(txn.txn);
}

int db_write(struct db *db, int (*fill)(struct db_txn *txn, void *arg), void *arg, const char *what,
	struct error *err)
{
	bool reopened = false;

	for (;;) {
		int code = db->env ? write_once(db, fill, arg) : MDB_PANIC;

		if (code == 0) {
			db_reserve(db);
			return 0;
		}
		if (code == MDB_MAP_FULL)
			code = grow(db);
		else if (code == MDB_PANIC && !reopened) {
			reopened = true;
			code = reopen(db);
		}
		if (code != 0)
			return db_error(db, err, code, what);
	}
}

static MDB_val value_of(const void *data, size_t size)
{
	union {
		const void *in;
		void *out;
	} pointer = {.in = data};

	return (MDB_val){.mv_size = size, .mv_data = pointer.out};
}

int db_get(
	struct db_txn *txn, enum db_table table, const void *key, size_t key_size, MDB_val *value)
{
	MDB_val name = value_of(key, key_size);

	return mdb_get(txn->txn, txn->db->tables[table], &name, value);
}

int db_put(struct db_txn *txn, enum db_table table, const void *key, size_t key_size,
	const void *data, size_t size)
{
	MDB_val name = value_of(key, key_size);
	MDB_val value = value_of(data, size);

	return mdb_put(txn->txn, txn->db->tables[table], &name, &value, 0);
}

int db_delete(struct db_txn *txn, enum db_table table, const void *key, size_t key_size)
{
	MDB_val name = value_of(key, key_size);
	int code = mdb_del(txn->txn, txn->db->tables[table], &name, NULL);

	return code == MDB_NOTFOUND ? 0 : code;
}

int db_cursor(struct db_txn *txn, enum db_table table, MDB_cursor **out)
{
	return mdb_cursor_open(txn->txn, txn->db->tables[table], out);
}

int db_count(struct db_txn *txn, enum db_table table, size_t *out)
{
	MDB_stat stat;
	int code = mdb_stat(txn->txn, txn->db->tables[table], &stat);

	if (code == 0)
		*out = stat.ms_entries;
	return code;
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
