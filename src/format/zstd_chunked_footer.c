/* SPDX-License-Identifier: Apache-2.0 */
/* The footers of zstd:chunked: numbers of 64 bits in a skippable frame, the last one a magic. */
#include "zstd_chunked_internal.h"

#include <string.h>

#include "base/bytes.h"

/* Of both footers, in this order. The longer one goes on with the place of the tar-split. */
enum { OFF = 0, SIZE = 8, JSON_SIZE = 16, TYPE = 24 };
enum { TAR_SPLIT_OFF = 32, TAR_SPLIT_SIZE = 40, TAR_SPLIT_DECODED_SIZE = 48 };

static const struct {
	size_t size;
	char magic[9];
} footers[] = {
	{ZSTD_CHUNKED_FOOTER_SIZE, "GNUlInUx"},
	{ZSTD_CHUNKED_STARGZ_FOOTER_SIZE, "GnUlInUx"},
};

enum { N_FOOTERS = sizeof(footers) / sizeof(footers[0]), MAGIC_SIZE = 8 };

static int read_footer(const uint8_t *footer, size_t size, uint64_t blob_size,
	struct zstd_chunked_position *out, struct error *err)
{
	struct zstd_chunked_tar_split tar_split = {0};

	*out = (struct zstd_chunked_position){
		.off = le64_load(footer + OFF),
		.size = le64_load(footer + SIZE),
		.json_size = le64_load(footer + JSON_SIZE),
	};
	if (size == ZSTD_CHUNKED_FOOTER_SIZE)
		tar_split = (struct zstd_chunked_tar_split){
			.off = le64_load(footer + TAR_SPLIT_OFF),
			.size = le64_load(footer + TAR_SPLIT_SIZE),
			.decoded_size = le64_load(footer + TAR_SPLIT_DECODED_SIZE),
		};
	if (zstd_chunked_check_position(out, le64_load(footer + TYPE), blob_size - size, err) < 0)
		return -1;
	return zstd_chunked_set_tar_split(out, &tar_split, blob_size - size, err);
}

int zstd_chunked_footer_parse(const uint8_t *tail, size_t tail_size, uint64_t blob_size,
	bool *found, struct zstd_chunked_position *out, struct error *err)
{
	*found = false;
	for (size_t i = 0; i < N_FOOTERS; i++) {
		size_t size = footers[i].size;

		if (tail_size < size || blob_size < size ||
			memcmp(tail + tail_size - MAGIC_SIZE, footers[i].magic, MAGIC_SIZE) != 0)
			continue;
		if (read_footer(tail + tail_size - size, size, blob_size, out, err) < 0)
			return error_prefix(err, "zstd:chunked footer");
		*found = true;
	}
	return 0;
}
