/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "index/draft.h"
#include "index/erofs_reader.h"

/* Applies one layer, whose device in the image has this number, to the tree of those below it.
 * Spec: OCI image-spec, layer.md, "Applying Changesets". */
MUST_CHECK int image_merge_layer(
	struct draft *draft, const struct erofs_reader *layer, unsigned device, struct error *err);
