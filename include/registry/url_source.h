/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"
#include "chunk/source.h"
#include "oci/descriptor.h"

struct registry_client;

/* Other places that a descriptor names for its blob: the "urls" of layers that registries must not
 * distribute. Spec: OCI image-spec, descriptor.md. An image's author chose them, so they are asked
 * as strangers are: with http or https only, without credentials, headers or certificates of any
 * registry, trusting the authorities that the system trusts. */

/* More are not asked. */
enum { URL_SOURCE_MAX_URLS = 8 };

/**
 * url_source_new() - ranges of a blob from its urls, in their order.
 * @descriptor: with at least one URL. Those that cannot be asked fail when they are.
 * @out:        freed through its ops, on the net loop unless it was never used, before the client.
 *
 * Any thread.
 */
MUST_CHECK int url_source_new(struct registry_client *client, const struct descriptor *descriptor,
	struct source **out, struct error *err);

/* Bytes [off, off + size) of a blob, as its urls have them: nothing is verified. Blocks, as the
 * calls of registry_client.h do. @out is empty. */
MUST_CHECK int url_get_range_unverified(struct registry_client *client,
	const struct descriptor *descriptor, uint64_t off, uint64_t size, struct buffer *out,
	struct error *err);
