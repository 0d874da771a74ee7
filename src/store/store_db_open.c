/* SPDX-License-Identifier: Apache-2.0 */
/* Opens the database; one that is damaged is moved aside and replaced. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mapping_guard.h"
#include "store_db_env_internal.h"
#include "store_records_internal.h"

enum {
	DEFAULT_MAP_SIZE = 64 << 20,
	/* Every read transaction takes a slot, and a thread has at most one. */
	MAX_READERS = 512,
};

const char *const db_table_names[N_DB_TABLES] = {
	[DB_META] = "meta",
	[DB_TREES] = "trees",
	[DB_LAYERS] = "layers",
	[DB_NUMBERS] = "numbers",
	[DB_PRESENCE] = "presence",
	[DB_CHUNKS] = "chunks",
	[DB_DOCUMENTS] = "documents",
	[DB_REFS] = "refs",
	[DB_IMAGES] = "images",
	[DB_ACCESS] = "access",
	[DB_UNIT_DIGESTS] = "unit_digests",
};

static int open_tables(struct db *db, MDB_txn *txn)
{
	for (int i = 0; i < N_DB_TABLES; i++) {
		int code = mdb_dbi_open(
			txn, db_table_names[i], db->read_only ? 0 : MDB_CREATE, &db->tables[i]);

		if (code == MDB_NOTFOUND && i == DB_UNIT_DIGESTS)
			db->tables[i] = DB_NO_TABLE;
		else if (code != 0)
			return code == MDB_NOTFOUND ? MDB_INVALID : code;
	}
	return 0;
}

/* A database without a version is a new one, or it is damaged. */
static int check_version(struct db *db, struct db_txn *txn)
{
	uint32_t version;
	int code = db_meta_get(txn, "version", &version);

	if (code == MDB_CORRUPTED)
		return MDB_INVALID;
	if (code == 0)
		return version == RECORD_VERSION ? 0
		       : version == 0            ? MDB_INVALID
						 : MDB_VERSION_MISMATCH;
	if (code != MDB_NOTFOUND)
		return code;

	for (int i = 0; i < N_DB_TABLES; i++) {
		size_t n;

		code = db_count(txn, (enum db_table)i, &n);
		if (code != 0)
			return code;
		if (n > 0)
			return MDB_INVALID;
	}
	return db->read_only ? MDB_INVALID : db_meta_put(txn, "version", RECORD_VERSION);
}

static int prepare_in(struct db *db, struct db_txn *txn)
{
	int code = open_tables(db, txn->txn);

	return code == 0 ? check_version(db, txn) : code;
}

static int prepare_tables(struct db *db)
{
	struct db_txn txn = {.db = db};
	int code = mdb_txn_begin(db->env, NULL, db->read_only ? MDB_RDONLY : 0, &txn.txn);

	if (code != 0)
		return code;
	code = prepare_in(db, &txn);
	buffer_free(&txn.value);
	if (code == 0)
		return mdb_txn_commit(txn.txn);
	if (!db_is_lost(db))
		mdb_txn_abort(txn.txn);
	return code;
}

/* LMDB writes to a map of its lock file: where that is a hole and the disk is full, a page of it
 * would not be given. */
static int reserve_lock_file(const struct db *db)
{
	int fd = openat(
		db->dir_fd, DB_NAME "-lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	int code = 0;

	if (fd < 0)
		return errno;
	if (fallocate(fd, 0, 0, DB_LOCK_SIZE) < 0 && errno != EOPNOTSUPP && errno != ENOSYS)
		code = errno;
	(void)close(fd);
	return code;
}

static int call_open(void *arg)
{
	struct db *db = arg;
	unsigned flags = MDB_NOSUBDIR | MDB_NOTLS | MDB_NORDAHEAD;
	int code = mdb_env_set_maxdbs(db->env, N_DB_TABLES);

	if (code == 0)
		code = mdb_env_set_maxreaders(db->env, MAX_READERS);
	if (code == 0)
		code = mdb_env_set_mapsize(db->env, db->map_size);
	if (code == 0)
		code = mdb_env_open(
			db->env, db->path, flags | (db->read_only ? MDB_RDONLY : 0), 0600);
	return code == 0 ? prepare_tables(db) : code;
}

int db_env_open(struct db *db)
{
	int code = db->read_only ? 0 : reserve_lock_file(db);

	if (code == 0)
		code = mdb_env_create(&db->env);
	if (code != 0) {
		db->env = NULL;
		return code;
	}
	code = db_guard(db, call_open, db);
	if (code != 0)
		db_env_close(db);
	return code;
}

static int call_close(void *arg)
{
	mdb_env_close(arg);
	return 0;
}

/* Environments that must not be closed stay reachable, so that a real leak is told apart. */
static void abandon(MDB_env *env)
{
	static _Atomic(MDB_env *) abandoned;

	(void)mdb_env_set_userctx(env, atomic_exchange(&abandoned, env));
}

void db_env_close(struct db *db)
{
	if (db->env && db_guard(db, call_close, db->env) != 0)
		abandon(db->env);
	db->env = NULL;
}

static bool is_damage(int code)
{
	return code == MDB_INVALID || code == MDB_CORRUPTED || code == MDB_PAGE_NOTFOUND ||
	       code == MDB_PANIC;
}

/* Never deleted, nor put over an earlier one: somebody may want to look at it, or report it. */
static int rename_damaged(struct db *db, char *name, size_t name_size)
{
	int64_t now = clock_wall_s();

	for (int64_t second = now; second < now + 100; second++) {
		(void)snprintf(name, name_size, DB_NAME ".damaged-%" PRId64, second);
		if (faccessat(db->dir_fd, name, F_OK, 0) < 0)
			return renameat(db->dir_fd, DB_NAME, db->dir_fd, name) < 0 ? -errno : 0;
	}
	return -EEXIST;
}

static int set_aside(struct db *db, struct error *err)
{
	char name[64];
	int ret = rename_damaged(db, name, sizeof(name));

	if (ret < 0)
		return error_set_errno(err, -ret, "move damaged %s to %s", db->path, name);
	if (unlinkat(db->dir_fd, DB_NAME "-lock", 0) < 0 && errno != ENOENT)
		return error_set_errno(err, errno, "remove %s-lock", db->path);
	if (unlinkat(db->dir_fd, DB_SUSPECT_NAME, 0) < 0 && errno != ENOENT)
		return error_set_errno(err, errno, "remove %s.suspect", db->path);
	log_warning("database %s is damaged: it was moved to %s and a new one is made; layers are "
		    "fetched again when they are read",
		db->path, name);
	return 0;
}

static int open_or_replace(struct db *db, bool sound, bool *rebuilt, struct error *err)
{
	int code = sound ? db_env_open(db) : MDB_CORRUPTED;

	if (code == MDB_VERSION_MISMATCH)
		return error_set(err, ERROR_UNSUPPORTED,
			"database %s was written by a newer version of this program; use that, or "
			"another --store",
			db->path);
	if (!is_damage(code) || db->read_only)
		return code == 0 ? 0 : db_error(db, err, code, "open");

	if (set_aside(db, err) < 0)
		return -1;
	code = db_env_open(db);
	if (code != 0)
		return db_error(db, err, code, "make a new one");
	*rebuilt = true;
	return 0;
}

struct cut_call {
	const char *path;
	uint64_t file_size;
	bool cut;
};

static void call_looks_cut(void *arg)
{
	struct cut_call *call = arg;
	MDB_env *env = NULL;
	MDB_envinfo info;
	MDB_stat stat;

	if (mdb_env_create(&env) != 0)
		return;
	if (mdb_env_open(env, call->path, MDB_NOSUBDIR | MDB_RDONLY | MDB_NOLOCK, 0600) == 0 &&
		mdb_env_info(env, &info) == 0 && mdb_env_stat(env, &stat) == 0)
		call->cut = (uint64_t)info.me_last_pgno + 1 > call->file_size / stat.ms_psize;
	mdb_env_close(env);
}

/* Pages that LMDB counts as used but that are not in the file: reading them would be SIGBUS. */
static bool looks_cut(const char *path, uint64_t file_size)
{
	struct cut_call call = {.path = path, .file_size = file_size};

	return !mapping_guard_run(call_looks_cut, &call) || call.cut;
}

static int is_sound(struct db *db, bool check, bool *sound, struct error *err)
{
	uint64_t file_size;
	struct stat status;

	*sound = true;
	if (fstatat(db->dir_fd, DB_NAME, &status, 0) < 0) {
		if (errno == ENOENT)
			return 0;
		return error_set_errno(err, errno, "stat %s", db->path);
	}
	file_size = (uint64_t)status.st_size;
	if (file_size == 0)
		return 0;
	/* Room to grow, so that the first batches do not each move the map. */
	if (db->map_size < file_size + file_size / 2)
		db->map_size = align_up(file_size + file_size / 2, 1 << 20);

	if (faccessat(db->dir_fd, DB_SUSPECT_NAME, F_OK, 0) == 0)
		check = true;
	if (!check && !looks_cut(db->path, file_size))
		return 0;
	return db_check(db->path, sound, err);
}

struct reserve_call {
	struct db *db;
	uint64_t used;
	int fd;
};

static int call_measure(void *arg)
{
	struct reserve_call *call = arg;
	MDB_envinfo info;
	MDB_stat stat;
	int code = mdb_env_info(call->db->env, &info);

	if (code == 0)
		code = mdb_env_stat(call->db->env, &stat);
	if (code == 0)
		code = mdb_env_get_fd(call->db->env, &call->fd);
	if (code == 0)
		call->used = ((uint64_t)info.me_last_pgno + 1) * stat.ms_psize;
	return code;
}

void db_reserve(struct db *db)
{
	struct reserve_call call = {.db = db};

	if (db_guard(db, call_measure, &call) != 0 || call.used + DB_RESERVE / 2 <= db->reserved)
		return;
	if (fallocate(call.fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)(call.used + DB_RESERVE)) == 0)
		db->reserved = call.used + DB_RESERVE;
}

static int rwlock_init(pthread_rwlock_t *lock)
{
	pthread_rwlockattr_t attributes;
	int ret = pthread_rwlockattr_init(&attributes);

	if (ret != 0)
		return -ret;
	/* Readers come and go all the time: growing the map must not wait for a moment without. */
	(void)pthread_rwlockattr_setkind_np(
		&attributes, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	ret = pthread_rwlock_init(lock, &attributes);
	(void)pthread_rwlockattr_destroy(&attributes);
	return -ret;
}

static int open_checked(
	const struct db_options *options, struct db *db, bool *rebuilt, struct error *err)
{
	bool sound;

	if (is_sound(db, options->check, &sound, err) < 0)
		return -1;
	if (open_or_replace(db, sound, rebuilt, err) < 0)
		return -1;
	if (db->read_only)
		return 0;
	(void)unlinkat(db->dir_fd, DB_SUSPECT_NAME, 0);
	db_reserve(db);
	return 0;
}

int db_open(const struct db_options *options, struct db **out, bool *rebuilt, struct error *err)
{
	struct db *db = calloc(1, sizeof(*db));
	int ret;

	*rebuilt = false;
	if (!db || asprintf(&db->path, "%s/" DB_NAME, options->dir) < 0) {
		free(db);
		return error_set(err, ERROR_NO_MEMORY, "no memory for the database");
	}
	db->dir_fd = options->dir_fd;
	db->read_only = options->read_only;
	db->map_size = options->map_size > 0 ? options->map_size : DEFAULT_MAP_SIZE;
	ret = rwlock_init(&db->resize);
	if (ret < 0) {
		free(db->path);
		free(db);
		return error_set_errno(err, -ret, "make a lock");
	}
	(void)pthread_mutex_init(&db->begin, NULL);

	if (open_checked(options, db, rebuilt, err) < 0) {
		db_close(db);
		return -1;
	}
	*out = db;
	return 0;
}

void db_close(struct db *db)
{
	if (!db)
		return;
	db_env_close(db);
	(void)pthread_mutex_destroy(&db->begin);
	(void)pthread_rwlock_destroy(&db->resize);
	free(db->path);
	free(db);
}
