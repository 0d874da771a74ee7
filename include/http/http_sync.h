/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "http/http_client.h"

/* A whole response in memory. Zero-initialise; http_answer_free() releases it. */
struct http_answer {
	struct http_result result;
	int status; /* 0 when there was no response */
	struct http_headers headers;
	struct buffer body;
};

/* Longest body that is kept when the options set no max_body. */
#define HTTP_ANSWER_MAX_SIZE (16 * 1024 * 1024)

/**
 * http_perform() - send a request and wait for the whole answer.
 * @options: max_body bounds the memory used; 0 means HTTP_ANSWER_MAX_SIZE.
 * @out:     empty. Filled whatever the status of the answer; after a failure only out->result is.
 * @err:     as result.err of http_request_start().
 *
 * Threads: any but a loop's; the client's loop runs on another, and the client is freed only after
 * this has returned.
 */
MUST_CHECK int http_perform(struct http_client *client, const struct http_request_options *options,
	struct http_answer *out, struct error *err);

/**
 * http_call_once() - the same without a client or a loop: on the calling thread, for programs that
 * ask one question, such as the control socket's.
 * @options: priority is without meaning; unix_socket is the usual way.
 *
 * Threads: any but a loop's.
 */
MUST_CHECK int http_call_once(
	const struct http_request_options *options, struct http_answer *out, struct error *err);

/* Releases what the answer owns and leaves it empty. */
void http_answer_free(struct http_answer *answer);
