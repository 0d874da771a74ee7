/* SPDX-License-Identifier: Apache-2.0 */
/* The artifacts in which somebody has put indexes of an image's layers: looked for once for all
 * layers of the image, as most images have none. */
#include "image_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "format/referrers.h"
#include "format/span_index_file.h"
#include "format/span_index_manifest.h"

/* Anybody who may write to the repository can add more. */
enum { MAX_ARTIFACTS = 16 };

struct image_artifacts {
	pthread_mutex_t lock;
	bool asked; /* guarded by lock; the manifests do not change from then on */
	struct span_index_manifest *manifests[MAX_ARTIFACTS]; /* owned */
	size_t n;
};

int image_artifacts_new(struct image_artifacts **out, struct error *err)
{
	struct image_artifacts *artifacts = calloc(1, sizeof(*artifacts));

	if (!artifacts)
		return error_set(err, ERROR_NO_MEMORY, "no memory for the indexes of an image");
	(void)pthread_mutex_init(&artifacts->lock, NULL);
	*out = artifacts;
	return 0;
}

void image_artifacts_free(struct image_artifacts *artifacts)
{
	if (!artifacts)
		return;
	for (size_t i = 0; i < artifacts->n; i++)
		span_index_manifest_free(artifacts->manifests[i]);
	(void)pthread_mutex_destroy(&artifacts->lock);
	free(artifacts);
}

/* Not kept in the store: what is trusted has to leave no trace when it turns out to be a lie. */
static int get_manifest(const struct image_opening *opening, const struct digest *digest,
	struct span_index_manifest **out, struct error *err)
{
	struct image_source *source = opening->source;
	CLEANUP(buffer_free) struct buffer document = {0};
	char media_type[128];

	if (source->ops->get_manifest(source, digest, media_type, &document, err) < 0)
		return -1;
	return span_index_manifest_parse(
		document.data, document.size, &opening->image->digest, out, err);
}

static void add(struct image_artifacts *artifacts, const struct image_opening *opening,
	const struct referrer *referrer)
{
	char text[DIGEST_TEXT_SIZE];
	struct error err;

	if (get_manifest(opening, &referrer->descriptor.digest, &artifacts->manifests[artifacts->n],
		    &err) == 0)
		artifacts->n++;
	else
		log_warning("the indexes of layers in %s are not used: %s",
			digest_format(&referrer->descriptor.digest, text), err.message);
}

static int ask(
	struct image_artifacts *artifacts, const struct image_opening *opening, struct error *err)
{
	struct image_source *source = opening->source;
	CLEANUP(referrers_freep) struct referrers *referrers = NULL;
	CLEANUP(buffer_free) struct buffer list = {0};

	if (source->ops->get_referrers(
		    source, &opening->image->digest, SPAN_INDEX_ARTIFACT_TYPE, &list, err) < 0)
		return -1;
	if (list.size == 0)
		return 0;
	if (referrers_parse(list.data, list.size, SPAN_INDEX_ARTIFACT_TYPE, &referrers, err) < 0)
		return -1;
	for (size_t i = 0; i < referrers->n && artifacts->n < MAX_ARTIFACTS; i++)
		add(artifacts, opening, &referrers->list[i]);
	return 0;
}

/* Images do not depend on what somebody else says about them. */
static void ask_once(struct image_artifacts *artifacts, const struct image_opening *opening)
{
	char text[DIGEST_TEXT_SIZE];
	struct error err;

	(void)pthread_mutex_lock(&artifacts->lock);
	if (!artifacts->asked && ask(artifacts, opening, &err) < 0)
		log_warning("whether somebody has indexed the layers of %s is not known: %s",
			digest_format(&opening->image->digest, text), err.message);
	artifacts->asked = true;
	(void)pthread_mutex_unlock(&artifacts->lock);
}

const struct descriptor *image_artifacts_find(const struct layer_blob *blob, size_t nth)
{
	struct image_artifacts *artifacts = blob->opening->artifacts;

	ask_once(artifacts, blob->opening);
	for (size_t i = 0; i < artifacts->n; i++) {
		const struct descriptor *index = span_index_manifest_find(
			artifacts->manifests[i], &blob->descriptor->digest);

		if (index && nth-- == 0)
			return index;
	}
	return NULL;
}
