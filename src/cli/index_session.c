/* SPDX-License-Identifier: Apache-2.0 */
/* From the arguments of `varve index ...` to an image and its indexes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "index_internal.h"

static void on_progress(void *arg, enum image_step step, size_t n, size_t total)
{
	struct index_session *session = arg;

	progress_show(&session->progress, step, n, total);
}

static int read_arguments(struct index_session *session, const char *image, struct error *err)
{
	const struct index_arguments *arguments = session->arguments;

	if (image_argument_name(image, &session->name, err) < 0 ||
		image_argument_platform(arguments->platform, &session->platform, err) < 0 ||
		(arguments->layer &&
			image_argument_layer(arguments->layer, &session->layer, err) < 0) ||
		cli_store_dir(arguments->common.store, session->store_dir, err) < 0 ||
		image_argument_hosts_dirs(arguments->hosts_dirs, &session->hosts_dirs, err) < 0)
		return -1;
	(void)image_name_format(&session->name, session->reference);
	return image_argument_password(
		arguments->username, arguments->password_stdin, &session->password, err);
}

static int start_node(struct index_session *session, struct error *err)
{
	const struct index_arguments *arguments = session->arguments;
	const struct node_options options = {
		.store_dir = session->store_dir,
		.owner = session->owner,
		.hosts_dirs = session->hosts_dirs,
		.plain_http = arguments->plain_http,
		.username = arguments->username,
		.password = session->password,
	};

	(void)snprintf(session->owner, sizeof(session->owner), "varve %s", session->verb);
	return node_new(&options, &session->node, err);
}

static void set_log(const struct common_arguments *common)
{
	log_setup(common->verbose ? LOG_LEVEL_DEBUG
		  : common->quiet ? LOG_LEVEL_ERROR
				  : LOG_LEVEL_WARNING,
		STDERR_FILENO, true);
}

int index_session_open(struct index_session *session, const char *verb,
	const struct index_arguments *arguments, const char *image, enum image_indexes_wish wish,
	struct error *err)
{
	int result;

	*session = (struct index_session){.arguments = arguments, .verb = verb};
	set_log(&arguments->common);
	if (read_arguments(session, image, err) < 0 || start_node(session, err) < 0)
		return -1;
	session->options = (struct image_options){
		.name = &session->name,
		.platform = &session->platform,
		.layer = arguments->layer ? &session->layer : NULL,
		.trust_indexes = true,
		.progress = on_progress,
		.arg = session,
	};
	progress_begin(&session->progress, session->reference,
		arguments->common.quiet || arguments->common.json);
	result = image_indexes_open(
		node_images(session->node), &session->options, wish, &session->indexes, err);
	progress_end(&session->progress);
	return result;
}

void index_session_close(struct index_session *session)
{
	image_indexes_close(session->indexes);
	node_free(session->node);
	if (session->password)
		explicit_bzero(session->password, strlen(session->password));
	free(session->password);
	free(session->hosts_dirs);
	*session = (struct index_session){0};
}
