/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "format/referrers.h"
#include "oci/descriptor.h"
#include "oci/digest.h"
#include "oci/reference.h"

struct registry_client;

/* Small artifacts beside images: blobs and a manifest that refers to one. Everything goes to the
 * first host of the namespace with the capability `push`, and what has to be known before is asked
 * of that one. Spec: OCI distribution-spec, "Pushing blobs", "Pushing Manifests".
 *
 * The calls block: for threads that set things up, never a loop or a worker. ERROR_UNAUTHORIZED
 * says whose credentials were sent, or where some were looked for. */

/**
 * registry_push_blob() - have a blob in the repository.
 * @digest:  of @data; the host checks it.
 * @existed: set when the repository had it already, and nothing was sent.
 *
 * An upload that breaks is begun again, up to three times.
 */
MUST_CHECK int registry_push_blob(struct registry_client *client, const struct reference *reference,
	const struct digest *digest, const void *data, size_t size, bool *existed,
	struct error *err);

/**
 * registry_push_manifest() - put a manifest or index, whose blobs are in the repository.
 * @descriptor:  its media type, digest and size; size bytes are at @data.
 * @tag:         what it is called; NULL: it is found by its digest only.
 * @has_subject: set when the host lists it among the referrers of its subject. NULL is allowed.
 */
MUST_CHECK int registry_push_manifest(struct registry_client *client,
	const struct reference *reference, const struct descriptor *descriptor, const void *data,
	const char *tag, bool *has_subject, struct error *err);

/**
 * registry_push_referrer() - list a manifest under the tag that stands in for the referrers API.
 * @subject:    what it refers to.
 * @descriptor: of the manifest, which is in the repository.
 *
 * The index behind the tag is read, extended and written. A registry cannot do that in one step: of
 * two who do it at the same time, the first to write is lost. So the tag is read again afterwards,
 * and whoever is not there tries again, a few times; each is its own keeper.
 */
MUST_CHECK int registry_push_referrer(struct registry_client *client,
	const struct reference *reference, const struct digest *subject,
	const struct descriptor *descriptor, const char *artifact_type, struct error *err);
