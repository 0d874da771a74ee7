/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <pthread.h>

#include "store_db_internal.h"

#define DB_NAME "index.mdb"
#define DB_SUSPECT_NAME "index.mdb.suspect"

struct db {
	char *path; /* owned */
	int dir_fd; /* borrowed */
	bool read_only;
	size_t map_size;
	MDB_env *env; /* owned; NULL after it could not be opened again */
	MDB_dbi tables[N_DB_TABLES];
	/* Held for reading during read transactions, for writing while the map moves. */
	pthread_rwlock_t resize;
};

/* Opens db->env and its tables, making them where they are missing. LMDB's codes;
 * MDB_VERSION_MISMATCH also for a version of ours that this program does not know. */
int db_env_open(struct db *db);
