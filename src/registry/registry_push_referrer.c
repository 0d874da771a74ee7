/* SPDX-License-Identifier: Apache-2.0 */
/* Keeps the index behind the tag that stands in for a missing referrers API. Spec: OCI
 * distribution-spec, "Pushing Manifests with Subject", "Referrers Tag Schema". */
#include "registry/registry_push.h"

#include <stdio.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "oci/manifest.h"

#include "push_internal.h"

/* Each of so many writers at the same time finds a turn. */
enum { MAX_ATTEMPTS = 6 };
#define FIRST_DELAY_NS (100 * NS_PER_MS)

/* One manifest on its way into the index of a tag. */
struct listing {
	struct registry_client *client;
	const struct reference *reference;
	const struct descriptor *descriptor;
	const char *artifact_type;
	char tag[REFERRERS_TAG_SIZE];
};

/* What the tag names now; nothing is appended when it names nothing. */
static int read_tag(const struct listing *listing, struct buffer *out, struct error *err)
{
	char path[CALL_PATH_SIZE];
	CLEANUP(push_call_clear)
	struct registry_call call = {
		.client = listing->client,
		.reference = listing->reference,
		.method = HTTP_GET,
		.path = path,
		.max_size = REFERRERS_MAX_SIZE,
		.may_be_absent = true,
	};
	struct error why = {0};

	(void)snprintf(path, sizeof(path), "manifests/%s", listing->tag);
	if (push_call_perform(&call, &why) == 0) {
		*out = call.body;
		call.body = (struct buffer){0};
		return 0;
	}
	if (why.kind == ERROR_NOT_FOUND)
		return 0;
	if (err)
		*err = why;
	return -1;
}

static int is_listed(
	const struct listing *listing, const struct buffer *index, bool *listed, struct error *err)
{
	CLEANUP(referrers_freep) struct referrers *referrers = NULL;

	*listed = false;
	if (index->size == 0)
		return 0;
	if (referrers_parse(index->data, index->size, NULL, &referrers, err) < 0)
		return -1;
	for (size_t i = 0; i < referrers->n; i++)
		*listed |= digest_equal(
			&referrers->list[i].descriptor.digest, &listing->descriptor->digest);
	return 0;
}

/* Reads the tag: *listed when there is nothing left to do. */
static int look(
	const struct listing *listing, struct buffer *index, bool *listed, struct error *err)
{
	buffer_free(index);
	return read_tag(listing, index, err) < 0 ? -1 : is_listed(listing, index, listed, err);
}

static int write_tag(const struct listing *listing, const struct buffer *index, struct error *err)
{
	CLEANUP(buffer_free) struct buffer changed = {0};
	struct descriptor descriptor = {.media_type = (char *)(uintptr_t)MEDIA_TYPE_OCI_INDEX};

	if (referrers_add(index->data, index->size, listing->descriptor, listing->artifact_type,
		    &changed, err) < 0 ||
		digest_compute(DIGEST_SHA256, changed.data, changed.size, &descriptor.digest, err) <
			0)
		return -1;
	descriptor.size = changed.size;
	return registry_push_manifest(listing->client, listing->reference, &descriptor,
		changed.data, listing->tag, NULL, err);
}

/* The longer the more often somebody else was faster. */
static void pause_before(unsigned attempt)
{
	uint64_t spread_ns = clock_now_ns() % FIRST_DELAY_NS;
	uint64_t delay_ns = (FIRST_DELAY_NS << attempt) / 2 + spread_ns;
	struct timespec delay = {.tv_sec = (time_t)(delay_ns / NS_PER_SECOND),
		.tv_nsec = (long)(delay_ns % NS_PER_SECOND)};

	(void)nanosleep(&delay, NULL);
}

static int list(const struct listing *listing, struct error *err)
{
	CLEANUP(buffer_free) struct buffer index = {0};
	bool listed;

	if (look(listing, &index, &listed, err) < 0)
		return -1;
	for (unsigned attempt = 0; !listed; attempt++) {
		if (attempt == MAX_ATTEMPTS)
			return error_set(err, ERROR_BUSY,
				"after %d attempts others are still writing to it: try again later",
				(int)MAX_ATTEMPTS);
		if (attempt > 0) {
			log_info("tag %s was written by somebody else: trying again", listing->tag);
			pause_before(attempt);
		}
		if (write_tag(listing, &index, err) < 0 || look(listing, &index, &listed, err) < 0)
			return -1;
	}
	return 0;
}

int registry_push_referrer(struct registry_client *client, const struct reference *reference,
	const struct digest *subject, const struct descriptor *descriptor,
	const char *artifact_type, struct error *err)
{
	struct listing listing = {
		.client = client,
		.reference = reference,
		.descriptor = descriptor,
		.artifact_type = artifact_type,
	};

	(void)referrers_tag(subject, listing.tag);
	if (list(&listing, err) < 0)
		return error_prefix(err, "list of referrers %s", listing.tag);
	return 0;
}
