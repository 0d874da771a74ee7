/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <event2/http.h>
#include <event2/listener.h>
#include <sys/queue.h>
#include <sys/stat.h>

#include "http/http_server.h"

/* One accepted connection. evhttp has neither a limit on connections nor an absolute deadline. */
struct http_server_connection {
	LIST_ENTRY(http_server_connection) link;
	struct http_server *server;           /* borrowed */
	struct bufferevent *stream;           /* evhttp's */
	struct evhttp_connection *connection; /* evhttp's; NULL until attached */
	struct event *attach;                 /* owned: runs before the first byte is read */
	struct loop_timer *deadline;          /* owned */
};

struct http_call {
	LIST_ENTRY(http_call) link;
	struct http_server *server; /* borrowed; NULL when the server or the client is gone */
	struct http_server_connection *connection; /* borrowed; NULL likewise */
	struct evhttp_request *request;            /* evhttp's; NULL likewise */
	char *path;                                /* owned, decoded */
	char *query; /* owned: decoded value of the parameter last asked for */
	char method[8];
};

struct http_server {
	struct loop *loop;               /* borrowed */
	struct evhttp *http;             /* owned */
	struct evconnlistener *listener; /* evhttp's */
	struct http_server_options options;
	char *unix_socket; /* owned, or NULL */
	dev_t socket_dev;  /* which file at unix_socket is ours */
	ino_t socket_ino;
	uint16_t port;
	unsigned n_connections;
	LIST_HEAD(, http_server_connection) connections;
	LIST_HEAD(, http_call) calls;
};

/* http_listen.c */
/* Opens, binds and listens; fills in port, unix_socket and its identity. Returns the descriptor
 * or -1. */
MUST_CHECK int http_listen(struct http_server *server, struct error *err);
/* Removes the socket file if it is still ours. */
void http_listen_cleanup(const struct http_server *server);

/* http_server_connection.c */
struct bufferevent *http_server_connection_new(struct event_base *base, void *server);
struct http_server_connection *http_server_connection_of(
	const struct http_server *server, const struct evhttp_connection *connection);
/* Frees those that evhttp would not tell about when it closes them. */
void http_server_connections_forget(struct http_server *server);
/* The request is complete and being answered: its deadline no longer counts. */
void http_server_connection_busy(struct http_server_connection *connection);
void http_server_connection_replying(
	struct http_server_connection *connection, struct evhttp_request *request);

/* http_call.c */
void http_call_begin(struct http_server *server, struct evhttp_request *request);
/* The client is gone, and request with it. */
void http_call_abandon(struct http_call *call);
