/* SPDX-License-Identifier: Apache-2.0 */
/* What refers to a manifest: the API's answer, or the index behind the tag that stands in where
 * there is no API. Spec: OCI distribution-spec, "Listing Referrers" and "Referrers Tag Schema". */
#include <stdio.h>

#include "base/log.h"
#include "format/referrers.h"
#include "registry/registry_client.h"

#include "call_internal.h"
#include "query_internal.h"

static int build_path(const struct digest *subject, const char *artifact_type, struct buffer *out)
{
	char digest[DIGEST_TEXT_SIZE];

	if (buffer_printf(out, "referrers/%s", digest_format(subject, digest)) < 0)
		return -1;
	return artifact_type ? query_append(out, "artifactType", artifact_type) : 0;
}

/* Asks the hosts that have the capability for it. */
static int ask_api(struct registry_client *client, const struct reference *reference,
	const struct digest *subject, const char *artifact_type, struct buffer *out,
	struct error *err)
{
	CLEANUP(buffer_free) struct buffer path = {0};
	struct registry_call call = {
		.client = client,
		.kind = CALL_REFERRERS,
		.reference = reference,
		.max_size = REFERRERS_MAX_SIZE,
		.may_be_absent = true,
	};

	if (build_path(subject, artifact_type, &path) < 0)
		return error_set(err, ERROR_NO_MEMORY, "no memory for a request");
	if (path.size >= CALL_PATH_SIZE)
		return error_set(
			err, ERROR_INVALID, "the type \"%.80s...\" is too long", artifact_type);
	call.path = (const char *)path.data;
	if (registry_call_perform(&call, err) < 0) {
		buffer_free(&call.body);
		return -1;
	}
	*out = call.body;
	return 0;
}

static int get_tagged(struct registry_client *client, const struct reference *reference,
	const struct digest *subject, struct buffer *out, struct error *err)
{
	struct reference tagged = *reference;
	struct registry_call call = {
		.client = client,
		.kind = CALL_MANIFEST,
		.reference = &tagged,
		.max_size = REFERRERS_MAX_SIZE,
		.may_be_absent = true,
	};

	tagged.has_digest = false;
	(void)referrers_tag(subject, tagged.tag);
	if (registry_call_perform(&call, err) < 0) {
		buffer_free(&call.body);
		return error_prefix(err, "tag %s", tagged.tag);
	}
	*out = call.body;
	return 0;
}

/* Registries without the API say so in many ways, also by refusing what they do not know. */
static bool may_have_tag(const struct error *err)
{
	return err->kind == ERROR_NOT_FOUND || err->kind == ERROR_UNSUPPORTED ||
	       err->kind == ERROR_UNAUTHORIZED;
}

int registry_get_referrers(struct registry_client *client, const struct reference *reference,
	const struct digest *subject, const char *artifact_type, struct buffer *out,
	struct error *err)
{
	struct error api = {0};
	struct error tag = {0};
	char text[DIGEST_TEXT_SIZE];

	if (ask_api(client, reference, subject, artifact_type, out, &api) == 0)
		return 0;
	if (may_have_tag(&api)) {
		log_debug("no referrers API: %s", api.message);
		if (get_tagged(client, reference, subject, out, &tag) == 0)
			return 0;
		if (tag.kind != ERROR_NOT_FOUND)
			api = tag;
		else if (api.kind != ERROR_UNAUTHORIZED)
			return 0;
	}
	if (err)
		*err = api;
	return error_prefix(err, "referrers of %s", digest_format(subject, text));
}
