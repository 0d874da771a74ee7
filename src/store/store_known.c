/* SPDX-License-Identifier: Apache-2.0 */
/* The layers that there is anything of: a record in the database, or an index. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "store_cache_internal.h"

struct known_list {
	struct known_layer *layers; /* owned */
	size_t n;
	size_t capacity;
};

static void known_list_clear(struct known_list *list)
{
	free(list->layers);
}

static int by_use(const void *a, const void *b)
{
	int64_t left = ((const struct known_layer *)a)->used_s;
	int64_t right = ((const struct known_layer *)b)->used_s;

	return left < right ? -1 : left > right;
}

/* What is stored of a layer comes before its index. */
static int by_key(const void *a, const void *b)
{
	const struct known_layer *left = a, *right = b;
	int order = memcmp(left->key, right->key, sizeof(left->key));

	return order != 0 ? order : (int)right->stored - (int)left->stored;
}

static int append(struct known_list *list, const struct known_layer *layer)
{
	size_t capacity = list->capacity > 0 ? 2 * list->capacity : 64;
	struct known_layer *more;

	if (list->n == list->capacity) {
		more = reallocarray(list->layers, capacity, sizeof(*more));
		if (!more)
			return ENOMEM;
		list->layers = more;
		list->capacity = capacity;
	}
	list->layers[list->n++] = *layer;
	return 0;
}

/* 0 when no use is recorded. LMDB's codes, as below. */
static int read_access(struct db_txn *txn, const uint8_t *key, int64_t *out)
{
	MDB_val value;
	int code = db_get(txn, DB_ACCESS, key, RECORD_KEY_SIZE, &value);

	*out = 0;
	if (code == 0 && !record_time_decode(value.mv_data, value.mv_size, out))
		*out = 0;
	return code == MDB_NOTFOUND ? 0 : code;
}

static int add_record(
	struct db_txn *txn, const MDB_val *key, const MDB_val *value, struct known_list *list)
{
	struct known_layer layer = {.stored = true};
	int code;

	if (!record_key_decode(key->mv_data, key->mv_size, layer.key) ||
		!record_layer_decode(value->mv_data, value->mv_size, &layer.record))
		return 0;
	code = read_access(txn, layer.key, &layer.used_s);
	return code == 0 ? append(list, &layer) : code;
}

static int collect_records(struct db_txn *txn, struct known_list *list)
{
	MDB_cursor *cursor;
	size_t n_entries;
	int code = db_count(txn, DB_LAYERS, &n_entries);

	if (code == 0)
		code = db_cursor_open(txn, DB_LAYERS, &cursor);
	if (code != 0)
		return code;
	/* A tree of records that leads in circles ends at the number of them. */
	for (size_t i = 0; code == 0 && i < n_entries; i++) {
		MDB_val key = {0}, value;

		code = db_cursor_get(txn, cursor, &key, &value, MDB_NEXT);
		if (code == 0)
			code = add_record(txn, &key, &value, list);
	}
	db_cursor_close(txn, cursor);
	return code == MDB_NOTFOUND ? 0 : code;
}

static bool index_key_of(const char *name, uint8_t key[RECORD_KEY_SIZE])
{
	size_t hex_size = (size_t)2 * RECORD_KEY_SIZE;

	if (strlen(name) != hex_size + INDEX_SUFFIX_LENGTH ||
		(strcmp(name + hex_size, index_suffixes[0]) != 0 &&
			strcmp(name + hex_size, index_suffixes[1]) != 0))
		return false;
	return hex_decode(name, hex_size, key, RECORD_KEY_SIZE) == 0;
}

/* An index that was never used was made at least. */
static int add_index(int dir_fd, const char *name, struct db_txn *txn, struct known_list *list)
{
	struct known_layer layer = {0};
	struct stat status;
	int code;

	if (!index_key_of(name, layer.key))
		return 0;
	code = read_access(txn, layer.key, &layer.used_s);
	if (code != 0)
		return code;
	if (layer.used_s == 0 && fstatat(dir_fd, name, &status, AT_SYMLINK_NOFOLLOW) == 0)
		layer.used_s = status.st_mtime;
	return append(list, &layer);
}

static int collect_indexes(struct store *store, struct db_txn *txn, struct known_list *list)
{
	int fd = openat(store->dir_fd, "layers", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dirent *entry;
	DIR *directory;
	int code = 0;

	if (fd < 0)
		return errno;
	directory = fdopendir(fd);
	if (!directory) {
		(void)close(fd);
		return ENOMEM;
	}
	while (code == 0 && (entry = readdir(directory)))
		code = add_index(dirfd(directory), entry->d_name, txn, list);
	(void)closedir(directory);
	return code;
}

static void drop_doubles(struct known_list *list)
{
	size_t n = 0;

	qsort(list->layers, list->n, sizeof(*list->layers), by_key);
	for (size_t i = 0; i < list->n; i++)
		if (n == 0 ||
			memcmp(list->layers[n - 1].key, list->layers[i].key, RECORD_KEY_SIZE) != 0)
			list->layers[n++] = list->layers[i];
	list->n = n;
}

int known_layers(struct store *store, struct known_layer **out, size_t *n, struct error *err)
{
	CLEANUP(known_list_clear) struct known_list list = {0};
	CLEANUP(db_read_end) struct db_txn txn = {0};
	int code;

	if (db_read_begin(store->db, &txn, err) < 0)
		return -1;
	code = collect_records(&txn, &list);
	if (code == 0)
		code = collect_indexes(store, &txn, &list);
	if (code != 0)
		return db_error(store->db, err, code, "list layers");
	if (list.n > 0) {
		drop_doubles(&list);
		qsort(list.layers, list.n, sizeof(*list.layers), by_use);
	}
	*n = list.n;
	*out = TAKE_PTR(list.layers);
	return 0;
}
