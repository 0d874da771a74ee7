/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"
#include "oci/digest.h"
#include "store/store.h"

/* What the index of a layer was built from, where the image does not have it: the file
 * layers/<key>.spans, and a record that leads to it from the layer's blob. It is small, and goes
 * only when evicting whole layers has not made enough room. */

enum { LAYER_ARTIFACT_LIMIT = 64 << 20 };

/**
 * layer_artifact_put() - keep the artifact of a layer that was read as a whole.
 * @blob:   whose digest was checked, like everything that the artifact says.
 * @format: of the layer: the name that the key was made with.
 * @digest: of @data.
 *
 * Durable when it returns. Threads: those that may block on a disk.
 */
MUST_CHECK int layer_artifact_put(struct store *store, const struct digest *blob,
	const char *format, const uint8_t key[32], const struct digest *digest, const void *data,
	size_t size, struct error *err);

/* The file alone, for who has a record of his own. */
MUST_CHECK int layer_artifact_keep(struct store *store, const uint8_t key[32], const void *data,
	size_t size, struct error *err);

/* The digest of the artifact that was kept last; *found false when there was none. */
MUST_CHECK int layer_artifact_find(struct store *store, const struct digest *blob,
	const char *format, bool *found, struct digest *out, struct error *err);

/* Its bytes, which have that digest; *found false when it was evicted or is damaged. @out is
 * empty. */
MUST_CHECK int layer_artifact_read(struct store *store, const uint8_t key[32],
	const struct digest *digest, bool *found, struct buffer *out, struct error *err);
