/* SPDX-License-Identifier: Apache-2.0 */
/* An image in files as the source of an image. */
#include "local/local_image.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "local_internal.h"

static struct local_image *image_of(struct image_source *base)
{
	return container_of(base, struct local_image, base);
}

struct local_image *local_image_ref(struct local_image *image)
{
	atomic_fetch_add(&image->refs, 1);
	return image;
}

void local_image_unref(struct local_image *image)
{
	if (atomic_fetch_sub(&image->refs, 1) != 1)
		return;
	for (size_t i = 0; i < image->n_documents; i++)
		buffer_free(&image->documents[i].bytes);
	free(image->documents);
	free(image->members);
	local_archive_close(image->archive);
	(void)pthread_mutex_destroy(&image->lock);
	free(image);
}

bool local_image_is_archive(const struct local_image *image)
{
	return image->name.place == IMAGE_IN_OCI_ARCHIVE ||
	       image->name.place == IMAGE_IN_DOCKER_ARCHIVE;
}

static const struct local_document *find_document(
	const struct local_image *image, const struct digest *digest)
{
	for (size_t i = 0; i < image->n_documents; i++) {
		if (digest_equal(&image->documents[i].digest, digest))
			return &image->documents[i];
	}
	return NULL;
}

int local_image_add_document(struct local_image *image, const struct digest *digest,
	struct buffer *bytes, struct error *err)
{
	struct local_document *more;

	if (find_document(image, digest)) {
		buffer_free(bytes);
		return 0;
	}
	more = reallocarray(image->documents, image->n_documents + 1, sizeof(*more));
	if (!more)
		return error_set(err, ERROR_NO_MEMORY, "no memory for a manifest");
	image->documents = more;
	more[image->n_documents++] = (struct local_document){*digest, *bytes};
	*bytes = (struct buffer){0};
	return 0;
}

static int resolve(
	struct image_source *base, const char *suffix, struct digest *out, struct error *err)
{
	struct local_image *image = image_of(base);
	char tag[IMAGE_NAME_TEXT_SIZE + 64];
	int result;

	if (suffix[0] && !image->name.tag[0])
		return error_set(err, ERROR_NOT_FOUND,
			"what belongs to it is called <tag>%s, and this name has no tag", suffix);
	(void)snprintf(tag, sizeof(tag), "%s%s", image->name.tag, suffix);
	pthread_mutex_lock(&image->lock);
	result = image->place->resolve(image, tag, out, err);
	pthread_mutex_unlock(&image->lock);
	return result;
}

static int find(struct local_image *image, const struct digest *digest, struct local_range *out,
	struct error *err)
{
	int result;

	pthread_mutex_lock(&image->lock);
	result = image->place->find(image, digest, out, err);
	pthread_mutex_unlock(&image->lock);
	return result;
}

/* All of it, checked. */
static int read_blob(struct local_image *image, const struct digest *digest, uint64_t limit,
	struct buffer *out, struct error *err)
{
	CLEANUP(local_range_clear) struct local_range range = {0};
	CLEANUP(buffer_free) struct buffer bytes = {0};
	char text[DIGEST_TEXT_SIZE];

	if (find(image, digest, &range, err) < 0)
		return -1;
	if (local_range_read_all(&range, limit, &bytes, err) < 0 ||
		digest_check(digest, bytes.data, bytes.size, err) < 0)
		return error_prefix(err, "%s in %s", digest_format(digest, text), range.file->path);
	*out = bytes;
	bytes = (struct buffer){0};
	return 0;
}

/* *found is set when there is such a document, and a copy of it is in out. */
static int get_document(struct local_image *image, const struct digest *digest, struct buffer *out,
	bool *found, struct error *err)
{
	const struct local_document *document;
	int result = 0;

	pthread_mutex_lock(&image->lock);
	document = find_document(image, digest);
	*found = document != NULL;
	if (document)
		result = buffer_append(out, document->bytes.data, document->bytes.size);
	pthread_mutex_unlock(&image->lock);
	return result < 0 ? error_set(err, ERROR_NO_MEMORY, "no memory for a manifest") : 0;
}

static int get_manifest(struct image_source *base, const struct digest *digest,
	char media_type[128], struct buffer *out, struct error *err)
{
	struct local_image *image = image_of(base);
	bool found;

	/* A file has no type; the document says itself what it is. */
	(void)snprintf(media_type, 128, "application/json");
	if (get_document(image, digest, out, &found, err) < 0)
		return -1;
	if (found || read_blob(image, digest, MANIFEST_MAX_SIZE, out, err) == 0)
		return 0;
	/* An archive without manifests makes them when it is searched. */
	return get_document(image, digest, out, &found, NULL) == 0 && found ? 0 : -1;
}

static int get_blob(struct image_source *base, const struct descriptor *descriptor,
	uint64_t max_size, struct buffer *out, struct error *err)
{
	return read_blob(image_of(base), &descriptor->digest, max_size, out, err);
}

static int get_range(struct image_source *base, const struct descriptor *descriptor, uint64_t off,
	uint64_t size, struct buffer *out, struct error *err)
{
	CLEANUP(local_range_clear) struct local_range range = {0};
	CLEANUP(buffer_free) struct buffer bytes = {0};

	if (!range_within(off, size, descriptor->size))
		return error_set(err, ERROR_FORMAT,
			"bytes %ju to %ju are beyond a blob of %ju bytes", (uintmax_t)off,
			(uintmax_t)(off + size), (uintmax_t)descriptor->size);
	if (find(image_of(base), &descriptor->digest, &range, err) < 0)
		return -1;
	if (range.size != descriptor->size)
		return error_set(err, ERROR_FORMAT,
			"the blob has %ju bytes in %s, the manifest says %ju",
			(uintmax_t)range.size, range.file->path, (uintmax_t)descriptor->size);
	if (buffer_reserve(&bytes, size + 1) < 0)
		return error_set(
			err, ERROR_NO_MEMORY, "no memory for %ju bytes of a blob", (uintmax_t)size);
	if (local_range_read(&range, off, bytes.data, size, err) < 0)
		return -1;
	bytes.size = size;
	bytes.data[size] = 0;
	*out = bytes;
	bytes = (struct buffer){0};
	return 0;
}

static int open_blob(struct image_source *base, const struct descriptor *descriptor,
	struct source **out, struct error *err)
{
	return local_source_new(image_of(base), descriptor, out, err);
}

static void image_free(struct image_source *base)
{
	local_image_unref(image_of(base));
}

static const struct local_place *place_of(enum image_place place)
{
	switch (place) {
	case IMAGE_IN_OCI_LAYOUT:
	case IMAGE_IN_OCI_ARCHIVE:
		return &layout_place;
	case IMAGE_IN_DOCKER_ARCHIVE:
		return &docker_archive_place;
	case IMAGE_IN_CONTAINERD:
		return &content_store_place;
	case IMAGE_IN_REGISTRY:
		break;
	}
	return NULL;
}

static const struct image_source_ops ops = {
	.resolve = resolve,
	.get_manifest = get_manifest,
	.get_blob = get_blob,
	.get_range_unverified = get_range,
	.get_referrers = local_get_referrers,
	.open_blob = open_blob,
	.free = image_free,
};

int local_image_new(
	const struct local_image_options *options, struct image_source **out, struct error *err)
{
	struct local_image *image;

	assert(options->name->place != IMAGE_IN_REGISTRY);
	image = calloc(1, sizeof(*image));
	if (!image)
		return error_set(err, ERROR_NO_MEMORY, "no memory for the source of an image");
	image->base = (struct image_source){.ops = &ops, .is_local = true};
	atomic_init(&image->refs, 1);
	image->name = *options->name;
	image->place = place_of(image->name.place);
	image->loop = options->loop;
	image->workers = options->workers;
	(void)snprintf(image->origin, sizeof(image->origin), "%s:%.*s",
		image_place_name(image->name.place), IMAGE_NAME_TEXT_SIZE - 32, image->name.path);
	(void)pthread_mutex_init(&image->lock, NULL);
	*out = &image->base;
	return 0;
}
