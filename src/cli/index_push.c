/* SPDX-License-Identifier: Apache-2.0 */
/* `varve index push` and `pull`: indexes beside the image, in its repository. */
#include <stdio.h>
#include <string.h>

#include "base/error_map.h"
#include "index_internal.h"
#include "quantity_internal.h"

static struct json *new_pushed(
	const struct index_session *session, const struct image_indexes_pushed *pushed)
{
	struct json *json = index_session_json(session);
	char text[DIGEST_TEXT_SIZE];

	json_set(json, "artifact", json_new_string(digest_format(&pushed->artifact, text)));
	json_set(json, "found_by", json_new_string(pushed->tag[0] ? "tag" : "referrers API"));
	json_set(json, "tag", json_new_string(pushed->tag));
	json_set(json, "indexes", json_new_i64((int64_t)pushed->n_indexes));
	json_set(json, "sent", json_new_i64((int64_t)pushed->n_sent));
	json_set(json, "sent_size", json_new_i64((int64_t)pushed->sent_size));
	return json;
}

static void print_pushed(const struct json *report)
{
	const struct json *layers = json_get(report, "layers");
	const struct screen screen = screen_on(stdout);
	char size[QUANTITY_TEXT_SIZE];

	screen_line(&screen, "%s", text_in(report, "image"));
	for (size_t i = 0; i < json_length(layers); i++)
		index_layer_print(&screen, json_at(layers, i));
	screen_line(&screen, "artifact %s", text_in(report, "artifact"));
	if (text_in(report, "tag")[0])
		screen_line(&screen, "found by the tag %s: the registry has no referrers API",
			text_in(report, "tag"));
	else
		screen_line(&screen, "found by the registry's referrers API");
	if (number_in(report, "sent") == 0)
		screen_line(&screen, "the repository had all of it already");
	else
		screen_line(&screen, "%ju index%s sent, %s", (uintmax_t)number_in(report, "sent"),
			number_in(report, "sent") == 1 ? "" : "es",
			size_format(number_in(report, "sent_size"), size));
}

static int push(struct index_session *session, const char *image,
	struct image_indexes_pushed *pushed, struct error *err)
{
	const struct index_arguments *arguments = session->arguments;
	struct image_name name;

	/* Before layers are read for nothing. */
	if (image_argument_name(image, &name, err) < 0)
		return -1;
	if (name.place != IMAGE_IN_REGISTRY)
		return error_set(err, ERROR_INVALID,
			"%s is in no registry: push the image first, and then the indexes of what "
			"was pushed",
			image);
	if (index_session_open(session, "index push", arguments, image, IMAGE_INDEXES_MAKE, err) <
		0)
		return -1;
	return image_indexes_push(session->indexes, pushed, err);
}

static int finish(const struct verb *verb, struct index_session *session, struct json *report,
	void (*print)(const struct json *report))
{
	const struct common_arguments *common = &session->arguments->common;
	int code = EXIT_CODE_SUCCESS;

	if (common->json)
		code = cli_print_json(verb->name, report);
	else if (!common->quiet)
		print(report);
	json_free(report);
	index_session_close(session);
	return code;
}

static int fail(const struct verb *verb, struct index_session *session, const struct error *err)
{
	bool json = session->arguments->common.json;

	index_session_close(session);
	return cli_fail(verb->name, json, err);
}

static int run_push(const struct verb *verb, int argc, char **argv)
{
	struct index_arguments arguments = {0};
	struct index_session session = {.arguments = &arguments};
	struct image_indexes_pushed pushed;
	char **operands;
	struct error err;
	int code;

	if (!cli_begin(verb, argc, argv, &arguments.common, &operands, &code))
		return code;
	if (push(&session, operands[0], &pushed, &err) < 0)
		return fail(verb, &session, &err);
	return finish(verb, &session, new_pushed(&session, &pushed), print_pushed);
}

static size_t count(const struct image_indexes *indexes, enum image_index_state state)
{
	size_t n = 0;

	for (size_t i = 0; i < indexes->n_layers; i++)
		n += indexes->layers[i].state == state;
	return n;
}

static void print_pulled(const struct json *report)
{
	const struct json *layers = json_get(report, "layers");
	const struct screen screen = screen_on(stdout);

	screen_line(&screen, "%s", text_in(report, "image"));
	for (size_t i = 0; i < json_length(layers); i++)
		index_layer_print(&screen, json_at(layers, i));
}

static int run_pull(const struct verb *verb, int argc, char **argv)
{
	struct index_arguments arguments = {0};
	struct index_session session = {.arguments = &arguments};
	char **operands;
	struct error err;
	bool missing;
	int code;

	if (!cli_begin(verb, argc, argv, &arguments.common, &operands, &code))
		return code;
	if (index_session_open(
		    &session, verb->name, &arguments, operands[0], IMAGE_INDEXES_PULL, &err) < 0)
		return fail(verb, &session, &err);
	missing = count(session.indexes, IMAGE_INDEX_MISSING) > 0;
	code = finish(verb, &session, index_session_json(&session), print_pulled);
	return code == EXIT_CODE_SUCCESS && missing ? EXIT_CODE_NOT_FOUND : code;
}

static const struct option_spec options_push[] = {
	INDEX_OPTIONS_IMAGE,
	{.name = NULL},
};

static const struct option_spec options_pull[] = {
	INDEX_OPTION_LAYER,
	INDEX_OPTIONS_IMAGE,
	{.name = NULL},
};

const struct verb verb_index_push = {
	.name = "index push",
	.operands = "IMAGE",
	.summary = "put the indexes of an image's layers beside it in its registry",
	.text = "Puts the indexes of IMAGE's layers into its repository, as an artifact that\n"
		"refers to the image's manifest; what is missing in the store is made first, as\n"
		"by `varve index create`. `varve mount` finds it there. The image itself does not\n"
		"change. Once more sends nothing.",
	.options = options_push,
	.min_operands = 1,
	.max_operands = 1,
	.run = run_push,
};

const struct verb verb_index_pull = {
	.name = "index pull",
	.operands = "IMAGE",
	.summary = "take the indexes of an image's layers from its registry",
	.text = "Takes the indexes that somebody has put beside IMAGE into the store, for layers\n"
		"that have none here. They are trusted as far as those are who may write to the\n"
		"repository, until the whole layer is here and they are compared with it. Exits\n"
		"with 3 when a layer has no index here afterwards.",
	.options = options_pull,
	.min_operands = 1,
	.max_operands = 1,
	.run = run_pull,
};
