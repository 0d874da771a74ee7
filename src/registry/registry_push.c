/* SPDX-License-Identifier: Apache-2.0 */
/* Puts blobs and manifests into a repository. */
#include "registry/registry_push.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error_map.h"
#include "base/log.h"

#include "push_internal.h"
#include "query_internal.h"

enum { MAX_ANSWER = 64 << 10, MAX_UPLOADS = 3 };

/* Adds to a refusal what nobody can know from its status. */
static void explain(int status, struct error *err)
{
	size_t size = strlen(err->message);
	const char *hint = NULL;

	if (status == 401 || status == 403)
		hint = "to push, an account that may write to the repository is needed: log in as "
		       "one with docker or podman, or give --username";
	else if (status == 405)
		hint = "it takes no pushes: it is read-only, or a cache of another registry; give "
		       "it no capability to push in hosts.toml";
	else if (status == 413)
		hint = "it, or a proxy before it, limits the size of what is pushed";
	if (hint)
		(void)snprintf(err->message + size, sizeof(err->message) - size, "; %s", hint);
}

int push_call_perform(struct registry_call *call, struct error *err)
{
	struct error why = {0};

	call->kind = CALL_PUSH;
	if (call->max_size == 0)
		call->max_size = MAX_ANSWER;
	if (registry_call_perform(call, &why) == 0)
		return 0;
	explain(call->status, &why);
	if (err)
		*err = why;
	return -1;
}

void push_call_clear(struct registry_call *call)
{
	buffer_free(&call->body);
	free(TAKE_PTR(call->location));
}

/* A host that does not answer that question gets the blob. */
static int blob_exists(struct registry_client *client, const struct reference *reference,
	const struct digest *digest, bool *exists, struct error *err)
{
	char path[DIGEST_TEXT_SIZE + 8], text[DIGEST_TEXT_SIZE];
	CLEANUP(push_call_clear)
	struct registry_call call = {
		.client = client,
		.reference = reference,
		.method = HTTP_HEAD,
		.path = path,
		.may_be_absent = true,
	};
	struct error why = {0};

	(void)snprintf(path, sizeof(path), "blobs/%s", digest_format(digest, text));
	*exists = push_call_perform(&call, &why) == 0;
	if (*exists || why.kind == ERROR_NOT_FOUND || why.kind == ERROR_UNSUPPORTED)
		return 0;
	if (err)
		*err = why;
	return -1;
}

/* *location: where the bytes go, with the digest; owned by the caller. */
static int begin_upload(struct registry_client *client, const struct reference *reference,
	const struct digest *digest, char **location, struct error *err)
{
	CLEANUP(push_call_clear)
	struct registry_call call = {
		.client = client,
		.reference = reference,
		.method = HTTP_POST,
		.path = "blobs/uploads/",
		.content_type = PUSH_BLOB_TYPE,
	};
	struct buffer url = {0};
	char text[DIGEST_TEXT_SIZE];

	if (push_call_perform(&call, err) < 0)
		return -1;
	if (!call.location)
		return error_set(err, ERROR_FORMAT,
			"an upload to %s was begun, but its answer has no Location to send bytes "
			"to",
			reference->registry);
	if (buffer_append(&url, call.location, strlen(call.location)) < 0 ||
		query_append(&url, "digest", digest_format(digest, text)) < 0) {
		buffer_free(&url);
		return error_set(err, ERROR_NO_MEMORY, "no memory for an upload");
	}
	*location = (char *)url.data;
	return 0;
}

/* *again: it may have been the upload's fault, a new one can help. */
static int upload(struct registry_client *client, const struct reference *reference,
	const struct digest *digest, const void *data, size_t size, bool *again, struct error *err)
{
	CLEANUP(cleanup_free) char *location = NULL;
	CLEANUP(push_call_clear)
	struct registry_call call = {
		.client = client,
		.reference = reference,
		.method = HTTP_PUT,
		.content_type = PUSH_BLOB_TYPE,
		.content = data,
		.content_size = size,
		.path = "blobs/uploads/",
	};
	struct error why = {0};

	*again = false;
	if (begin_upload(client, reference, digest, &location, err) < 0)
		return -1;
	call.target = location;
	if (push_call_perform(&call, &why) == 0)
		return 0;
	*again = error_is_retryable(why.kind) || why.kind == ERROR_NOT_FOUND;
	if (err)
		*err = why;
	return -1;
}

int registry_push_blob(struct registry_client *client, const struct reference *reference,
	const struct digest *digest, const void *data, size_t size, bool *existed,
	struct error *err)
{
	char text[DIGEST_TEXT_SIZE];
	struct error why = {0};
	bool exists = false, again = true;

	for (unsigned n = 0; n < MAX_UPLOADS && again; n++) {
		if (n > 0)
			log_info("an upload is begun again: %s", why.message);
		if (blob_exists(client, reference, digest, &exists, &why) < 0)
			break;
		*existed = exists && n == 0;
		if (exists || upload(client, reference, digest, data, size, &again, &why) == 0)
			return 0;
	}
	if (err)
		*err = why;
	return error_prefix(err, "push blob %s to %s/%s", digest_format(digest, text),
		reference->registry, reference->repository);
}

int registry_push_manifest(struct registry_client *client, const struct reference *reference,
	const struct descriptor *descriptor, const void *data, const char *tag, bool *has_subject,
	struct error *err)
{
	char path[CALL_PATH_SIZE], text[DIGEST_TEXT_SIZE];
	CLEANUP(push_call_clear)
	struct registry_call call = {
		.client = client,
		.reference = reference,
		.method = HTTP_PUT,
		.path = path,
		.content_type = descriptor->media_type,
		.content = data,
		.content_size = descriptor->size,
	};

	(void)digest_format(&descriptor->digest, text);
	(void)snprintf(path, sizeof(path), "manifests/%s", tag ? tag : text);
	if (push_call_perform(&call, err) < 0)
		return error_prefix(err, "push manifest %s to %s/%s", tag ? tag : text,
			reference->registry, reference->repository);
	if (has_subject)
		*has_subject = call.has_subject;
	return 0;
}
