/* SPDX-License-Identifier: Apache-2.0 */
/* One question to one host of a namespace. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "http/url.h"

#include "exchange_internal.h"
#include "hosts_internal.h"

enum {
	MAX_REDIRECTS = 10,
	/* With none or an old token, with a new one, and once more for servers that want more. */
	MAX_CHALLENGES = 3,
	ERROR_BODY_KEPT = 4096,
	ERROR_BODY_MAX = 256 << 10,
};

static void send_or_finish(struct exchange *exchange);

static void exchange_free(struct exchange *exchange)
{
	if (!exchange)
		return;
	host_set_unref(exchange->set);
	free(exchange->repository);
	free(exchange->path);
	free(exchange->accept);
	free(exchange->content_type);
	free(exchange->url);
	free(exchange->authorization);
	free(exchange->location);
	challenge_list_clear(&exchange->challenges);
	buffer_free(&exchange->error_body);
	free(exchange);
}

static void exchange_freep(struct exchange **exchange)
{
	exchange_free(*exchange);
}

void exchange_cancel(struct exchange *exchange)
{
	if (!exchange)
		return;
	if (exchange->request)
		http_request_cancel(exchange->request);
	auth_wait_cancel(&exchange->auth_wait);
	exchange_free(exchange);
}

static void finish(struct exchange *exchange, struct exchange_result *result)
{
	result->status = exchange->status;
	result->n_received = exchange->n_received;
	result->retry_after_ns = exchange->retry_after_ns;
	result->target = exchange->redirected ? exchange->url : NULL;
	result->url = exchange->url;
	exchange->callbacks->on_done(exchange->arg, result);
	exchange_free(exchange);
}

static void finish_error(struct exchange *exchange, const struct error *err)
{
	struct exchange_result result = {.err = *err};

	/* Whatever was answered before, this question was not. */
	exchange->status = 0;
	finish(exchange, &result);
}

/* "GET https://host/path range 0-99", as messages of the http client begin. */
static void describe(const struct exchange *exchange, char *out, size_t size)
{
	char url[240];
	char range[64] = "";

	url_redact(exchange->url, url, sizeof(url));
	if (exchange->range)
		(void)snprintf(range, sizeof(range), " range %ju-%ju",
			(uintmax_t)exchange->range_off,
			(uintmax_t)(exchange->range_off + exchange->range_size - 1));
	(void)snprintf(out, size, "%s %s%s", http_method_name(exchange->method), url, range);
}

static void finish_status(struct exchange *exchange, const struct error *cause)
{
	struct exchange_result result = {0};
	char what[320];

	describe(exchange, what, sizeof(what));
	exchange_set_status_error(&result.err, what, exchange->status, &exchange->error_body);
	if (cause) {
		size_t size = strlen(result.err.message);

		result.err.kind = cause->kind;
		(void)snprintf(result.err.message + size, sizeof(result.err.message) - size, "; %s",
			cause->message);
	}
	finish(exchange, &result);
}

/* The 401 stands: says with whose credentials, or where some were looked for. */
static void finish_refused(struct exchange *exchange)
{
	const char *account = authorizer_account(&exchange->entry->auth, exchange->repository);
	struct error cause = {0};

	(void)error_set(&cause, ERROR_UNAUTHORIZED, "asked %s", account);
	finish_status(exchange, *account && !exchange->is_foreign ? &cause : NULL);
}

static void reset_answer(struct exchange *exchange)
{
	exchange->status = 0;
	exchange->delivering = false;
	free(TAKE_PTR(exchange->location));
	challenge_list_clear(&exchange->challenges);
	exchange->error_body.size = 0;
	exchange->error_body_size = 0;
	exchange->retry_after_ns = 0;
}

static enum http_flow take_error(struct exchange *exchange, const struct http_response *response)
{
	const char *headers[CHALLENGE_MAX_COUNT];
	const char *location = http_headers_get(&response->headers, "Location");
	size_t n = 0;

	exchange->retry_after_ns = exchange_retry_after(&response->headers, clock_wall_s());
	if (location)
		exchange->location = strdup(location);
	if (exchange->status != 401)
		return HTTP_CONTINUE;
	while (n < CHALLENGE_MAX_COUNT &&
		(headers[n] = http_headers_at(&response->headers, "WWW-Authenticate", n)))
		n++;
	return challenge_list_parse(headers, n, &exchange->challenges, NULL) < 0 ? HTTP_ABORT
										 : HTTP_CONTINUE;
}

static enum http_flow on_response(void *arg, const struct http_response *response)
{
	struct exchange *exchange = arg;

	exchange->status = response->status;
	/* It answered in http: from now on this host is not asked with https first. */
	if (exchange->as_plain_http && !exchange->redirected)
		exchange->entry->state->speaks_plain_http = true;
	if (response->status < 200 || response->status > 299)
		return take_error(exchange, response);
	exchange->delivering = true;
	return exchange->callbacks->on_response
		       ? exchange->callbacks->on_response(exchange->arg, response)
		       : HTTP_CONTINUE;
}

static enum http_flow on_data(void *arg, const void *data, size_t size)
{
	struct exchange *exchange = arg;
	size_t kept = exchange->error_body.size;

	exchange->n_received += size;
	if (exchange->delivering)
		return exchange->callbacks->on_data(exchange->arg, data, size);
	exchange->error_body_size += size;
	if (exchange->error_body_size > ERROR_BODY_MAX)
		return HTTP_ABORT;
	if (size > ERROR_BODY_KEPT - kept)
		size = ERROR_BODY_KEPT - kept;
	return buffer_append(&exchange->error_body, data, size) < 0 ? HTTP_ABORT : HTTP_CONTINUE;
}

static bool is_redirect(const struct exchange *exchange)
{
	switch (exchange->status) {
	case 301:
	case 302:
	case 303:
	case 307:
	case 308:
		return exchange->location != NULL;
	default:
		return false;
	}
}

static int resolve_location(struct exchange *exchange, struct error *err)
{
	CLEANUP(cleanup_free) char *next = NULL;

	if (exchange_resolve(exchange->entry, exchange->url, exchange->location, &next, err) < 0)
		return -1;
	return exchange_set_target(exchange, next, err);
}

static void follow_redirect(struct exchange *exchange)
{
	struct error err = {0};

	if (++exchange->n_redirects > MAX_REDIRECTS) {
		(void)error_set(&err, ERROR_FORMAT, "more than %d redirects", MAX_REDIRECTS);
		finish_status(exchange, &err);
	} else if (resolve_location(exchange, &err) < 0) {
		finish_status(exchange, &err);
	} else {
		send_or_finish(exchange);
	}
}

/* A 401 of the host itself. A value that was made for this exchange and is refused ends it. */
static void answer_challenge(struct exchange *exchange)
{
	struct error err = {0};
	bool was_fresh = exchange->authorization && exchange->authorized_ns >= exchange->started_ns;

	if (++exchange->n_challenges >= MAX_CHALLENGES || was_fresh) {
		finish_refused(exchange);
		return;
	}
	if (authorizer_challenged(&exchange->entry->auth, exchange->repository,
		    &exchange->challenges, exchange->authorization, &err) < 0)
		finish_status(exchange, &err);
	else
		send_or_finish(exchange);
}

/* As containerd: only what a server of plain http, or none on the default port, would cause. */
static bool may_fall_back(const struct exchange *exchange, enum http_failure failure)
{
	const struct host *host = exchange->entry->config;
	char text[256];
	const char *port;

	if (!host->http_fallback || exchange_is_plain(exchange) || exchange->redirected)
		return false;
	if (failure == HTTP_FAILURE_PLAIN_HTTP)
		return true;
	return (failure == HTTP_FAILURE_CONNECT || failure == HTTP_FAILURE_CONNECT_TIMEOUT) &&
	       !authority_split(host->authority, text, sizeof(text), &port);
}

static void fall_back(struct exchange *exchange)
{
	struct error err = {0};

	exchange->as_plain_http = true;
	if (exchange_set_own_url(exchange, &err) < 0)
		finish_error(exchange, &err);
	else
		send_or_finish(exchange);
}

static void on_done(void *arg, const struct http_result *http)
{
	struct exchange *exchange = arg;
	struct exchange_result result = {
		.err = http->err,
		.failure = http->failure,
		.wait_ns = http->wait_ns,
		.total_ns = http->total_ns,
	};

	exchange->request = NULL;
	/* It may speak TLS by now; its own 400 is how such a server answers http. */
	if (exchange_is_plain(exchange) && (exchange->status == 0 || exchange->status == 400))
		exchange->entry->state->speaks_plain_http = false;
	if (exchange->delivering) {
		finish(exchange, &result);
	} else if (exchange->status == 0) {
		if (may_fall_back(exchange, http->failure))
			fall_back(exchange);
		else
			finish(exchange, &result);
	} else if (is_redirect(exchange)) {
		follow_redirect(exchange);
	} else if (exchange->status == 401 && !exchange->is_foreign) {
		answer_challenge(exchange);
	} else if (exchange->status == 403) {
		finish_refused(exchange);
	} else {
		finish_status(exchange, NULL);
	}
}

static int use_authorization(struct exchange *exchange, const char *value, struct error *err)
{
	free(TAKE_PTR(exchange->authorization));
	if (!value)
		return 0;
	exchange->authorization = strdup(value);
	if (!exchange->authorization)
		return error_set(err, ERROR_NO_MEMORY, "no memory for a request");
	return 0;
}

static void on_authorized(struct auth_wait *wait, const struct error *err)
{
	struct exchange *exchange = container_of(wait, struct exchange, auth_wait);

	if (err)
		finish_error(exchange, err);
	else
		send_or_finish(exchange);
}

static const struct http_callbacks http_callbacks = {on_response, on_data, on_done};

/* Sends the request, or waits for what it has to carry. */
static int send_request(struct exchange *exchange, struct error *err)
{
	struct authorizer *authorizer = &exchange->entry->auth;
	const char *value = NULL;

	if (exchange->is_push && !exchange->is_foreign &&
		authorizer_want_push(authorizer, exchange->repository, err) < 0)
		return -1;
	if (!exchange->is_foreign && !authorizer_value(authorizer, exchange->repository, &value,
					     &exchange->authorized_ns))
		return authorizer_wait(authorizer, exchange->repository, &exchange->auth_wait, err);
	if (use_authorization(exchange, value, err) < 0)
		return -1;
	reset_answer(exchange);
	return exchange_send(exchange, &http_callbacks, err);
}

static void send_or_finish(struct exchange *exchange)
{
	struct error err = {0};

	if (send_request(exchange, &err) < 0)
		finish_error(exchange, &err);
}

static struct exchange *exchange_new(const struct exchange_options *options)
{
	CLEANUP(exchange_freep) struct exchange *exchange = calloc(1, sizeof(*exchange));

	if (!exchange)
		return NULL;
	exchange->set = host_set_ref(options->entry->set);
	exchange->entry = options->entry;
	exchange->method = options->method;
	exchange->range = options->range;
	exchange->range_off = options->range_off;
	exchange->range_size = options->range_size;
	exchange->max_body = options->max_body;
	exchange->connect_timeout_ns = options->entry->config->dial_timeout_ns
					       ? options->entry->config->dial_timeout_ns
					       : options->connect_timeout_ns;
	exchange->stall_timeout_ns = options->stall_timeout_ns;
	exchange->deadline_ns = options->deadline_ns;
	exchange->priority = options->priority;
	exchange->started_ns = clock_now_ns();
	exchange->repository = strdup(options->repository);
	exchange->path = exchange_build_path(options);
	exchange->is_push = options->is_push;
	exchange->content = options->content;
	exchange->content_size = options->content_size;
	if (options->accept)
		exchange->accept = strdup(options->accept);
	if (options->content_type)
		exchange->content_type = strdup(options->content_type);
	if (!exchange->repository || !exchange->path || (options->accept && !exchange->accept) ||
		(options->content_type && !exchange->content_type))
		return NULL;
	return TAKE_PTR(exchange);
}

static int set_first_url(
	struct exchange *exchange, const struct exchange_options *options, struct error *err)
{
	if (options->target)
		return exchange_set_target(exchange, options->target, err);
	return exchange_set_own_url(exchange, err);
}

int exchange_start(const struct exchange_options *options,
	const struct exchange_callbacks *callbacks, void *arg, struct exchange **out,
	struct error *err)
{
	CLEANUP(exchange_freep) struct exchange *exchange = exchange_new(options);

	if (!exchange)
		return error_set(err, ERROR_NO_MEMORY, "no memory for a request");
	exchange->callbacks = callbacks;
	exchange->arg = arg;
	exchange->auth_wait.done = on_authorized;
	if (set_first_url(exchange, options, err) < 0 || send_request(exchange, err) < 0)
		return -1;
	*out = TAKE_PTR(exchange);
	return 0;
}
