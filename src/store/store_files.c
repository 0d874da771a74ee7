/* SPDX-License-Identifier: Apache-2.0 */
/* The cache of open data files. */
#include "store_files_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"

enum {
	/* Each data file takes two descriptors, and sockets, index files and /dev/fuse want theirs.
	 */
	LIMIT_SHARE = 8,
	LIMIT_MIN = 16,
	LIMIT_MAX = 256,
};

const char *const index_suffixes[N_INDEX_SUFFIXES] = {".erofs", ".units"};

void layer_file_name(
	const uint8_t key[RECORD_KEY_SIZE], const char *suffix, char out[FILE_NAME_SIZE])
{
	char text[2 * RECORD_KEY_SIZE + 1];

	hex_encode(key, RECORD_KEY_SIZE, text);
	(void)snprintf(out, FILE_NAME_SIZE, "%s%.7s", text, suffix);
}

void data_file_name(const uint8_t key[RECORD_KEY_SIZE], char out[FILE_NAME_SIZE])
{
	layer_file_name(key, ".data", out);
}

uint64_t file_allocated(int dir_fd, const char *name)
{
	struct stat status;

	if (fstatat(dir_fd, name, &status, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	return (uint64_t)status.st_blocks * 512;
}

uint64_t data_file_allocated(int layers_fd, const uint8_t key[RECORD_KEY_SIZE])
{
	char name[FILE_NAME_SIZE];

	data_file_name(key, name);
	return file_allocated(layers_fd, name);
}

uint64_t layer_files_allocated(int layers_fd, const uint8_t key[RECORD_KEY_SIZE])
{
	uint64_t size = data_file_allocated(layers_fd, key);

	for (size_t i = 0; i < N_INDEX_SUFFIXES; i++) {
		char name[FILE_NAME_SIZE];

		layer_file_name(key, index_suffixes[i], name);
		size += file_allocated(layers_fd, name);
	}
	return size;
}

static unsigned default_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return LIMIT_MIN;
	if (limit.rlim_cur / LIMIT_SHARE >= LIMIT_MAX)
		return LIMIT_MAX;
	if (limit.rlim_cur / LIMIT_SHARE <= LIMIT_MIN)
		return LIMIT_MIN;
	return (unsigned)(limit.rlim_cur / LIMIT_SHARE);
}

void data_files_init(struct data_files *files, int layers_fd, bool read_only, unsigned limit)
{
	memset(files, 0, sizeof(*files));
	files->layers_fd = layers_fd;
	files->read_only = read_only;
	files->limit = limit > 0 ? limit : default_limit();
	atomic_init(&files->direct, true);
	atomic_init(&files->directory_changed, false);
	(void)pthread_mutex_init(&files->create, NULL);
	(void)pthread_mutex_init(&files->lock, NULL);
}

static void file_destroy(struct data_file *file)
{
	cleanup_fd(&file->fd);
	cleanup_fd(&file->direct_fd);
	free(file);
}

static struct data_file **bucket_of(struct data_files *files, const uint8_t *key)
{
	return &files->buckets[key[0] % FILES_N_BUCKETS];
}

static void unlink_age(struct data_files *files, struct data_file *file)
{
	*(file->newer ? &file->newer->older : &files->newest) = file->older;
	*(file->older ? &file->older->newer : &files->oldest) = file->newer;
	file->newer = file->older = NULL;
}

static void link_newest(struct data_files *files, struct data_file *file)
{
	file->older = files->newest;
	file->newer = NULL;
	*(files->newest ? &files->newest->newer : &files->oldest) = file;
	files->newest = file;
}

/* Takes it out of the cache; true when the caller must destroy it, without the lock. */
static bool detach(struct data_files *files, struct data_file *file)
{
	struct data_file **link = bucket_of(files, file->key);

	while (*link != file)
		link = &(*link)->next;
	*link = file->next;
	unlink_age(files, file);
	file->cached = false;
	files->n_cached--;
	return --file->refs == 0;
}

static struct data_file *find(struct data_files *files, const uint8_t *key)
{
	struct data_file *file = *bucket_of(files, key);

	while (file && memcmp(file->key, key, RECORD_KEY_SIZE) != 0)
		file = file->next;
	return file;
}

static struct data_file *get_cached(struct data_files *files, const uint8_t *key)
{
	struct data_file *file;

	(void)pthread_mutex_lock(&files->lock);
	file = find(files, key);
	if (file) {
		file->refs++;
		unlink_age(files, file);
		link_newest(files, file);
	}
	(void)pthread_mutex_unlock(&files->lock);
	return file;
}

/* The oldest cached file that nobody uses, detached, while there are too many; NULL otherwise. */
static struct data_file *take_surplus(struct data_files *files)
{
	struct data_file *file;

	if (files->n_cached <= files->limit)
		return NULL;
	for (file = files->oldest; file && file->refs > 1; file = file->newer)
		continue;
	if (file && !detach(files, file))
		return NULL;
	return file;
}

/* Gives the file to the cache, unless somebody else was faster: then his is returned. */
static struct data_file *add_to_cache(struct data_files *files, struct data_file *file)
{
	struct data_file *surplus = NULL;
	struct data_file *other;

	(void)pthread_mutex_lock(&files->lock);
	other = find(files, file->key);
	if (other) {
		other->refs++;
		surplus = file;
		file = other;
	} else {
		struct data_file **bucket = bucket_of(files, file->key);

		file->refs = 2;
		file->cached = true;
		file->next = *bucket;
		*bucket = file;
		link_newest(files, file);
		files->n_cached++;
		surplus = take_surplus(files);
	}
	(void)pthread_mutex_unlock(&files->lock);
	if (surplus)
		file_destroy(surplus);
	return file;
}

/* A file that lost its name between open and here must not be what the next one who opens the layer
 * gets. data_file_remove() removes the name before it looks into the cache, and here the cache
 * comes before the name: one of the two sees the other. */
static int drop_if_removed(struct data_files *files, struct data_file *file)
{
	struct stat status;

	if (fstat(file->fd, &status) == 0 && status.st_nlink > 0)
		return 0;
	(void)pthread_mutex_lock(&files->lock);
	if (file->cached)
		(void)detach(files, file);
	(void)pthread_mutex_unlock(&files->lock);
	data_file_close(files, file);
	return -ENOENT;
}

/* Takes fd, also when it fails. */
static int file_new(struct data_files *files, const uint8_t *key, const char *name, int fd,
	struct data_file **out)
{
	struct data_file *file = calloc(1, sizeof(*file));

	if (!file) {
		(void)close(fd);
		return -ENOMEM;
	}
	memcpy(file->key, key, RECORD_KEY_SIZE);
	file->fd = fd;
	file->direct_fd = -1;
	if (atomic_load(&files->direct)) {
		file->direct_fd = openat(
			files->layers_fd, name, O_RDONLY | O_DIRECT | O_CLOEXEC | O_NOFOLLOW);
		if (file->direct_fd < 0 && errno == EINVAL)
			atomic_store(&files->direct, false);
	}
	*out = add_to_cache(files, file);
	return drop_if_removed(files, *out);
}

int data_file_open(
	struct data_files *files, const uint8_t key[RECORD_KEY_SIZE], struct data_file **out)
{
	char name[FILE_NAME_SIZE];
	int fd;

	*out = get_cached(files, key);
	if (*out)
		return 0;
	data_file_name(key, name);
	fd = openat(files->layers_fd, name,
		(files->read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return -errno;
	return file_new(files, key, name, fd, out);
}

/* A file of the wrong size is of no use to whoever finds it. */
static int make_new(struct data_files *files, const char *name, uint64_t size)
{
	int fd = openat(
		files->layers_fd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)size) < 0) {
		int errnum = errno;

		(void)unlinkat(files->layers_fd, name, 0);
		(void)close(fd);
		return -errnum;
	}
	atomic_store(&files->directory_changed, true);
	return fd;
}

/* The other puts of the same layer see no file, or all of it. */
static int make(struct data_files *files, const char *name, uint64_t size)
{
	int fd;

	(void)pthread_mutex_lock(&files->create);
	fd = openat(files->layers_fd, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		fd = errno == ENOENT ? make_new(files, name, size) : -errno;
	(void)pthread_mutex_unlock(&files->create);
	return fd;
}

int data_file_create(struct data_files *files, const uint8_t key[RECORD_KEY_SIZE], uint64_t size,
	struct data_file **out)
{
	char name[FILE_NAME_SIZE];
	int fd;

	if (files->read_only)
		return data_file_open(files, key, out);
	*out = get_cached(files, key);
	if (*out)
		return 0;
	data_file_name(key, name);
	fd = make(files, name, size);
	return fd < 0 ? fd : file_new(files, key, name, fd, out);
}

struct data_file *data_file_ref(struct data_files *files, struct data_file *file)
{
	(void)pthread_mutex_lock(&files->lock);
	file->refs++;
	(void)pthread_mutex_unlock(&files->lock);
	return file;
}

void data_file_close(struct data_files *files, struct data_file *file)
{
	bool last;

	if (!file)
		return;
	(void)pthread_mutex_lock(&files->lock);
	last = --file->refs == 0;
	(void)pthread_mutex_unlock(&files->lock);
	if (last)
		file_destroy(file);
}

/* The name goes first: see drop_if_removed(). */
int data_file_remove(struct data_files *files, const uint8_t key[RECORD_KEY_SIZE])
{
	char name[FILE_NAME_SIZE];
	struct data_file *file;
	bool last = false;

	data_file_name(key, name);
	if (unlinkat(files->layers_fd, name, 0) < 0 && errno != ENOENT)
		return -errno;

	(void)pthread_mutex_lock(&files->lock);
	file = find(files, key);
	if (file)
		last = detach(files, file);
	(void)pthread_mutex_unlock(&files->lock);
	if (last)
		file_destroy(file);
	return 0;
}

void data_files_destroy(struct data_files *files)
{
	while (files->oldest) {
		struct data_file *file = files->oldest;

		if (detach(files, file))
			file_destroy(file);
	}
	(void)pthread_mutex_destroy(&files->create);
	(void)pthread_mutex_destroy(&files->lock);
}
