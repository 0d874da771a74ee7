/* SPDX-License-Identifier: Apache-2.0 */
/* `varve index verify`: reads layers as a whole, and compares them with what is said of them. */
#include <stdio.h>

#include "base/error_map.h"
#include "index_file_internal.h"

/* What was found so far. */
struct result {
	struct index_session *session;
	struct json *verdicts; /* owned */
	size_t n_true;
	size_t n_wrong;
	size_t n_missing;
};

static const char *outcome_of(const struct image_index_verdict *verdict)
{
	if (verdict->err.kind == ERROR_NONE)
		return "true";
	return verdict->document.algorithm ? "wrong" : "none";
}

static void print(const struct image_index_verdict *verdict)
{
	const struct screen screen = screen_on(stdout);
	char layer[DIGEST_TEXT_SIZE], index[DIGEST_TEXT_SIZE], texts[2][16];

	(void)digest_format(&verdict->layer->layer->digest, layer);
	if (verdict->document.algorithm)
		screen_put(&screen, STYLE_PLAIN,
			"layer %s, index %s: ", digest_short(layer, texts[0]),
			digest_short(digest_format(&verdict->document, index), texts[1]));
	else
		screen_put(&screen, STYLE_PLAIN, "layer %s: ", digest_short(layer, texts[0]));
	if (verdict->err.kind == ERROR_NONE)
		screen_put(&screen, STYLE_GOOD, "true");
	else
		screen_put(&screen, verdict->document.algorithm ? STYLE_BAD : STYLE_WARNING, "%s",
			verdict->err.message);
	screen_end(&screen);
}

static void take(void *arg, const struct image_index_verdict *verdict)
{
	const struct common_arguments *common;
	struct result *result = arg;
	struct json *json = json_new_object();
	char text[DIGEST_TEXT_SIZE];

	json_set(json, "layer",
		json_new_string(digest_format(&verdict->layer->layer->digest, text)));
	json_set(json, "index",
		json_new_string(verdict->document.algorithm
					? digest_format(&verdict->document, text)
					: ""));
	json_set(json, "outcome", json_new_string(outcome_of(verdict)));
	if (verdict->err.kind != ERROR_NONE)
		json_set(json, "message", json_new_string(verdict->err.message));
	json_append(result->verdicts, json);

	if (verdict->err.kind == ERROR_NONE)
		result->n_true++;
	else if (verdict->document.algorithm)
		result->n_wrong++;
	else
		result->n_missing++;
	progress_end(&result->session->progress);
	common = &result->session->arguments->common;
	if (!common->json && (!common->quiet || verdict->err.kind != ERROR_NONE))
		print(verdict);
}

static int verify(struct result *result, const struct index_arguments *arguments,
	const char *operand, struct error *err)
{
	CLEANUP(buffer_free) struct buffer file = {0};
	const char *image = arguments->image ? arguments->image : operand;
	int verified;

	if (arguments->image && index_file_read(operand, &file, err) < 0)
		return error_prefix(err, "%s", operand);
	if (!arguments->image && index_file_is(operand))
		return error_set(err, ERROR_INVALID,
			"%s is a file: which image it is about is said with --image=IMAGE",
			operand);
	if (index_session_open(
		    result->session, "index verify", arguments, image, IMAGE_INDEXES_FIND, err) < 0)
		return -1;
	result->session->progress.unindexed = "to compare";
	verified = image_indexes_verify(
		result->session->indexes, arguments->image ? &file : NULL, take, result, err);
	progress_end(&result->session->progress);
	return verified < 0 && arguments->image ? error_prefix(err, "%s", operand) : verified;
}

static int exit_code_of(const struct result *result)
{
	if (result->n_wrong > 0)
		return EXIT_CODE_BAD_DATA;
	return result->n_true == 0 && result->n_missing > 0 ? EXIT_CODE_NOT_FOUND
							    : EXIT_CODE_SUCCESS;
}

static int run(const struct verb *verb, int argc, char **argv)
{
	struct index_arguments arguments = {0};
	struct index_session session = {.arguments = &arguments};
	struct result result = {.session = &session};
	struct json *report;
	char **operands;
	struct error err;
	int code;

	if (!cli_begin(verb, argc, argv, &arguments.common, &operands, &code))
		return code;
	result.verdicts = json_new_array();
	if (verify(&result, &arguments, operands[0], &err) < 0) {
		json_free(result.verdicts);
		index_session_close(&session);
		return cli_fail(verb->name, arguments.common.json, &err);
	}
	code = exit_code_of(&result);
	report = index_session_json(&session);
	json_set(report, "verdicts", result.verdicts);
	index_session_close(&session);
	if (arguments.common.json)
		(void)cli_print_json(verb->name, report);
	json_free(report);
	return code;
}

static const struct option_spec options[] = {
	{"image", 0, OPTION_TEXT, INDEX_AT(image), "IMAGE", NULL,
		"compare the file with this image, not the image with its repository", NULL},
	INDEX_OPTION_LAYER,
	INDEX_OPTIONS_IMAGE,
	{.name = NULL},
};

const struct verb verb_index_verify = {
	.name = "index verify",
	.operands = "IMAGE|FILE",
	.summary = "compare indexes with the layers they are of",
	.text = "Reads the layers of IMAGE as a whole, and compares them with the indexes that\n"
		"its repository has of them; or the layer of --image that FILE is the index of\n"
		"with that. Exits with 6 when an index contradicts its layer, and says where;\n"
		"with 3 when there is none.",
	.options = options,
	.min_operands = 1,
	.max_operands = 1,
	.run = run,
};
