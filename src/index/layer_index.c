/* SPDX-License-Identifier: Apache-2.0 */
/* The two files of a layer's index: their key, and opening them as one thing. */
#include "index/layer_index.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/bytes.h"
#include "erofs_internal.h"
#include "layer_index_internal.h"

int layer_index_key(const struct digest *blob, const char *format, const struct digest *toc,
	uint8_t key[INDEX_KEY_SIZE], struct error *err)
{
	CLEANUP(buffer_free) struct buffer text = {0};
	char blob_text[DIGEST_TEXT_SIZE], toc_text[DIGEST_TEXT_SIZE];
	struct digest digest;

	if (buffer_printf(&text, "%s%c%s%c%s", digest_format(blob, blob_text), 0, format, 0,
		    digest_format(toc, toc_text)) < 0)
		return error_set(err, ERROR_NO_MEMORY, "no memory for the key of an index");
	if (digest_compute(DIGEST_SHA256, text.data, text.size, &digest, err) < 0)
		return -1;
	memcpy(key, digest.bytes, INDEX_KEY_SIZE);
	return 0;
}

void index_file_name(
	const uint8_t key[INDEX_KEY_SIZE], const char *suffix, char out[INDEX_NAME_SIZE])
{
	char hex[INDEX_KEY_HEX];

	hex_encode(key, INDEX_KEY_SIZE, hex);
	(void)snprintf(out, INDEX_NAME_SIZE, "%s.%s", hex, suffix);
}

/* The rows from *row on are the units of a file, without gaps and to its end. */
static int check_units_from(const struct unit_table *units, uint64_t *row, uint64_t off,
	uint64_t size, bool *ret_covered, struct error *err)
{
	uint64_t end = off + size;

	*ret_covered = false;
	while (off < end && *row < unit_table_header(units)->n_units) {
		struct unit unit;

		if (unit_table_get(units, *row, &unit, err) < 0)
			return -1;
		if (unit.data_off != off || unit.size > end - off)
			return 0;
		off += unit.size;
		(*row)++;
	}
	*ret_covered = off == end;
	return 0;
}

/* A byte that no unit has would be served without anybody having checked it. @row is where the
 * units of the file before end, which is mostly where these begin. */
static int check_file(
	const struct unit_table *units, const struct inode *inode, uint64_t *row, struct error *err)
{
	bool is_covered;
	uint64_t n;

	if (check_units_from(units, row, inode->data_off, inode->size, &is_covered, err) < 0)
		return -1;
	if (!is_covered &&
		(unit_table_range(units, inode->data_off, inode->size, row, &n, err) < 0 ||
			check_units_from(
				units, row, inode->data_off, inode->size, &is_covered, err) < 0))
		return -1;
	if (!is_covered)
		return error_set(err, ERROR_FORMAT,
			"the bytes of inode %" PRIu64 " are not exactly those of some units",
			inode->nid);
	return 0;
}

static int check_files(const struct layer_index *index, struct error *err)
{
	uint64_t row = 0;

	for (uint64_t nid = 0; next_inode(index->tree, &nid); nid++) {
		struct inode inode;

		if (inode_get(index->tree, nid, &inode, err) < 0)
			return -1;
		if (S_ISREG(inode.mode) && inode.size > 0 &&
			check_file(index->units, &inode, &row, err) < 0)
			return -1;
	}
	return still_readable(index->tree, err);
}

static int check_together(const struct layer_index *index, struct error *err)
{
	const struct unit_table_header *header = unit_table_header(index->units);
	char expected[INDEX_KEY_HEX], tag[INDEX_KEY_HEX];

	hex_encode(index->key, INDEX_KEY_SIZE, expected);
	if (memcmp(header->key, index->key, INDEX_KEY_SIZE) != 0 ||
		memcmp(erofs_key(index->tree), index->key, INDEX_KEY_SIZE) != 0 ||
		erofs_n_devices(index->tree) != 1 ||
		strcmp(erofs_device_tag(index->tree, 0, tag), expected) != 0)
		return error_set(err, ERROR_FORMAT, "it is the index of something else");
	if (header->data_size != erofs_device_size(index->tree, 0))
		return error_set(err, ERROR_FORMAT,
			"its tree has %" PRIu64 " bytes of data and its units %" PRIu64,
			erofs_device_size(index->tree, 0), header->data_size);
	return check_files(index, err);
}

int layer_index_open(
	int dir_fd, const uint8_t key[INDEX_KEY_SIZE], struct layer_index **out, struct error *err)
{
	CLEANUP(layer_index_closep) struct layer_index *index = calloc(1, sizeof(*index));
	char name[INDEX_NAME_SIZE];

	if (!index)
		return error_set(err, ERROR_NO_MEMORY, "no memory to open an index");
	memcpy(index->key, key, INDEX_KEY_SIZE);
	index_file_name(key, "units", name);
	if (unit_table_open(dir_fd, name, &index->units, err) < 0)
		return -1;
	index_file_name(key, "erofs", name);
	if (erofs_open(dir_fd, name, &index->tree, err) < 0)
		return -1;
	if (check_together(index, err) < 0)
		return error_prefix(err, "index %s", name);
	index->has_unresolved_links = erofs_has_unresolved_links(index->tree);
	*out = TAKE_PTR(index);
	return 0;
}

void layer_index_close(struct layer_index *index)
{
	if (!index)
		return;
	erofs_close(index->tree);
	unit_table_close(index->units);
	free(index);
}

void layer_index_closep(struct layer_index **index)
{
	layer_index_close(*index);
}
