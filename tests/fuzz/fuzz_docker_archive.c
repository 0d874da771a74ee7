/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as the list of images of `docker save`, and as the config of one. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "format/docker_archive.h"
#include "oci/image_config.h"
#include "oci/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_image(
	const struct docker_archive *archive, const struct docker_archive_image *image)
{
	const struct docker_archive_image *found;

	if (!image->config[0] || image->config[0] == '/' || strstr(image->config, "/../"))
		__builtin_trap();
	for (size_t i = 0; i < image->n_layers; i++) {
		if (!image->layers[i][0] || image->layers[i][0] == '/')
			__builtin_trap();
	}
	for (size_t i = 0; i < image->n_tags && i < 16; i++) {
		struct error err = {0};

		/* Its own name is never unknown. */
		if (image->tags[i][0] &&
			docker_archive_select(archive, image->tags[i], &found, &err) < 0 &&
			err.kind == ERROR_NOT_FOUND)
			__builtin_trap();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(docker_archive_freep) struct docker_archive *archive = NULL;
	CLEANUP(image_config_clear) struct image_config config = {0};
	const struct docker_archive_image *found;
	struct error err;

	if (image_config_parse(data, size, &config, NULL) == 0 &&
		config.n_diff_ids > MANIFEST_MAX_LAYERS)
		__builtin_trap();
	if (docker_archive_parse(data, size, &archive, NULL) < 0)
		return 0;
	for (size_t i = 0; i < archive->n_images && i < 16; i++)
		check_image(archive, &archive->images[i]);
	if (docker_archive_select(archive, "", &found, &err) < 0 && !err.message[0])
		__builtin_trap();
	return 0;
}
