/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "control/report.h"
#include "layer/layer.h"

/* Shared by the reports. */

void set_text(struct json *object, const char *name, const char *text);
void set_number(struct json *object, const char *name, uint64_t value);
void set_bool(struct json *object, const char *name, bool value);
void set_digest(struct json *object, const char *name, const struct digest *digest);

/* "gzip", "zstd" or "none". */
const char *report_codec_name(enum codec codec);

/* What comes with a byte of a layer that is missing: "access", "codec" and "spans". */
void set_access(struct json *object, const struct layer *layer);

/* Fills an object with what a store takes and may take. */
MUST_CHECK int set_store(struct json *object, struct store *store, struct error *err);

/* The hosts of one registry (all of them with NULL), with what they did and how they last failed.
 */
struct json *report_hosts(const struct report_context *context, const char *registry);

/* How far the index of a layer is trusted, and by whose word. */
void report_trust(struct layer *layer, struct json *object);

/* report_failures.c: why reads of a mount failed. */
struct failure_filter {
	bool all;            /* or only: */
	size_t layer;        /* of the tree */
	uint64_t first_unit; /* [first_unit, first_unit + n_units), and what fails with them */
	uint64_t n_units;
};
/* Appends them, newest first, at most max. */
void report_failures(const struct report_mount *mount, const struct failure_filter *filter,
	size_t max, struct json *array);
