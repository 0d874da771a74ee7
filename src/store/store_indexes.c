/* SPDX-License-Identifier: Apache-2.0 */
/* Index files when room is made: who needs to find them, and removing them. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "layer_store_internal.h"
#include "store_cache_internal.h"
#include "store_images_internal.h"

void store_hold_indexes(struct store *store)
{
	struct index_holds *holds = &store->indexes;

	(void)pthread_mutex_lock(&holds->lock);
	while (holds->removing)
		(void)pthread_cond_wait(&holds->changed, &holds->lock);
	holds->n++;
	(void)pthread_mutex_unlock(&holds->lock);
}

void store_release_indexes(struct store *store)
{
	struct index_holds *holds = &store->indexes;

	(void)pthread_mutex_lock(&holds->lock);
	holds->n--;
	(void)pthread_mutex_unlock(&holds->lock);
}

bool indexes_begin_removal(struct store *store)
{
	struct index_holds *holds = &store->indexes;
	bool begun;

	(void)pthread_mutex_lock(&holds->lock);
	begun = holds->n == 0 && !holds->removing;
	holds->removing |= begun;
	(void)pthread_mutex_unlock(&holds->lock);
	return begun;
}

void indexes_end_removal(struct store *store)
{
	struct index_holds *holds = &store->indexes;

	(void)pthread_mutex_lock(&holds->lock);
	holds->removing = false;
	(void)pthread_cond_broadcast(&holds->changed);
	(void)pthread_mutex_unlock(&holds->lock);
}

/* Whoever has it open keeps it. */
static int remove_file(struct store *store, int dir_fd, const char *folder, const char *name,
	uint64_t *freed, struct error *err)
{
	uint64_t size = file_allocated(dir_fd, name);

	if (unlinkat(dir_fd, name, 0) < 0)
		return errno == ENOENT ? 0
				       : error_set_errno(err, errno, "remove %s/%s/%s", store->dir,
						 folder, name);
	*freed += size;
	return 0;
}

/* Whether there is anything of one of the layers. */
static bool has_layer(struct store *store, const struct store_image *image)
{
	for (size_t i = 0; i < image->n_layers; i++)
		if (layer_files_allocated(store->layers_fd, image->layers[i]) > 0)
			return true;
	return false;
}

static bool names_layer(const struct store_image *image, const uint8_t *key)
{
	for (size_t i = 0; i < image->n_layers; i++)
		if (memcmp(image->layers[i], key, RECORD_KEY_SIZE) == 0)
			return true;
	return false;
}

static int image_file_name(
	const struct store_image *image, char name[FILE_NAME_SIZE], struct error *err)
{
	uint8_t key[RECORD_KEY_SIZE];

	if (image_index_key_of(image->layers, image->n_layers, key, err) < 0)
		return -1;
	layer_file_name(key, ".erofs", name);
	return 0;
}

struct removal {
	struct store *store;
	const uint8_t *key;
	uint64_t freed;
	struct error *err;
	int result;
};

/* An image that is mounted has all of its layers open, and this one is not. */
static int remove_image(void *arg, const struct store_image *image)
{
	struct removal *removal = arg;
	struct store *store = removal->store;
	char name[FILE_NAME_SIZE];

	if (!names_layer(image, removal->key))
		return 0;
	removal->result = image_file_name(image, name, removal->err);
	if (removal->result == 0)
		removal->result = remove_file(
			store, store->images_fd, "images", name, &removal->freed, removal->err);
	if (removal->result == 0 && !has_layer(store, image))
		removal->result = images_forget(store, image, removal->err);
	return removal->result;
}

int indexes_remove(
	struct store *store, const uint8_t key[RECORD_KEY_SIZE], uint64_t *freed, struct error *err)
{
	struct removal removal = {.store = store, .key = key, .err = err};

	for (size_t i = 0; i < N_INDEX_SUFFIXES; i++) {
		char name[FILE_NAME_SIZE];

		layer_file_name(key, index_suffixes[i], name);
		if (remove_file(store, store->layers_fd, "layers", name, &removal.freed, err) < 0)
			return -1;
	}
	if (store_image_each(store, remove_image, &removal, err) < 0)
		return -1;
	*freed += removal.freed;
	return removal.result;
}

/* Names of index files that records stand for. */
struct name_list {
	char (*names)[FILE_NAME_SIZE]; /* owned */
	size_t n;
	struct error *err;
	int result;
};

static void name_list_clear(struct name_list *list)
{
	free(list->names);
}

static int add_name(void *arg, const struct store_image *image)
{
	struct name_list *list = arg;
	void *more = reallocarray(list->names, list->n + 1, sizeof(*list->names));

	if (!more) {
		list->result = error_set(list->err, ERROR_NO_MEMORY, "no memory to list images");
		return -1;
	}
	list->names = more;
	list->result = image_file_name(image, list->names[list->n++], list->err);
	return list->result;
}

static bool has_name(const struct name_list *list, const char *name)
{
	for (size_t i = 0; i < list->n; i++)
		if (strcmp(list->names[i], name) == 0)
			return true;
	return false;
}

static int remove_others(
	struct store *store, const struct name_list *list, uint64_t *freed, struct error *err)
{
	int fd = openat(store->images_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *directory = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	int result = 0;

	if (!directory) {
		int errnum = errno;

		cleanup_fd(&fd);
		return error_set_errno(err, errnum, "list %s/images", store->dir);
	}
	while (result == 0 && (entry = readdir(directory))) {
		const char *suffix = strrchr(entry->d_name, '.');

		if (suffix && strcmp(suffix, ".erofs") == 0 && entry->d_name[0] != '.' &&
			!has_name(list, entry->d_name))
			result = remove_file(
				store, store->images_fd, "images", entry->d_name, freed, err);
	}
	(void)closedir(directory);
	return result;
}

int indexes_remove_unnamed(struct store *store, uint64_t *freed, struct error *err)
{
	CLEANUP(name_list_clear) struct name_list list = {.err = err};

	if (state_table_in_use(store))
		return 0;
	if (store_image_each(store, add_name, &list, err) < 0 || list.result < 0)
		return -1;
	return remove_others(store, &list, freed, err);
}
