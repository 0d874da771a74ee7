/* SPDX-License-Identifier: Apache-2.0 */
/* Media types of manifests. */
#include "media_type_internal.h"

#include <string.h>

#include "oci/manifest.h"

enum { MAX_MEDIA_TYPE_SIZE = 127 + 1 + 127 };

static bool is_name_character(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c && strchr("!#$&-^_.+", c));
}

int media_type_parse(const char *text, char **out, struct error *err)
{
	CLEANUP(cleanup_free) char *media_type = NULL;
	size_t size;
	size_t n_slashes = 0;

	if (!text)
		return error_set(err, ERROR_FORMAT, "the media type is not a string");
	size = strcspn(text, "; \t");
	if (size > MAX_MEDIA_TYPE_SIZE)
		return error_set(
			err, ERROR_FORMAT, "\"%.100s...\" is too long for a media type", text);
	media_type = strndup(text, size);
	if (!media_type)
		return error_set(err, ERROR_NO_MEMORY, "no memory for a media type");
	for (char *p = media_type; *p; p++) {
		if (*p >= 'A' && *p <= 'Z')
			*p = (char)(*p - 'A' + 'a');
		if (*p == '/')
			n_slashes++;
		else if (!is_name_character(*p))
			n_slashes = 2;
	}
	if (n_slashes != 1 || media_type[0] == '/' || media_type[size - 1] == '/')
		return error_set(err, ERROR_FORMAT, "\"%.100s\" is not a media type", text);
	*out = TAKE_PTR(media_type);
	return 0;
}

bool media_type_is_manifest(const char *media_type)
{
	return strcmp(media_type, MEDIA_TYPE_OCI_MANIFEST) == 0 ||
	       strcmp(media_type, MEDIA_TYPE_DOCKER_MANIFEST) == 0;
}

bool media_type_is_index(const char *media_type)
{
	return strcmp(media_type, MEDIA_TYPE_OCI_INDEX) == 0 ||
	       strcmp(media_type, MEDIA_TYPE_DOCKER_LIST) == 0;
}

bool media_type_is_schema1(const char *media_type)
{
	return strcmp(media_type, MEDIA_TYPE_DOCKER_SCHEMA1) == 0 ||
	       strcmp(media_type, MEDIA_TYPE_DOCKER_SCHEMA1_SIGNED) == 0;
}
