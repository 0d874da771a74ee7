/* SPDX-License-Identifier: Apache-2.0 */
/* What evhttp does not do for a connection: count it, and end it at a deadline however slowly it
 * still sends or takes bytes. */
#include <event2/bufferevent.h>
#include <string.h>

#include "base/log.h"

#include "http_server_internal.h"

static void connection_free(struct http_server_connection *connection)
{
	struct http_server *server = connection->server;

	LIST_REMOVE(connection, link);
	server->n_connections--;
	if (server->listener)
		(void)evconnlistener_enable(server->listener);
	if (connection->attach)
		event_free(connection->attach);
	loop_timer_free(connection->deadline);
	free(connection);
}

static void on_close(struct evhttp_connection *evhttp, void *arg)
{
	struct http_server_connection *connection = arg;
	struct http_call *call = LIST_FIRST(&connection->server->calls);

	(void)evhttp;
	while (call) {
		struct http_call *next = LIST_NEXT(call, link);

		if (call->connection == connection)
			http_call_abandon(call);
		call = next;
	}
	connection_free(connection);
}

static void on_deadline(void *arg)
{
	struct http_server_connection *connection = arg;

	/* Calls on_close(). */
	evhttp_connection_free(connection->connection);
}

/* evhttp tells nobody about a connection before its first request is complete, but it has made
 * itself the stream's reader by now. */
static void on_attach(evutil_socket_t fd, short events, void *arg)
{
	struct http_server_connection *connection = arg;
	void *reader = NULL;

	(void)fd;
	(void)events;
	bufferevent_getcb(connection->stream, NULL, NULL, NULL, &reader);
	bufferevent_decref(connection->stream);
	connection->stream = NULL;
	if (!reader) {
		connection_free(connection);
		return;
	}
	connection->connection = reader;
	evhttp_connection_set_closecb(connection->connection, on_close, connection);
	loop_timer_set(connection->deadline, connection->server->options.request_timeout_ns);
}

void http_server_connections_forget(struct http_server *server)
{
	struct http_server_connection *connection = LIST_FIRST(&server->connections);

	while (connection) {
		struct http_server_connection *next = LIST_NEXT(connection, link);

		if (!connection->connection) {
			bufferevent_decref(connection->stream);
			connection_free(connection);
		}
		connection = next;
	}
}

static struct http_server_connection *connection_make(struct http_server *server,
	struct event_base *base, struct bufferevent *stream, struct error *err)
{
	struct http_server_connection *connection = calloc(1, sizeof(*connection));

	if (!connection) {
		(void)error_set(err, ERROR_NO_MEMORY, "no memory for a connection");
		return NULL;
	}
	connection->attach = event_new(base, -1, 0, on_attach, connection);
	if (!connection->attach || loop_timer_new(server->loop, on_deadline, connection,
					   &connection->deadline, err) < 0) {
		if (connection->attach)
			event_free(connection->attach);
		free(connection);
		return NULL;
	}
	connection->server = server;
	connection->stream = stream;
	return connection;
}

struct bufferevent *http_server_connection_new(struct event_base *base, void *arg)
{
	struct http_server *server = arg;
	/* Without the option evhttp closes the descriptor before it takes it out of epoll, which
	 * then hits whatever another thread has got under that number. */
	struct bufferevent *stream = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
	struct http_server_connection *connection;
	struct error err = {.message = "no memory for a connection"};

	connection = stream ? connection_make(server, base, stream, &err) : NULL;
	if (!connection) {
		/* evhttp goes on with a stream of its own, without a deadline. */
		log_error("HTTP server: %s", err.message);
		return stream;
	}
	LIST_INSERT_HEAD(&server->connections, connection, link);
	if (++server->n_connections >= server->options.max_connections)
		(void)evconnlistener_disable(server->listener);
	/* Runs in this round of the loop, before it looks at descriptors again. */
	bufferevent_incref(stream);
	event_active(connection->attach, EV_TIMEOUT, 0);
	return stream;
}

struct http_server_connection *http_server_connection_of(
	const struct http_server *server, const struct evhttp_connection *connection)
{
	struct http_server_connection *at;

	LIST_FOREACH (at, &server->connections, link)
		if (at->connection == connection)
			return at;
	return NULL;
}

void http_server_connection_busy(struct http_server_connection *connection)
{
	loop_timer_cancel(connection->deadline);
}

static void on_reply_sent(struct evhttp_request *request, void *arg)
{
	struct http_server_connection *connection = arg;

	(void)request;
	loop_timer_set(connection->deadline, connection->server->options.request_timeout_ns);
}

void http_server_connection_replying(
	struct http_server_connection *connection, struct evhttp_request *request)
{
	loop_timer_set(connection->deadline, connection->server->options.reply_timeout_ns);
	evhttp_request_set_on_complete_cb(request, on_reply_sent, connection);
}
