/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/json.h"
#include "oci/digest.h"

/* One member of an "annotations" object. */
struct annotation {
	char *key;   /* owned */
	char *value; /* owned */
};

/* Spec: OCI image-spec, descriptor.md. */
struct descriptor {
	char *media_type; /* owned; without parameters */
	struct digest digest;
	uint64_t size;                  /* bytes, at most INT64_MAX */
	struct annotation *annotations; /* owned, n_annotations of them */
	size_t n_annotations;
	char **urls; /* owned, n_urls of them */
	size_t n_urls;
};

/* Parses one descriptor object, bounding every string and count. @out is zeroed first and needs
 * descriptor_clear() only on success. */
MUST_CHECK int descriptor_parse(
	const struct json *object, struct descriptor *out, struct error *err);
void descriptor_clear(struct descriptor *descriptor);
MUST_CHECK int descriptor_copy(
	const struct descriptor *from, struct descriptor *out, struct error *err);

/* NULL when there is no such annotation. */
const char *descriptor_annotation(const struct descriptor *descriptor, const char *key);
