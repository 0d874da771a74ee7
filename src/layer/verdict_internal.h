/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "format/span_index.h"
#include "layer_internal.h"
#include "store/layer_staging.h"

/* verdict.c: what follows for a layer when its claim was compared with all of it. The thread that
 * has compared; it may block on a disk. Nothing can fail here that would leave the layer in doubt:
 * what goes wrong is logged. */
struct verdict_place {
	struct store *store; /* borrowed */
};

/* From now on the index is authentic, for the next mounts too. @actual: what was found. @staging:
 * the bytes of the layer, of which it gets those that it lacks. */
void verdict_true(struct layer *layer, const struct verdict_place *place,
	const struct span_index *actual, struct layer_staging *staging);

/* From now on nothing of the layer is read: nothing of it stays in the store, and nobody believes
 * the claim again. */
void verdict_false(struct layer *layer, const struct verdict_place *place, const struct error *why);
