/* SPDX-License-Identifier: Apache-2.0 */
/* Reads bytes of the data space whose units are here, from the data file or from memory. */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/fdio.h"
#include "layer_store_internal.h"

enum { MAX_READ = 1 << 20 };

/* Where all units of a range are. */
enum place {
	PLACE_MISSING,
	PLACE_NOTHING, /* no unit there: zeros */
	PLACE_DURABLE,
	PLACE_FILE,
	PLACE_MIXED, /* some of them only in memory */
};

static enum place find_place(const struct layer_state *state, uint64_t first, uint64_t n)
{
	enum place place = n > 0 ? PLACE_DURABLE : PLACE_NOTHING;

	for (uint64_t i = first; i < first + n; i++) {
		if (bitmap_get(&state->present, i)) {
			if (place == PLACE_DURABLE && !bitmap_get(&state->durable, i))
				place = PLACE_FILE;
		} else if (bitmap_get(&state->in_memory, i))
			place = PLACE_MIXED;
		else
			return PLACE_MISSING;
	}
	return place;
}

/* Says which unit's bytes could not be read. */
static int read_error(
	const struct layer_store *layer, uint64_t off, size_t size, int errnum, struct error *err)
{
	uint64_t first = 0, n = 0;
	char name[FILE_NAME_SIZE];

	data_file_name(layer->state->key, name);
	if (unit_table_range(layer->units, off, size, &first, &n, NULL) < 0)
		n = 0;
	(void)error_set_errno(err, errnum,
		"read %zu bytes at %" PRIu64 " of %s/layers/%s (units %" PRIu64 " to %" PRIu64
		" of the layer)",
		size, off, layer->store->dir, name, first, first + (n > 0 ? n - 1 : 0));
	/* A file that ends too early is a disk that lost something, not a format. */
	if (err && err->kind != ERROR_NO_MEMORY && err->kind != ERROR_UNAVAILABLE)
		err->kind = ERROR_IO;
	return -1;
}

/* 0, -errno, or -ENODATA at the end of the file; [off, off + size) is aligned. */
static int pread_direct(int fd, uint8_t *data, size_t size, uint64_t off)
{
	size_t done = 0;

	while (done < size) {
		ssize_t n = pread(fd, data + done, size - done, (off_t)(off + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0 || n % RANGE_ALIGN != 0)
			return -ENODATA;
		done += (size_t)n;
	}
	return 0;
}

static bool is_direct(struct layer_store *layer, const struct data_file *file)
{
	return file->direct_fd >= 0 && atomic_load(&layer->store->files.direct);
}

/* Into range->memory, at the place in its page that the bytes have in theirs. */
static int read_file(struct layer_store *layer, struct data_file *file, struct stored_range *range,
	uint64_t off, size_t size, bool durable)
{
	uint64_t start = align_down(off, RANGE_ALIGN);
	size_t whole = (size_t)(align_up(off + size, RANGE_ALIGN) - start);
	int ret;

	range->data = range->memory + (off - start);
	range->size = size;
	if (durable && is_direct(layer, file)) {
		ret = pread_direct(file->direct_fd, range->memory, whole, start);
		if (ret != -EINVAL)
			return ret;
		atomic_store(&layer->store->files.direct, false);
	}
	return fd_pread_exact(file->fd, range->memory + (off - start), size, off);
}

/* Reads ahead from off on. Failing is no matter: it is the read itself that reports. */
static void fill_window(
	struct layer_store *layer, struct data_file *file, uint64_t version, uint64_t off)
{
	struct store *store = layer->store;
	uint64_t start = align_down(off, RANGE_ALIGN);
	uint64_t left = layer->state->data_size - start;
	size_t size = left < WINDOW_SIZE ? (size_t)left : WINDOW_SIZE;
	struct stored_range *range;

	if (range_new(&store->ranges, size, &range, NULL) < 0)
		return;
	if (pread_direct(file->direct_fd, range->memory, size, start) < 0) {
		stored_range_free(range);
		return;
	}
	range->size = size;
	windows_fill(&store->windows, layer->state, version, start, range);
}

/* From a window if there is one, or if this is one more of a row of small reads. */
static int read_durable(struct layer_store *layer, struct data_file *file,
	struct stored_range *range, uint64_t off, size_t size)
{
	struct windows *windows = &layer->store->windows;
	uint64_t version = atomic_load(&layer->state->version);
	uint8_t *out = range->memory + off % RANGE_ALIGN;
	enum window_advice advice = WINDOW_NONE;

	if (is_direct(layer, file))
		advice = windows_get(windows, layer->state, version, off, size, out);
	if (advice == WINDOW_READ) {
		fill_window(layer, file, version, off);
		advice = windows_get(windows, layer->state, version, off, size, out);
	}
	if (advice != WINDOW_COPIED)
		return read_file(layer, file, range, off, size, true);
	range->data = out;
	range->size = size;
	return 0;
}

/* From the chunk in memory; *present false when it has just left. */
static int copy_unit(struct layer_store *layer, uint64_t i, const struct unit *unit, uint64_t off,
	size_t size, uint8_t *out, bool *present, struct error *err)
{
	CLEANUP(chunk_unrefp) struct verified_chunk *chunk = NULL;
	uint64_t inner = off - unit->data_off;
	uint64_t file_off;
	int fd, ret;

	chunk = chunk_memory_get(&layer->store->memory, layer->state, i);
	*present = chunk != NULL;
	if (!chunk)
		return 0;
	if (chunk_is_zeros(chunk)) {
		memset(out, 0, size);
		return 0;
	}
	if (chunk_data(chunk)) {
		memcpy(out, chunk_data(chunk) + inner, size);
		return 0;
	}
	fd = chunk_fd(chunk, &file_off);
	ret = fd_pread_exact(fd, out, size, file_off + inner);
	if (ret < 0)
		return error_set_errno(err, -ret, "read a chunk kept in an unnamed file");
	return 0;
}

static int read_unit(struct layer_store *layer, struct data_file **file, uint64_t i, uint64_t off,
	size_t size, uint8_t *out, const struct unit *unit, bool *present, struct error *err)
{
	struct data_files *files = &layer->store->files;
	int ret = 0;

	*present = true;
	if (!bitmap_get(&layer->state->present, i))
		return copy_unit(layer, i, unit, off, size, out, present, err);
	if (!*file)
		ret = data_file_open(files, layer->state->key, file);
	if (ret == 0)
		ret = fd_pread_exact((*file)->fd, out, size, off);
	return ret < 0 ? read_error(layer, off, size, -ret, err) : 0;
}

struct piece {
	uint64_t off;
	size_t size;
	uint64_t first;
	uint64_t n;
};

/* Unit by unit; bytes between them are zeros. */
static int read_mixed(struct layer_store *layer, const struct piece *piece,
	struct stored_range *range, struct data_file **file, bool *present, struct error *err)
{
	uint8_t *out = range->memory;

	range->size = piece->size;
	memset(out, 0, piece->size);
	for (uint64_t i = piece->first; i < piece->first + piece->n; i++) {
		struct unit unit;
		uint64_t start, end;

		if (unit_table_get(layer->units, i, &unit, err) < 0)
			return -1;
		start = unit.data_off > piece->off ? unit.data_off : piece->off;
		end = unit.data_off + unit.size;
		if (end > piece->off + piece->size)
			end = piece->off + piece->size;
		if (read_unit(layer, file, i, start, (size_t)(end - start),
			    out + (start - piece->off), &unit, present, err) < 0)
			return -1;
		if (!*present)
			return 0;
	}
	return 0;
}

static int read_place(struct layer_store *layer, enum place place, const struct piece *piece,
	struct stored_range *range, bool *present, struct error *err)
{
	struct data_files *files = &layer->store->files;
	struct data_file *file = NULL;
	int ret;

	if (place == PLACE_NOTHING || place == PLACE_MIXED) {
		ret = read_mixed(layer, piece, range, &file, present, err);
	} else {
		ret = data_file_open(files, layer->state->key, &file);
		if (ret == 0)
			ret = place == PLACE_DURABLE
				      ? read_durable(layer, file, range, piece->off, piece->size)
				      : read_file(
						layer, file, range, piece->off, piece->size, false);
		if (ret < 0)
			ret = read_error(layer, piece->off, piece->size, -ret, err);
	}
	data_file_close(files, file);
	return ret;
}

int store_get(struct layer_store *layer, uint64_t off, size_t size, bool *present,
	struct stored_range **out, struct error *err)
{
	CLEANUP(stored_range_freep) struct stored_range *range = NULL;
	struct piece piece = {.off = off, .size = size};
	enum place place;
	bool here = true;

	assert(size <= MAX_READ && range_within(off, size, layer->state->data_size));
	if (unit_table_range(layer->units, off, size, &piece.first, &piece.n, err) < 0)
		return -1;
	place = find_place(layer->state, piece.first, piece.n);
	*present = place != PLACE_MISSING;
	if (!*present)
		return 0;

	/* Widened to whole pages on both sides. */
	if (range_new(&layer->store->ranges, size + (size_t)2 * RANGE_ALIGN, &range, err) < 0)
		return -1;
	if (read_place(layer, place, &piece, range, &here, err) < 0)
		return -1;
	*present = here;
	if (here)
		*out = TAKE_PTR(range);
	return 0;
}
