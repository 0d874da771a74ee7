/* SPDX-License-Identifier: Apache-2.0 */
/* Any text as an image reference; what is accepted has one normal form. */
#include "oci/platform.h"
#include "oci/reference.h"
#include "text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_reference(const char *text)
{
	struct reference reference;
	struct reference again;
	char normal[REFERENCE_TEXT_SIZE];

	if (reference_parse(text, &reference, NULL) < 0)
		return;
	reference_format(&reference, normal);
	if (reference_parse(normal, &again, NULL) < 0 ||
		memcmp(&reference, &again, sizeof(again)) != 0)
		__builtin_trap();
	if (strstr(reference.registry, "..") || strchr(reference.registry, '/') ||
		strstr(reference.repository, ".."))
		__builtin_trap();
}

static void check_platform(const char *text)
{
	struct platform platform;
	struct platform again;
	char normal[100];

	if (platform_parse(text, &platform, NULL) < 0)
		return;
	platform_format(&platform, normal);
	if (platform_parse(normal, &again, NULL) < 0 || platform_match(&platform, &again) <= 0)
		__builtin_trap();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	with_text(data, size, check_reference);
	with_text(data, size, check_platform);
	return 0;
}
