/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "image_internal.h"
#include "layer/image_indexes.h"
#include "pass_internal.h"

/* What lies behind a struct image_indexes. */
struct image_indexing {
	struct image_opening opening; /* its source and artifacts are owned */
	struct image_manifest image;
	struct layer_turns turns;
	pthread_mutex_t reporting;
};

/* One of its layers, as those who read layers want it. */
struct layer_blob image_indexing_blob(
	const struct image_indexes *indexes, const struct image_index *layer);

/* image_layer_pass.c: all of a layer, checked; nothing of it is kept. */
MUST_CHECK int image_layer_read(const struct layer_blob *blob,
	const struct detected_layer *detected, struct pass_result *out, struct error *err);

/* image_index_spans.c: whether each span of @claimed decodes to what its digest says. */
MUST_CHECK int image_index_check_spans(const struct layer_blob *blob,
	const struct span_index *claimed, const struct span_index *actual, struct error *err);
