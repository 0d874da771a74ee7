/* SPDX-License-Identifier: Apache-2.0 */
/* Ids of trees. A kernel may still hold names and pages under an id whose tree is long gone, so one
 * is never given twice, not even after the database was lost: the file tree-ids holds a bound that
 * no id given so far has reached. Trees that cannot be recorded, because the disk is full or
 * read-only, get an id derived from their content, out of a range that the database does not use:
 * the same tree gets the same id from the next process. */
#include "store_trees_internal.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/bytes.h"
#include "base/fdio.h"
#include "base/log.h"
#include "store_writer_internal.h"

#define BOUND_NAME "tree-ids"

enum {
	BOUND_STEP = 256, /* ids promised by one write of the file */
	BOUND_FILE_LIMIT = 32,
	/* Where ids start when the database and the file are both lost. */
	RANDOM_BASES = RECORD_TREE_LIMIT / 2,
};

struct tree_job {
	struct writer_job job;
	const uint8_t *content;
	uint32_t id;
	uint32_t bound; /* from the file */
};

/* *found false when there is no such file or nothing sensible in it. */
static int read_bound(struct store *store, bool *found, uint32_t *out, struct error *err)
{
	CLEANUP(buffer_free) struct buffer text = {0};
	struct error reason = {0};
	unsigned long value;
	char *end;

	*found = false;
	if (file_read(store->dir_fd, BOUND_NAME, BOUND_FILE_LIMIT, &text, &reason) < 0) {
		if (reason.kind == ERROR_NOT_FOUND || reason.kind == ERROR_FORMAT)
			return 0;
		if (err)
			*err = reason;
		return error_prefix(err, "store %s", store->dir);
	}
	if (text.size == 0)
		return 0;
	value = strtoul((const char *)text.data, &end, 10);
	if (*end != '\n' || value < 1 || value > RECORD_TREE_LIMIT)
		return 0;
	*found = true;
	*out = (uint32_t)value;
	return 0;
}

static int write_bound(struct store *store, uint32_t bound, struct error *err)
{
	char text[BOUND_FILE_LIMIT];
	int size = snprintf(text, sizeof(text), "%" PRIu32 "\n", bound);

	if (file_replace(store->dir_fd, BOUND_NAME, text, (size_t)size, 0600, err) < 0)
		return error_prefix(err, "store %s", store->dir);
	return 0;
}

static int put_next(struct db_txn *txn, void *arg)
{
	return db_meta_put(txn, "next_tree", *(const uint32_t *)arg);
}

int trees_after_loss(struct store *store, struct error *err)
{
	uint32_t next;
	bool found;

	if (read_bound(store, &found, &next, err) < 0)
		return -1;
	if (!found) {
		if (getrandom(&next, sizeof(next), 0) != sizeof(next))
			return error_set_errno(err, errno, "random start of tree ids");
		next = 1 + next % RANDOM_BASES;
	}
	return db_write(store->db, put_next, &next, "where tree ids go on", err);
}

/* LMDB's codes; ERANGE: all ids were given. */
static int next_id(struct db_txn *txn, uint32_t *out)
{
	int code = db_meta_get(txn, "next_tree", out);

	if (code == MDB_NOTFOUND) {
		*out = 1;
		return 0;
	}
	if (code == 0 && (*out < 1 || *out > RECORD_TREE_LIMIT))
		return MDB_CORRUPTED;
	return code == 0 && *out == RECORD_TREE_LIMIT ? ERANGE : code;
}

static int find_id(struct db_txn *txn, const uint8_t content[32], uint32_t *out)
{
	MDB_val value;
	int code = db_get(txn, DB_TREES, content, RECORD_KEY_SIZE, &value);

	if (code != 0)
		return code;
	/* An id that cannot be is as good as none: a new one is bound in its place. */
	if (!record_u32_decode(value.mv_data, value.mv_size, out) || *out < 1 ||
		*out >= RECORD_TREE_LIMIT)
		return MDB_NOTFOUND;
	return 0;
}

static int bind_id(struct db_txn *txn, void *arg)
{
	struct tree_job *tree = arg;
	uint8_t value[4];
	int code = find_id(txn, tree->content, &tree->id);

	if (code != MDB_NOTFOUND)
		return code;
	code = next_id(txn, &tree->id);
	if (code != 0)
		return code;
	assert(tree->id < tree->bound);
	le32_store(value, tree->id);
	code = db_put(txn, DB_TREES, tree->content, RECORD_KEY_SIZE, value, sizeof(value));
	return code == 0 ? db_meta_put(txn, "next_tree", tree->id + 1) : code;
}

static int peek_next(struct store *store, uint32_t *out, struct error *err)
{
	CLEANUP(db_read_end) struct db_txn txn = {0};
	int code;

	if (db_read_begin(store->db, &txn, err) < 0)
		return -1;
	code = next_id(&txn, out);
	if (code == ERANGE)
		return error_set(err, ERROR_NO_SPACE, "store %s: all %d tree ids were given",
			store->dir, RECORD_TREE_LIMIT - 1);
	return code == 0 ? 0 : db_error(store->db, err, code, "next tree id");
}

/* The bound is raised before the id is given. */
static int run_bind(struct store *store, struct writer_job *job, struct error *err)
{
	struct tree_job *tree = (struct tree_job *)job;
	uint32_t next;
	bool found;

	if (read_bound(store, &found, &tree->bound, err) < 0)
		return -1;
	if (peek_next(store, &next, err) < 0)
		return -1;
	if (!found || next >= tree->bound) {
		tree->bound = next + BOUND_STEP;
		if (tree->bound > RECORD_TREE_LIMIT)
			tree->bound = RECORD_TREE_LIMIT;
		if (write_bound(store, tree->bound, err) < 0)
			return -1;
	}
	return db_write(store->db, bind_id, tree, "bind a tree id", err);
}

static int look_up(struct store *store, const uint8_t content[32], bool *found, uint32_t *id,
	struct error *err)
{
	CLEANUP(db_read_end) struct db_txn txn = {0};
	int code;

	if (db_read_begin(store->db, &txn, err) < 0)
		return -1;
	code = find_id(&txn, content, id);
	*found = code == 0;
	if (code != 0 && code != MDB_NOTFOUND)
		return db_error(store->db, err, code, "look a tree up");
	return 0;
}

/* Under the lock. */
static bool id_is_taken(const struct temporary_trees *trees, uint32_t id)
{
	for (size_t i = 0; i < trees->n; i++)
		if (trees->trees[i].id == id)
			return true;
	return false;
}

/* Under the lock. */
static bool find_temporary(
	const struct temporary_trees *trees, const uint8_t content[32], uint32_t *id)
{
	for (size_t i = 0; i < trees->n; i++) {
		if (memcmp(trees->trees[i].content, content, 32) == 0) {
			*id = trees->trees[i].id;
			return true;
		}
	}
	return false;
}

/* Under the lock. */
static bool add_temporary(struct temporary_trees *trees, const uint8_t content[32], uint32_t *id)
{
	if (trees->n == TREES_N_TEMPORARY)
		return false;
	if (!trees->trees)
		trees->trees = calloc(TREES_N_TEMPORARY, sizeof(*trees->trees));
	if (!trees->trees)
		return false;
	*id = RECORD_TREE_LIMIT | (le32_load(content) % RECORD_TREE_LIMIT);
	while (id_is_taken(trees, *id))
		*id = RECORD_TREE_LIMIT | ((*id + 1) % RECORD_TREE_LIMIT);
	memcpy(trees->trees[trees->n].content, content, 32);
	trees->trees[trees->n++].id = *id;
	return true;
}

static bool temporary_id(struct store *store, const uint8_t content[32], bool make, uint32_t *id)
{
	struct temporary_trees *trees = &store->trees;
	bool found;

	(void)pthread_mutex_lock(&trees->lock);
	found = find_temporary(trees, content, id);
	if (!found && make)
		found = add_temporary(trees, content, id);
	(void)pthread_mutex_unlock(&trees->lock);
	return found;
}

int store_tree_id(struct store *store, const uint8_t content[32], uint32_t *id, struct error *err)
{
	struct tree_job tree = {.job.run = run_bind, .content = content};
	struct error reason = {0};
	bool found;

	if (temporary_id(store, content, false, id))
		return 0;
	if (look_up(store, content, &found, id, &reason) == 0) {
		if (found)
			return 0;
		if (writer_call(store, &tree.job, &reason) == 0) {
			*id = tree.id;
			return 0;
		}
	}

	if (reason.kind != ERROR_READ_ONLY && reason.kind != ERROR_NO_SPACE &&
		reason.kind != ERROR_IO) {
		if (err)
			*err = reason;
		return -1;
	}
	if (!temporary_id(store, content, true, id))
		return error_set(err, ERROR_NO_MEMORY, "no memory for the id of a tree");
	if (!store->read_only)
		log_warning("store %s: a tree's id is not recorded and lasts as long as this "
			    "process: %s",
			store->dir, reason.message);
	return 0;
}
