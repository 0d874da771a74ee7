/* SPDX-License-Identifier: Apache-2.0 */
/* Tables of contents of eStargz layers that are kept apart: in an image whose tag has a suffix, a
 * layer whose annotation names ours. Spec: stargz-snapshotter, docs/estargz.md, "External TOC". */
#include "image_internal.h"

#include <string.h>

#include "format/estargz.h"

/* The layer of the companion image that holds our table of contents. */
static int find_layer(const struct layer_blob *blob, struct descriptor *out, struct error *err)
{
	struct image_source *source = blob->opening->source;
	CLEANUP(manifest_freep) struct manifest *manifest = NULL;
	CLEANUP(buffer_free) struct buffer document = {0};
	struct digest digest;
	char media_type[128];
	char wanted[DIGEST_TEXT_SIZE];

	if (source->ops->resolve(source, ESTARGZ_EXTERNAL_TAG_SUFFIX, &digest, err) < 0 ||
		image_document(blob->opening, &digest, media_type, &document, err) < 0 ||
		manifest_parse(document.data, document.size, &manifest, err) < 0)
		return -1;
	(void)digest_format(&blob->descriptor->digest, wanted);
	for (size_t i = 0; i < manifest->n_layers; i++) {
		const char *named = descriptor_annotation(
			&manifest->layers[i], ESTARGZ_EXTERNAL_LAYER_ANNOTATION);

		if (named && strcmp(named, wanted) == 0)
			return descriptor_copy(&manifest->layers[i], out, err);
	}
	return error_set(err, ERROR_NOT_FOUND, "it has no table of contents for %s", wanted);
}

int layer_table_find_external(const struct layer_blob *blob, struct buffer *out, struct error *err)
{
	CLEANUP(descriptor_clear) struct descriptor toc = {0};
	struct image_source *source = blob->opening->source;

	if (blob->opening->options->pull == PULL_NEVER)
		return error_set(err, ERROR_NOT_FOUND,
			"it has no index in this store and --pull=never forbids to ask");
	if (find_layer(blob, &toc, err) < 0 ||
		source->ops->get_blob(source, &toc, LAYER_MAX_ENCODED_TOC, out, err) < 0)
		return error_prefix(
			err, "external table of contents in <tag>%s", ESTARGZ_EXTERNAL_TAG_SUFFIX);
	return 0;
}
