/* SPDX-License-Identifier: Apache-2.0 */
/* `varve index create`: reads the layers that nobody has indexed, and keeps what makes them lazy.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/error_map.h"
#include "base/fdio.h"
#include "index_internal.h"

static size_t count_files(const struct image_indexes *indexes)
{
	size_t n = 0;

	for (size_t i = 0; i < indexes->n_layers; i++)
		n += indexes->layers[i].file.size > 0;
	return n;
}

/* "DIR/sha256-0123....index" */
static int name_file(
	const char *dir, const struct digest *layer, char out[PATH_MAX], struct error *err)
{
	char text[DIGEST_TEXT_SIZE];
	int length;

	(void)digest_format(layer, text);
	*strchr(text, ':') = '-';
	length = snprintf(out, PATH_MAX, "%s/%s.index", dir, text);
	if (length < 0 || length >= PATH_MAX)
		return error_set(err, ERROR_INVALID, "--output: the path is too long");
	return 0;
}

static int write_file(const struct image_index *layer, const char *path, struct error *err)
{
	return file_replace(AT_FDCWD, path, layer->file.data, layer->file.size, 0644, err);
}

/* Every index, as files of a directory, or the only one as a file. */
static int write_files(const struct index_session *session, struct error *err)
{
	const struct image_indexes *indexes = session->indexes;
	const char *output = session->arguments->output;
	size_t n = count_files(indexes);
	char path[PATH_MAX];
	struct stat status;
	bool is_dir;

	if (!output)
		return 0;
	is_dir = stat(output, &status) == 0 && S_ISDIR(status.st_mode);
	if (!is_dir && n > 1)
		return error_set(err, ERROR_INVALID,
			"--output=%s is no directory, and there are %zu indexes: make it one, or "
			"choose a layer with --layer",
			output, n);
	for (size_t i = 0; i < indexes->n_layers; i++) {
		const struct image_index *layer = &indexes->layers[i];

		if (layer->file.size == 0)
			continue;
		if (is_dir && name_file(output, &layer->layer->digest, path, err) < 0)
			return -1;
		if (write_file(layer, is_dir ? path : output, err) < 0)
			return -1;
	}
	return 0;
}

static void print(const struct index_session *session, const struct json *report)
{
	const struct json *layers = json_get(report, "layers");
	const struct screen screen = screen_on(stdout);

	screen_line(&screen, "%s", text_in(report, "image"));
	for (size_t i = 0; i < json_length(layers); i++)
		index_layer_print(&screen, json_at(layers, i));
	if (session->arguments->output)
		screen_line(&screen, "written to %s", session->arguments->output);
}

static int create(struct index_session *session, const char *image, struct error *err)
{
	const struct index_arguments *arguments = session->arguments;

	if (index_session_open(session, "index create", arguments, image, IMAGE_INDEXES_MAKE, err) <
		0)
		return -1;
	return write_files(session, err);
}

static int run(const struct verb *verb, int argc, char **argv)
{
	struct index_arguments arguments = {0};
	struct index_session session = {.arguments = &arguments};
	struct json *report;
	char **operands;
	struct error err;
	int code;

	if (!cli_begin(verb, argc, argv, &arguments.common, &operands, &code))
		return code;
	if (create(&session, operands[0], &err) < 0) {
		index_session_close(&session);
		return cli_fail(verb->name, arguments.common.json, &err);
	}
	report = index_session_json(&session);
	code = EXIT_CODE_SUCCESS;
	if (arguments.common.json)
		code = cli_print_json(verb->name, report);
	else if (!arguments.common.quiet)
		print(&session, report);
	json_free(report);
	index_session_close(&session);
	return code;
}

static const struct option_spec options[] = {
	{"output", 'o', OPTION_TEXT, INDEX_AT(output), "PATH", NULL,
		"also write the indexes to files: of this directory, or to this file if there is "
		"one index",
		NULL},
	INDEX_OPTION_LAYER,
	INDEX_OPTIONS_IMAGE,
	{.name = NULL},
};

const struct verb verb_index_create = {
	.name = "index create",
	.operands = "IMAGE",
	.summary = "index layers that have no table of contents",
	.text = "Reads every layer of IMAGE that has no table of contents once, as a whole, and\n"
		"keeps its index and its files in the store: from then on the layer is lazy\n"
		"here. IMAGE is named as for `varve mount`. What is indexed already is not read\n"
		"again.",
	.options = options,
	.min_operands = 1,
	.max_operands = 1,
	.run = run,
};
