/* SPDX-License-Identifier: Apache-2.0 */
/* `varve cache ls`: the layers in a store. */
#include <stdio.h>

#include "cli_internal.h"
#include "quantity_internal.h"

static void print_layer(const struct screen *screen, const struct json *layer)
{
	char size[QUANTITY_TEXT_SIZE], allocated[QUANTITY_TEXT_SIZE];
	char units[48], digest[16], ago[40];

	(void)snprintf(units, sizeof(units), "%ju/%ju",
		(uintmax_t)number_in(layer, "units_present"), (uintmax_t)number_in(layer, "units"));
	screen_line(screen, "%-12s %9s %3u%% %13s %9s  %s%s",
		digest_short(text_in(layer, "blob"), digest),
		size_format(number_in(layer, "blob_size"), size),
		percent_of(number_in(layer, "present"), number_in(layer, "size")), units,
		size_format(number_in(layer, "allocated"), allocated),
		ago_format((int64_t)number_in(layer, "used_s"), ago),
		flag_in(layer, "open") ? ", in use" : "");
}

static void print_cache(const struct json *report)
{
	const struct screen screen = screen_on(stdout);
	const struct json *layers = json_get(report, "layers");

	screen_put(&screen, STYLE_DIM, "%-12s %9s %4s %13s %9s  %s", "LAYER", "BLOB", "HERE",
		"UNITS", "ON DISK", "USED");
	screen_end(&screen);
	for (size_t i = 0; i < json_length(layers); i++)
		print_layer(&screen, json_at(layers, i));
	put_store(&screen, json_get(report, "store"));
}

static int run(const struct verb *verb, int argc, char **argv)
{
	return cli_store_report(verb, argc, argv, "/v1/cache", report_cache, print_cache);
}

static const struct option_spec options[] = {
	OPTION_STORE,
	OPTION_JSON,
	{.name = NULL},
};

const struct verb verb_cache_ls = {
	.name = "cache ls",
	.operands = "",
	.summary = "layers in the store, and what they take",
	.text = "Lists the layers in a store, the least recently used first: the order in which\n"
		"they are evicted when the quota is reached. Layers in use stay.",
	.options = options,
	.run = run,
};
