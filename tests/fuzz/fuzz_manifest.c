/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a manifest, read as both kinds; a kind that is told must parse or say why not. */
#include <stddef.h>
#include <stdint.h>

#include "oci/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_copy(const struct descriptor *descriptor)
{
	struct descriptor copy;

	if (descriptor_copy(descriptor, &copy, NULL) < 0)
		return;
	if (copy.n_annotations != descriptor->n_annotations || copy.n_urls != descriptor->n_urls)
		__builtin_trap();
	descriptor_clear(&copy);
}

static void check_index(const struct manifest_index *index)
{
	const struct platform wanted = {.os = "linux", .architecture = "arm", .variant = "v7"};
	const struct descriptor *found;
	struct error err;

	if (manifest_index_select(index, &wanted, &found, &err) == 0)
		check_copy(found);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(manifest_freep) struct manifest *manifest = NULL;
	CLEANUP(manifest_index_freep) struct manifest_index *index = NULL;
	enum manifest_kind kind;
	bool is_known =
		manifest_detect(data, size, "application/json; charset=utf-8", &kind, NULL) == 0;

	if (manifest_parse(data, size, &manifest, NULL) == 0) {
		if (!is_known || kind != MANIFEST_IMAGE)
			__builtin_trap();
		check_copy(&manifest->config);
	}
	if (manifest_index_parse(data, size, &index, NULL) == 0) {
		if (!is_known || kind != MANIFEST_INDEX)
			__builtin_trap();
		check_index(index);
	}
	return 0;
}
