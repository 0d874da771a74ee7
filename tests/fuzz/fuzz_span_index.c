/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as the file of an index, and as what such a file unpacks to; what is accepted comes
 * back from a file of its own. */
#include <stdbool.h>
#include <string.h>

#include "chunk/encode.h"
#include "format/span_index_file.h"
#include "span_index_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char header[16] = SPAN_INDEX_FILE_MAGIC "\1\0\0\0\0\0\0";

static void require(bool condition)
{
	if (!condition)
		__builtin_trap();
}

/* Twice, as the first file need not be what would be written. */
static void check_round_trip(const struct span_index *index)
{
	struct span_index *again = NULL;
	struct buffer first = {0}, second = {0};
	struct error err = {0};

	require(span_index_write(index, &first, NULL, &err) == 0);
	require(span_index_parse(first.data, first.size, &again, &err) == 0);
	require(span_index_write(again, &second, NULL, &err) == 0);
	require(first.size == second.size && memcmp(first.data, second.data, first.size) == 0);
	span_index_free(again);
	buffer_free(&first);
	buffer_free(&second);
}

static void check_file(const void *data, size_t size)
{
	struct span_index *index = NULL;
	struct error err = {0};

	if (span_index_parse(data, size, &index, &err) < 0) {
		require(err.kind != ERROR_NONE && err.message[0] != '\0');
		return;
	}
	check_round_trip(index);
	check_span_index(index);
	span_index_free(index);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buffer file = {0};

	check_file(data, size);
	if (buffer_append(&file, header, sizeof(header)) == 0 &&
		zstd_encode(data, size, 1, &file, NULL) == 0)
		check_file(file.data, file.size);
	buffer_free(&file);
	return 0;
}
