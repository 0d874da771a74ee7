/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as index.json and oci-layout; every name in an index means something or is refused. */
#include <stddef.h>
#include <stdint.h>

#include "format/oci_layout.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct manifest_index *index, const char *tag)
{
	CLEANUP(manifest_index_freep) struct manifest_index *made = NULL;
	struct oci_layout_choice choice = {0};

	if (!tag || oci_layout_select(index, tag, &choice, NULL) < 0)
		return;
	if (choice.document.size > 0 && (digest_check(&choice.digest, choice.document.data,
						 choice.document.size, NULL) < 0 ||
						manifest_index_parse(choice.document.data,
							choice.document.size, &made, NULL) < 0))
		__builtin_trap();
	buffer_free(&choice.document);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(manifest_index_freep) struct manifest_index *index = NULL;

	if (oci_layout_check(data, size, NULL) == 0 ||
		manifest_index_parse(data, size, &index, NULL) < 0)
		return 0;
	check(index, "");
	check(index, "latest");
	check(index, "@1");
	for (size_t i = 0; i < index->n_manifests && i < 16; i++) {
		const struct descriptor *entry = &index->manifests[i].descriptor;

		check(index, descriptor_annotation(entry, OCI_LAYOUT_REF_NAME_ANNOTATION));
		check(index, descriptor_annotation(entry, OCI_LAYOUT_CONTAINERD_NAME_ANNOTATION));
	}
	return 0;
}
