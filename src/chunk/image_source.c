/* SPDX-License-Identifier: Apache-2.0 */
/* What all sources of images have in common. */
#include "chunk/image_source.h"

void image_source_free(struct image_source *source)
{
	if (source)
		source->ops->free(source);
}

void image_source_freep(struct image_source **source)
{
	image_source_free(*source);
	*source = NULL;
}
