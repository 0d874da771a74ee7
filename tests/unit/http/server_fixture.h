/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "http/http_server.h"
#include "http/http_sync.h"

#include "certificates.h"
#include "client_fixture.h"

/* A server and the loop it shares with a client. */
struct server_fixture {
	struct fixture fixture;
	struct scratch scratch;
	struct http_server_options options;
	struct http_server *server; /* loop thread only */
	struct http_call *held;     /* loop thread only: answered by reply_held() */
	struct error err;
	char socket[108]; /* as long as the kernel takes */
};

/* Setup and teardown of a test: *state is a struct server_fixture. The server is not started. */
int server_fixture_open(void **state);
int server_fixture_close(void **state);

/* For fixture_on_loop(); making leaves the reason in err when it fails. */
void server_fixture_make(void *context);
void server_fixture_free(void *context);

/* Makes the server or fails the test. */
void server_fixture_start(struct server_fixture *context);

/* A request to the fixture's socket. */
struct http_request_options server_fixture_request(
	const struct server_fixture *context, enum http_method method, const char *url);

/* Sends it and fails the test unless there is an answer. */
void server_fixture_call(const struct http_request_options *options, struct http_answer *answer);
