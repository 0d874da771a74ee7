/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/json.h"
#include "oci/manifest.h"

/* A document that is known to be an image manifest or an index. */
struct manifest_document {
	struct json *json; /* owned */
	enum manifest_kind kind;
	bool has_media_type; /* of its own; else media_type is OCI's for this kind */
	char *media_type;    /* owned */
};

/* Parses and tells the kind, as manifest_detect() does without a content type. @out needs
 * manifest_document_close() only on success. */
MUST_CHECK int manifest_document_open(
	const void *data, size_t size, struct manifest_document *out, struct error *err);
void manifest_document_close(struct manifest_document *document);
