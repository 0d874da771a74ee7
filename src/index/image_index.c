/* SPDX-License-Identifier: Apache-2.0 */
/* The one tree of all layers of an image. */
#include "index/image_index.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "image_internal.h"
#include "index/erofs_writer.h"
#include "layer_index_internal.h"

enum { MAX_LAYERS = 1024 };

int image_index_key(const struct layer_index *const *layers, size_t n_layers,
	uint8_t key[INDEX_KEY_SIZE], struct error *err)
{
	CLEANUP(cleanup_free) uint8_t(*keys)[INDEX_KEY_SIZE] = NULL;

	keys = calloc(n_layers + 1, sizeof(*keys));
	if (!keys)
		return error_set(err, ERROR_NO_MEMORY, "no memory for the key of an image");
	for (size_t i = 0; i < n_layers; i++)
		memcpy(keys[i], layers[i]->key, INDEX_KEY_SIZE);
	return image_index_key_of(keys, n_layers, key, err);
}

int image_index_key_of(const uint8_t (*keys)[INDEX_KEY_SIZE], size_t n_layers,
	uint8_t key[INDEX_KEY_SIZE], struct error *err)
{
	struct digest digest;

	if (digest_compute(DIGEST_SHA256, keys, n_layers * sizeof(*keys), &digest, err) < 0)
		return -1;
	memcpy(key, digest.bytes, INDEX_KEY_SIZE);
	return 0;
}

static int write_merged(int dir_fd, const char *name, const struct layer_index *const *layers,
	size_t n_layers, const uint8_t *key, struct error *err)
{
	CLEANUP(cleanup_free) struct erofs_device *devices = NULL;
	CLEANUP(draft_freep) struct draft *draft = NULL;
	struct erofs_write_options options = {.key = key, .n_devices = (unsigned)n_layers};

	devices = calloc(n_layers, sizeof(*devices));
	if (!devices)
		return error_set(err, ERROR_NO_MEMORY, "no memory for the index of an image");
	options.devices = devices;
	if (draft_new(&draft, err) < 0)
		return -1;
	for (size_t i = 0; i < n_layers; i++) {
		hex_encode(layers[i]->key, INDEX_KEY_SIZE, devices[i].tag);
		devices[i].size = unit_table_header(layers[i]->units)->data_size;
		if (image_merge_layer(draft, layers[i]->tree, (unsigned)i, err) < 0)
			return error_prefix(err, "layer %zu of %zu", i + 1, n_layers);
	}
	if (draft_finish(draft, err) < 0)
		return -1;
	return erofs_write(dir_fd, name, draft, &options, err);
}

static bool is_built(int dir_fd, const struct layer_index *const *layers, size_t n_layers,
	const uint8_t key[INDEX_KEY_SIZE])
{
	CLEANUP(erofs_closep) struct erofs_reader *reader = NULL;

	return image_index_open(dir_fd, layers, n_layers, key, &reader, NULL) == 0;
}

int image_index_build(int dir_fd, const struct layer_index *const *layers, size_t n_layers,
	const uint8_t key[INDEX_KEY_SIZE], struct error *err)
{
	char name[INDEX_NAME_SIZE];

	if (n_layers == 0 || n_layers > MAX_LAYERS)
		return error_set(err, ERROR_UNSUPPORTED,
			"an image of %zu layers; 1 to %d are supported", n_layers, MAX_LAYERS);
	if (is_built(dir_fd, layers, n_layers, key))
		return 0;
	index_file_name(key, "erofs", name);
	return write_merged(dir_fd, name, layers, n_layers, key, err);
}

static int check_against(const struct erofs_reader *reader, const struct layer_index *const *layers,
	size_t n_layers, struct error *err)
{
	if (erofs_n_devices(reader) != n_layers)
		return error_set(err, ERROR_FORMAT, "it has %u layers and the image %zu",
			erofs_n_devices(reader), n_layers);
	for (size_t i = 0; i < n_layers; i++) {
		char expected[INDEX_KEY_HEX], tag[INDEX_KEY_HEX];

		hex_encode(layers[i]->key, INDEX_KEY_SIZE, expected);
		if (strcmp(erofs_device_tag(reader, (unsigned)i, tag), expected) != 0 ||
			erofs_device_size(reader, (unsigned)i) !=
				unit_table_header(layers[i]->units)->data_size)
			return error_set(err, ERROR_FORMAT, "its layer %zu is another one", i);
	}
	return 0;
}

int image_index_open(int dir_fd, const struct layer_index *const *layers, size_t n_layers,
	const uint8_t key[INDEX_KEY_SIZE], struct erofs_reader **out, struct error *err)
{
	CLEANUP(erofs_closep) struct erofs_reader *reader = NULL;
	char name[INDEX_NAME_SIZE];

	index_file_name(key, "erofs", name);
	if (erofs_open(dir_fd, name, &reader, err) < 0)
		return -1;
	if (memcmp(erofs_key(reader), key, INDEX_KEY_SIZE) != 0)
		return error_set(
			err, ERROR_FORMAT, "index %s: it is the index of something else", name);
	if (erofs_has_unresolved_links(reader))
		return error_set(err, ERROR_FORMAT, "index %s: unresolved hard links", name);
	if (check_against(reader, layers, n_layers, err) < 0)
		return error_prefix(err, "index %s", name);
	*out = TAKE_PTR(reader);
	return 0;
}
