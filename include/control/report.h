/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/json.h"
#include "layer/image.h"

struct fs_session;
struct registry_client;
struct store;

/* What the program knows about itself, as JSON: made here once, for the control socket of who owns
 * a store and for commands that open an unowned one themselves. The members are documented in
 * docs/operations.md. Functions that fill *out give a document the caller frees. Threads: those
 * that may block on a disk. */

/* A mount as reports show it. Everything is borrowed. */
struct report_mount {
	const char *dir;
	const char *face;     /* "erofs" or "fuse" */
	const char *face_why; /* why not the other one; "" when nothing is to say */
	const char *upper;    /* directory that takes what is written; "" when read-only */
	const char *log;      /* file; "" for a terminal */
	const struct image *image;
	struct fs_session *session;
	int64_t started_s;
	bool layer_only; /* the tree of one layer */
	bool detached;   /* taken away while busy: serves until its last user is gone */
};

/* What reports are made from. */
struct report_context {
	struct store *store;
	struct registry_client *registry; /* NULL: this process fetches nothing */
	const struct report_mount *mounts;
	size_t n_mounts;
	const char *phase; /* what goes on before the first mount is usable; "" otherwise */
};

/* The whole picture: store, mounts with their layers, hosts, last failures. */
MUST_CHECK int report_status(
	const struct report_context *context, struct json **out, struct error *err);

/* Which file is asked about, and how much to tell. */
struct report_why_query {
	const char *dir;     /* of the mount */
	const char *path;    /* below dir, without leading slash; NULL: ino decides */
	uint64_t ino;        /* st_ino of the file on that mount */
	uint64_t first_unit; /* of the file: the list of units starts here */
	uint64_t max_units;  /* and has at most so many */
};

/* A file: what it is, its units and which are here, where they come from, what failed. */
MUST_CHECK int report_why(const struct report_context *context,
	const struct report_why_query *query, struct json **out, struct error *err);

/* Images that were mounted from this store, and how much of each is here. */
MUST_CHECK int report_images(
	const struct report_context *context, struct json **out, struct error *err);

/* The layers in the store, least recently used first, and how full it is. */
MUST_CHECK int report_cache(
	const struct report_context *context, struct json **out, struct error *err);

/* {"error": {"kind", "message"}}; report_error_read() is its inverse and says whether document is
 * one. */
struct json *report_error(const struct error *err);
bool report_error_read(const struct json *document, struct error *out);

/* What a person can do about a failure of this kind; "" when the message says it all. */
const char *report_advice(enum error_kind kind, enum image_place place);
