/* SPDX-License-Identifier: Apache-2.0 */
/* From the name of an image to where it is. */
#include "image_internal.h"

#include "local/local_image.h"
#include "registry/registry_client.h"

int image_open_source(
	const struct image_opening *opening, struct image_source **out, struct error *err)
{
	const struct image_context *context = opening->context;
	const struct image_name *name = opening->options->name;
	const struct local_image_options local = {
		.name = name,
		.loop = context->loop,
		.workers = context->workers,
	};

	if (name->place == IMAGE_IN_REGISTRY)
		return registry_image_new(context->registry, &name->reference, out, err);
	return local_image_new(&local, out, err);
}
