/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "store_db_internal.h"

#define DB_SUSPECT_NAME "index.mdb.suspect"

enum { DB_RESERVE = 4 << 20, DB_LOCK_SIZE = 64 << 10 };

/* No table of ours has LMDB's own handles. */
enum { DB_NO_TABLE = 0 };

struct db {
	char *path; /* owned */
	int dir_fd; /* borrowed */
	bool read_only;
	size_t map_size;
	uint64_t reserved; /* bytes of the file that have their place on the disk; writer only */
	MDB_env *env;      /* owned; NULL after it could not be opened again */
	MDB_dbi tables[N_DB_TABLES]; /* DB_NO_TABLE: not there, and nobody may make it */
	_Atomic bool lost; /* the disk failed under the map: env is not touched any more */
	/* Held for reading during read transactions, for writing while the map moves. */
	pthread_rwlock_t resize;
	/* Held while a read transaction begins, for which LMDB takes a lock of its own: one thread
	 * that is stopped there by its disk must not stop the others. */
	pthread_mutex_t begin;
};

/* Runs one or some calls of LMDB, which answer its codes. EIO: the database is lost, or was. What
 * is called owns nothing, and leaves nothing behind when it ends in the middle. */
int db_guard(struct db *db, int (*call)(void *arg), void *arg);

/* The next owner walks through all of it before he uses it. */
void db_mark_suspect(struct db *db);

/* Opens db->env and its tables, making them where they are missing. LMDB's codes;
 * MDB_VERSION_MISMATCH also for a version of ours that this program does not know. */
int db_env_open(struct db *db);
void db_env_close(struct db *db);

/* Takes space for the next commits, so that what is on a disk that is full by now can still be
 * recorded. Failing means no more than that there is none. */
void db_reserve(struct db *db);
