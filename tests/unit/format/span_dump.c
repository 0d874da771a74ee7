/* SPDX-License-Identifier: Apache-2.0 */
#include "span_dump.h"

#include <inttypes.h>
#include <stdlib.h>

#include "dump.h"
#include "oci/digest.h"

static void require(int result)
{
	if (result < 0)
		abort();
}

static void dump_window(const struct unit_span *span, struct buffer *out)
{
	uint8_t window[SPAN_WINDOW_SIZE];
	struct digest digest;
	struct error err;
	char text[17];
	size_t off = 0;

	require(span_window_unpack(span->window, span->window_size, window, &err));
	while (off < sizeof(window) && window[off] == 0)
		off++;
	require(digest_compute(DIGEST_SHA256, window + off, sizeof(window) - off, &digest, &err));
	hex_encode(digest.bytes, 8, text);
	require(buffer_printf(out, " window %s", text));
}

static void dump_span(const struct unit_span *span, struct buffer *out)
{
	static const char *const kinds[] = {"none", "decoded", "encoded"};
	char digest[17];

	require(buffer_printf(out, "span %" PRIu64 "+%" PRIu64 " decodes to %" PRIu64 "%s",
		span->blob_off, span->blob_size, span->decoded_size,
		span->in_member ? " in member" : ""));
	if (span->bits > 0)
		require(buffer_printf(out, " bits %u", span->bits));
	if (span->end_bits > 0)
		require(buffer_printf(out, " end bits %u", span->end_bits));
	if (span->window_size > 0)
		dump_window(span, out);
	hex_encode(span->digest, 8, digest);
	require(buffer_printf(out, " %s %s\n", kinds[span->digest_kind], digest));
}

void dump_span_index(const struct span_index *index, struct buffer *out)
{
	for (size_t i = 0; i < index->n_spans; i++)
		dump_span(&index->spans[i], out);
	dump_toc(index->toc, out);
}
