/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as the manifest of layer indexes. */
#include <stdbool.h>

#include "format/span_index_file.h"
#include "format/span_index_manifest.h"
#include "oci/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
	if (!condition)
		__builtin_trap();
}

/* What is written from it says the same. */
static void check_written(const struct span_index_manifest *manifest)
{
	const struct descriptor subject = {.media_type = (char *)(uintptr_t)MEDIA_TYPE_OCI_MANIFEST,
		.digest = manifest->subject,
		.size = 1};
	struct span_index_manifest *again = NULL;
	struct buffer written = {0};

	require(span_index_manifest_write(
			&subject, manifest->layers, manifest->n_layers, &written, NULL) == 0);
	require(span_index_manifest_parse(
			written.data, written.size, &manifest->subject, &again, NULL) == 0);
	require(again->n_layers == manifest->n_layers);
	for (size_t i = 0; i < again->n_layers; i++) {
		require(again->layers[i].index.size == manifest->layers[i].index.size);
		require(digest_equal(&again->layers[i].layer, &manifest->layers[i].layer));
	}
	buffer_free(&written);
	span_index_manifest_free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span_index_manifest *manifest = NULL;
	struct error err = {0};

	if (span_index_manifest_parse(data, size, NULL, &manifest, &err) < 0) {
		require(err.kind != ERROR_NONE && err.message[0] != '\0');
		return 0;
	}
	for (size_t i = 0; i < manifest->n_layers; i++) {
		require(manifest->layers[i].index.size <= SPAN_INDEX_FILE_MAX_SIZE);
		require(span_index_manifest_find(manifest, &manifest->layers[i].layer) ==
			&manifest->layers[i].index);
	}
	check_written(manifest);
	span_index_manifest_free(manifest);
	return 0;
}
