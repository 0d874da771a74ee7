/* SPDX-License-Identifier: Apache-2.0 */
/* A data file that has no name until its layer has an index. */
#include "store/layer_staging.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/fdio.h"
#include "layer_store_internal.h"
#include "store_writer_internal.h"

/* Units that the writer is told of at once. */
enum { CLAIM_STEP = 16384, COPY_STEP = 1 << 20 };

struct layer_staging {
	struct store *store;
	int fd;          /* owned; -1: nothing is kept */
	uint64_t staged; /* bytes of it that store->space counts */
	char why[256];   /* nothing is kept */
};

/* No directory shows the file: it is counted here. */
static void count(struct layer_staging *staging, uint64_t size)
{
	staging->staged += size;
	atomic_fetch_add(&staging->store->space.staged, size);
}

static void uncount(struct layer_staging *staging)
{
	atomic_fetch_sub(&staging->store->space.staged, staging->staged);
	staging->staged = 0;
}

static void give_up(struct layer_staging *staging)
{
	if (store_caching(staging->store, staging->why, sizeof(staging->why)))
		(void)snprintf(staging->why, sizeof(staging->why), "%s takes no more now",
			staging->store->dir);
	cleanup_fd(&staging->fd);
	staging->fd = -1;
	uncount(staging);
}

int layer_staging_new(struct store *store, struct layer_staging **out, struct error *err)
{
	CLEANUP(layer_staging_freep) struct layer_staging *staging = calloc(1, sizeof(*staging));
	int errnum;

	if (!staging)
		return error_set(err, ERROR_NO_MEMORY, "no memory to stage a layer");
	staging->store = store;
	staging->fd = -1;
	if (!space_admits(store, 0)) {
		give_up(staging);
	} else {
		staging->fd = openat(store->layers_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
		errnum = errno;
		if (staging->fd < 0 && !space_learn(store, errnum, 0))
			return error_set_errno(
				err, errnum, "make a file without a name in %s/layers", store->dir);
		if (staging->fd < 0)
			give_up(staging);
	}
	*out = TAKE_PTR(staging);
	return 0;
}

void layer_staging_free(struct layer_staging *staging)
{
	if (!staging)
		return;
	cleanup_fd(&staging->fd);
	uncount(staging);
	free(staging);
}

void layer_staging_freep(struct layer_staging **staging)
{
	layer_staging_free(*staging);
	*staging = NULL;
}

static bool is_zeros(const uint8_t *data, size_t size)
{
	return size == 0 || (data[0] == 0 && memcmp(data, data + 1, size - 1) == 0);
}

int layer_staging_write(struct layer_staging *staging, uint64_t off, const void *data, size_t size,
	struct error *err)
{
	struct store *store = staging->store;
	int ret;

	/* What is not written is a hole. */
	if (staging->fd < 0 || is_zeros(data, size))
		return 0;
	if (!space_admits(store, size)) {
		give_up(staging);
		return 0;
	}
	ret = fd_pwrite_all(staging->fd, data, size, off);
	if (ret == 0)
		count(staging, size);
	if (space_learn(store, -ret, size)) {
		give_up(staging);
		return 0;
	}
	if (ret < 0)
		return error_set_errno(err, -ret, "write %zu bytes at %" PRIu64 " of a layer to %s",
			size, off, store->dir);
	return 0;
}

bool layer_staging_is_kept(const struct layer_staging *staging, char *why, size_t why_size)
{
	if (staging->fd >= 0)
		return true;
	(void)snprintf(why, why_size, "%s", staging->why);
	return false;
}

/* Bytes of entries that later ones replaced: of no unit, and so zeros to every reader. */
static int punch(int fd, uint64_t start, uint64_t end)
{
	if (start >= end || fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)start,
				    (off_t)(end - start)) == 0)
		return 0;
	return -errno;
}

static int punch_gaps(int fd, const struct unit_table *units, struct error *err)
{
	const struct unit_table_header *header = unit_table_header(units);
	uint64_t end = 0;
	int ret = 0;

	for (uint64_t i = 0; ret == 0 && i < header->n_units; i++) {
		struct unit unit;

		if (unit_table_get(units, i, &unit, err) < 0)
			return -1;
		ret = punch(fd, align_up(end, RANGE_ALIGN), unit.data_off);
		end = unit.data_off + unit.size;
	}
	if (ret == 0)
		ret = punch(fd, align_up(end, RANGE_ALIGN), header->data_size);
	return ret == 0 ? 0 : error_set_errno(err, -ret, "remove what was replaced in a layer");
}

static int shape(struct layer_staging *staging, const struct unit_table *units, struct error *err)
{
	if (ftruncate(staging->fd, (off_t)unit_table_header(units)->data_size) < 0)
		return error_set_errno(err, errno, "set the size of a layer");
	return punch_gaps(staging->fd, units, err);
}

/* 0 or -errno; -EEXIST: somebody has put units of this layer meanwhile. */
static int give_name(struct layer_staging *staging, const uint8_t *key)
{
	char path[32], name[FILE_NAME_SIZE];

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", staging->fd);
	data_file_name(key, name);
	if (linkat(AT_FDCWD, path, staging->store->layers_fd, name, AT_SYMLINK_FOLLOW) < 0)
		return -errno;
	atomic_store(&staging->store->files.directory_changed, true);
	return 0;
}

static int set_present(struct layer_store *layer, uint64_t i, struct pending_unit *out,
	bool *changed, struct error *err)
{
	struct unit unit;

	if (unit_table_get(layer->units, i, &unit, err) < 0)
		return -1;
	*out = (struct pending_unit){
		.data_off = unit.data_off,
		.size = unit.size,
		.unit = (uint32_t)i,
		.findable = !(unit.flags & (UNIT_ZEROS | UNIT_UNVERIFIED | UNIT_IN_SPAN)),
	};
	memcpy(out->digest, unit.digest, sizeof(out->digest));
	*changed = layer_state_set_present(layer->state, i, unit.size);
	return 0;
}

/* Readers may have them; the writer makes them durable, and only then the database claims them. */
static int claim_units(struct layer_store *layer, struct data_file *file, struct error *err)
{
	CLEANUP(cleanup_free)
	struct pending_unit *units = calloc(CLAIM_STEP, sizeof(*units));
	size_t n = 0;

	if (!units)
		return error_set(err, ERROR_NO_MEMORY, "no memory for the units of a layer");
	atomic_fetch_add(&layer->state->version, 1);
	for (uint64_t i = 0; i < layer->state->n_units; i++) {
		bool changed;

		if (set_present(layer, i, &units[n], &changed, err) < 0)
			return -1;
		n += changed;
		if (n == CLAIM_STEP) {
			writer_add_all(layer->store, layer->state, file, units, n);
			n = 0;
		}
	}
	if (n > 0)
		writer_add_all(layer->store, layer->state, file, units, n);
	return 0;
}

/* The layer is open, and empty. */
static int adopt_into(
	struct layer_staging *staging, struct layer_store *layer, bool *adopted, struct error *err)
{
	struct layer_state *state = layer->state;
	struct data_files *files = &staging->store->files;
	struct data_file *file;
	int ret, result;

	if (state->memory_only || atomic_load(&state->n_present) > 0)
		return 0;
	ret = give_name(staging, state->key);
	if (ret == -EEXIST)
		return 0;
	if (ret == 0)
		ret = data_file_open(files, state->key, &file);
	if (ret < 0)
		return error_set_errno(
			err, -ret, "give a layer its name in %s/layers", staging->store->dir);
	uncount(staging);
	result = claim_units(layer, file, err);
	data_file_close(files, file);
	*adopted = result == 0;
	return result;
}

int layer_staging_adopt(struct layer_staging *staging, const uint8_t key[32],
	const struct unit_table *units, bool *adopted, struct error *err)
{
	CLEANUP(layer_store_closep) struct layer_store *layer = NULL;

	*adopted = false;
	if (staging->fd < 0)
		return 0;
	if (shape(staging, units, err) < 0 ||
		layer_store_open(staging->store, key, units, &layer, err) < 0)
		return -1;
	return adopt_into(staging, layer, adopted, err);
}

/* Where the copy of a unit is, and what it has become. */
struct unit_copy {
	struct layer_staging *staging;
	struct layer_state *state;
	struct digest_hasher *hasher; /* owned */
	uint8_t *piece;               /* owned; COPY_STEP bytes */
};

static void unit_copy_clear(struct unit_copy *copy)
{
	digest_hasher_free(copy->hasher);
	free(copy->piece);
}

/* What is zeros stays a hole where there is one. */
static int write_piece(const struct unit_copy *copy, int fd, uint64_t off, size_t size)
{
	if (is_zeros(copy->piece, size) && atomic_load(&copy->state->clean))
		return 0;
	return fd_pwrite_all(fd, copy->piece, size, off);
}

/* 0, -errno, or 1 with @err set. */
static int copy_unit(struct unit_copy *copy, int fd, const struct unit *unit, struct error *err)
{
	uint64_t end = unit->data_off + unit->size;

	for (uint64_t off = unit->data_off; off < end; off += COPY_STEP) {
		size_t n = end - off < COPY_STEP ? (size_t)(end - off) : COPY_STEP;
		int ret = fd_pread_exact(copy->staging->fd, copy->piece, n, off);

		if (ret == 0)
			ret = write_piece(copy, fd, off, n);
		if (ret < 0)
			return ret;
		if (digest_hasher_update(copy->hasher, copy->piece, n, err) < 0)
			return 1;
	}
	return 0;
}

/* Whoever else puts the unit meanwhile writes the same bytes. */
static int fill_unit(struct unit_copy *copy, struct layer_store *layer, uint64_t i,
	const struct unit *unit, struct error *err)
{
	struct data_files *files = &layer->store->files;
	struct pending_unit pending = {
		.data_off = unit->data_off,
		.size = unit->size,
		.unit = (uint32_t)i,
		.findable = !(unit->flags & (UNIT_ZEROS | UNIT_UNVERIFIED)),
		.recorded = unit->flags & UNIT_IN_SPAN,
	};
	struct data_file *file;
	struct digest digest;
	int ret = data_file_create(files, layer->state->key, layer->state->data_size, &file);

	if (ret == 0) {
		ret = copy_unit(copy, file->fd, unit, err);
		if (ret < 0)
			atomic_store(&layer->state->clean, false);
		if (ret == 0 && digest_hasher_final(copy->hasher, &digest, err) < 0)
			ret = 1;
		if (ret == 0 && digest_hasher_reset(copy->hasher, err) < 0)
			ret = 1;
		if (ret == 0) {
			memcpy(pending.digest, digest.bytes, sizeof(pending.digest));
			atomic_fetch_add(&layer->state->version, 1);
			if (layer_state_set_present(layer->state, i, unit->size))
				writer_add(layer->store, layer->state, file, &pending);
		}
		data_file_close(files, file);
	}
	if (ret < 0 && !space_learn(layer->store, -ret, unit->size))
		return error_set_errno(
			err, -ret, "complete a layer in %s/layers", layer->store->dir);
	return ret > 0 ? -1 : 0;
}

static int fill_units(struct unit_copy *copy, struct layer_store *layer, struct error *err)
{
	for (uint64_t i = 0; i < layer->state->n_units; i++) {
		struct unit unit;

		if (layer_store_has(layer, i))
			continue;
		if (unit_table_get(layer->units, i, &unit, err) < 0)
			return -1;
		if (!space_admits(layer->store, unit.size))
			return 0;
		if (fill_unit(copy, layer, i, &unit, err) < 0)
			return -1;
	}
	return 0;
}

int layer_staging_fill(struct layer_staging *staging, struct layer_store *layer, struct error *err)
{
	CLEANUP(unit_copy_clear)
	struct unit_copy copy = {.staging = staging, .state = layer->state};

	if (staging->fd < 0 || layer->state->memory_only)
		return 0;
	copy.piece = malloc(COPY_STEP);
	if (!copy.piece)
		return error_set(err, ERROR_NO_MEMORY, "no memory to complete a layer");
	if (digest_hasher_new(DIGEST_SHA256, &copy.hasher, err) < 0)
		return -1;
	/* Zeros at its end were not written. */
	if (ftruncate(staging->fd, (off_t)layer->state->data_size) < 0)
		return error_set_errno(err, errno, "set the size of a layer");
	return fill_units(&copy, layer, err);
}
