/* SPDX-License-Identifier: Apache-2.0 */
/* The server: set up and taken down. */
#include "http/http_server.h"

#include <signal.h>
#include <string.h>

#include "base/clock.h"

#include "http_server_internal.h"

#define DEFAULT_MAX_HEAD (16 * 1024)
#define DEFAULT_MAX_BODY (1024 * 1024)
#define DEFAULT_MAX_CONNECTIONS 64
#define DEFAULT_TIMEOUT_NS (30 * NS_PER_SECOND)

/* evhttp writes with writev(2), which has no MSG_NOSIGNAL. */
static void ignore_broken_pipes(void)
{
	struct sigaction action;

	if (sigaction(SIGPIPE, NULL, &action) < 0 || action.sa_handler != SIG_DFL)
		return;
	action = (struct sigaction){.sa_handler = SIG_IGN};
	(void)sigaction(SIGPIPE, &action, NULL);
}

static void set_defaults(struct http_server_options *options)
{
	if (!options->max_head)
		options->max_head = DEFAULT_MAX_HEAD;
	if (!options->max_body)
		options->max_body = DEFAULT_MAX_BODY;
	if (!options->max_connections)
		options->max_connections = DEFAULT_MAX_CONNECTIONS;
	if (!options->request_timeout_ns)
		options->request_timeout_ns = DEFAULT_TIMEOUT_NS;
	if (!options->reply_timeout_ns)
		options->reply_timeout_ns = DEFAULT_TIMEOUT_NS;
}

static void on_request(struct evhttp_request *request, void *arg)
{
	http_call_begin(arg, request);
}

static int setup(struct http_server *server, struct error *err)
{
	struct event_base *base = loop_event_base(server->loop);
	struct evhttp_bound_socket *bound;
	int fd;

	server->http = evhttp_new(base);
	if (!server->http)
		return error_set(err, ERROR_NO_MEMORY, "no memory for an HTTP server");
	evhttp_set_max_headers_size(server->http, (ev_ssize_t)server->options.max_head);
	evhttp_set_max_body_size(server->http, (ev_ssize_t)server->options.max_body);
	evhttp_set_default_content_type(server->http, NULL);
	evhttp_set_allowed_methods(server->http, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD |
							 EVHTTP_REQ_POST | EVHTTP_REQ_PUT |
							 EVHTTP_REQ_DELETE);
	evhttp_set_bevcb(server->http, http_server_connection_new, server);
	evhttp_set_gencb(server->http, on_request, server);

	fd = http_listen(server, err);
	if (fd < 0)
		return -1;
	server->listener = evconnlistener_new(
		base, NULL, NULL, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, fd);
	if (!server->listener) {
		cleanup_fd(&fd);
		return error_set(err, ERROR_NO_MEMORY, "no memory for an HTTP server");
	}
	bound = evhttp_bind_listener(server->http, server->listener);
	if (!bound) {
		evconnlistener_free(server->listener);
		return error_set(err, ERROR_NO_MEMORY, "no memory for an HTTP server");
	}
	return 0;
}

int http_server_new(struct loop *loop, const struct http_server_options *options,
	struct http_server **out, struct error *err)
{
	CLEANUP(http_server_freep) struct http_server *server = calloc(1, sizeof(*server));

	if (!server)
		return error_set(err, ERROR_NO_MEMORY, "no memory for an HTTP server");
	server->loop = loop;
	server->options = *options;
	set_defaults(&server->options);
	LIST_INIT(&server->connections);
	LIST_INIT(&server->calls);
	ignore_broken_pipes();
	if (setup(server, err) < 0)
		return -1;
	*out = TAKE_PTR(server);
	return 0;
}

void http_server_free(struct http_server *server)
{
	struct http_call *call;

	if (!server)
		return;

	while ((call = LIST_FIRST(&server->calls)))
		http_call_abandon(call);
	http_listen_cleanup(server);
	/* Goes with evhttp, before the connections do. */
	server->listener = NULL;
	http_server_connections_forget(server);
	if (server->http)
		evhttp_free(server->http);
	free(server->unix_socket);
	free(server);
}

void http_server_freep(struct http_server **server)
{
	http_server_free(*server);
}

uint16_t http_server_port(const struct http_server *server)
{
	return server->port;
}
