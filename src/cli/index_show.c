/* SPDX-License-Identifier: Apache-2.0 */
/* `varve index show`: what a file says, or what there is for an image. */
#include <stdio.h>
#include <string.h>

#include "base/error_map.h"
#include "index_file_internal.h"
#include "quantity_internal.h"

static void print_facts(const struct json *facts)
{
	const struct screen screen = screen_on(stdout);
	char size[QUANTITY_TEXT_SIZE];
	double ratio = 0;

	(void)json_f64(json_get(facts, "ratio"), &ratio);
	screen_line(&screen, "layer    %s", text_in(facts, "layer"));
	screen_line(&screen, "         %s, %s", text_in(facts, "format"),
		size_format(number_in(facts, "layer_size"), size));
	screen_line(&screen, "diffID   %s", text_in(facts, "diff_id"));
	screen_line(&screen, "         %s decoded, %ju entr%s",
		size_format(number_in(facts, "decoded_size"), size),
		(uintmax_t)number_in(facts, "entries"),
		number_in(facts, "entries") == 1 ? "y" : "ies");
	screen_line(&screen, "index    %s, %.2f %% of the layer, %ju span%s",
		size_format(number_in(facts, "size"), size), 100 * ratio,
		(uintmax_t)number_in(facts, "spans"), plural(number_in(facts, "spans")));
	screen_line(&screen,
		"This is what the file says; `varve index verify FILE --image IMAGE` compares it");
}

static int show_file(
	const struct verb *verb, const struct index_arguments *arguments, const char *path)
{
	CLEANUP(buffer_free) struct buffer file = {0};
	struct index_facts facts;
	struct json *report;
	struct error err;
	int code = EXIT_CODE_SUCCESS;

	if (index_file_read(path, &file, &err) < 0 ||
		index_facts_read(file.data, file.size, &facts, &err) < 0) {
		(void)error_prefix(&err, "%s", path);
		return cli_fail(verb->name, arguments->common.json, &err);
	}
	report = index_facts_json(&facts);
	if (arguments->common.json)
		code = cli_print_json(verb->name, report);
	else
		print_facts(report);
	json_free(report);
	return code;
}

/* Collects what the repository has, a list for each layer. */
struct offers {
	const struct image_indexes *indexes;
	struct json *list;
};

static void add_offer(void *arg, const struct image_index *layer, const struct descriptor *index)
{
	struct offers *offers = arg;
	struct json *offer = json_new_object();
	char text[DIGEST_TEXT_SIZE];

	json_set(offer, "layer", json_new_string(digest_format(&layer->layer->digest, text)));
	json_set(offer, "digest", json_new_string(digest_format(&index->digest, text)));
	json_set(offer, "size", json_new_i64((int64_t)index->size));
	json_append(offers->list, offer);
}

static void print_offer(
	const struct screen *screen, const struct json *layer, const struct json *offer)
{
	bool is_same = strcmp(text_in(layer, "index_digest"), text_in(offer, "digest")) == 0;
	char digest[16], size[QUANTITY_TEXT_SIZE];

	screen_line(screen, "  in the repository: index %s, %s%s",
		digest_short(text_in(offer, "digest"), digest),
		size_format(number_in(offer, "size"), size), is_same ? ", the same" : "");
}

static void print_image(const struct json *report)
{
	const struct json *layers = json_get(report, "layers");
	const struct json *offers = json_get(report, "repository");
	const struct screen screen = screen_on(stdout);

	screen_line(&screen, "%s", text_in(report, "image"));
	for (size_t i = 0; i < json_length(layers); i++) {
		const struct json *layer = json_at(layers, i);

		index_layer_print(&screen, layer);
		for (size_t j = 0; j < json_length(offers); j++) {
			const struct json *offer = json_at(offers, j);

			if (strcmp(text_in(offer, "layer"), text_in(layer, "digest")) == 0)
				print_offer(&screen, layer, offer);
		}
	}
}

static int show_image(
	const struct verb *verb, const struct index_arguments *arguments, const char *image)
{
	struct index_session session;
	struct offers offers;
	struct json *report;
	struct error err;
	int code = EXIT_CODE_SUCCESS;

	if (index_session_open(&session, verb->name, arguments, image, IMAGE_INDEXES_FIND, &err) <
		0) {
		index_session_close(&session);
		return cli_fail(verb->name, arguments->common.json, &err);
	}
	offers = (struct offers){session.indexes, json_new_array()};
	image_indexes_each_offer(session.indexes, add_offer, &offers);
	report = index_session_json(&session);
	json_set(report, "repository", offers.list);
	index_session_close(&session);
	if (arguments->common.json)
		code = cli_print_json(verb->name, report);
	else
		print_image(report);
	json_free(report);
	return code;
}

static int run(const struct verb *verb, int argc, char **argv)
{
	struct index_arguments arguments = {0};
	char **operands;
	int code;

	if (!cli_begin(verb, argc, argv, &arguments.common, &operands, &code))
		return code;
	if (index_file_is(operands[0]))
		return show_file(verb, &arguments, operands[0]);
	return show_image(verb, &arguments, operands[0]);
}

static const struct option_spec options[] = {
	INDEX_OPTION_LAYER,
	INDEX_OPTIONS_IMAGE,
	{.name = NULL},
};

const struct verb verb_index_show = {
	.name = "index show",
	.operands = "FILE|IMAGE",
	.summary = "what an index says, or which indexes an image has",
	.text = "Of a file that is there: which layer it is the index of, and how large it is.\n"
		"Otherwise of the image's layers: which index the store has and why it is\n"
		"believed, and which the image's repository has.",
	.options = options,
	.min_operands = 1,
	.max_operands = 1,
	.run = run,
};
