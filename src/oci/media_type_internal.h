/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>

#include "base/error.h"

#define MEDIA_TYPE_DOCKER_SCHEMA1 "application/vnd.docker.distribution.manifest.v1+json"
#define MEDIA_TYPE_DOCKER_SCHEMA1_SIGNED "application/vnd.docker.distribution.manifest.v1+prettyjws"

/* Copies "type/subtype" without parameters, in lower case. ERROR_FORMAT for anything else, NULL
 * included. Spec: RFC 6838 section 4.2. *out is owned by the caller. */
MUST_CHECK int media_type_parse(const char *text, char **out, struct error *err);

bool media_type_is_manifest(const char *media_type);
bool media_type_is_index(const char *media_type);
bool media_type_is_schema1(const char *media_type);
