/* SPDX-License-Identifier: Apache-2.0 */
/* What refers to a manifest in an OCI layout. Spec: OCI image-spec, image-layout.md, "index.json":
 * whatever the layout has is reachable from there, and a manifest says itself what it refers to. */
#include <string.h>

#include "base/log.h"
#include "format/oci_layout.h"
#include "format/referrers.h"

#include "local_internal.h"

/* The search of one image's referrers. */
struct search {
	struct image_source *image;
	const struct digest *subject;
	char tag[REFERRERS_TAG_SIZE]; /* of the index that tools without an API keep */
	struct buffer list;           /* owned; what was found so far, empty for nothing */
};

static void search_clear(struct search *search)
{
	buffer_free(&search->list);
}

static void replace_list(struct search *search, struct buffer *list)
{
	buffer_free(&search->list);
	search->list = *list;
	*list = (struct buffer){0};
}

static bool is_tagged(const struct search *search, const struct descriptor *entry)
{
	const char *name = descriptor_annotation(entry, OCI_LAYOUT_REF_NAME_ANNOTATION);

	return name && strcmp(name, search->tag) == 0;
}

static int join_tagged(struct search *search, const struct buffer *document, struct buffer *list,
	struct error *err)
{
	return referrers_join(
		search->list.data, search->list.size, document->data, document->size, list, err);
}

/* Takes what an entry of index.json stands for. One that is broken or not here has nothing to say
 * about the others. */
static int look_at(
	struct search *search, const struct descriptor *entry, bool tagged, struct error *err)
{
	CLEANUP(buffer_free) struct buffer document = {0};
	CLEANUP(buffer_free) struct buffer list = {0};
	struct error why = {0};
	char media_type[128];
	bool added = tagged;
	int result = search->image->ops->get_manifest(
		search->image, &entry->digest, media_type, &document, &why);

	if (result == 0)
		result = tagged ? join_tagged(search, &document, &list, &why)
				: referrers_add_manifest(search->list.data, search->list.size,
					  search->subject, &document, entry, &list, &added, &why);
	if (result < 0 && why.kind == ERROR_NO_MEMORY) {
		*err = why;
		return -1;
	}
	if (result < 0)
		log_debug("not looked at for referrers: %s", why.message);
	else if (added)
		replace_list(search, &list);
	return 0;
}

/* First the index behind the tag, whose entries index.json may have once more. */
static int look_at_all(struct search *search, const struct manifest_index *index, struct error *err)
{
	for (int tagged = 1; tagged >= 0; tagged--) {
		for (size_t i = 0; i < index->n_manifests; i++) {
			const struct descriptor *entry = &index->manifests[i].descriptor;

			if (is_tagged(search, entry) == (bool)tagged &&
				look_at(search, entry, tagged, err) < 0)
				return -1;
		}
	}
	return 0;
}

int local_get_referrers(struct image_source *base, const struct digest *subject,
	const char *artifact_type, struct buffer *out, struct error *err)
{
	CLEANUP(manifest_index_freep) struct manifest_index *index = NULL;
	CLEANUP(search_clear) struct search search = {.image = base, .subject = subject};
	struct local_image *image = container_of(base, struct local_image, base);
	struct error why = {0};
	int result;

	(void)artifact_type;
	/* What docker saved or containerd pulled has no place for them. */
	if (image->name.place != IMAGE_IN_OCI_LAYOUT && image->name.place != IMAGE_IN_OCI_ARCHIVE)
		return 0;
	(void)referrers_tag(subject, search.tag);
	pthread_mutex_lock(&image->lock);
	result = layout_read_index(image, &index, &why);
	pthread_mutex_unlock(&image->lock);
	if (result == 0)
		result = look_at_all(&search, index, &why);
	if (result < 0) {
		if (err)
			*err = why;
		return -1;
	}
	*out = search.list;
	search.list = (struct buffer){0};
	return 0;
}
