/* SPDX-License-Identifier: Apache-2.0 */
/* Takes what a call needs from an answer. */
#include <stdlib.h>
#include <string.h>

#include "call_internal.h"
#include "link_internal.h"

/* "application/json; charset=utf-8" without what follows the type. */
static void take_media_type(struct registry_call *call, const char *text)
{
	size_t size = strcspn(text, "; \t");

	if (size >= sizeof(call->media_type))
		size = 0;
	memcpy(call->media_type, text, size);
	call->media_type[size] = 0;
}

/* Only a list of referrers has more pages. */
static int keep_link(struct registry_call *call, const struct http_response *response)
{
	free(TAKE_PTR(call->link));
	if (call->kind != CALL_REFERRERS)
		return 0;
	return link_find_next(&response->headers, &call->link);
}

/* Spec: OCI distribution-spec, "Pushing Manifests with Subject". */
static int keep_pushed(struct registry_call *call, const struct http_response *response)
{
	const char *location = http_headers_get(&response->headers, "Location");

	free(TAKE_PTR(call->location));
	call->has_subject = http_headers_get(&response->headers, "OCI-Subject") != NULL;
	if (call->kind != CALL_PUSH || !location)
		return 0;
	call->location = strdup(location);
	return call->location ? 0 : -1;
}

static enum http_flow on_response(void *arg, const struct http_response *response)
{
	struct registry_call *call = arg;
	const char *type = http_headers_get(&response->headers, "Content-Type");
	const char *digest = http_headers_get(&response->headers, "Docker-Content-Digest");

	if (keep_link(call, response) < 0 || keep_pushed(call, response) < 0)
		return HTTP_ABORT;
	if (type)
		take_media_type(call, type);
	/* A digest that cannot be understood is as good as none: the body has one. */
	call->has_digest = digest && digest_parse(digest, &call->found, NULL) == 0;
	if (!call->is_head && response->has_length && response->length <= call->max_size &&
		buffer_reserve(&call->body, response->length) < 0)
		return HTTP_ABORT;
	return HTTP_CONTINUE;
}

static enum http_flow on_data(void *arg, const void *data, size_t size)
{
	struct registry_call *call = arg;

	return buffer_append(&call->body, data, size) < 0 ? HTTP_ABORT : HTTP_CONTINUE;
}

static void on_done(void *arg, const struct exchange_result *result)
{
	call_answered(arg, result);
}

const struct exchange_callbacks call_callbacks = {on_response, on_data, on_done};
