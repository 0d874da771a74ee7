/* SPDX-License-Identifier: Apache-2.0 */
/* A repository of a registry as the source of an image. */
#include <stdlib.h>
#include <string.h>

#include "registry/registry_client.h"

/* Immutable. */
struct registry_image {
	struct image_source base;
	struct registry_client *client; /* borrowed */
	struct reference reference;
};

static struct registry_image *image_of(struct image_source *base)
{
	return container_of(base, struct registry_image, base);
}

static int resolve(
	struct image_source *base, const char *suffix, struct digest *out, struct error *err)
{
	const struct registry_image *image = image_of(base);
	struct reference reference = image->reference;
	size_t used = strlen(reference.tag);
	char media_type[128];

	if (suffix[0]) {
		if (used == 0 || used + strlen(suffix) >= sizeof(reference.tag))
			return error_set(err, ERROR_NOT_FOUND,
				"what belongs to it is in the image <tag>%s, and this reference "
				"has no tag: mount it by name:tag or name:tag@digest",
				suffix);
		(void)strcpy(reference.tag + used, suffix);
		reference.has_digest = false;
	}
	return registry_resolve(image->client, &reference, out, media_type, err);
}

static int get_manifest(struct image_source *base, const struct digest *digest,
	char media_type[128], struct buffer *out, struct error *err)
{
	const struct registry_image *image = image_of(base);

	return registry_get_manifest(
		image->client, &image->reference, digest, media_type, out, err);
}

static int get_blob(struct image_source *base, const struct descriptor *descriptor,
	uint64_t max_size, struct buffer *out, struct error *err)
{
	const struct registry_image *image = image_of(base);

	return registry_get_blob(image->client, &image->reference, descriptor, max_size, out, err);
}

static int get_range(struct image_source *base, const struct descriptor *descriptor, uint64_t off,
	uint64_t size, struct buffer *out, struct error *err)
{
	const struct registry_image *image = image_of(base);

	return registry_get_range_unverified(
		image->client, &image->reference, descriptor, off, size, out, err);
}

static int get_referrers(struct image_source *base, const struct digest *subject,
	const char *artifact_type, struct buffer *out, struct error *err)
{
	const struct registry_image *image = image_of(base);

	return registry_get_referrers(
		image->client, &image->reference, subject, artifact_type, out, err);
}

static int open_blob(struct image_source *base, const struct descriptor *descriptor,
	struct source **out, struct error *err)
{
	const struct registry_image *image = image_of(base);

	return registry_source_new(image->client, &image->reference, descriptor, out, err);
}

static void image_free(struct image_source *base)
{
	free(image_of(base));
}

static const struct image_source_ops ops = {
	.resolve = resolve,
	.get_manifest = get_manifest,
	.get_blob = get_blob,
	.get_range_unverified = get_range,
	.get_referrers = get_referrers,
	.open_blob = open_blob,
	.free = image_free,
};

int registry_image_new(struct registry_client *client, const struct reference *reference,
	struct image_source **out, struct error *err)
{
	struct registry_image *image = calloc(1, sizeof(*image));

	if (!image)
		return error_set(err, ERROR_NO_MEMORY, "no memory for the source of an image");
	image->base.ops = &ops;
	image->client = client;
	image->reference = *reference;
	*out = &image->base;
	return 0;
}
