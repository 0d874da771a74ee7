/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* Text for people. What comes from images and registries may hold control characters: everything
 * printed here has them escaped, so that no file name can move the cursor or forge a line. */

enum style { STYLE_PLAIN, STYLE_BOLD, STYLE_DIM, STYLE_GOOD, STYLE_WARNING, STYLE_BAD };

struct screen {
	FILE *out;
	bool redraws; /* a terminal on which a line can be drawn again */
	bool colours;
	unsigned width; /* columns; 80 unless the terminal says otherwise */
};

/* Colours only on a terminal that is not dumb, and not with NO_COLOR in the environment. */
struct screen screen_on(FILE *out);

/* Formatted text, escaped as a whole: a newline in it comes out as \n. */
void screen_put(const struct screen *screen, enum style style, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Ends the line. */
void screen_end(const struct screen *screen);

/* One line. */
void screen_line(const struct screen *screen, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* Words of text, escaped, from this column on, broken to lines of the screen's width; ends the
 * line. The cursor is at that column. */
void screen_wrap(const struct screen *screen, unsigned column, enum style style, const char *text);

/* The first 12 hexadecimal digits of "sha256:...", or all of what is no digest. */
const char *digest_short(const char *digest, char out[16]);
