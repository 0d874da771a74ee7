/* SPDX-License-Identifier: Apache-2.0 */
/* Files below the path of an image. */
#include <limits.h>
#include <stdio.h>

#include "local_internal.h"

static int open_in_directory(const struct local_image *image, const char *path,
	struct local_range *out, struct error *err)
{
	char name[PATH_MAX];
	int size = snprintf(name, sizeof(name), "%s/%s", image->name.path, path);
	struct local_file *file;

	if (size < 0 || (size_t)size >= sizeof(name))
		return error_set(err, ERROR_INVALID, "the path is too long: %.200s...", name);
	if (local_file_open(name, &file, err) < 0)
		return -1;
	*out = (struct local_range){.file = file, .size = file->size};
	return 0;
}

int local_open(
	struct local_image *image, const char *path, struct local_range *out, struct error *err)
{
	if (!local_image_is_archive(image))
		return open_in_directory(image, path, out, err);
	if (!image->archive && local_archive_open(image->name.path, &image->archive, err) < 0)
		return -1;
	return local_archive_find(image->archive, path, out, err);
}
