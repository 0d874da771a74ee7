/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>

#include "base/error.h"
#include "base/json.h"
#include "oci/descriptor.h"

/* Spec: OCI image-spec, annotations.md. What is read here is part of a document of at most
 * MANIFEST_MAX_SIZE; these bounds keep one entry from taking all of it. */
enum {
	ANNOTATIONS_MAX = 1024,
	ANNOTATION_MAX_KEY_SIZE = 1024, /* bytes */
	ANNOTATION_MAX_VALUE_SIZE = 256 << 10,
};

/* Reads an "annotations" object; absent and null are no annotations. *out is one allocation of *n
 * entries, released with annotations_free(). */
MUST_CHECK int annotations_parse(
	const struct json *object, struct annotation **out, size_t *n, struct error *err);
MUST_CHECK int annotations_copy(
	const struct annotation *from, size_t n, struct annotation **out, struct error *err);
void annotations_free(struct annotation *annotations, size_t n);

/* NULL when there is no such key. */
const char *annotations_find(const struct annotation *annotations, size_t n, const char *key);
