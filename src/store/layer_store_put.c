/* SPDX-License-Identifier: Apache-2.0 */
/* Writes verified bytes to the data file, or keeps them in memory while the disk takes none. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/fdio.h"
#include "layer_store_internal.h"
#include "store_writer_internal.h"

enum { COPY_STEP = 1 << 20 };

static int write_zeros(int fd, uint64_t off, uint64_t size)
{
	static const uint8_t zeros[RANGE_ALIGN];

	while (size > 0) {
		size_t n = size < sizeof(zeros) ? (size_t)size : sizeof(zeros);
		int ret = fd_pwrite_all(fd, zeros, n, off);

		if (ret < 0)
			return ret;
		off += n;
		size -= n;
	}
	return 0;
}

/* What an earlier life of the file left there is not zeros yet. The unit is missing: no reader is
 * in it, and bytes of its neighbours in the same page stay as they are. */
static int make_hole(const struct layer_state *state, int fd, const struct unit *unit)
{
	if (atomic_load(&state->clean))
		return 0;
	if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)unit->data_off,
		    (off_t)unit->size) == 0)
		return 0;
	if (errno != EOPNOTSUPP && errno != ENOSYS)
		return -errno;
	return write_zeros(fd, unit->data_off, unit->size);
}

static int copy_file(int from_fd, uint64_t from, int fd, uint64_t off, uint64_t size)
{
	CLEANUP(cleanup_free) uint8_t *data = malloc(COPY_STEP);

	if (!data)
		return -ENOMEM;
	while (size > 0) {
		size_t n = size < COPY_STEP ? (size_t)size : COPY_STEP;
		int ret = fd_pread_exact(from_fd, data, n, from);

		if (ret == 0)
			ret = fd_pwrite_all(fd, data, n, off);
		if (ret < 0)
			return ret;
		from += n;
		off += n;
		size -= n;
	}
	return 0;
}

/* Bytes from the start of the unit that now share their extents with the source. */
static uint64_t share_extents(
	struct store *store, int fd, const struct unit *unit, const struct clone_source *source)
{
	struct file_clone_range range = {
		.src_fd = source ? source->fd : -1,
		.src_offset = source ? source->off : 0,
		.src_length = align_down(unit->size, RANGE_ALIGN),
		.dest_offset = unit->data_off,
	};

	if (!source || atomic_load(&store->no_clone) || range.src_length == 0 ||
		range.src_offset % RANGE_ALIGN != 0 || range.dest_offset % RANGE_ALIGN != 0)
		return 0;
	if (ioctl(fd, FICLONERANGE, &range) == 0)
		return range.src_length;
	if (errno == EOPNOTSUPP || errno == ENOTTY || errno == EXDEV || errno == ENOSYS)
		atomic_store(&store->no_clone, true);
	return 0;
}

static int write_chunk(struct layer_store *layer, int fd, const struct unit *unit,
	const struct verified_chunk *chunk, const struct clone_source *source)
{
	uint64_t done, from;
	int ret;

	if (chunk_is_zeros(chunk))
		return make_hole(layer->state, fd, unit);
	done = share_extents(layer->store, fd, unit, source);
	if (chunk_data(chunk))
		ret = fd_pwrite_all(fd, chunk_data(chunk) + done, (size_t)(unit->size - done),
			unit->data_off + done);
	else {
		int from_fd = chunk_fd(chunk, &from);

		ret = copy_file(from_fd, from + done, fd, unit->data_off + done, unit->size - done);
	}
	/* Part of it may be there. */
	if (ret < 0)
		atomic_store(&layer->state->clean, false);
	return ret;
}

static struct pending_unit pending_of(
	uint64_t i, const struct unit *unit, const struct verified_chunk *chunk)
{
	const uint8_t *digest = chunk_digest(chunk);
	struct pending_unit pending = {
		.data_off = unit->data_off,
		.size = unit->size,
		.unit = (uint32_t)i,
		/* Bytes without a digest cannot be recognised again. */
		.findable = digest && !(unit->flags & (UNIT_ZEROS | UNIT_UNVERIFIED)),
		.recorded = digest && (unit->flags & UNIT_IN_SPAN),
	};

	if (digest)
		memcpy(pending.digest, digest, sizeof(pending.digest));
	return pending;
}

/* 0 or -errno. */
static int put_on_disk(struct layer_store *layer, uint64_t i, const struct unit *unit,
	const struct verified_chunk *chunk, const struct clone_source *source)
{
	struct data_files *files = &layer->store->files;
	struct layer_state *state = layer->state;
	const struct pending_unit pending = pending_of(i, unit, chunk);
	struct data_file *file;
	int ret = data_file_create(files, state->key, state->data_size, &file);

	if (ret < 0)
		return ret;
	ret = write_chunk(layer, file->fd, unit, chunk, source);
	/* Before the unit is seen: whoever sees it sees that an older window lacks it. */
	atomic_fetch_add(&state->version, 1);
	if (ret == 0 && layer_state_set_present(state, i, unit->size))
		writer_add(layer->store, state, file, &pending);
	data_file_close(files, file);
	return ret;
}

int layer_store_put(struct layer_store *layer, uint64_t i, struct verified_chunk *chunk,
	const struct clone_source *source, struct error *err)
{
	struct layer_state *state = layer->state;
	struct store *store = layer->store;
	struct unit unit;
	uint64_t size;
	int ret;

	assert(i < state->n_units);
	if (bitmap_get(&state->present, i))
		return 0;
	if (unit_table_get(layer->units, i, &unit, err) < 0)
		return -1;
	assert(chunk_size(chunk) == unit.size);
	assert(!(unit.flags & UNIT_IN_SPAN) || chunk_digest(chunk));
	size = chunk_is_zeros(chunk) ? 0 : unit.size;
	if (state->memory_only || !space_admits(store, size))
		return chunk_memory_put(&store->memory, state, i, chunk, err);

	ret = put_on_disk(layer, i, &unit, chunk, source);
	if (space_learn(store, -ret, size))
		return chunk_memory_put(&store->memory, state, i, chunk, err);
	if (ret < 0) {
		char name[FILE_NAME_SIZE];

		data_file_name(state->key, name);
		return error_set_errno(
			err, -ret, "write unit %" PRIu64 " to %s/layers/%s", i, store->dir, name);
	}
	chunk_memory_forget(&store->memory, state, i);
	return 0;
}

int store_put(
	struct layer_store *layer, uint64_t i, struct verified_chunk *chunk, struct error *err)
{
	return layer_store_put(layer, i, chunk, NULL, err);
}
