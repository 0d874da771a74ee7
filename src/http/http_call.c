/* SPDX-License-Identifier: Apache-2.0 */
/* A request that a server received, from its route to its reply. */
#include <event2/buffer.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"

#include "http_server_internal.h"

static const char *method_name(enum evhttp_cmd_type type)
{
	switch (type) {
	case EVHTTP_REQ_GET:
		return "GET";
	case EVHTTP_REQ_HEAD:
		return "HEAD";
	case EVHTTP_REQ_POST:
		return "POST";
	case EVHTTP_REQ_PUT:
		return "PUT";
	default:
		return "DELETE";
	}
}

static void call_free(struct http_call *call)
{
	if (call->server)
		LIST_REMOVE(call, link);
	free(call->path);
	free(call->query);
	free(call);
}

void http_call_abandon(struct http_call *call)
{
	LIST_REMOVE(call, link);
	call->server = NULL;
	call->connection = NULL;
	call->request = NULL;
}

static void refuse(struct http_call *call, int status, const char *word, const char *message)
{
	char body[160];
	int size = snprintf(
		body, sizeof(body), "{\"error\":\"%s\",\"message\":\"%s\"}\n", word, message);

	http_call_reply(call, status, "application/json", body, (size_t)size);
}

static bool path_matches(const struct http_route *route, const char *path)
{
	size_t size = strlen(route->path);

	if (size > 0 && route->path[size - 1] == '/')
		return strncmp(path, route->path, size) == 0;
	return strcmp(path, route->path) == 0;
}

static bool method_matches(const struct http_route *route, const char *method)
{
	return strcmp(route->method, strcmp(method, "HEAD") == 0 ? "GET" : method) == 0;
}

static void dispatch(struct http_call *call)
{
	const struct http_server_options *options = &call->server->options;
	bool known = false;

	for (size_t i = 0; i < options->n_routes; i++) {
		const struct http_route *route = &options->routes[i];

		if (!path_matches(route, call->path))
			continue;
		known = true;
		if (method_matches(route, call->method)) {
			route->handle(call, options->arg);
			return;
		}
		http_call_add_header(call, "Allow", route->method);
	}
	if (known)
		refuse(call, 405, "unsupported", "this path has other methods, see Allow");
	else
		refuse(call, 404, "not_found", "nothing is served at this path");
}

/* NULL for what cannot be a path: not decodable, or with a NUL inside. */
static char *decode_path(struct evhttp_request *request)
{
	const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(request);
	const char *raw = uri ? evhttp_uri_get_path(uri) : NULL;
	char *path;
	size_t size;

	if (!raw || raw[0] != '/')
		return NULL;
	path = evhttp_uridecode(raw, 0, &size);
	if (path && strlen(path) != size) {
		free(path);
		return NULL;
	}
	return path;
}

void http_call_begin(struct http_server *server, struct evhttp_request *request)
{
	struct http_server_connection *connection =
		http_server_connection_of(server, evhttp_request_get_connection(request));
	struct http_call *call = calloc(1, sizeof(*call));

	if (!call || !connection) {
		free(call);
		evhttp_send_error(request, 503, NULL);
		return;
	}
	http_server_connection_busy(connection);
	call->server = server;
	call->connection = connection;
	call->request = request;
	(void)snprintf(call->method, sizeof(call->method), "%s",
		method_name(evhttp_request_get_command(request)));
	LIST_INSERT_HEAD(&server->calls, call, link);
	call->path = decode_path(request);
	if (!call->path)
		refuse(call, 400, "invalid", "the path cannot be decoded");
	else
		dispatch(call);
}

const char *http_call_method(const struct http_call *call)
{
	return call->method;
}

const char *http_call_path(const struct http_call *call)
{
	return call->path;
}

static char *decode_value(const char *raw, size_t raw_size)
{
	CLEANUP(cleanup_free) char *copy = strndup(raw, raw_size);

	return copy ? evhttp_uridecode(copy, 1, NULL) : NULL;
}

const char *http_call_query(struct http_call *call, const char *name)
{
	const struct evhttp_uri *uri =
		call->request ? evhttp_request_get_evhttp_uri(call->request) : NULL;
	const char *at = uri ? evhttp_uri_get_query(uri) : NULL;
	size_t name_size = strlen(name);

	while (at && *at) {
		size_t size = strcspn(at, "&");

		if (strncmp(at, name, name_size) == 0 &&
			(name_size == size || at[name_size] == '=')) {
			size_t skip = name_size < size ? name_size + 1 : size;

			free(call->query);
			call->query = decode_value(at + skip, size - skip);
			return call->query;
		}
		at += size + (at[size] == '&');
	}
	return NULL;
}

const char *http_call_header(const struct http_call *call, const char *name)
{
	if (!call->request)
		return NULL;
	return evhttp_find_header(evhttp_request_get_input_headers(call->request), name);
}

const void *http_call_body(const struct http_call *call, size_t *size)
{
	struct evbuffer *body =
		call->request ? evhttp_request_get_input_buffer(call->request) : NULL;

	*size = body ? evbuffer_get_length(body) : 0;
	return *size > 0 ? evbuffer_pullup(body, -1) : NULL;
}

bool http_call_is_wanted(const struct http_call *call)
{
	return call->request != NULL;
}

void http_call_add_header(struct http_call *call, const char *name, const char *value)
{
	if (call->request && evhttp_add_header(evhttp_request_get_output_headers(call->request),
				     name, value) < 0)
		log_error("HTTP server: header %s cannot be sent", name);
}

/* NULL when there is no memory. A HEAD request gets everything but the bytes. */
static struct evbuffer *make_body(struct http_call *call, const void *data, size_t size)
{
	struct evbuffer *body = evbuffer_new();
	char length[24];

	if (!body)
		return NULL;
	(void)snprintf(length, sizeof(length), "%zu", size);
	http_call_add_header(call, "Content-Length", length);
	if (strcmp(call->method, "HEAD") != 0 && size > 0 && evbuffer_add(body, data, size) < 0) {
		evbuffer_free(body);
		return NULL;
	}
	return body;
}

void http_call_reply(
	struct http_call *call, int status, const char *type, const void *data, size_t size)
{
	struct evhttp_request *request = call->request;
	struct evbuffer *body;

	if (!request) {
		call_free(call);
		return;
	}
	http_server_connection_replying(call->connection, request);
	if (type)
		http_call_add_header(call, "Content-Type", type);
	body = make_body(call, data, size);
	/* evhttp may close the connection in here, which must not find the call any more. */
	call_free(call);
	if (!body) {
		evhttp_send_error(request, 500, NULL);
		return;
	}
	evhttp_send_reply(request, status, NULL, body);
	evbuffer_free(body);
}
