/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as the tail of a blob; a pointer that is believed lies before the footer. */
#include "format/estargz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const uint8_t *tail, size_t size, uint64_t blob_size)
{
	struct estargz_footer footer;

	if (estargz_footer_parse(tail, size, blob_size, &footer, NULL) < 0)
		return;
	if (footer.kind == ESTARGZ_FOOTER_NONE)
		return;
	if (footer.size > size)
		__builtin_trap();
	if (footer.kind != ESTARGZ_EXTERNAL && footer.toc_off >= blob_size - footer.size)
		__builtin_trap();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	check(data, size, size);
	check(data, size, UINT64_C(1) << 40);
	return 0;
}
