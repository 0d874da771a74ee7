/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>

#include "base/error.h"
#include "base/json.h"

struct store;

/* `varve cache verify`: reads and hashes everything a store claims to have, on a thread of its own.
 * Any thread, unless said otherwise. */
struct verify_job;

/* @store is borrowed and outlives the job. @repair: forget what is wrong. */
MUST_CHECK int verify_job_start(
	struct store *store, bool repair, struct verify_job **out, struct error *err);

/* Stops it soon. */
void verify_job_cancel(struct verify_job *job);

/* Whether its thread has done its work. */
bool verify_job_ended(struct verify_job *job);

/* How far it is and what it found, as documented in docs/operations.md. */
struct json *verify_job_report(struct verify_job *job);

/* Cancels it, waits for its thread, frees. NULL is allowed. One thread. */
void verify_job_free(struct verify_job *job);
void verify_job_freep(struct verify_job **job);
