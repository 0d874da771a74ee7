/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>

#include "base/error.h"
#include "oci/digest.h"

/* An image reference in normal form: "alpine" is docker.io / library/alpine / latest. */
struct reference {
	char registry[272];   /* host or host:port, as hosts.toml directories name it */
	char repository[256]; /* "library/alpine" */
	char tag[129];        /* "" when there is only a digest */
	bool has_digest;
	struct digest digest;
};

/* Longest text reference_format() writes, with its NUL. */
enum { REFERENCE_TEXT_SIZE = 272 + 1 + 256 + 1 + 129 + DIGEST_TEXT_SIZE };

/**
 * reference_parse() - read what a person types after `varve mount`.
 *
 * Docker's normalisation: no registry means docker.io, no slash in a docker.io repository means
 * library/, neither tag nor digest means latest; a first component is a registry when it has a
 * dot or a colon, is "localhost", or has an upper-case letter. name:tag@digest keeps both; the
 * digest decides. ERROR_INVALID names the part that is wrong and what is allowed there.
 *
 * Spec: OCI distribution-spec, "Pulling manifests"; the grammar of the reference implementation.
 */
MUST_CHECK int reference_parse(const char *text, struct reference *out, struct error *err);

/* The full form "registry/repository[:tag][@digest]"; returns text. */
const char *reference_format(const struct reference *reference, char text[REFERENCE_TEXT_SIZE]);
