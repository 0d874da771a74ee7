/* SPDX-License-Identifier: Apache-2.0 */
/* The footers of eStargz: empty gzip members whose extra field says where the table of contents is.
 * Spec: stargz-snapshotter, docs/estargz.md, "Footer". */
#include <inttypes.h>
#include <string.h>

#include "base/bytes.h"
#include "format/estargz.h"

enum {
	HEADER_SIZE = 10, /* of a gzip member */
	EXTRA = HEADER_SIZE + 2,
	HEX_SIZE = 16,
	POINTER_SIZE = HEX_SIZE + 6, /* "%016xSTARGZ" */
};

static const char external_magic[] = "STARGZEXTERNALTOC";

/* The extra field of the empty member that ends the blob, when it has this size; or NULL. */
static const uint8_t *find_extra(
	const uint8_t *tail, size_t tail_size, size_t footer_size, size_t extra_size)
{
	static const uint8_t start[] = {0x1f, 0x8b, 8, 4 /* FEXTRA alone */};
	const uint8_t *footer;

	if (tail_size < footer_size)
		return NULL;
	footer = tail + tail_size - footer_size;
	if (memcmp(footer, start, sizeof(start)) != 0 ||
		le16_load(footer + HEADER_SIZE) != extra_size)
		return NULL;
	return footer + EXTRA;
}

/* RFC 1952 section 2.3.1.1: a subfield of the id "SG" fills the extra field. */
static const uint8_t *find_subfield(const uint8_t *extra, size_t extra_size)
{
	if (!extra || memcmp(extra, "SG", 2) != 0 || le16_load(extra + 2) != extra_size - 4)
		return NULL;
	return extra + 4;
}

static bool parse_hex(const uint8_t *text, uint64_t *out)
{
	uint64_t value = 0;

	for (int i = 0; i < HEX_SIZE; i++) {
		uint8_t c = text[i];
		unsigned digit;

		if (c >= '0' && c <= '9')
			digit = c - '0';
		else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
			digit = (c | 0x20) - 'a' + 10U;
		else
			return false;
		value = value << 4 | digit;
	}
	*out = value;
	return true;
}

static int parse_pointer(const uint8_t *pointer, enum estargz_footer_kind kind, uint64_t size,
	uint64_t blob_size, struct estargz_footer *out, struct error *err)
{
	uint64_t toc_off;

	if (!parse_hex(pointer, &toc_off))
		return error_set(err, ERROR_FORMAT,
			"eStargz footer: no hexadecimal offset of the table of contents");
	if (blob_size <= size || toc_off >= blob_size - size)
		return error_set(err, ERROR_FORMAT,
			"eStargz footer: table of contents at %" PRIu64
			", outside the blob of %" PRIu64 " bytes",
			toc_off, blob_size);
	*out = (struct estargz_footer){.kind = kind, .toc_off = toc_off, .size = size};
	return 0;
}

static bool is_pointer(const uint8_t *bytes)
{
	return bytes && memcmp(bytes + HEX_SIZE, "STARGZ", POINTER_SIZE - HEX_SIZE) == 0;
}

int estargz_footer_parse(const uint8_t *tail, size_t tail_size, uint64_t blob_size,
	struct estargz_footer *out, struct error *err)
{
	const uint8_t *extra, *found;

	extra = find_extra(tail, tail_size, ESTARGZ_FOOTER_SIZE, 4 + POINTER_SIZE);
	found = find_subfield(extra, 4 + POINTER_SIZE);
	if (is_pointer(found))
		return parse_pointer(
			found, ESTARGZ_FOOTER, ESTARGZ_FOOTER_SIZE, blob_size, out, err);

	found = find_extra(tail, tail_size, ESTARGZ_LEGACY_FOOTER_SIZE, POINTER_SIZE);
	if (is_pointer(found))
		return parse_pointer(
			found, ESTARGZ_LEGACY, ESTARGZ_LEGACY_FOOTER_SIZE, blob_size, out, err);

	extra = find_extra(
		tail, tail_size, ESTARGZ_EXTERNAL_FOOTER_SIZE, 4 + sizeof(external_magic) - 1);
	found = find_subfield(extra, 4 + sizeof(external_magic) - 1);
	*out = (struct estargz_footer){.kind = ESTARGZ_FOOTER_NONE};
	if (found && memcmp(found, external_magic, sizeof(external_magic) - 1) == 0)
		*out = (struct estargz_footer){
			.kind = ESTARGZ_EXTERNAL, .size = ESTARGZ_EXTERNAL_FOOTER_SIZE};
	return 0;
}
