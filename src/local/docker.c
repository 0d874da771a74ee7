/* SPDX-License-Identifier: Apache-2.0 */
/* Archives of `docker save`. They have no manifests, and layers have no digest but the one in the
 * config, of the uncompressed bytes, which is what they mostly are. */
#include <stdlib.h>
#include <string.h>

#include "format/docker_archive.h"
#include "oci/image_config.h"

#include "local_internal.h"

enum { HASH_STEP = 1 << 20 };

/* The manifest of one image on its way. */
struct making {
	struct local_image *image;
	const struct docker_archive_image *from;
	struct image_config config;
	struct docker_archive_blob config_blob;
	struct docker_archive_blob *layers; /* owned */
};

static void making_clear(struct making *making)
{
	image_config_clear(&making->config);
	free(making->layers);
}

/* Remembers where the bytes of a digest are. */
static int add_member(struct local_image *image, const struct digest *digest,
	const struct local_range *range, struct error *err)
{
	struct local_member *more;

	for (size_t i = 0; i < image->n_members; i++) {
		if (digest_equal(&image->members[i].digest, digest))
			return 0;
	}
	more = reallocarray(image->members, image->n_members + 1, sizeof(*more));
	if (!more)
		return error_set(err, ERROR_NO_MEMORY, "no memory for the layers of an archive");
	image->members = more;
	more[image->n_members++] = (struct local_member){*digest, range->off, range->size};
	return 0;
}

static int hash_range(const struct local_range *range, struct digest *out, struct error *err)
{
	CLEANUP(digest_hasher_freep) struct digest_hasher *hasher = NULL;
	CLEANUP(cleanup_free) uint8_t *piece = malloc(HASH_STEP);

	if (!piece)
		return error_set(err, ERROR_NO_MEMORY, "no memory to hash a layer");
	if (digest_hasher_new(DIGEST_SHA256, &hasher, err) < 0)
		return -1;
	for (uint64_t off = 0; off < range->size; off += HASH_STEP) {
		size_t size = range->size - off < HASH_STEP ? range->size - off : HASH_STEP;

		if (local_range_read(range, off, piece, size, err) < 0 ||
			digest_hasher_update(hasher, piece, size, err) < 0)
			return -1;
	}
	return digest_hasher_final(hasher, out, err);
}

/* "blobs/sha256/HEX" is what newer writers call a layer: its digest, as far as one can trust a
 * name, which is as far as one can trust a manifest. */
static bool digest_in_path(const char *path, struct digest *out)
{
	char text[DIGEST_TEXT_SIZE];
	size_t size = strlen(path);
	char *slash;

	if (strncmp(path, "blobs/", 6) != 0 || size - 6 >= sizeof(text))
		return false;
	memcpy(text, path + 6, size - 6 + 1);
	slash = strchr(text, '/');
	if (!slash)
		return false;
	*slash = ':';
	return digest_parse(text, out, NULL) == 0;
}

/* The digest of an uncompressed layer is in the config. That of another one may be its name; else
 * it has to be computed, so that the layer can be told from others. */
static int describe_layer(struct making *making, size_t i, struct error *err)
{
	CLEANUP(local_range_clear) struct local_range range = {0};
	const char *path = making->from->layers[i];
	struct docker_archive_blob *layer = &making->layers[i];
	enum docker_layer_kind kind;
	uint8_t magic[4];
	size_t n_magic;

	if (local_open(making->image, path, &range, err) < 0)
		return -1;
	n_magic = range.size < sizeof(magic) ? range.size : sizeof(magic);
	if (local_range_read(&range, 0, magic, n_magic, err) < 0)
		return -1;
	kind = docker_layer_detect(magic, n_magic);
	layer->media_type = docker_layer_media_type(kind);
	layer->size = range.size;
	if (kind == DOCKER_LAYER_TAR)
		layer->digest = making->config.diff_ids[i];
	else if (!digest_in_path(path, &layer->digest) &&
		 hash_range(&range, &layer->digest, err) < 0)
		return -1;
	return add_member(making->image, &layer->digest, &range, err);
}

static int describe_config(struct making *making, struct error *err)
{
	CLEANUP(local_range_clear) struct local_range range = {0};
	CLEANUP(buffer_free) struct buffer text = {0};
	struct docker_archive_blob *config = &making->config_blob;
	const char *path = making->from->config;

	if (local_open(making->image, path, &range, err) < 0)
		return -1;
	if (local_range_read_all(&range, MANIFEST_MAX_SIZE, &text, err) < 0 ||
		image_config_parse(text.data, text.size, &making->config, err) < 0)
		return error_prefix(err, "config %.100s", path);
	if (making->config.n_diff_ids != making->from->n_layers)
		return error_set(err, ERROR_FORMAT,
			"config %.100s has %zu layers, " DOCKER_ARCHIVE_INDEX_FILE " has %zu", path,
			making->config.n_diff_ids, making->from->n_layers);
	config->media_type = DOCKER_CONFIG_MEDIA_TYPE;
	config->size = text.size;
	if (digest_compute(DIGEST_SHA256, text.data, text.size, &config->digest, err) < 0)
		return -1;
	return add_member(making->image, &config->digest, &range, err);
}

/* Makes the manifest and adds it to the documents of the image. */
static int make_manifest(struct local_image *image, const struct docker_archive_image *from,
	struct digest *out, struct error *err)
{
	CLEANUP(making_clear) struct making making = {.image = image, .from = from};
	CLEANUP(buffer_free) struct buffer text = {0};

	making.layers = calloc(from->n_layers + 1, sizeof(*making.layers));
	if (!making.layers)
		return error_set(err, ERROR_NO_MEMORY, "no memory for the layers of an archive");
	if (describe_config(&making, err) < 0)
		return -1;
	for (size_t i = 0; i < from->n_layers; i++) {
		if (describe_layer(&making, i, err) < 0)
			return -1;
	}
	if (docker_archive_manifest(
		    &making.config_blob, making.layers, from->n_layers, &text, err) < 0 ||
		digest_compute(DIGEST_SHA256, text.data, text.size, out, err) < 0)
		return -1;
	return local_image_add_document(image, out, &text, err);
}

static bool has_file(struct local_image *image, const char *path)
{
	struct local_range range = {0};

	if (local_open(image, path, &range, NULL) < 0)
		return false;
	local_range_clear(&range);
	return true;
}

static int set_no_images(struct local_image *image, struct error *err)
{
	const char *path = image->name.path;

	if (has_file(image, "repositories"))
		return error_set(err, ERROR_UNSUPPORTED,
			"%s was written by a Docker older than 1.10, "
			"without " DOCKER_ARCHIVE_INDEX_FILE ": load it and save it again",
			path);
	return error_set(err, ERROR_FORMAT,
		"%s was not written by docker save: it has no " DOCKER_ARCHIVE_INDEX_FILE "%s",
		path, has_file(image, "oci-layout") ? "; it is oci-archive:FILE" : "");
}

static int read_images(struct local_image *image, struct docker_archive **out, struct error *err)
{
	CLEANUP(local_range_clear) struct local_range range = {0};
	CLEANUP(buffer_free) struct buffer text = {0};
	struct error why = {0};

	if (local_open(image, DOCKER_ARCHIVE_INDEX_FILE, &range, &why) < 0) {
		if (why.kind == ERROR_NOT_FOUND && image->archive)
			return set_no_images(image, err);
		if (err)
			*err = why;
		return -1;
	}
	if (local_range_read_all(&range, MANIFEST_MAX_SIZE, &text, err) < 0 ||
		docker_archive_parse(text.data, text.size, out, err) < 0)
		return error_prefix(err, DOCKER_ARCHIVE_INDEX_FILE);
	return 0;
}

static int resolve(
	struct local_image *image, const char *tag, struct digest *out, struct error *err)
{
	CLEANUP(docker_archive_freep) struct docker_archive *archive = NULL;
	const struct docker_archive_image *chosen;

	if (read_images(image, &archive, err) < 0 ||
		docker_archive_select(archive, tag, &chosen, err) < 0)
		return -1;
	return make_manifest(image, chosen, out, err);
}

/* The name may have been resolved at another time, by a store that remembers. */
static int make_all(struct local_image *image, struct error *err)
{
	CLEANUP(docker_archive_freep) struct docker_archive *archive = NULL;
	struct digest digest;

	if (image->has_all_members)
		return 0;
	if (read_images(image, &archive, err) < 0)
		return -1;
	for (size_t i = 0; i < archive->n_images; i++) {
		if (make_manifest(image, &archive->images[i], &digest, err) < 0)
			return -1;
	}
	image->has_all_members = true;
	return 0;
}

static bool find_member(
	const struct local_image *image, const struct digest *digest, struct local_range *out)
{
	for (size_t i = 0; i < image->n_members; i++) {
		const struct local_member *member = &image->members[i];

		if (!digest_equal(&member->digest, digest))
			continue;
		*out = local_archive_range(image->archive, member->off, member->size);
		return true;
	}
	return false;
}

static int find(struct local_image *image, const struct digest *digest, struct local_range *out,
	struct error *err)
{
	char text[DIGEST_TEXT_SIZE];

	if (find_member(image, digest, out))
		return 0;
	if (make_all(image, err) < 0)
		return -1;
	if (find_member(image, digest, out))
		return 0;
	return error_set(err, ERROR_NOT_FOUND, "%s has no blob %s", image->name.path,
		digest_format(digest, text));
}

const struct local_place docker_archive_place = {
	.resolve = resolve,
	.find = find,
};
