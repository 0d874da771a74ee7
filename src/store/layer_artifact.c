/* SPDX-License-Identifier: Apache-2.0 */
/* Artifacts that indexes of layers are built from. */
#include "store/layer_artifact.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fdio.h"
#include "base/log.h"
#include "store_cache_internal.h"
#include "store_internal.h"

#define ARTIFACT_SUFFIX ".spans"

/* The record is one of what a tag was, of a tag that no image can have. */
static int record_name(
	const struct digest *blob, const char *format, char *out, size_t size, struct error *err)
{
	char text[DIGEST_TEXT_SIZE];
	int length = snprintf(out, size, "layer index: %s %s", format, digest_format(blob, text));

	if (length < 0 || (size_t)length >= size)
		return error_set(err, ERROR_INTERNAL, "format name %.40s is too long", format);
	return 0;
}

int layer_artifact_keep(struct store *store, const uint8_t key[32], const void *data, size_t size,
	struct error *err)
{
	char file[FILE_NAME_SIZE];

	if (size > LAYER_ARTIFACT_LIMIT)
		return error_set(err, ERROR_UNSUPPORTED,
			"%zu bytes are more than the limit of %d for the index of a layer", size,
			(int)LAYER_ARTIFACT_LIMIT);
	if (store->read_only)
		return error_set(
			err, ERROR_READ_ONLY, "store %s is on a read-only file system", store->dir);
	layer_file_name(key, ARTIFACT_SUFFIX, file);
	return file_replace(store->layers_fd, file, data, size, 0600, err);
}

int layer_artifact_put(struct store *store, const struct digest *blob, const char *format,
	const uint8_t key[32], const struct digest *digest, const void *data, size_t size,
	struct error *err)
{
	const struct store_ref ref = {.digest = *digest, .resolved_s = clock_wall_s()};
	char name[DIGEST_TEXT_SIZE + 64];

	if (record_name(blob, format, name, sizeof(name), err) < 0 ||
		layer_artifact_keep(store, key, data, size, err) < 0)
		return -1;
	return store_ref_put(store, name, &ref, err);
}

int layer_artifact_find(struct store *store, const struct digest *blob, const char *format,
	bool *found, struct digest *out, struct error *err)
{
	char name[DIGEST_TEXT_SIZE + 64];
	struct store_ref ref;

	if (record_name(blob, format, name, sizeof(name), err) < 0 ||
		store_ref_get(store, name, found, &ref, err) < 0)
		return -1;
	if (*found)
		*out = ref.digest;
	return 0;
}

int layer_artifact_read(struct store *store, const uint8_t key[32], const struct digest *digest,
	bool *found, struct buffer *out, struct error *err)
{
	char file[FILE_NAME_SIZE];
	struct error reason = {0};

	*found = false;
	layer_file_name(key, ARTIFACT_SUFFIX, file);
	if (file_read(store->layers_fd, file, LAYER_ARTIFACT_LIMIT, out, &reason) < 0) {
		if (reason.kind == ERROR_NOT_FOUND)
			return 0;
		return error_set(err, reason.kind, "%s", reason.message);
	}
	if (digest_check(digest, out->data, out->size, &reason) < 0) {
		log_warning("store %s: the index of a layer is damaged, it is made anew: %s",
			store->dir, reason.message);
		buffer_free(out);
		return 0;
	}
	*found = true;
	return 0;
}

int artifact_remove(struct store *store, const uint8_t key[RECORD_KEY_SIZE], struct error *err)
{
	char file[FILE_NAME_SIZE];

	layer_file_name(key, ARTIFACT_SUFFIX, file);
	if (unlinkat(store->layers_fd, file, 0) < 0 && errno != ENOENT)
		return error_set_errno(err, errno, "remove %s/layers/%s", store->dir, file);
	return 0;
}

/* Only where the index that was built from it is gone, too. */
static bool may_go(struct store *store, const char *name)
{
	size_t size = strlen(name);
	char units[FILE_NAME_SIZE];

	if (size <= strlen(ARTIFACT_SUFFIX) || size >= sizeof(units) ||
		strcmp(name + size - strlen(ARTIFACT_SUFFIX), ARTIFACT_SUFFIX) != 0)
		return false;
	(void)snprintf(
		units, sizeof(units), "%.*s.units", (int)(size - strlen(ARTIFACT_SUFFIX)), name);
	return faccessat(store->layers_fd, units, F_OK, 0) < 0;
}

int artifacts_evict(struct store *store, uint64_t wanted, uint64_t *freed, struct error *err)
{
	int fd = openat(store->layers_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *directory = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (!directory) {
		int errnum = errno;

		cleanup_fd(&fd);
		return error_set_errno(err, errnum, "list %s/layers", store->dir);
	}
	while (*freed < wanted && (entry = readdir(directory))) {
		uint64_t size;

		if (!may_go(store, entry->d_name))
			continue;
		size = file_allocated(store->layers_fd, entry->d_name);
		if (unlinkat(store->layers_fd, entry->d_name, 0) == 0)
			*freed += size;
	}
	(void)closedir(directory);
	return 0;
}
