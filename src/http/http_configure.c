/* SPDX-License-Identifier: Apache-2.0 */
/* From the caller's options to those of curl. */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "http/url.h"

#include "http_client_internal.h"

#define DEFAULT_TIMEOUT_NS (30 * NS_PER_SECOND)
/* Bytes that curl reads at once, allocated for each active request. 512 KiB takes no less time per
 * byte, and with 32 requests over HTTP/2 12 MiB more. */
#define RECEIVE_SIZE (128 * 1024L)
/* Detects a peer that vanished without a word, while a request waits for a slow answer. */
#define KEEPALIVE_IDLE_S 30L
#define KEEPALIVE_INTERVAL_S 10L

static const char *const method_names[] = {
	[HTTP_GET] = "GET",
	[HTTP_HEAD] = "HEAD",
	[HTTP_POST] = "POST",
	[HTTP_PUT] = "PUT",
	[HTTP_DELETE] = "DELETE",
};

const char *http_method_name(enum http_method method)
{
	return method_names[method];
}

/* RFC 9110 section 5.6.2. */
static bool is_token(const char *text)
{
	if (!*text)
		return false;
	for (; *text; text++)
		if (!isalnum((unsigned char)*text) && !strchr("!#$%&'*+-.^_`|~", *text))
			return false;
	return true;
}

/* RFC 9110 section 5.5: anything else could end the line and forge another. */
static bool is_field_value(const char *text)
{
	for (; *text; text++)
		if (((unsigned char)*text < 0x20 && *text != '\t') || *text == 0x7f)
			return false;
	return true;
}

static int header_append(
	struct http_request *request, const char *name, const char *value, struct error *err)
{
	CLEANUP(buffer_free) struct buffer line = {0};
	struct curl_slist *lines;

	if (!is_token(name))
		return error_set(err, ERROR_INVALID, "%s: \"%.60s\" is not the name of a header",
			request->what, name);
	if (!is_field_value(value))
		return error_set(err, ERROR_INVALID,
			"%s: the value of header %.60s has a control character", request->what,
			name);
	/* To curl "Name:" means "do not send it", "Name;" means "send it empty". */
	if (buffer_printf(&line, *value ? "%s: %s" : "%s;", name, value) < 0)
		return error_set(err, ERROR_NO_MEMORY, "no memory for an HTTP request");
	lines = curl_slist_append(request->header_lines, (const char *)line.data);
	if (!lines)
		return error_set(err, ERROR_NO_MEMORY, "no memory for an HTTP request");
	request->header_lines = lines;
	return 0;
}

static int set_headers(const struct http_client *client, const struct http_request_options *options,
	struct http_request *request, struct error *err)
{
	bool has_user_agent = false;
	struct curl_slist *lines;

	for (size_t i = 0; i < options->n_headers; i++) {
		const struct http_header *header = &options->headers[i];

		if (header_append(request, header->name, header->value, err) < 0)
			return -1;
		has_user_agent |= strcasecmp(header->name, "User-Agent") == 0;
	}
	if (!has_user_agent && header_append(request, "User-Agent", client->user_agent, err) < 0)
		return -1;
	/* A body of ours is small; asking first would cost a round trip. */
	lines = curl_slist_append(request->header_lines, "Expect:");
	if (!lines)
		return error_set(err, ERROR_NO_MEMORY, "no memory for an HTTP request");
	request->header_lines = lines;
	return 0;
}

static int set_range(const struct http_request_options *options, struct http_request *request)
{
	char text[48];

	if (!options->range)
		return CURLE_OK;
	if (options->range_size)
		(void)snprintf(text, sizeof(text), "%" PRIu64 "-%" PRIu64, options->range_off,
			options->range_off + options->range_size - 1);
	else
		(void)snprintf(text, sizeof(text), "%" PRIu64 "-", options->range_off);
	return curl_easy_setopt(request->easy, CURLOPT_RANGE, text);
}

/* Also of an empty body the length is sent. */
static bool set_body(
	const struct http_request_options *options, struct http_request *request, const char *name)
{
	CURL *easy = request->easy;

	return curl_easy_setopt(easy, CURLOPT_POST, 1L) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, name) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
		       (curl_off_t)options->body_size) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_COPYPOSTFIELDS,
		       options->body_size ? options->body : "") == CURLE_OK &&
	       http_transfer_watch_sending(request);
}

static bool set_message(
	const struct http_request_options *options, const char *url, struct http_request *request)
{
	CURL *easy = request->easy;

	if (curl_easy_setopt(easy, CURLOPT_URL, url) != CURLE_OK ||
		curl_easy_setopt(easy, CURLOPT_HTTPHEADER, request->header_lines) != CURLE_OK ||
		set_range(options, request) != CURLE_OK)
		return false;
	switch (options->method) {
	case HTTP_GET:
		return true;
	case HTTP_HEAD:
		return curl_easy_setopt(easy, CURLOPT_NOBODY, 1L) == CURLE_OK;
	case HTTP_POST:
	case HTTP_PUT:
		return set_body(options, request, method_names[options->method]);
	case HTTP_DELETE:
		return curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, "DELETE") == CURLE_OK;
	}
	return false;
}

static bool is_loopback(const char *host)
{
	return strcmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0 ||
	       strncmp(host, "127.", 4) == 0;
}

static bool set_route(const struct http_client *client, const struct url *url,
	const struct http_request_options *options, struct http_request *request)
{
	CURL *easy = request->easy;

	if (options->unix_socket)
		return curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, options->unix_socket) ==
			       CURLE_OK &&
		       curl_easy_setopt(easy, CURLOPT_PROXY, "") == CURLE_OK;
	/* As other clients do: a proxy cannot reach what is on our loopback. */
	if (is_loopback(url->host))
		return curl_easy_setopt(easy, CURLOPT_PROXY, "") == CURLE_OK;
	if (client->http_proxy && strcmp(url->scheme, "http") == 0)
		return curl_easy_setopt(easy, CURLOPT_PROXY, client->http_proxy) == CURLE_OK;
	return true;
}

static bool set_transport(struct http_request *request)
{
	CURL *easy = request->easy;
	long connect_ms = (long)(request->connect_timeout_ns / NS_PER_MS) + 1;

	/* Our own timer has the last word; curl shares this among the addresses of a host. */
	return curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, connect_ms) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
	       /* Else ending a request whose name is being looked up waits for the resolver. */
	       curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS) ==
		       CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_TCP_NODELAY, 1L) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_TCP_KEEPIDLE, KEEPALIVE_IDLE_S) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, RECEIVE_SIZE) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L) == CURLE_OK;
}

static bool set_tls(
	const struct http_pool *pool, const struct url *url, struct http_request *request)
{
	CURL *easy = request->easy;
	/* With TLS the handshake tells whether a connection can be shared, and several requests
	 * at once wait for the first one's. Without, only an answer would. */
	long wait_for_protocol = strcmp(url->scheme, "https") == 0;
	bool skip = pool->tls && tls_settings_verify(pool->tls) == TLS_VERIFY_SKIP;

	/* The authorities come with the settings: curl would read its own from disk each time.
	 * A session that is resumed would skip the client certificate, so none is kept. */
	return curl_easy_setopt(easy, CURLOPT_CAINFO, NULL) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_PIPEWAIT, wait_for_protocol) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_CAPATH, NULL) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, skip ? 0L : 1L) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, skip ? 0L : 2L) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2) ==
		       CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_SSL_SESSIONID_CACHE, 0L) == CURLE_OK;
}

static void describe(
	const struct http_request_options *options, const char *url, char *out, size_t out_size)
{
	char shown[240];
	char range[64] = "";

	url_redact(url, shown, sizeof(shown));
	if (options->range && options->range_size)
		(void)snprintf(range, sizeof(range), " range %" PRIu64 "-%" PRIu64,
			options->range_off, options->range_off + options->range_size - 1);
	else if (options->range)
		(void)snprintf(range, sizeof(range), " range %" PRIu64 "-", options->range_off);
	(void)snprintf(out, out_size, "%s %s%s", method_names[options->method], shown, range);
}

static int check(const struct http_client *client, const struct http_request_options *options,
	const struct url *url, const struct http_request *request, struct error *err)
{
	uint64_t end;

	if (options->range && !u64_add(options->range_off, options->range_size, &end))
		return error_set(
			err, ERROR_INVALID, "%s: the range is beyond 2^64 bytes", request->what);
	if (strcmp(url->scheme, "https") == 0 && !options->tls && !client->tls)
		return error_set(err, ERROR_INVALID, "%s: https without certificate authorities",
			request->what);
	return 0;
}

/* Requests with the same key share a limit on connections. */
static int join_origin(struct http_request *request, const struct url *url,
	const struct http_request_options *options, struct error *err)
{
	CLEANUP(buffer_free) struct buffer key = {0};
	int ret = options->unix_socket
			  ? buffer_printf(&key, "unix:%s", options->unix_socket)
			  : buffer_printf(&key, "%s://%s:%u", url->scheme, url->host, url->port);

	if (ret < 0)
		return error_set(err, ERROR_NO_MEMORY, "no memory for an HTTP request");
	return http_origin_get(request->pool, (const char *)key.data, &request->origin, err);
}

static int copy_options(const struct http_request_options *options, const struct url *url,
	struct http_request *request, struct error *err)
{
	request->priority = options->priority;
	request->connect_timeout_ns =
		options->connect_timeout_ns ? options->connect_timeout_ns : DEFAULT_TIMEOUT_NS;
	request->stall_timeout_ns =
		options->stall_timeout_ns ? options->stall_timeout_ns : DEFAULT_TIMEOUT_NS;
	request->deadline_ns = options->deadline_ns;
	request->max_body = options->max_body;
	request->is_head = options->method == HTTP_HEAD;
	request->host = strdup(url->host);
	if (options->unix_socket)
		request->unix_socket = strdup(options->unix_socket);
	if (!request->host || (options->unix_socket && !request->unix_socket))
		return error_set(err, ERROR_NO_MEMORY, "no memory for an HTTP request");
	return 0;
}

int http_request_configure(struct http_client *client, const struct http_request_options *options,
	struct http_request *request, struct error *err)
{
	CLEANUP(url_free) struct url url = {0};
	CLEANUP(buffer_free) struct buffer text = {0};
	struct http_pool *pool = NULL;

	if (url_parse(options->url, &url, err) < 0)
		return -1;
	if (url_format(&url, &text, err) < 0)
		return -1;
	describe(options, (const char *)text.data, request->what, sizeof(request->what));
	if (check(client, options, &url, request, err) < 0)
		return -1;
	if (http_pool_get(client, options->tls ? options->tls : client->tls, &pool, err) < 0)
		return -1;
	request->pool = pool;
	http_pool_add_request(pool);
	if (join_origin(request, &url, options, err) < 0)
		return -1;
	if (copy_options(options, &url, request, err) < 0)
		return -1;
	if (set_headers(client, options, request, err) < 0)
		return -1;
	if (!set_message(options, (const char *)text.data, request) ||
		!set_route(client, &url, options, request) || !set_transport(request) ||
		!set_tls(pool, &url, request) || !http_transfer_set_callbacks(request))
		return error_set(
			err, ERROR_INTERNAL, "%s: libcurl refuses an option", request->what);
	return 0;
}
