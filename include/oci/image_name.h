/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>

#include "base/error.h"
#include "oci/digest.h"
#include "oci/reference.h"

/* Where an image is. */
enum image_place {
	IMAGE_IN_REGISTRY,
	IMAGE_IN_OCI_LAYOUT,     /* oci:DIR[:TAG] */
	IMAGE_IN_OCI_ARCHIVE,    /* oci-archive:FILE[:TAG] */
	IMAGE_IN_DOCKER_ARCHIVE, /* docker-archive:FILE[:TAG] */
	IMAGE_IN_CONTAINERD,     /* containerd:[DIR]@DIGEST */
};

/* Longest text of a name, with its NUL: what a store remembers. */
enum { IMAGE_NAME_TEXT_SIZE = 1024 + 1 };

/* Where containerd keeps its content unless told otherwise. */
#define CONTAINERD_CONTENT_DIR "/var/lib/containerd/io.containerd.content.v1.content"

/* What a person calls an image: a reference of a registry, or a path with what the image is called
 * there. */
struct image_name {
	enum image_place place;
	struct reference reference;      /* in a registry; otherwise unused */
	char path[IMAGE_NAME_TEXT_SIZE]; /* "" in a registry */
	/* As the layout or archive calls it; "" for the only one there; "@3" for the fourth. */
	char tag[IMAGE_NAME_TEXT_SIZE];
	bool has_digest; /* also of a reference with one: it decides */
	struct digest digest;
};

/**
 * image_name_parse() - read what a person types after `varve mount`.
 *
 * What begins with a place and a colon is there, as skopeo and podman read it: up to the next colon
 * it is a path, then comes the tag, which may have colons of its own, and at the end of either
 * "@sha256:..." names a manifest. Everything else is a reference. ERROR_INVALID says what is wrong
 * and how it is written.
 */
MUST_CHECK int image_name_parse(const char *text, struct image_name *out, struct error *err);

/* Replaces the path, by an absolute one; ERROR_INVALID when the name is too long then. */
MUST_CHECK int image_name_set_path(struct image_name *name, const char *path, struct error *err);

/* The full form; image_name_parse() of it is the same name. Returns text. */
const char *image_name_format(const struct image_name *name, char text[IMAGE_NAME_TEXT_SIZE]);

/* The same without the digest: what is asked for when there is none. */
const char *image_name_format_tag(const struct image_name *name, char text[IMAGE_NAME_TEXT_SIZE]);

/* "oci", "docker-archive" and so on; "registry". */
const char *image_place_name(enum image_place place);
