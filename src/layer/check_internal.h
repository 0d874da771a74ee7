/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <pthread.h>

#include "layer/layer.h"

/* Whether claims are true: the layer is read as a whole, in the background, or once every byte of
 * it is here. */

/* What the checks of an image share, as each takes all cores and much of the network: one at a
 * time. Reference counted. */
struct layer_checks;
MUST_CHECK int layer_checks_new(struct layer_checks **out, struct error *err);
void layer_checks_unref(struct layer_checks *checks);
void layer_checks_unrefp(struct layer_checks **checks);

/* One of them. */
struct layer_check;

/* @layer: is open, and borrowed like all of @options; it outlives the check. */
MUST_CHECK int layer_check_new(struct layer *layer, const struct layer_options *options,
	struct layer_check **out, struct error *err);
/* The layer is open: from here on the check may begin. */
void layer_check_begin(struct layer_check *check, bool background);
/* Cancels it, and waits for the end; it does not begin again. NULL is allowed. Not on the net
 * loop. */
void layer_check_stop(struct layer_check *check);
/* Nobody calls any of these any more. NULL is allowed. */
void layer_check_free(struct layer_check *check);

/* Any thread. */
void layer_check_set_background(struct layer_check *check, bool on);
bool layer_check_has_background(struct layer_check *check);
/* Bytes that were read for somebody have shown that the claim is false: the layer does not wait for
 * the rest. Any thread. */
void layer_check_contradict(struct layer_check *check, const struct error *why);
/* Every unit of the layer is here. Any thread. */
void layer_check_completed(struct layer_check *check);
