/* SPDX-License-Identifier: Apache-2.0 */
/* SOCI's index of an image: looked for once for all layers, which have their ztocs from it. */
#include "image_internal.h"

#include <stdlib.h>

#include "base/log.h"
#include "format/referrers.h"
#include "format/soci_index.h"
#include "format/ztoc.h"

/* Anybody who may write to the repository can add more. */
enum { MAX_ASKED = 16 };

struct image_soci {
	pthread_mutex_t lock;
	bool asked;               /* guarded by lock; the rest does not change from then on */
	bool is_v1;               /* a referrer, which nothing in the image names */
	struct soci_index *index; /* owned; NULL: there is none */
};

int image_soci_new(struct image_soci **out, struct error *err)
{
	struct image_soci *soci = calloc(1, sizeof(*soci));

	if (!soci)
		return error_set(err, ERROR_NO_MEMORY, "no memory for the SOCI index of an image");
	(void)pthread_mutex_init(&soci->lock, NULL);
	*out = soci;
	return 0;
}

void image_soci_free(struct image_soci *soci)
{
	if (!soci)
		return;
	soci_index_free(soci->index);
	(void)pthread_mutex_destroy(&soci->lock);
	free(soci);
}

/* Not kept in the store, for the same reason as other artifacts. */
static int get_index(const struct image_opening *opening, const struct digest *digest,
	struct soci_index **out, struct error *err)
{
	struct image_source *source = opening->source;
	CLEANUP(buffer_free) struct buffer document = {0};
	char media_type[128];

	if (source->ops->get_manifest(source, digest, media_type, &document, err) < 0)
		return -1;
	return soci_index_parse(document.data, document.size, &opening->image->digest, out, err);
}

/* The first one that is an index of version 1; the type of a manifest need not be in the list. */
static int find_referrer(
	const struct image_opening *opening, struct soci_index **out, struct error *err)
{
	struct image_source *source = opening->source;
	CLEANUP(referrers_freep) struct referrers *referrers = NULL;
	CLEANUP(buffer_free) struct buffer list = {0};
	char text[DIGEST_TEXT_SIZE];

	if (source->ops->get_referrers(source, &opening->image->digest, SOCI_INDEX_V1, &list, err) <
		0)
		return -1;
	if (list.size == 0)
		return 0;
	if (referrers_parse(list.data, list.size, SOCI_INDEX_V1, &referrers, err) < 0)
		return -1;
	for (size_t i = 0; i < referrers->n && i < MAX_ASKED; i++) {
		const struct digest *digest = &referrers->list[i].descriptor.digest;
		struct error why;

		if (get_index(opening, digest, out, &why) == 0 && (*out)->version == 1)
			return 0;
		if (!*out && why.kind != ERROR_UNSUPPORTED)
			log_warning("the SOCI index %s is not used: %s",
				digest_format(digest, text), why.message);
		soci_index_freep(out);
	}
	return 0;
}

static int ask(struct image_soci *soci, const struct image_opening *opening, struct error *err)
{
	enum soci_discovery discovery;
	char text[DIGEST_TEXT_SIZE];
	struct digest digest;

	if (soci_discover(NULL, opening->image->manifest, opening->options->soci_v1, &discovery,
		    &digest, err) < 0)
		return -1;
	switch (discovery) {
	case SOCI_DISCOVERY_DIGEST:
		if (get_index(opening, &digest, &soci->index, err) < 0)
			return error_prefix(err, "index %s", digest_format(&digest, text));
		return 0;
	case SOCI_DISCOVERY_REFERRERS:
		soci->is_v1 = true;
		return find_referrer(opening, &soci->index, err);
	default:
		return 0;
	}
}

/* Images do not depend on what somebody else says about them. */
static void ask_once(struct image_soci *soci, const struct image_opening *opening)
{
	char text[DIGEST_TEXT_SIZE];
	struct error err;

	(void)pthread_mutex_lock(&soci->lock);
	if (!soci->asked && ask(soci, opening, &err) < 0)
		log_warning("the SOCI index of %s is not used: %s",
			digest_format(&opening->image->digest, text), err.message);
	soci->asked = true;
	(void)pthread_mutex_unlock(&soci->lock);
}

int image_layer_soci(
	const struct layer_blob *blob, struct buffer *out, bool *is_v1, struct error *err)
{
	struct image_source *source = blob->opening->source;
	struct image_soci *soci = blob->opening->soci;
	const struct soci_layer *layer = NULL;

	if (!soci)
		return 0;
	ask_once(soci, blob->opening);
	if (soci->index)
		layer = soci_index_find(soci->index, &blob->descriptor->digest);
	if (!layer)
		return 0;
	*is_v1 = soci->is_v1;
	return source->ops->get_blob(source, &layer->ztoc, ZTOC_MAX_SIZE, out, err);
}
