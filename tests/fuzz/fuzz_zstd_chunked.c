/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as the JSON of a zstd:chunked table of contents, and as a blob whose footer leads to
 * one. What is accepted keeps what format/toc.h promises to the builder of indexes. */
#include "format/zstd_chunked.h"
#include "toc_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PAYLOAD_END = 1 << 20 };

static void parse_json(const uint8_t *data, size_t size)
{
	struct zstd_chunked_options options = {
		.position = {.off = PAYLOAD_END + 8, .size = size + 1}};
	struct toc *strict = NULL, *lenient = NULL;
	struct error err = {0};

	if (zstd_chunked_json_parse((const char *)data, size, &options, &strict, &err) < 0)
		require(err.kind != ERROR_NONE && err.message[0] != '\0');
	options.allow_unverified = true;
	if (zstd_chunked_json_parse((const char *)data, size, &options, &lenient, NULL) == 0)
		check_toc(lenient, PAYLOAD_END);
	if (strict) {
		require(lenient && lenient->n_entries == strict->n_entries);
		check_toc(strict, PAYLOAD_END);
	}
	toc_free(strict);
	toc_free(lenient);
}

static void parse_blob(const uint8_t *data, size_t size)
{
	struct zstd_chunked_options options = {.allow_unverified = true};
	struct zstd_chunked_position position;
	struct toc *toc = NULL;
	bool found;

	if (zstd_chunked_footer_parse(data, size, UINT64_C(1) << 40, &found, &position, NULL) ==
			0 &&
		found)
		require(range_within(position.off, position.size, UINT64_C(1) << 40));
	if (zstd_chunked_footer_parse(data, size, size, &found, &options.position, NULL) < 0 ||
		!found)
		return;
	require(range_within(options.position.off, options.position.size, size));
	require(range_within(options.position.off, zstd_chunked_stretch(&options.position), size));
	if (zstd_chunked_parse(data + options.position.off, &options, &toc, NULL) == 0)
		check_toc(toc, options.position.off - 8);
	toc_free(toc);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	parse_json(data, size);
	parse_blob(data, size);
	return 0;
}
