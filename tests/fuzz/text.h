/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Gives any bytes to a parser of text: behind them there is a NUL, and nothing that may be read. */
static inline void with_text(const uint8_t *data, size_t size, void (*check)(const char *text))
{
	char *text = malloc(size + 1);

	if (!text)
		return;
	if (size > 0)
		memcpy(text, data, size);
	text[size] = '\0';
	check(text);
	free(text);
}
