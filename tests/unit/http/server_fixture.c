/* SPDX-License-Identifier: Apache-2.0 */
/* A server with a few routes on a socket of its own. */
#include "server_fixture.h"

#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>

static void handle_echo(struct http_call *call, void *arg)
{
	size_t size;
	const void *body = http_call_body(call, &size);

	(void)arg;
	http_call_reply(call, 200, "text/plain", body, size);
}

static void handle_show(struct http_call *call, void *arg)
{
	char text[512];
	const char *ns = http_call_query(call, "ns");
	char first[64];
	int size;

	(void)arg;
	(void)snprintf(first, sizeof(first), "%s", ns ? ns : "-");
	size = snprintf(text, sizeof(text), "%s %s ns=%s empty=%s accept=%s",
		http_call_method(call), http_call_path(call), first,
		http_call_query(call, "empty") ? "yes" : "no", http_call_header(call, "accept"));
	http_call_add_header(call, "X-Extra", "yes");
	http_call_add_header(call, "X-Forged", "1\r\nX-Other: 2");
	http_call_reply(call, 200, "text/plain", text, (size_t)size);
}

static void handle_hold(struct http_call *call, void *arg)
{
	struct server_fixture *context = arg;

	context->held = call;
}

static const struct http_route routes[] = {
	{"POST", "/v1/echo", handle_echo},
	{"GET", "/v1/show/", handle_show},
	{"GET", "/v1/hold", handle_hold},
	{"DELETE", "/v1/hold", handle_echo},
};

void server_fixture_make(void *arg)
{
	struct server_fixture *context = arg;

	context->err = (struct error){0};
	if (http_server_new(
		    context->fixture.loop, &context->options, &context->server, &context->err) < 0)
		context->server = NULL;
}

void server_fixture_free(void *arg)
{
	struct server_fixture *context = arg;

	http_server_free(context->server);
	context->server = NULL;
}

void server_fixture_start(struct server_fixture *context)
{
	fixture_on_loop(&context->fixture, server_fixture_make, context);
	if (!context->server)
		fail_msg("%s", context->err.message);
}

int server_fixture_open(void **state)
{
	static const struct http_client_options options = {0};
	struct server_fixture *context = calloc(1, sizeof(*context));

	assert_non_null(context);
	scratch_open(&context->scratch);
	(void)snprintf(context->socket, sizeof(context->socket), "%s",
		scratch_path(&context->scratch, "control.sock"));
	context->options = (struct http_server_options){
		.routes = routes,
		.n_routes = sizeof(routes) / sizeof(routes[0]),
		.arg = context,
		.unix_socket = context->socket,
		.unix_mode = 0600,
	};
	fixture_open(&context->fixture, &options);
	*state = context;
	return 0;
}

int server_fixture_close(void **state)
{
	struct server_fixture *context = *state;

	fixture_on_loop(&context->fixture, server_fixture_free, context);
	fixture_close(&context->fixture);
	scratch_close(&context->scratch);
	free(context);
	return 0;
}

struct http_request_options server_fixture_request(
	const struct server_fixture *context, enum http_method method, const char *url)
{
	return (struct http_request_options){
		.method = method, .url = url, .unix_socket = context->socket};
}

void server_fixture_call(const struct http_request_options *options, struct http_answer *answer)
{
	struct error err = {0};

	if (http_call_once(options, answer, &err) < 0)
		fail_msg("%s", err.message);
}
