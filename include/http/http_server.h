/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/loop.h"

/* A small HTTP/1.1 server on a loop (evhttp), for the control socket: one listening socket, a
 * table of routes, bounded requests. Everything happens on the loop thread. */
struct http_server;

/* One request and the answer it still has to get. */
struct http_call;

/* What is served where. A path that ends with '/' also stands for everything below it; the first
 * route that fits is taken. HEAD goes to the routes of GET. */
struct http_route {
	const char *method; /* "GET", "POST", "PUT", "DELETE" */
	const char *path;
	/* Answers with http_call_reply(), now or later; the call is its own until then. */
	void (*handle)(struct http_call *call, void *arg);
};

/* Where to listen, what to serve and what to refuse. Borrowed by http_server_new(). */
struct http_server_options {
	const struct http_route *routes; /* outlive the server */
	size_t n_routes;
	void *arg;                   /* for handle() */
	const char *unix_socket;     /* path; at most 107 bytes */
	mode_t unix_mode;            /* permissions of the socket, such as 0600 */
	const char *address;         /* without unix_socket: a numeric loopback address */
	uint16_t port;               /* 0: any that is free, see http_server_port() */
	size_t max_head;             /* bytes of request line and headers; 0: 16 KiB */
	size_t max_body;             /* bytes; 0: 1 MiB */
	unsigned max_connections;    /* more wait in the kernel until one ends; 0: 64 */
	uint64_t request_timeout_ns; /* for a whole request to arrive on a connection; 0: 30 s */
	uint64_t reply_timeout_ns;   /* for a reply to be taken; 0: 30 s */
};

/**
 * http_server_new() - listen and serve.
 * @err: ERROR_BUSY when a server answers at the socket already, ERROR_EXISTS when something else
 *       is at its path, ERROR_INVALID for a path that is too long or an address that is not
 *       loopback.
 *
 * A socket file that nobody serves is replaced. SIGPIPE is ignored from here on, unless the
 * process handles it: a client that goes away must not end it.
 *
 * Threads: the loop's, or any while the loop does not run.
 */
MUST_CHECK int http_server_new(struct loop *loop, const struct http_server_options *options,
	struct http_server **out, struct error *err);

/* Closes the socket and every connection. Calls that have not been answered stay valid: replying
 * to them then only frees them. Threads: as http_server_new(). NULL is allowed. */
void http_server_free(struct http_server *server);
void http_server_freep(struct http_server **server);

/* The TCP port it listens on; 0 for a unix socket. */
uint16_t http_server_port(const struct http_server *server);

/* "GET", "HEAD", ... */
const char *http_call_method(const struct http_call *call);

/* Percent-decoded, without query, beginning with '/'. Hostile, but without NUL. */
const char *http_call_path(const struct http_call *call);

/* The decoded value of the first query parameter of this name, or NULL. Borrowed from the call
 * until the next look-up. */
const char *http_call_query(struct http_call *call, const char *name);

/* The value of a request header, or NULL. */
const char *http_call_header(const struct http_call *call, const char *name);

/* The request's body; NULL when it has none. */
const void *http_call_body(const struct http_call *call, size_t *size);

/* False once the connection is known to be gone: what still takes work may be dropped. */
bool http_call_is_wanted(const struct http_call *call);

/* Adds a header to the reply. One that could forge a line is left out and logged. */
void http_call_add_header(struct http_call *call, const char *name, const char *value);

/* Answers and ends the call. type: media type of data, NULL when there is none. data is copied. */
void http_call_reply(
	struct http_call *call, int status, const char *type, const void *data, size_t size);
