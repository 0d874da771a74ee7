/* SPDX-License-Identifier: Apache-2.0 */
/* What an image's config says about its layers. */
#include "oci/image_config.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "oci/manifest.h"

static int parse_rootfs(const struct json *rootfs, struct image_config *out, struct error *err)
{
	const char *type = json_string(json_get(rootfs, "type"));
	const struct json *array = json_get(rootfs, "diff_ids");
	size_t n = json_length(array);

	if (!json_is_object(rootfs))
		return error_set(err, ERROR_FORMAT, "\"rootfs\" is missing or not an object");
	if (type && strcmp(type, "layers") != 0)
		return error_set(err, ERROR_UNSUPPORTED, "\"rootfs\" is of type \"%.40s\"", type);
	/* An image without layers says null. */
	if (!array || json_is_null(array))
		return 0;
	if (!json_is_array(array) || n > MANIFEST_MAX_LAYERS)
		return error_set(err, ERROR_FORMAT,
			"\"diff_ids\" is not an array of at most %d digests", MANIFEST_MAX_LAYERS);
	out->diff_ids = calloc(n + 1, sizeof(*out->diff_ids));
	if (!out->diff_ids)
		return error_set(err, ERROR_NO_MEMORY, "no memory for the config of an image");
	for (; out->n_diff_ids < n; out->n_diff_ids++) {
		const char *text = json_string(json_at(array, out->n_diff_ids));

		if (!text)
			return error_set(err, ERROR_FORMAT, "\"diff_ids\"[%zu] is not a string",
				out->n_diff_ids);
		if (digest_parse(text, &out->diff_ids[out->n_diff_ids], err) < 0)
			return error_prefix(err, "\"diff_ids\"[%zu]", out->n_diff_ids);
	}
	return 0;
}

int image_config_parse(const void *data, size_t size, struct image_config *out, struct error *err)
{
	CLEANUP(image_config_clear) struct image_config config = {0};
	CLEANUP(json_freep) struct json *json = NULL;

	if (size > MANIFEST_MAX_SIZE)
		return error_set(err, ERROR_FORMAT, "%zu bytes, more than the limit of %d", size,
			MANIFEST_MAX_SIZE);
	if (json_parse(data, size, &json, err) < 0 ||
		parse_rootfs(json_get(json, "rootfs"), &config, err) < 0)
		return -1;
	*out = config;
	config = (struct image_config){0};
	return 0;
}

void image_config_clear(struct image_config *config)
{
	free(config->diff_ids);
	*config = (struct image_config){0};
}
