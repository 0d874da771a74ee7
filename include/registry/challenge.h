/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>

#include "base/error.h"

/* What a server asks for in WWW-Authenticate. Schemes that varve does not know are left out.
 * Spec: RFC 9110 section 11.6.1 (formerly RFC 7235). */

/* The order of preference: higher is better. */
enum challenge_scheme { CHALLENGE_BASIC = 1, CHALLENGE_DIGEST, CHALLENGE_BEARER };

/* Further ones are dropped. */
enum { CHALLENGE_MAX_COUNT = 16, CHALLENGE_MAX_PARAMETERS = 32 };

/* name="value" */
struct challenge_parameter {
	char *name;  /* owned; lower case */
	char *value; /* owned; without quotes and escapes, may be empty */
};

/* One way to authenticate that the server offers. */
struct challenge {
	enum challenge_scheme scheme;
	struct challenge_parameter *parameters; /* owned, n_parameters of them */
	size_t n_parameters;
};

/* All that it offers and varve knows. */
struct challenge_list {
	struct challenge *items; /* owned, best first */
	size_t n_items;
};

/**
 * challenge_list_parse() - read all WWW-Authenticate headers of a response.
 * @headers: their values, hostile; several challenges may share one.
 * @out:     filled on success, released with challenge_list_clear().
 * @err:     ERROR_NO_MEMORY only: what cannot be understood ends its header, and what came before
 *           counts.
 */
MUST_CHECK int challenge_list_parse(const char *const *headers, size_t n_headers,
	struct challenge_list *out, struct error *err);

/* Releases what the list owns and leaves it empty. */
void challenge_list_clear(struct challenge_list *list);

/* The parameter of this lower-case name, or NULL. The last one counts, as for containerd. */
const char *challenge_parameter(const struct challenge *challenge, const char *name);
