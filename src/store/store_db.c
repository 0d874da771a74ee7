/* SPDX-License-Identifier: Apache-2.0 */
/* LMDB transactions, growing the map when it is full. */
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "store_db_env_internal.h"

int db_error(struct db *db, struct error *err, int code, const char *what)
{
	enum error_kind kind = ERROR_IO;

	if (code == EIO && db_is_lost(db))
		return error_set(err, ERROR_IO,
			"database %s: %s: its disk does not give what was written there; when that "
			"is repaired, mount again",
			db->path, what);
	if (code > 0)
		return error_set_errno(err, code, "database %s: %s", db->path, what);
	if (code == MDB_CORRUPTED || code == MDB_PAGE_NOTFOUND || code == MDB_INVALID) {
		db_mark_suspect(db);
		kind = ERROR_FORMAT;
	}
	if (code == MDB_MAP_FULL)
		kind = ERROR_NO_SPACE;
	return error_set(err, kind, "database %s: %s: %s", db->path, what, mdb_strerror(code));
}

static int call_begin_read(void *arg)
{
	struct db_txn *txn = arg;

	return mdb_txn_begin(txn->db->env, NULL, MDB_RDONLY, &txn->txn);
}

static int call_begin_write(void *arg)
{
	struct db_txn *txn = arg;

	return mdb_txn_begin(txn->db->env, NULL, 0, &txn->txn);
}

static int call_commit(void *arg)
{
	struct db_txn *txn = arg;

	return mdb_txn_commit(txn->txn);
}

static int call_abort(void *arg)
{
	struct db_txn *txn = arg;

	mdb_txn_abort(txn->txn);
	return 0;
}

static void txn_clear(struct db_txn *txn)
{
	buffer_free(&txn->key);
	buffer_free(&txn->value);
	txn->db = NULL;
}

int db_read_begin(struct db *db, struct db_txn *out, struct error *err)
{
	struct db_txn txn = {.db = db};
	int code = MDB_PANIC;

	(void)pthread_rwlock_rdlock(&db->resize);
	(void)pthread_mutex_lock(&db->begin);
	if (db->env)
		code = db_guard(db, call_begin_read, &txn);
	(void)pthread_mutex_unlock(&db->begin);
	if (code != 0) {
		(void)pthread_rwlock_unlock(&db->resize);
		return db_error(db, err, code, "begin to read");
	}
	*out = txn;
	return 0;
}

void db_read_end(struct db_txn *txn)
{
	struct db *db = txn->db;

	if (!db)
		return;
	(void)db_guard(db, call_abort, txn);
	txn_clear(txn);
	(void)pthread_rwlock_unlock(&db->resize);
}

static int call_grow(void *arg)
{
	struct db *db = arg;
	MDB_envinfo info;
	size_t size;
	int code = mdb_env_info(db->env, &info);

	if (code == 0 && __builtin_mul_overflow(info.me_mapsize, 2, &size))
		code = ENOMEM;
	return code == 0 ? mdb_env_set_mapsize(db->env, size) : code;
}

/* No transaction is open while the map moves. */
static int grow(struct db *db)
{
	int code;

	(void)pthread_rwlock_wrlock(&db->resize);
	code = db_guard(db, call_grow, db);
	(void)pthread_rwlock_unlock(&db->resize);
	return code;
}

/* After a meta page could not be written LMDB refuses everything until it is opened again. */
static int reopen(struct db *db)
{
	int code;

	(void)pthread_rwlock_wrlock(&db->resize);
	db_env_close(db);
	code = db_env_open(db);
	(void)pthread_rwlock_unlock(&db->resize);
	return code;
}

static int write_once(struct db *db, int (*fill)(struct db_txn *txn, void *arg), void *arg)
{
	struct db_txn txn = {.db = db};
	int code = db_guard(db, call_begin_write, &txn);

	if (code != 0)
		return code;
	code = fill(&txn, arg);
	if (code == 0)
		code = db_guard(db, call_commit, &txn);
	else
		(void)db_guard(db, call_abort, &txn);
	txn_clear(&txn);
	return code;
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
