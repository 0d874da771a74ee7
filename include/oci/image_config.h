/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>

#include "base/error.h"
#include "oci/digest.h"

/* The part of an image's config that is about its layers. Spec: OCI image-spec, config.md,
 * "rootfs"; Docker's config has the same. */
struct image_config {
	struct digest *diff_ids; /* owned; of the uncompressed layers, lowest first */
	size_t n_diff_ids;
};

/**
 * image_config_parse() - read an image's config.
 * @data: the document's bytes, whose digest the caller has checked.
 * @out:  set on success; release with image_config_clear().
 * @err:  ERROR_FORMAT naming the field, ERROR_UNSUPPORTED for layers of another kind.
 */
MUST_CHECK int image_config_parse(
	const void *data, size_t size, struct image_config *out, struct error *err);
void image_config_clear(struct image_config *config);
