/* SPDX-License-Identifier: Apache-2.0 */
/* Any text as the name of an image; what is accepted has one full form. */
#include "oci/image_name.h"
#include "text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const char *text)
{
	struct image_name name, again;
	char full[IMAGE_NAME_TEXT_SIZE], tag[IMAGE_NAME_TEXT_SIZE], twice[IMAGE_NAME_TEXT_SIZE];

	if (image_name_parse(text, &name, NULL) < 0)
		return;
	(void)image_name_format(&name, full);
	if (image_name_parse(full, &again, NULL) < 0 || again.place != name.place ||
		strcmp(again.path, name.path) != 0 || strcmp(again.tag, name.tag) != 0 ||
		strcmp(image_name_format(&again, twice), full) != 0)
		__builtin_trap();
	(void)image_name_format_tag(&name, tag);
	if (strncmp(full, tag, strlen(tag)) != 0)
		__builtin_trap();
	if (name.place != IMAGE_IN_REGISTRY && !name.path[0])
		__builtin_trap();
	if (name.place != IMAGE_IN_REGISTRY && image_name_set_path(&name, "/", NULL) < 0)
		__builtin_trap();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	with_text(data, size, check);
	return 0;
}
