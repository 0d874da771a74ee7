/* SPDX-License-Identifier: Apache-2.0 */
/* Pieces of a layer's blob for whoever makes its index. */
#include "image_internal.h"

int layer_blob_read(const struct layer_blob *blob, uint64_t off, uint64_t size, struct buffer *out,
	struct error *err)
{
	struct image_source *source = blob->opening->source;

	if (blob->opening->options->pull == PULL_NEVER)
		return error_set(err, ERROR_NOT_FOUND,
			"it has no index in this store and --pull=never forbids to ask");
	return source->ops->get_range_unverified(source, blob->descriptor, off, size, out, err);
}
