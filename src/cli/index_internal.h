/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "daemon/node.h"
#include "format/span_index.h"
#include "image_arguments_internal.h"
#include "layer/image_indexes.h"
#include "mount_internal.h"

/* The parts of `varve index ...`. */

/* As typed; each verb has some of them. */
struct index_arguments {
	struct common_arguments common; /* first */
	const char *image;
	const char *layer;
	const char *platform;
	const char *output;
	const char *hosts_dirs;
	const char *username;
	bool plain_http;
	bool password_stdin;
};

#define INDEX_AT(member) offsetof(struct index_arguments, member)

#define INDEX_OPTION_LAYER                                                                         \
	{                                                                                          \
		.name = "layer", .kind = OPTION_TEXT, .off = INDEX_AT(layer), .value = "DIGEST",   \
		.help = "only this layer",                                                         \
	}

/* What every verb needs that asks for an image. */
#define INDEX_OPTIONS_IMAGE                                                                        \
	{                                                                                          \
		.name = "platform",                                                                \
		.kind = OPTION_TEXT,                                                               \
		.off = INDEX_AT(platform),                                                         \
		.value = "OS/ARCH",                                                                \
		.help = "which image of a multi-platform one, with /VARIANT if need be",           \
		.fallback = "this machine's",                                                      \
	},                                                                                         \
		OPTION_STORE,                                                                      \
		{                                                                                  \
			.name = "hosts-dir",                                                       \
			.kind = OPTION_TEXT,                                                       \
			.off = INDEX_AT(hosts_dirs),                                               \
			.value = "DIRS",                                                           \
			.help = "colon-separated directories of hosts.toml files",                 \
			.fallback = "/etc/containerd/certs.d:/etc/docker/certs.d",                 \
		},                                                                                 \
		{                                                                                  \
			.name = "plain-http",                                                      \
			.kind = OPTION_FLAG,                                                       \
			.off = INDEX_AT(plain_http),                                               \
			.help = "http instead of https, for registries that hosts.toml does not "  \
				"name",                                                            \
		},                                                                                 \
		{                                                                                  \
			.name = "username",                                                        \
			.kind = OPTION_TEXT,                                                       \
			.off = INDEX_AT(username),                                                 \
			.value = "NAME",                                                           \
			.help = "credentials, instead of those in docker's or containers' files",  \
		},                                                                                 \
		{                                                                                  \
			.name = "password-stdin",                                                  \
			.kind = OPTION_FLAG,                                                       \
			.off = INDEX_AT(password_stdin),                                           \
			.help = "read the password for --username from standard input",            \
		},                                                                                 \
		OPTION_VERBOSE, OPTION_QUIET, OPTION_JSON

/* One verb's work on one image. */
struct index_session {
	const struct index_arguments *arguments;
	const char *verb;
	char store_dir[PATH_MAX];
	char owner[64];
	char *hosts_dirs; /* owned */
	char *password;   /* owned */
	struct image_name name;
	struct platform platform;
	struct digest layer;
	char reference[IMAGE_NAME_TEXT_SIZE];
	struct node *node;            /* owned */
	struct image_options options; /* points into this */
	struct progress progress;
	struct image_indexes *indexes; /* owned */
};

/* index_session.c: finds the image and its indexes as wished, with a progress line on stderr. */
MUST_CHECK int index_session_open(struct index_session *session, const char *verb,
	const struct index_arguments *arguments, const char *image, enum image_indexes_wish wish,
	struct error *err);
void index_session_close(struct index_session *session);

/* index_print.c: what is in a file of an index; "index" in the error is its name. */
struct index_facts {
	struct digest blob;
	uint64_t blob_size;
	struct digest diff_id; /* algorithm 0: not said */
	uint64_t archive_size;
	const char *codec; /* static */
	size_t n_entries;
	size_t n_spans;
	size_t size; /* of the file */
};
MUST_CHECK int index_facts_read(
	const void *data, size_t size, struct index_facts *out, struct error *err);

struct json *index_facts_json(const struct index_facts *facts);

/* One layer with what the store has for it; facts are read from its file where there is one. */
struct json *index_layer_json(const struct image_index *layer);
/* "  layer 0123456789ab  gzip  28.3 MB: index of 210 KB (0.74 %), 31 spans, made now" */
void index_layer_print(const struct screen *screen, const struct json *layer);

/* {"image", "manifest", "platform", "store", "layers": [...]} */
struct json *index_session_json(const struct index_session *session);
