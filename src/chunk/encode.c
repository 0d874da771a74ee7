/* SPDX-License-Identifier: Apache-2.0 */
/* Compression of what is written here; everything else comes compressed from somewhere. */
#include "chunk/encode.h"

#include <zstd.h>

int zstd_encode(const void *data, size_t size, int level, struct buffer *out, struct error *err)
{
	size_t room = ZSTD_compressBound(size);
	size_t encoded;

	if (buffer_reserve(out, room) < 0)
		return error_set(err, ERROR_NO_MEMORY, "no memory to compress %zu bytes", size);
	encoded = ZSTD_compress(out->data + out->size, room, data, size, level);
	if (ZSTD_isError(encoded))
		return error_set(err, ERROR_NO_MEMORY, "compress %zu bytes: %s", size,
			ZSTD_getErrorName(encoded));
	out->size += encoded;
	out->data[out->size] = 0;
	return 0;
}
