/* SPDX-License-Identifier: Apache-2.0 */
/* Where an exchange's request goes, and what goes with it. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "http/url.h"

#include "exchange_internal.h"
#include "query_internal.h"

char *exchange_build_path(const struct exchange_options *options)
{
	const struct host *host = options->entry->config;
	const char *name = options->entry->set->hosts->name;
	struct buffer out = {0};

	if (buffer_printf(&out, "%s/%s/%s", host->path, options->repository, options->path) < 0)
		return NULL;
	if (host_is_proxy(host, name) && query_append(&out, "ns", name) < 0) {
		buffer_free(&out);
		return NULL;
	}
	return (char *)out.data;
}

bool exchange_is_plain(const struct exchange *exchange)
{
	return exchange->entry->config->http_fallback &&
	       (exchange->entry->state->speaks_plain_http || exchange->as_plain_http);
}

/* The scheme, host and port that credentials are for. NULL: no memory. */
static char *own_url(const struct exchange *exchange, const char *path)
{
	const struct host *host = exchange->entry->config;
	char *url;

	if (asprintf(&url, "%s://%s%s", exchange_is_plain(exchange) ? "http" : host->scheme,
		    host->authority, path) < 0)
		return NULL;
	return url;
}

int exchange_set_own_url(struct exchange *exchange, struct error *err)
{
	char *url = own_url(exchange, exchange->path);

	if (!url)
		return error_set(err, ERROR_NO_MEMORY, "no memory for a request");
	free(exchange->url);
	exchange->url = url;
	exchange->redirected = false;
	exchange->is_foreign = false;
	return 0;
}

int exchange_set_target(struct exchange *exchange, const char *target, struct error *err)
{
	CLEANUP(cleanup_free) char *own = own_url(exchange, "/");
	CLEANUP(url_free) struct url own_parts = {0};
	CLEANUP(url_free) struct url parts = {0};
	char *copy;

	if (!own)
		return error_set(err, ERROR_NO_MEMORY, "no memory for a request");
	if (url_parse(own, &own_parts, err) < 0 || url_parse(target, &parts, err) < 0)
		return -1;
	copy = strdup(target);
	if (!copy)
		return error_set(err, ERROR_NO_MEMORY, "no memory for a request");
	free(exchange->url);
	exchange->url = copy;
	exchange->redirected = true;
	exchange->is_foreign = !url_origin_equal(&own_parts, &parts);
	return 0;
}

int exchange_resolve(const struct host_entry *entry, const char *url, const char *reference,
	char **out, struct error *err)
{
	CLEANUP(url_free) struct url from = {0};
	CLEANUP(url_free) struct url to = {0};
	struct buffer next = {0};

	if (url_parse(url, &from, err) < 0 || url_resolve(&from, reference, &to, err) < 0)
		return -1;
	if (strcmp(from.scheme, "https") == 0 && strcmp(to.scheme, "http") == 0 &&
		!entry->set->client->plain_http)
		return error_set(err, ERROR_UNSUPPORTED, "refused its redirect from https to http");
	if (url_format(&to, &next, err) < 0)
		return -1;
	*out = (char *)next.data;
	return 0;
}

static size_t collect_headers(const struct exchange *exchange, struct http_header *out)
{
	const struct host *host = exchange->entry->config;
	size_t n = 0;

	if (exchange->accept)
		out[n++] = (struct http_header){"Accept", exchange->accept};
	if (exchange->content_type)
		out[n++] = (struct http_header){"Content-Type", exchange->content_type};
	if (exchange->is_foreign)
		return n;
	if (exchange->authorization)
		out[n++] = (struct http_header){"Authorization", exchange->authorization};
	for (size_t i = 0; i < host->n_headers; i++) {
		if (!exchange->authorization ||
			strcasecmp(host->headers[i].name, "Authorization") != 0)
			out[n++] = host->headers[i];
	}
	return n;
}

int exchange_send(
	struct exchange *exchange, const struct http_callbacks *callbacks, struct error *err)
{
	const struct host *host = exchange->entry->config;
	CLEANUP(cleanup_free)
	struct http_header *headers = calloc(host->n_headers + 3, sizeof(*headers));
	struct http_request_options options = {
		.method = exchange->method,
		.url = exchange->url,
		.headers = headers,
		.body = exchange->content,
		.body_size = exchange->content_size,
		.tls = exchange->is_foreign ? NULL : host->tls,
		.connect_timeout_ns = exchange->connect_timeout_ns,
		.stall_timeout_ns = exchange->stall_timeout_ns,
		.deadline_ns = exchange->deadline_ns,
		.range = exchange->range,
		.range_off = exchange->range_off,
		.range_size = exchange->range_size,
		.max_body = exchange->max_body,
		.priority = exchange->priority,
	};

	if (!headers)
		return error_set(err, ERROR_NO_MEMORY, "no memory for a request");
	options.n_headers = collect_headers(exchange, headers);
	return http_request_start(exchange->set->client->http, &options, callbacks, exchange,
		&exchange->request, err);
}
