/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "claim_internal.h"
#include "layer/layer.h"

struct layer {
	atomic_uint refs;
	struct loop *loop;
	struct workers *workers;
	struct layer_index *index; /* owned */
	struct layer_store *store; /* owned */
	struct fetch_layer *fetch; /* owned */
	struct descriptor descriptor;
	struct layer_claim *claim; /* owned; NULL: nobody claims anything */
	_Atomic enum layer_trust trust;
	struct error contradiction; /* set before LAYER_CONTRADICTED is */
	struct layer_check *check;  /* owned; NULL: nobody claims anything */
	pthread_mutex_t contradiction_lock;
	/* Guarded by contradiction_lock, as all below, also while it is called. */
	void (*on_contradicted)(void *arg, struct layer *layer);
	void *on_contradicted_arg;
	bool contradiction_told;

	pthread_mutex_t failures_lock;
	struct layer_failure
		failures[LAYER_MAX_FAILURES]; /* guarded by failures_lock; newest first */
	size_t n_failures;                    /* guarded by failures_lock */

	atomic_uint_fast64_t n_reads;
	atomic_uint_fast64_t read_bytes;
	atomic_uint_fast64_t n_failed;
};

/* For `varve why` and `varve status`: why a read fails. Any thread. */
void layer_record_failure(
	struct layer *layer, uint64_t unit, const char *origin, const struct error *err);
