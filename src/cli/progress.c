/* SPDX-License-Identifier: Apache-2.0 */
/* What a mount is doing before it is usable. */
#include <stdio.h>

#include "mount_internal.h"
#include "quantity_internal.h"

void progress_begin(struct progress *progress, const char *reference, bool quiet)
{
	*progress = (struct progress){
		.screen = screen_on(stderr),
		.quiet = quiet,
		.last_step = -1,
		.reference = reference,
		.unindexed = "that nobody has indexed",
	};
}

enum { BAR_WIDTH = 16 }; /* 80 columns have room for the rest of the line */

/* "[====            ]" */
static const char *bar_of(unsigned percent, char out[BAR_WIDTH + 3])
{
	unsigned n_full = percent * BAR_WIDTH / 100;

	out[0] = '[';
	for (unsigned i = 0; i < BAR_WIDTH; i++)
		out[1 + i] = i < n_full ? '=' : ' ';
	out[BAR_WIDTH + 1] = ']';
	out[BAR_WIDTH + 2] = '\0';
	return out;
}

static void format_step(const struct progress *progress, enum image_step step, size_t n,
	size_t total, char *out, size_t size)
{
	char all[QUANTITY_TEXT_SIZE];
	char bar[BAR_WIDTH + 3];

	switch (step) {
	case IMAGE_RESOLVING:
		(void)snprintf(out, size, "resolving %s", progress->reference);
		break;
	case IMAGE_INDEXING:
		if (progress->screen.redraws)
			(void)snprintf(out, size, "indexing layers: %zu of %zu", n, total);
		else
			(void)snprintf(out, size, "indexing %zu layer%s", total, plural(total));
		break;
	case IMAGE_READING:
		if (progress->screen.redraws)
			(void)snprintf(out, size, "reading layers %s: %s %3u%% of %s",
				progress->unindexed, bar_of(percent_of(n, total), bar),
				percent_of(n, total), size_format(total, all));
		else
			(void)snprintf(out, size, "reading layers %s", progress->unindexed);
		break;
	case IMAGE_MERGING:
		(void)snprintf(out, size, "merging %zu layer%s", total, plural(total));
		break;
	default:
		(void)snprintf(out, size, "mounting");
		break;
	}
}

void progress_show(struct progress *progress, enum image_step step, size_t n, size_t total)
{
	char text[256];

	if (progress->quiet)
		return;
	/* The line is about the layers that take longest, until they are done. */
	if (step == IMAGE_READING)
		progress->reading = n < total;
	else if (step == IMAGE_INDEXING && progress->reading && progress->screen.redraws)
		return;
	format_step(progress, step, n, total, text, sizeof(text));
	if (!progress->screen.redraws) {
		/* Layers are indexed while others are read. */
		if (progress->last_step < (int)step) {
			screen_line(&progress->screen, "%s", text);
			progress->last_step = (int)step;
		}
		return;
	}
	(void)fputs("\r", stderr);
	screen_put(&progress->screen, STYLE_DIM, "%.*s", (int)progress->screen.width - 1, text);
	(void)fputs("\033[K", stderr);
	(void)fflush(stderr);
	progress->drawn = true;
}

void progress_end(struct progress *progress)
{
	if (progress->drawn)
		(void)fputs("\r\033[K", stderr);
	progress->drawn = false;
}
