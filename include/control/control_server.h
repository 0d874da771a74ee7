/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"
#include "base/loop.h"
#include "base/workers.h"
#include "control/report.h"

/* Answers for a store whom it belongs to: HTTP and JSON on a unix socket, for `varve status` and
 * for curl.
 *
 *   GET    /v1/status
 *   GET    /v1/why?dir=DIR&path=PATH | &ino=N  [&first=N&max=N]
 *   GET    /v1/images
 *   GET    /v1/cache
 *   POST   /v1/cache/verify[?repair=1]   starts; GET tells how far it is, DELETE stops it */
struct control_server;

/* What a server is made of; everything borrowed, and outliving it. */
struct control_server_options {
	struct loop *loop;       /* somebody else's thread runs it */
	struct workers *workers; /* make the reports */
	struct store *store;
	struct registry_client *registry; /* or NULL */
	const char *dir;                  /* control.sock is made here */
};

/* Starts listening. Any thread but the loop. */
MUST_CHECK int control_server_new(const struct control_server_options *options,
	struct control_server **out, struct error *err);

/* What goes on before a mount is usable; copied. Any thread. */
void control_server_set_phase(struct control_server *server, const char *phase);

/* Shows this mount, or (again, with the same dir) what has changed of it. What it points to is
 * borrowed until control_server_free(). Any thread. */
MUST_CHECK int control_server_show(
	struct control_server *server, const struct report_mount *mount, struct error *err);

/* Stops listening and waits for reports under way. Any thread but the loop and the workers. NULL
 * is allowed. */
void control_server_free(struct control_server *server);
void control_server_freep(struct control_server **server);
