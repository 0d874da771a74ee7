/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a request: made, active, watched by its limits, ended. */
#include <assert.h>
#include <string.h>

#include "base/clock.h"

#include "http_client_internal.h"
#include "tls_internal.h"

void http_request_free(struct http_request *request)
{
	if (!request)
		return;

	if (request->cancelled)
		request->pool->n_cancelled--;
	if (request->pool)
		http_pool_remove_request(request->pool);
	curl_easy_cleanup(request->easy);
	curl_slist_free_all(request->header_lines);
	loop_timer_free(request->timer);
	tls_handshake_unref(request->handshake);
	http_headers_free(&request->response.headers);
	free(request->host);
	free(request->unix_socket);
	free(request);
}

void http_request_freep(struct http_request **request)
{
	http_request_free(*request);
}

void http_request_activate(struct http_request *request)
{
	struct http_pool *pool = request->pool;
	struct http_result result = {0};
	CURLMcode code;

	assert(pool->depth == 0);
	http_origin_dequeue(request);
	request->state = HTTP_REQUEST_ACTIVE;
	TAILQ_INSERT_TAIL(&pool->active, request, link);
	request->origin->n_active++;
	request->started_ns = clock_now_ns();
	http_request_watch_time(request);

	pool->depth++;
	code = curl_multi_add_handle(pool->multi, request->easy);
	pool->depth--;
	if (code == CURLM_OK)
		return;
	http_result_set(request, &result, HTTP_FAILURE_INTERNAL, ERROR_UNAVAILABLE, "libcurl: %s",
		curl_multi_strerror(code));
	http_request_finish(request, &result);
}

/* What curl holds for a paused request it frees only with the last request of the connection, but
 * then for that one alone (7.88). Resuming gives it back, whatever the callback makes of it. */
static void release_held_bytes(struct http_request *request)
{
	if (!request->paused)
		return;
	request->detached = true;
	(void)curl_easy_pause(request->easy, CURLPAUSE_CONT);
	request->paused = false;
}

void http_request_detach(struct http_request *request)
{
	struct http_pool *pool = request->pool;

	loop_timer_cancel(request->timer);
	if (request->resuming)
		TAILQ_REMOVE(&pool->resuming, request, resuming_link);
	request->resuming = false;
	if (request->state == HTTP_REQUEST_WAITING) {
		http_origin_dequeue(request);
	} else if (request->state == HTTP_REQUEST_ACTIVE) {
		assert(pool->depth == 0);
		pool->depth++;
		release_held_bytes(request);
		(void)curl_multi_remove_handle(pool->multi, request->easy);
		pool->depth--;
		TAILQ_REMOVE(&pool->active, request, link);
		request->origin->n_active--;
		pool->slots_changed = true;
	}
	request->state = HTTP_REQUEST_ENDED;
}

void http_request_finish(struct http_request *request, struct http_result *result)
{
	http_request_detach(request);
	http_pool_do_later(request->pool);
	result->total_ns = request->started_ns ? clock_now_ns() - request->started_ns : 0;
	result->status = request->responded ? request->response.status : 0;
	result->n_received = request->n_received;
	if (request->first_ns)
		result->wait_ns = request->first_ns - request->sent_ns;
	request->callbacks.on_done(request->arg, result);
	http_request_free(request);
}

void http_request_unpause(struct http_request *request)
{
	struct http_pool *pool = request->pool;
	struct http_result result = {0};
	CURLcode code;

	assert(pool->depth == 0);
	request->paused = false;
	request->progress_ns = clock_now_ns();
	http_request_watch_time(request);
	pool->depth++;
	code = curl_easy_pause(request->easy, CURLPAUSE_CONT);
	pool->depth--;
	/* A callback that fails in there does not end the transfer: curl leaves that to us. */
	if (code == CURLE_OK || request->cancelled)
		return;
	http_result_from_curl(request, code, &result);
	http_request_finish(request, &result);
}

static uint64_t earlier(uint64_t a_ns, uint64_t b_ns)
{
	return a_ns < b_ns ? a_ns : b_ns;
}

static uint64_t connect_limit(const struct http_request *request)
{
	return request->started_ns + request->connect_timeout_ns;
}

static uint64_t stall_limit(const struct http_request *request)
{
	return request->progress_ns + request->stall_timeout_ns;
}

static uint64_t next_limit(const struct http_request *request)
{
	uint64_t limit_ns = request->deadline_ns ? request->deadline_ns : UINT64_MAX;

	if (request->state != HTTP_REQUEST_ACTIVE)
		return limit_ns;
	if (!request->sent_ns)
		return earlier(limit_ns, connect_limit(request));
	if (!request->paused)
		return earlier(limit_ns, stall_limit(request));
	return limit_ns;
}

void http_request_watch_time(struct http_request *request)
{
	uint64_t now = clock_now_ns();
	uint64_t limit_ns = next_limit(request);

	if (limit_ns == UINT64_MAX)
		loop_timer_cancel(request->timer);
	else
		loop_timer_set(request->timer, limit_ns > now ? limit_ns - now : 0);
}

static void set_stalled(struct http_request *request, struct http_result *result)
{
	const struct http_response *response = &request->response;
	double seconds = (double)request->stall_timeout_ns / 1e9;

	if (!request->responded)
		http_result_set(request, result, HTTP_FAILURE_STALLED, ERROR_TIMEOUT,
			"connected, but no answer for %g s", seconds);
	else if (response->has_length)
		http_result_set(request, result, HTTP_FAILURE_STALLED, ERROR_TIMEOUT,
			"no bytes for %g s after %ju of %ju bytes", seconds,
			(uintmax_t)request->n_received, (uintmax_t)response->length);
	else
		http_result_set(request, result, HTTP_FAILURE_STALLED, ERROR_TIMEOUT,
			"no bytes for %g s after %ju bytes", seconds,
			(uintmax_t)request->n_received);
}

static void set_deadline(struct http_request *request, struct http_result *result)
{
	const char *where = "receiving the answer";

	if (request->state == HTTP_REQUEST_WAITING)
		where = "waiting for one of the connections to this host";
	else if (!request->sent_ns)
		where = "connecting";
	else if (!request->responded)
		where = "waiting for the answer";
	http_result_set(request, result, HTTP_FAILURE_DEADLINE, ERROR_TIMEOUT,
		"its time was over while %s (%ju bytes received)", where,
		(uintmax_t)request->n_received);
}

static void on_time(void *arg)
{
	struct http_request *request = arg;
	struct http_result result = {0};
	uint64_t now = clock_now_ns();

	/* Limits move with every byte, the timer does not: look again. */
	if (next_limit(request) > now) {
		http_request_watch_time(request);
		return;
	}
	if (request->deadline_ns && request->deadline_ns <= now)
		set_deadline(request, &result);
	else if (!request->sent_ns)
		http_result_set(request, &result, HTTP_FAILURE_CONNECT_TIMEOUT, ERROR_TIMEOUT,
			"no connection after %g s", (double)request->connect_timeout_ns / 1e9);
	else
		set_stalled(request, &result);
	http_request_finish(request, &result);
}

int http_request_new(struct http_client *client, const struct http_request_options *options,
	struct http_request **out, struct error *err)
{
	CLEANUP(http_request_freep) struct http_request *request = NULL;

	request = calloc(1, sizeof(*request));
	if (!request)
		return error_set(err, ERROR_NO_MEMORY, "no memory for an HTTP request");
	request->easy = curl_easy_init();
	if (!request->easy)
		return error_set(err, ERROR_NO_MEMORY, "no memory for an HTTP request");
	if (loop_timer_new(client->loop, on_time, request, &request->timer, err) < 0)
		return -1;
	if (http_request_configure(client, options, request, err) < 0)
		return -1;
	*out = TAKE_PTR(request);
	return 0;
}
