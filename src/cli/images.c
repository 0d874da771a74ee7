/* SPDX-License-Identifier: Apache-2.0 */
/* `varve images`: what was mounted from a store, and how much of it is there. */
#include <stdio.h>

#include "cli_internal.h"
#include "quantity_internal.h"

static void print_image(const struct screen *screen, const struct json *image)
{
	const struct json *mounted = json_get(image, "mounted");
	char size[QUANTITY_TEXT_SIZE], digest[16], ago[40];
	bool complete = flag_in(image, "complete");
	unsigned percent = percent_of(number_in(image, "present"), number_in(image, "size"));

	/* Of a layer that was evicted the store does not know the size. */
	if (percent == 100 && !complete)
		percent = number_in(image, "present") ? 99 : 0;
	screen_put(screen, complete ? STYLE_GOOD : STYLE_PLAIN, "%3u%%", percent);
	screen_put(screen, STYLE_PLAIN, " %9s %6ju  %-12s  %-12s  %s",
		size_format(number_in(image, "blob_size"), size),
		(uintmax_t)number_in(image, "layers"),
		ago_format((int64_t)number_in(image, "used_s"), ago),
		digest_short(text_in(image, "manifest"), digest), text_in(image, "reference"));
	for (size_t i = 0; i < json_length(mounted); i++)
		screen_put(screen, STYLE_PLAIN, "%s%s", i ? ", " : " on ",
			json_string(json_at(mounted, i)));
	screen_end(screen);
}

static void print_images(const struct json *report)
{
	const struct screen screen = screen_on(stdout);
	const struct json *images = json_get(report, "images");

	screen_put(&screen, STYLE_DIM, "%4s %9s %6s  %-12s  %-12s  %s", "HERE", "BLOBS", "LAYERS",
		"USED", "MANIFEST", "IMAGE");
	screen_end(&screen);
	for (size_t i = 0; i < json_length(images); i++)
		print_image(&screen, json_at(images, i));
}

static int run(const struct verb *verb, int argc, char **argv)
{
	return cli_store_report(verb, argc, argv, "/v1/images", report_images, print_images);
}

static const struct option_spec options[] = {
	OPTION_STORE,
	OPTION_JSON,
	{.name = NULL},
};

const struct verb verb_images = {
	.name = "images",
	.operands = "",
	.summary = "images that were mounted, and how much of them is here",
	.text = "Lists the images that were mounted from a store and how much of each it holds.",
	.options = options,
	.run = run,
};
