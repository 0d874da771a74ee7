/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>

#include "base/error.h"

/* Spec: OCI image-spec, image-index.md, "platform". Normalised: x86_64 is amd64, aarch64 is arm64
 * with an empty variant for v8, arm without a variant is v7. */
struct platform {
	char os[32];
	char architecture[32];
	char variant[32];
};

/* "os/arch[/variant]", "arch" or "os"; what is missing is this machine's. ERROR_INVALID. */
MUST_CHECK int platform_parse(const char *text, struct platform *out, struct error *err);

/* From the fields of an index entry, normalised. variant may be NULL. ERROR_FORMAT when a name is
 * empty, longer than 31 characters or has a character outside A-Z a-z 0-9 _ . - */
MUST_CHECK int platform_set(const char *os, const char *architecture, const char *variant,
	struct platform *out, struct error *err);

/* What this machine runs (uname). */
void platform_host(struct platform *out);

/* How well an offered platform serves a wanted one: 0 not at all, higher is better. An exact
 * variant is best, then lower variants of the same architecture that it can run (arm v7 runs v6,
 * v5; amd64 v3 runs v2, v1; arm64 v9 runs v8); arm64 does not fall back to arm. */
int platform_match(const struct platform *wanted, const struct platform *offered);

/* "linux/arm/v7"; text has 100 bytes; returns text. */
const char *platform_format(const struct platform *platform, char text[100]);
