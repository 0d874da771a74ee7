/* SPDX-License-Identifier: Apache-2.0 */
/* Recognises UTF-8, so that foreign text reaches logs and JSON only in well-formed shape. */
#include "utf8_internal.h"

struct lead_range {
	uint8_t first, last;            /* lead byte */
	uint8_t second_min, second_max; /* of the byte after it; later ones are 80..bf */
	uint8_t length;
};

static const struct lead_range lead_ranges[] = {
	{0xc2, 0xdf, 0x80, 0xbf, 2},
	{0xe0, 0xe0, 0xa0, 0xbf, 3},
	{0xe1, 0xec, 0x80, 0xbf, 3},
	{0xed, 0xed, 0x80, 0x9f, 3},
	{0xee, 0xef, 0x80, 0xbf, 3},
	{0xf0, 0xf0, 0x90, 0xbf, 4},
	{0xf1, 0xf3, 0x80, 0xbf, 4},
	{0xf4, 0xf4, 0x80, 0x8f, 4},
};

static size_t multibyte_sequence(const struct lead_range *lead, const uint8_t *text, size_t size)
{
	if (size < lead->length || text[1] < lead->second_min || text[1] > lead->second_max)
		return 0;
	for (size_t i = 2; i < lead->length; i++)
		if ((text[i] & 0xc0) != 0x80)
			return 0;
	return lead->length;
}

size_t utf8_sequence(const uint8_t *text, size_t size)
{
	if (text[0] < 0x80)
		return 1;
	for (size_t i = 0; i < sizeof(lead_ranges) / sizeof(lead_ranges[0]); i++)
		if (text[0] >= lead_ranges[i].first && text[0] <= lead_ranges[i].last)
			return multibyte_sequence(&lead_ranges[i], text, size);
	return 0;
}
