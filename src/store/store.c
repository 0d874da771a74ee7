/* SPDX-License-Identifier: Apache-2.0 */
/* Opens and closes a store: directory, lock, database, writer. */
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/log.h"
#include "layer_store_internal.h"
#include "store_cache_internal.h"
#include "store_trees_internal.h"
#include "store_writer_internal.h"

static const uint64_t default_chunk_memory = 64 << 20;

static struct store *new_store(const struct store_options *options)
{
	struct store *store = calloc(1, sizeof(*store));

	if (!store)
		return NULL;
	store->dir_fd = store->layers_fd = store->images_fd = store->lock.fd = -1;
	range_pool_init(&store->ranges);
	windows_init(&store->windows);
	chunk_memory_init(&store->memory,
		options->chunk_memory > 0 ? options->chunk_memory : default_chunk_memory);
	(void)pthread_mutex_init(&store->layers.lock, NULL);
	(void)pthread_cond_init(&store->layers.changed, NULL);
	(void)pthread_mutex_init(&store->trees.lock, NULL);
	(void)pthread_mutex_init(&store->indexes.lock, NULL);
	(void)pthread_cond_init(&store->indexes.changed, NULL);
	store->space.quota_bytes = options->quota_bytes;
	store->space.quota_percent = options->quota_percent;
	return store;
}

static int open_directory(struct store *store, const char *dir, struct error *err)
{
	if (directory_make(dir, 0700, err) < 0)
		return error_prefix(err, "store %s", dir);
	/* LMDB goes by path: a process that changes its directory must not lose it. */
	store->dir = realpath(dir, NULL);
	if (!store->dir)
		return error_set_errno(err, errno, "store %s", dir);
	store->dir_fd = open(store->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (store->dir_fd < 0)
		return error_set_errno(err, errno, "open store %s", store->dir);
	return 0;
}

static int open_child(struct store *store, const char *name, int *fd, struct error *err)
{
	if (mkdirat(store->dir_fd, name, 0700) < 0 && errno != EEXIST && errno != EROFS)
		return error_set_errno(err, errno, "make %s/%s", store->dir, name);
	*fd = openat(store->dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (*fd < 0)
		return error_set_errno(err, errno, "open %s/%s", store->dir, name);
	return 0;
}

static int open_database(struct store *store, struct error *err)
{
	const struct db_options options = {
		.dir = store->dir,
		.dir_fd = store->dir_fd,
		.read_only = store->read_only,
		.check = store->lock.unclean,
	};
	bool rebuilt;

	if (db_open(&options, &store->db, &rebuilt, err) < 0)
		return -1;
	if (rebuilt && trees_after_loss(store, err) < 0)
		return -1;
	return 0;
}

static int count_stored(struct store *store, struct error *err)
{
	CLEANUP(db_read_end) struct db_txn txn = {0};
	size_t n;
	int code;

	if (db_read_begin(store->db, &txn, err) < 0)
		return -1;
	code = db_count(&txn, DB_LAYERS, &n);
	if (code != 0)
		return db_error(store->db, err, code, "count layers");
	atomic_store(&store->n_stored, n);
	return 0;
}

static int start(struct store *store, struct error *err)
{
	if (store->read_only) {
		atomic_store(&store->space.caching, CACHING_READ_ONLY);
		return 0;
	}
	if (remove_orphans(store, err) < 0)
		return -1;
	if (writer_start(store, err) < 0)
		return -1;
	/* The quota may have been lowered. */
	writer_check_space(store);
	return 0;
}

static int open_parts(struct store *store, const struct store_options *options, struct error *err)
{
	if (open_directory(store, options->dir, err) < 0)
		return -1;
	if (lock_file_take(store->dir_fd, store->dir, options->owner, &store->lock, err) < 0)
		return -1;
	store->read_only = store->lock.read_only;
	if (open_child(store, "layers", &store->layers_fd, err) < 0 ||
		open_child(store, "images", &store->images_fd, err) < 0)
		return -1;
	data_files_init(&store->files, store->layers_fd, store->read_only, 0);
	if (open_database(store, err) < 0)
		return -1;
	if (count_stored(store, err) < 0)
		return -1;
	return start(store, err);
}

int store_open(const struct store_options *options, struct store **out, struct error *err)
{
	CLEANUP(store_closep) struct store *store = new_store(options);

	if (!store)
		return error_set(err, ERROR_NO_MEMORY, "no memory for a store");
	if (open_parts(store, options, err) < 0)
		return -1;
	*out = TAKE_PTR(store);
	return 0;
}

void store_trim(struct store *store)
{
	range_pool_trim(&store->ranges);
}

void store_close(struct store *store)
{
	bool clean;

	if (!store)
		return;
	clean = writer_stop(store);
	db_close(store->db);
	data_files_destroy(&store->files);
	chunk_memory_destroy(&store->memory);
	windows_destroy(&store->windows);
	range_pool_destroy(&store->ranges);
	lock_file_release(&store->lock, clean);
	cleanup_fd(&store->images_fd);
	cleanup_fd(&store->layers_fd);
	cleanup_fd(&store->dir_fd);
	(void)pthread_mutex_destroy(&store->layers.lock);
	(void)pthread_cond_destroy(&store->layers.changed);
	(void)pthread_mutex_destroy(&store->trees.lock);
	(void)pthread_mutex_destroy(&store->indexes.lock);
	(void)pthread_cond_destroy(&store->indexes.changed);
	free(store->trees.trees);
	free(store->dir);
	free(store);
}

void store_closep(struct store **store)
{
	store_close(*store);
}

int store_set_owner(struct store *store, const char *owner, struct error *err)
{
	return lock_file_describe(&store->lock, store->dir, owner, err);
}

int store_layers_fd(const struct store *store)
{
	return store->layers_fd;
}

int store_images_fd(const struct store *store)
{
	return store->images_fd;
}

const char *store_dir(const struct store *store)
{
	return store->dir;
}
