/* SPDX-License-Identifier: Apache-2.0 */
/* From curl's error codes to what a caller can act on and a person can understand. */
#include <stdio.h>
#include <string.h>

#include "http_client_internal.h"
#include "tls_internal.h"

void http_result_set(struct http_request *request, struct http_result *result,
	enum http_failure failure, enum error_kind kind, const char *fmt, ...)
{
	char reason[sizeof(result->err.message)];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(reason, sizeof(reason), fmt, ap);
	va_end(ap);
	(void)error_set(&result->err, kind, "%s: %s", request->what, reason);
	result->failure = failure;
}

/* The system's word for why connecting, sending or receiving failed, else curl's. */
static const char *reason_text(struct http_request *request, CURLcode code, char *out, size_t size)
{
	long os_error = 0;

	(void)curl_easy_getinfo(request->easy, CURLINFO_OS_ERRNO, &os_error);
	if (os_error != 0)
		return strerror_r((int)os_error, out, size);
	if (request->curl_message[0])
		return request->curl_message;
	return curl_easy_strerror(code);
}

static void set_connect_failure(
	struct http_request *request, CURLcode code, struct http_result *result)
{
	char text[128];
	const char *reason = reason_text(request, code, text, sizeof(text));

	if (request->unix_socket)
		http_result_set(request, result, HTTP_FAILURE_CONNECT, ERROR_UNAVAILABLE,
			"cannot connect to the socket %s: %s", request->unix_socket, reason);
	else
		http_result_set(request, result, HTTP_FAILURE_CONNECT, ERROR_UNAVAILABLE,
			"cannot connect: %s", reason);
}

static void set_closed(struct http_request *request, CURLcode code, struct http_result *result)
{
	const struct http_response *response = &request->response;
	char text[128];
	const char *reason = reason_text(request, code, text, sizeof(text));

	if (!request->responded)
		http_result_set(request, result, HTTP_FAILURE_CLOSED, ERROR_UNAVAILABLE,
			"the connection ended before an answer: %s", reason);
	else if (response->has_length)
		http_result_set(request, result, HTTP_FAILURE_CLOSED, ERROR_UNAVAILABLE,
			"the connection ended after %ju of %ju bytes: %s",
			(uintmax_t)request->n_received, (uintmax_t)response->length, reason);
	else
		http_result_set(request, result, HTTP_FAILURE_CLOSED, ERROR_UNAVAILABLE,
			"the connection ended after %ju bytes: %s", (uintmax_t)request->n_received,
			reason);
}

/* False when no proxy had a say. */
static bool set_proxy_failure(
	struct http_request *request, CURLcode code, struct http_result *result)
{
	long status = 0;

	(void)curl_easy_getinfo(request->easy, CURLINFO_HTTP_CONNECTCODE, &status);
	if (request->sent_ns || (status < 300 && code != CURLE_PROXY))
		return false;
	if (status >= 300)
		http_result_set(request, result, HTTP_FAILURE_PROXY,
			status == 407 ? ERROR_UNAUTHORIZED : ERROR_UNAVAILABLE,
			"the proxy refuses to connect to %s: status %ld", request->host, status);
	else
		http_result_set(request, result, HTTP_FAILURE_PROXY, ERROR_UNAVAILABLE,
			"the proxy refuses: %s", request->curl_message);
	return true;
}

static void set_failure(struct http_request *request, CURLcode code, struct http_result *result)
{
	const char *detail =
		request->curl_message[0] ? request->curl_message : curl_easy_strerror(code);

	switch (code) {
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_RESOLVE_PROXY:
		http_result_set(
			request, result, HTTP_FAILURE_RESOLVE, ERROR_UNAVAILABLE, "%s", detail);
		return;
	case CURLE_COULDNT_CONNECT:
		set_connect_failure(request, code, result);
		return;
	case CURLE_OPERATION_TIMEDOUT:
		http_result_set(request, result, HTTP_FAILURE_CONNECT_TIMEOUT, ERROR_TIMEOUT,
			"no connection after %g s", (double)request->connect_timeout_ns / 1e9);
		return;
	case CURLE_GOT_NOTHING:
	case CURLE_SEND_ERROR:
	case CURLE_RECV_ERROR:
	case CURLE_PARTIAL_FILE:
	case CURLE_HTTP2:
	case CURLE_HTTP2_STREAM:
		set_closed(request, code, result);
		return;
	case CURLE_WEIRD_SERVER_REPLY:
	case CURLE_UNSUPPORTED_PROTOCOL:
	case CURLE_BAD_CONTENT_ENCODING:
		http_result_set(request, result, HTTP_FAILURE_PROTOCOL, ERROR_FORMAT,
			"not an answer in HTTP: %s", detail);
		return;
	case CURLE_OUT_OF_MEMORY:
		http_result_set(
			request, result, HTTP_FAILURE_INTERNAL, ERROR_NO_MEMORY, "%s", "no memory");
		return;
	case CURLE_SSL_CONNECT_ERROR:
		http_result_set(request, result, HTTP_FAILURE_TLS, ERROR_UNAVAILABLE,
			"TLS handshake: %s", detail);
		return;
	default:
		http_result_set(request, result, HTTP_FAILURE_INTERNAL, ERROR_UNAVAILABLE,
			"%s (libcurl error %d)", detail, code);
	}
}

void http_result_from_curl(struct http_request *request, CURLcode code, struct http_result *result)
{
	long n_connects = 0;

	(void)curl_easy_getinfo(request->easy, CURLINFO_NUM_CONNECTS, &n_connects);
	result->reused = n_connects == 0;
	if (request->own_failure != HTTP_FAILURE_NONE) {
		result->err = request->own_error;
		result->failure = request->own_failure;
		return;
	}
	if (code == CURLE_OK || http_result_from_handshake(request, code, result) ||
		set_proxy_failure(request, code, result))
		return;
	set_failure(request, code, result);
}
