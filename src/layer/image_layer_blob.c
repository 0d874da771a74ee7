/* SPDX-License-Identifier: Apache-2.0 */
/* Where the bytes of a layer's blob come from. */
#include "image_internal.h"

#include "registry/url_source.h"

/* Layers that registries must not distribute. @why is what the source said. */
static int read_elsewhere(const struct layer_blob *blob, const struct error *why, uint64_t off,
	uint64_t size, struct buffer *out, struct error *err)
{
	struct error last = {0};

	if (url_get_range_unverified(
		    blob->opening->context->registry, blob->descriptor, off, size, out, &last) == 0)
		return 0;
	return error_set(err, last.kind, "%.200s; from the urls in its descriptor: %.240s",
		why->message, last.message);
}

int layer_blob_read(const struct layer_blob *blob, uint64_t off, uint64_t size, struct buffer *out,
	struct error *err)
{
	struct image_source *source = blob->opening->source;
	struct error why = {0};

	if (blob->opening->options->pull == PULL_NEVER)
		return error_set(err, ERROR_NOT_FOUND,
			"it has no index in this store and --pull=never forbids to ask");
	if (source->ops->get_range_unverified(source, blob->descriptor, off, size, out, &why) == 0)
		return 0;
	if (why.kind == ERROR_NOT_FOUND && blob->descriptor->n_urls > 0)
		return read_elsewhere(blob, &why, off, size, out, err);
	if (err)
		*err = why;
	return -1;
}

int layer_blob_sources(const struct image_opening *opening, const struct descriptor *descriptor,
	struct source **out, size_t *n_out, struct error *err)
{
	struct image_source *image = opening->source;

	*n_out = 0;
	if (image->ops->open_blob(image, descriptor, &out[0], err) < 0)
		return -1;
	*n_out = 1;
	if (descriptor->n_urls == 0)
		return 0;
	if (url_source_new(opening->context->registry, descriptor, &out[1], err) < 0)
		return -1;
	*n_out = 2;
	return 0;
}
