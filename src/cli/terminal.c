/* SPDX-License-Identifier: Apache-2.0 */
/* Printing what others wrote, safely. */
#include "terminal_internal.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static const char *const style_codes[] = {
	[STYLE_PLAIN] = "",
	[STYLE_BOLD] = "\033[1m",
	[STYLE_DIM] = "\033[2m",
	[STYLE_GOOD] = "\033[32m",
	[STYLE_WARNING] = "\033[33m",
	[STYLE_BAD] = "\033[31m",
};

struct screen screen_on(FILE *out)
{
	struct screen screen = {.out = out, .width = 80};
	const char *no_color = getenv("NO_COLOR");
	const char *term = getenv("TERM");
	struct winsize size;

	if (!isatty(fileno(out)))
		return screen;
	screen.redraws = term && strcmp(term, "dumb") != 0;
	screen.colours = screen.redraws && !(no_color && no_color[0]);
	if (ioctl(fileno(out), TIOCGWINSZ, &size) == 0 && size.ws_col >= 40)
		screen.width = size.ws_col;
	return screen;
}

/* C0, DEL, C1 (as UTF-8), and the characters that reorder a line. */
static size_t forbidden(const unsigned char *p)
{
	if (*p < 0x20 || *p == 0x7f)
		return 1;
	if (p[0] == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0)
		return 2;
	if (p[0] == 0xe2 && p[1] == 0x80 && p[2] >= 0xaa && p[2] <= 0xae)
		return 3;
	if (p[0] == 0xe2 && p[1] == 0x81 && p[2] >= 0xa6 && p[2] <= 0xa9)
		return 3;
	return 0;
}

static void put_escaped(FILE *out, const char *text, size_t size)
{
	const unsigned char *p = (const unsigned char *)text;
	const unsigned char *end = p + size;

	while (p < end) {
		size_t n = forbidden(p);

		if (*p == '\n' || *p == '\t') {
			(void)fputs(*p == '\n' ? "\\n" : "\\t", out);
			p++;
		} else if (n > 0) {
			for (; n > 0; n--)
				(void)fprintf(out, "\\x%02x", *p++);
		} else {
			(void)fputc(*p++, out);
		}
	}
}

static void put(const struct screen *screen, enum style style, const char *text, size_t size)
{
	bool styled = screen->colours && style != STYLE_PLAIN;

	if (styled)
		(void)fputs(style_codes[style], screen->out);
	put_escaped(screen->out, text, size);
	if (styled)
		(void)fputs("\033[0m", screen->out);
}

__attribute__((format(printf, 3, 0))) static void put_formatted(
	const struct screen *screen, enum style style, const char *fmt, va_list ap)
{
	char *text;

	if (vasprintf(&text, fmt, ap) < 0)
		return;
	put(screen, style, text, strlen(text));
	free(text);
}

void screen_put(const struct screen *screen, enum style style, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	put_formatted(screen, style, fmt, ap);
	va_end(ap);
}

void screen_end(const struct screen *screen)
{
	(void)fputc('\n', screen->out);
}

void screen_line(const struct screen *screen, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	put_formatted(screen, STYLE_PLAIN, fmt, ap);
	va_end(ap);
	screen_end(screen);
}

void screen_wrap(const struct screen *screen, unsigned column, enum style style, const char *text)
{
	unsigned at = column;

	while (*text) {
		size_t size = strcspn(text, " ");

		if (at > column && at + 1 + size > screen->width) {
			(void)fprintf(screen->out, "\n%*s", (int)column, "");
			at = column;
		} else if (at > column) {
			(void)fputc(' ', screen->out);
			at++;
		}
		put(screen, style, text, size);
		at += (unsigned)size;
		text += size;
		text += strspn(text, " ");
	}
	screen_end(screen);
}

const char *digest_short(const char *digest, char out[16])
{
	const char *colon = strchr(digest, ':');

	if (!colon || strlen(colon + 1) < 12)
		return digest;
	(void)snprintf(out, 16, "%.12s", colon + 1);
	return out;
}
