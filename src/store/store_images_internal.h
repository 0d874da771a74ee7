/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "index/image_index.h"
#include "store_internal.h"

/* Forgets that an image was mounted, what its tag was, and its documents. */
MUST_CHECK int images_forget(
	struct store *store, const struct store_image *image, struct error *err);

/* store_documents.c: what a document is recorded under. */
MUST_CHECK int document_key(
	const struct digest *digest, uint8_t out[RECORD_KEY_SIZE], struct error *err);
