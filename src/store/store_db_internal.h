/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <lmdb.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"

#define DB_NAME "index.mdb"

/* The LMDB environment: its tables, transactions that grow the map when it is full, and what to do
 * with a database that is damaged. Reading is for any thread; writing is for one (the store's
 * writer, or whoever opens the store before that runs).
 *
 * A page that its disk does not give is not SIGBUS: the database is lost for this process, and
 * everything answers EIO from then on. */
struct db;

enum db_table {
	DB_META,         /* name -> u32 */
	DB_TREES,        /* SHA-256 of an index -> id */
	DB_LAYERS,       /* key -> layer_record */
	DB_NUMBERS,      /* number -> key */
	DB_PRESENCE,     /* number, page -> bits */
	DB_CHUNKS,       /* start of a digest -> chunk_record */
	DB_DOCUMENTS,    /* digest -> document_record */
	DB_REFS,         /* SHA-256 of a reference -> ref_record */
	DB_IMAGES,       /* SHA-256 of a reference -> image_record */
	DB_ACCESS,       /* key -> wall clock in seconds */
	DB_UNIT_DIGESTS, /* number, unit -> SHA-256; not in databases of earlier programs */
	N_DB_TABLES,
};

struct db_options {
	const char *dir; /* absolute */
	int dir_fd;
	bool read_only;
	bool check;      /* the last owner did not close it: walk through all of it first */
	size_t map_size; /* at least; 0: the default */
};

/* @rebuilt: a damaged database was set aside, this one is empty. */
MUST_CHECK int db_open(
	const struct db_options *options, struct db **out, bool *rebuilt, struct error *err);
void db_close(struct db *db);

/* Whether its disk failed under it. Any thread. */
bool db_is_lost(const struct db *db);

/* A transaction. Everything below answers LMDB's codes: 0, MDB_NOTFOUND and the like, or an errno.
 * Keys and values that it gives are borrowed until it gives the next ones, or ends. */
struct db_txn {
	struct db *db;
	MDB_txn *txn;
	struct buffer key; /* private */
	struct buffer value;
};

MUST_CHECK int db_read_begin(struct db *db, struct db_txn *out, struct error *err);
void db_read_end(struct db_txn *txn); /* for CLEANUP too; a zeroed one is allowed */

/* Runs fill() in a write transaction and commits; again from the start, with a larger map, when the
 * map is full: fill() changes nothing but the transaction and what it overwrites each time. */
MUST_CHECK int db_write(struct db *db, int (*fill)(struct db_txn *txn, void *arg), void *arg,
	const char *what, struct error *err);

int db_get(
	struct db_txn *txn, enum db_table table, const void *key, size_t key_size, MDB_val *value);
int db_put(struct db_txn *txn, enum db_table table, const void *key, size_t key_size,
	const void *data, size_t size);
/* 0 also when there was nothing. */
int db_delete(struct db_txn *txn, enum db_table table, const void *key, size_t key_size);

/* Every record whose key is of the size of @first, not before it, and the same in its first
 * @prefix_size bytes. */
int db_delete_prefix(struct db_txn *txn, enum db_table table, const void *first, size_t size,
	size_t prefix_size);

/* As LMDB's cursors; a cursor ends before its transaction does. */
int db_cursor_open(struct db_txn *txn, enum db_table table, MDB_cursor **out);
int db_cursor_get(
	struct db_txn *txn, MDB_cursor *cursor, MDB_val *key, MDB_val *value, MDB_cursor_op op);
int db_cursor_delete(struct db_txn *txn, MDB_cursor *cursor);
void db_cursor_close(struct db_txn *txn, MDB_cursor *cursor);

int db_count(struct db_txn *txn, enum db_table table, size_t *out);

/* A number of DB_META. 0, MDB_NOTFOUND, MDB_CORRUPTED when it is no number. */
int db_meta_get(struct db_txn *txn, const char *name, uint32_t *out);
int db_meta_put(struct db_txn *txn, const char *name, uint32_t value);

/* What failed, from one of the codes above; a damaged database is remembered, so that the next
 * owner sets it aside. Returns -1. */
int db_error(struct db *db, struct error *err, int code, const char *what);

/* Walks through every record in a child process, which a damaged page may kill.
 * *sound false: it is damaged. */
MUST_CHECK int db_check(const char *path, bool *sound, struct error *err);

extern const char *const db_table_names[N_DB_TABLES];
