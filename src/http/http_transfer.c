/* SPDX-License-Identifier: Apache-2.0 */
/* What curl calls during a transfer. */
#include <errno.h>
#include <string.h>

#include "base/clock.h"

#include "http_client_internal.h"
#include "tls_internal.h"

/* Returned to curl, this ends the transfer with CURLE_WRITE_ERROR. */
#define STOP 0

/* Our own reason to stop replaces what curl will say. */
static void stop(struct http_request *request, enum http_failure failure, enum error_kind kind,
	const char *reason)
{
	struct http_result result = {0};

	http_result_set(request, &result, failure, kind, "%s", reason);
	request->own_error = result.err;
	request->own_failure = failure;
}

static void stop_too_large(struct http_request *request)
{
	struct http_result result = {0};

	http_result_set(request, &result, HTTP_FAILURE_PROTOCOL, ERROR_FORMAT,
		"the answer is larger than the limit of %ju bytes", (uintmax_t)request->max_body);
	request->own_error = result.err;
	request->own_failure = result.failure;
}

static bool may_continue(struct http_request *request, enum http_flow flow)
{
	if (request->cancelled)
		return false;
	if (flow == HTTP_ABORT) {
		stop(request, HTTP_FAILURE_CANCELLED, ERROR_CANCELLED, "stopped by its caller");
		return false;
	}
	return true;
}

static bool parse_length(const char *text, uint64_t *out)
{
	uint64_t value = 0;

	if (!*text)
		return false;
	for (; *text; text++) {
		if (*text < '0' || *text > '9' || !u64_mul(value, 10, &value) ||
			!u64_add(value, (uint64_t)(*text - '0'), &value))
			return false;
	}
	*out = value;
	return true;
}

static bool collect_headers(struct http_request *request)
{
	struct curl_header *header = NULL;

	while ((header = curl_easy_nextheader(request->easy, CURLH_HEADER, -1, header))) {
		int ret = http_headers_add(&request->response.headers, header->name, header->value);

		if (ret == -E2BIG)
			stop(request, HTTP_FAILURE_PROTOCOL, ERROR_FORMAT,
				"the answer has more than 64 KiB of headers");
		else if (ret < 0)
			stop(request, HTTP_FAILURE_INTERNAL, ERROR_NO_MEMORY,
				"no memory for the headers of the answer");
		if (ret < 0)
			return false;
	}
	return true;
}

static int version_number(long version)
{
	switch (version) {
	case CURL_HTTP_VERSION_1_0:
		return 10;
	case CURL_HTTP_VERSION_2_0:
		return 20;
	default:
		return 11;
	}
}

static bool take_response(struct http_request *request, long status)
{
	struct http_response *response = &request->response;
	const char *length;
	long version = 0;

	(void)curl_easy_getinfo(request->easy, CURLINFO_HTTP_VERSION, &version);
	response->status = (int)status;
	response->version = version_number(version);
	request->origin->multiplexed = response->version == 20;
	if (!collect_headers(request))
		return false;
	length = http_headers_get(&response->headers, "Content-Length");
	response->has_length = length && parse_length(length, &response->length);

	request->responded = true;
	request->first_ns = clock_now_ns();
	if (request->callbacks.on_response &&
		!may_continue(request, request->callbacks.on_response(request->arg, response)))
		return false;
	if (!request->is_head && request->max_body && response->has_length &&
		response->length > request->max_body) {
		stop_too_large(request);
		return false;
	}
	return true;
}

static bool is_end_of_headers(const char *line, size_t size)
{
	return (size == 2 && line[0] == '\r' && line[1] == '\n') || (size == 1 && line[0] == '\n');
}

static size_t on_header(char *line, size_t one, size_t size, void *arg)
{
	struct http_request *request = arg;
	long status = 0;

	(void)one;
	if (request->cancelled || request->detached)
		return STOP;
	request->progress_ns = clock_now_ns();
	request->header_size += size;
	if (request->header_size > HTTP_HEADERS_MAX_SIZE) {
		stop(request, HTTP_FAILURE_PROTOCOL, ERROR_FORMAT,
			"the answer has more than 64 KiB of headers");
		return STOP;
	}
	/* After the response has been reported, these are trailers. */
	if (request->responded || !is_end_of_headers(line, size))
		return size;
	(void)curl_easy_getinfo(request->easy, CURLINFO_RESPONSE_CODE, &status);
	if (status < 200)
		return size;
	return take_response(request, status) ? size : STOP;
}

static size_t on_body(char *data, size_t one, size_t size, void *arg)
{
	struct http_request *request = arg;
	enum http_flow flow = HTTP_CONTINUE;

	(void)one;
	if (request->cancelled || request->detached)
		return STOP;
	if (size == 0)
		return size;
	request->progress_ns = clock_now_ns();
	if (request->max_body && size > request->max_body - request->n_received) {
		stop_too_large(request);
		return STOP;
	}
	if (request->callbacks.on_data)
		flow = request->callbacks.on_data(request->arg, data, size);
	if (!may_continue(request, flow))
		return STOP;
	if (flow == HTTP_PAUSE) {
		request->paused = true;
		http_request_watch_time(request);
		return CURL_WRITEFUNC_PAUSE;
	}
	request->n_received += size;
	return size;
}

/* Which handshake the connection had: made for this request or taken from an earlier one. */
static void adopt_handshake(struct http_request *request)
{
	struct curl_tlssessioninfo *info = NULL;

	if (curl_easy_getinfo(request->easy, CURLINFO_TLS_SSL_PTR, &info) != CURLE_OK || !info ||
		info->backend != CURLSSLBACKEND_OPENSSL || !info->internals)
		return;
	tls_handshake_unref(request->handshake);
	request->handshake = tls_handshake_of(info->internals);
}

/* The connection is there, nothing of the request has been sent. */
static int on_connected(
	void *arg, char *remote_address, char *local_address, int remote_port, int local_port)
{
	struct http_request *request = arg;

	(void)remote_address;
	(void)local_address;
	(void)remote_port;
	(void)local_port;
	if (request->cancelled)
		return CURL_PREREQFUNC_ABORT;
	request->sent_ns = clock_now_ns();
	request->progress_ns = request->sent_ns;
	http_request_watch_time(request);
	adopt_handshake(request);
	if (request->handshake && request->handshake->settings != request->pool->tls) {
		stop(request, HTTP_FAILURE_INTERNAL, ERROR_INTERNAL,
			"curl picked a connection made with other TLS settings");
		return CURL_PREREQFUNC_ABORT;
	}
	return CURL_PREREQFUNC_OK;
}

static CURLcode on_ssl_context(CURL *easy, void *context, void *arg)
{
	struct http_request *request = arg;
	struct tls_handshake *handshake = NULL;
	struct error err = {0};

	(void)easy;
	if (!request->pool->tls) {
		/* https needs settings from the start, so this is a proxy. */
		stop(request, HTTP_FAILURE_PROXY, ERROR_INVALID,
			"an https proxy cannot be used without certificate authorities");
		return CURLE_ABORTED_BY_CALLBACK;
	}
	if (tls_context_install(context, request->pool->tls, request->host, &handshake, &err) < 0) {
		stop(request, HTTP_FAILURE_INTERNAL, err.kind, err.message);
		return CURLE_ABORTED_BY_CALLBACK;
	}
	tls_handshake_unref(request->handshake);
	request->handshake = handshake;
	return CURLE_OK;
}

static int on_progress(
	void *arg, curl_off_t to_receive, curl_off_t received, curl_off_t to_send, curl_off_t sent)
{
	struct http_request *request = arg;

	(void)to_receive;
	(void)received;
	(void)to_send;
	if (sent > request->n_sent) {
		request->n_sent = sent;
		request->progress_ns = clock_now_ns();
	}
	return CURLE_OK;
}

bool http_transfer_watch_sending(struct http_request *request)
{
	CURL *easy = request->easy;

	return curl_easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, on_progress) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_XFERINFODATA, request) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 0L) == CURLE_OK;
}

bool http_transfer_set_callbacks(struct http_request *request)
{
	CURL *easy = request->easy;

	return curl_easy_setopt(easy, CURLOPT_PRIVATE, request) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, request->curl_message) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_HEADERDATA, request) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_WRITEDATA, request) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_connected) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_PREREQDATA, request) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, on_ssl_context) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_SSL_CTX_DATA, request) == CURLE_OK;
}
