/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as the JSON of a table of contents; what is accepted keeps what format/toc.h promises
 * to the builder of indexes. */
#include "format/estargz.h"
#include "toc_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PAYLOAD_END = 1 << 20 };

static void check_all(const struct toc *toc)
{
	check_toc(toc, PAYLOAD_END);
	check_order(toc);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct estargz_toc_options options = {
		.blob_size = PAYLOAD_END + 1000, .payload_end = PAYLOAD_END};
	struct toc *strict = NULL, *lenient = NULL;
	struct error err = {0};

	if (estargz_json_parse((const char *)data, size, &options, &strict, &err) < 0)
		require(err.kind != ERROR_NONE && err.message[0] != '\0');
	options.allow_unverified = true;
	if (estargz_json_parse((const char *)data, size, &options, &lenient, NULL) == 0)
		check_all(lenient);
	if (strict) {
		require(lenient && lenient->n_entries == strict->n_entries);
		check_all(strict);
	}
	toc_free(strict);
	toc_free(lenient);
	return 0;
}
