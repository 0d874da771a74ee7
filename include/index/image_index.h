/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "index/layer_index.h"

/* sha256 over the keys of the layers, lowest first: the name of the merged tree. */
MUST_CHECK int image_index_key(const struct layer_index *const *layers, size_t n_layers,
	uint8_t key[INDEX_KEY_SIZE], struct error *err);

/* The same from the keys alone. */
MUST_CHECK int image_index_key_of(const uint8_t (*keys)[INDEX_KEY_SIZE], size_t n_layers,
	uint8_t key[INDEX_KEY_SIZE], struct error *err);

/**
 * image_index_build() - merge the layers of an image into one tree, <key>.erofs below dir_fd.
 * @layers: lowest first, at most 1024. Device i of the tree is layer i.
 *
 * Whiteouts and opaque directories are applied and gone; hard links across layers are resolved
 * (a target that no layer has is ERROR_FORMAT naming link and target); directory link counts are
 * computed; a directory over a directory takes attributes from the upper one.
 * Idempotent. Threads: workers.
 * Spec: OCI image-spec, layer.md, "Applying Changesets".
 */
MUST_CHECK int image_index_build(int dir_fd, const struct layer_index *const *layers,
	size_t n_layers, const uint8_t key[INDEX_KEY_SIZE], struct error *err);

/* Opens <key>.erofs and checks it against its layers: number, tags and sizes of devices. */
MUST_CHECK int image_index_open(int dir_fd, const struct layer_index *const *layers,
	size_t n_layers, const uint8_t key[INDEX_KEY_SIZE], struct erofs_reader **out,
	struct error *err);
