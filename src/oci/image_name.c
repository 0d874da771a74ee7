/* SPDX-License-Identifier: Apache-2.0 */
/* Names of images, wherever the image is. */
#include "oci/image_name.h"

#include <stdio.h>
#include <string.h>

static const struct {
	const char *name;
	const char *form; /* how it is written */
} places[] = {
	[IMAGE_IN_REGISTRY] = {"registry", ""},
	[IMAGE_IN_OCI_LAYOUT] = {"oci", "oci:DIR[:TAG]"},
	[IMAGE_IN_OCI_ARCHIVE] = {"oci-archive", "oci-archive:FILE[:TAG]"},
	[IMAGE_IN_DOCKER_ARCHIVE] = {"docker-archive", "docker-archive:FILE[:NAME:TAG]"},
	[IMAGE_IN_CONTAINERD] = {"containerd", "containerd:[DIR]@sha256:..."},
};

enum { N_PLACES = sizeof(places) / sizeof(places[0]) };

const char *image_place_name(enum image_place place)
{
	return places[place].name;
}

static int set_invalid(
	const char *text, const struct image_name *name, const char *why, struct error *err)
{
	return error_set(err, ERROR_INVALID, "\"%.200s\" is no image: %s; write %s", text, why,
		places[name->place].form);
}

/* What follows "oci:" and the like; NULL for a reference. */
static const char *take_place(const char *text, enum image_place *place)
{
	for (int i = IMAGE_IN_REGISTRY + 1; i < N_PLACES; i++) {
		size_t size = strlen(places[i].name);

		if (strncmp(text, places[i].name, size) == 0 && text[size] == ':') {
			*place = (enum image_place)i;
			return text + size + 1;
		}
	}
	return NULL;
}

static const char *find_digest(const char *text)
{
	const char *at = strrchr(text, '@');

	return at && (strncmp(at, "@sha256:", 8) == 0 || strncmp(at, "@sha512:", 8) == 0) ? at
											  : NULL;
}

/* "PATH[:TAG][@DIGEST]"; the text fits. */
static int parse_path(
	const char *text, const char *rest, struct image_name *name, struct error *err)
{
	const char *digest = find_digest(rest);
	size_t size = digest ? (size_t)(digest - rest) : strlen(rest);
	const char *colon = memchr(rest, ':', size);
	size_t path_size = colon ? (size_t)(colon - rest) : size;
	struct error cause;

	if (digest && digest_parse(digest + 1, &name->digest, &cause) < 0)
		return set_invalid(text, name, cause.message, err);
	name->has_digest = digest != NULL;
	memcpy(name->path, rest, path_size);
	if (colon)
		memcpy(name->tag, colon + 1, size - path_size - 1);
	if (colon && !name->tag[0])
		return set_invalid(text, name, "nothing follows its last colon", err);
	return 0;
}

static int check_path(const char *text, struct image_name *name, struct error *err)
{
	if (name->place == IMAGE_IN_CONTAINERD) {
		if (!name->has_digest || name->tag[0])
			return set_invalid(text, name,
				"a content store knows digests only (`ctr images ls` shows them)",
				err);
		if (!name->path[0])
			strcpy(name->path, CONTAINERD_CONTENT_DIR);
	}
	if (!name->path[0])
		return set_invalid(text, name, "it has no path", err);
	return 0;
}

static int check_size(const struct image_name *name, struct error *err)
{
	size_t size = strlen(places[name->place].name) + strlen(name->path) + strlen(name->tag) +
		      DIGEST_TEXT_SIZE + 3;

	if (size > IMAGE_NAME_TEXT_SIZE)
		return error_set(err, ERROR_INVALID,
			"the path and tag of an image have at most %d bytes together: "
			"\"%.100s\"...",
			IMAGE_NAME_TEXT_SIZE - DIGEST_TEXT_SIZE - 32, name->path);
	return 0;
}

int image_name_parse(const char *text, struct image_name *out, struct error *err)
{
	struct image_name name = {.place = IMAGE_IN_REGISTRY};
	const char *rest = take_place(text, &name.place);

	if (rest) {
		if (strlen(text) >= IMAGE_NAME_TEXT_SIZE)
			return set_invalid("...", &name, "it is too long", err);
		if (parse_path(text, rest, &name, err) < 0 || check_path(text, &name, err) < 0 ||
			check_size(&name, err) < 0)
			return -1;
	} else {
		if (reference_parse(text, &name.reference, err) < 0)
			return -1;
		name.has_digest = name.reference.has_digest;
		name.digest = name.reference.digest;
	}
	*out = name;
	return 0;
}

int image_name_set_path(struct image_name *name, const char *path, struct error *err)
{
	struct image_name changed = *name;

	(void)snprintf(changed.path, sizeof(changed.path), "%s", path);
	if (strchr(path, ':'))
		return error_set(err, ERROR_INVALID,
			"the path of an image may have no colon, and the absolute one is %.300s",
			path);
	if (strlen(path) >= sizeof(changed.path) || check_size(&changed, err) < 0)
		return error_set(
			err, ERROR_INVALID, "the absolute path is too long: %.200s...", path);
	*name = changed;
	return 0;
}

const char *image_name_format_tag(const struct image_name *name, char text[IMAGE_NAME_TEXT_SIZE])
{
	struct reference reference = name->reference;

	if (name->place == IMAGE_IN_REGISTRY) {
		reference.has_digest = false;
		return reference_format(&reference, text);
	}
	/* check_size() has seen to it that all of it fits. */
	(void)stpcpy(stpcpy(stpcpy(text, places[name->place].name), ":"), name->path);
	if (name->tag[0])
		(void)strcat(strcat(text, ":"), name->tag);
	return text;
}

const char *image_name_format(const struct image_name *name, char text[IMAGE_NAME_TEXT_SIZE])
{
	char digest[DIGEST_TEXT_SIZE];
	size_t size;

	(void)image_name_format_tag(name, text);
	size = strlen(text);
	if (name->has_digest)
		(void)snprintf(text + size, IMAGE_NAME_TEXT_SIZE - size, "@%s",
			digest_format(&name->digest, digest));
	return text;
}
