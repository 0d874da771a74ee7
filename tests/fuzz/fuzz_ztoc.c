/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a ztoc of a blob whose size they say themselves. */
#include <string.h>

#include "base/bytes.h"
#include "format/span_headers.h"
#include "format/ztoc.h"
#include "span_index_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SIZE_BYTES = 4 };

/* Any bytes as the headers of a file that was described by any bytes. */
static void check_headers(const struct span_index *index, const uint8_t *data, size_t size)
{
	struct error err = {0};

	if (index->toc->n_entries == 0)
		return;
	if (span_headers_compare(index->toc, &index->toc->entries[0], data, size, &err) < 0 &&
		(err.kind == ERROR_NONE || err.message[0] == '\0'))
		__builtin_trap();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct digest blob = {.algorithm = DIGEST_SHA256};
	struct ztoc_options options = {.blob = &blob};
	struct span_index *index = NULL;
	struct error err = {0};

	if (size < SIZE_BYTES)
		return 0;
	options.blob_size = le32_load(data + size - SIZE_BYTES);
	if (ztoc_parse(data, size - SIZE_BYTES, &options, &index, &err) == 0) {
		check_headers(index, data, size);
		check_span_index(index);
	} else if (err.kind == ERROR_NONE || err.message[0] == '\0') {
		__builtin_trap();
	}
	span_index_free(index);
	return 0;
}
