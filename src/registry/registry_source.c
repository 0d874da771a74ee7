/* SPDX-License-Identifier: Apache-2.0 */
/* Blobs of a registry as a source of bytes. */
#include <stdio.h>
#include <string.h>

#include "range_internal.h"
#include "source_internal.h"

static void source_free(struct source *base)
{
	free((struct registry_source *)base);
}

const struct source_ops registry_source_ops = {
	.start = source_fetch_start,
	.cancel = source_fetch_cancel,
	.free = source_free,
};

int registry_source_new(struct registry_client *client, const struct reference *reference,
	const struct descriptor *descriptor, struct source **out, struct error *err)
{
	struct registry_source *source = calloc(1, sizeof(*source));
	char digest[DIGEST_TEXT_SIZE];

	if (!source)
		return error_set(err, ERROR_NO_MEMORY, "no memory for a source of blobs");
	source->base.ops = &registry_source_ops;
	source->base.kind = "registry";
	source->client = client;
	source->reference = *reference;
	source->size = descriptor->size;
	source->has_others = descriptor->n_urls > 0;
	(void)snprintf(source->path, sizeof(source->path), "blobs/%s",
		digest_format(&descriptor->digest, digest));
	*out = &source->base;
	return 0;
}

int registry_get_range_unverified(struct registry_client *client, const struct reference *reference,
	const struct descriptor *descriptor, uint64_t off, uint64_t size, struct buffer *out,
	struct error *err)
{
	struct source *source;
	char digest[DIGEST_TEXT_SIZE];

	if (range_check(off, size, descriptor->size, err) < 0 ||
		registry_source_new(client, reference, descriptor, &source, err) < 0)
		return -1;
	if (range_read(client, source, off, size, out, err) < 0)
		return error_prefix(err, "blob %s of %s/%s",
			digest_format(&descriptor->digest, digest), reference->registry,
			reference->repository);
	return 0;
}
