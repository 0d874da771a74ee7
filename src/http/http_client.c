/* SPDX-License-Identifier: Apache-2.0 */
/* The client and what its users do to a request. */
#include "http/http_client.h"

#include <assert.h>
#include <string.h>

#include "base/clock.h"

#include "http_client_internal.h"

/* Enough to fill a fast link from a distant registry, and no more than browsers open to a host. */
#define DEFAULT_MAX_CONNECTIONS 8
/* A few, so that large ranges are spread over several TCP windows instead of one. */
#define DEFAULT_MAX_STREAMS 4
/* As long as curl itself uses an idle connection again. */
#define DEFAULT_IDLE_TIMEOUT_NS (118 * NS_PER_SECOND)

static unsigned or_default(unsigned value, unsigned fallback)
{
	return value ? value : fallback;
}

/* curl leaves HTTP_PROXY alone because a web server's CGI protocol lets a request set it. Other
 * clients, containerd among them, read it; so does this one, unless it runs under CGI. */
static int take_http_proxy(struct http_client *client, struct error *err)
{
	const char *proxy = getenv("HTTP_PROXY");

	if (!proxy || !*proxy || getenv("http_proxy") || getenv("REQUEST_METHOD"))
		return 0;
	client->http_proxy = strdup(proxy);
	if (!client->http_proxy)
		return error_set(err, ERROR_NO_MEMORY, "no memory for an HTTP client");
	return 0;
}

int http_client_new(struct loop *loop, const struct http_client_options *options,
	struct http_client **out, struct error *err)
{
	CLEANUP(http_client_freep) struct http_client *client = NULL;

	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return error_set(err, ERROR_INTERNAL, "libcurl cannot be initialised");
	client = calloc(1, sizeof(*client));
	if (!client)
		return error_set(err, ERROR_NO_MEMORY, "no memory for an HTTP client");
	client->loop = loop;
	client->tls = tls_settings_ref(options->tls);
	client->max_connections = or_default(options->max_connections, DEFAULT_MAX_CONNECTIONS);
	client->max_streams = or_default(options->max_streams, DEFAULT_MAX_STREAMS);
	client->idle_timeout_ns =
		options->idle_timeout_ns ? options->idle_timeout_ns : DEFAULT_IDLE_TIMEOUT_NS;
	client->user_agent =
		strdup(options->user_agent ? options->user_agent : "varve/" VARVE_VERSION);
	if (!client->user_agent)
		return error_set(err, ERROR_NO_MEMORY, "no memory for an HTTP client");
	if (take_http_proxy(client, err) < 0)
		return -1;

	*out = TAKE_PTR(client);
	return 0;
}

void http_client_free(struct http_client *client)
{
	if (!client)
		return;

	client->closing = true;
	while (client->pools) {
		struct http_pool *pool = client->pools;

		client->pools = pool->next;
		http_pool_free(pool);
	}
	tls_settings_unref(client->tls);
	free(client->user_agent);
	free(client->http_proxy);
	free(client);
}

void http_client_freep(struct http_client **client)
{
	http_client_free(*client);
}

struct loop *http_client_loop(const struct http_client *client)
{
	return client->loop;
}

int http_request_start(struct http_client *client, const struct http_request_options *options,
	const struct http_callbacks *callbacks, void *arg, struct http_request **out,
	struct error *err)
{
	CLEANUP(http_request_freep) struct http_request *request = NULL;

	assert(callbacks->on_done);
	if (client->closing)
		return error_set(err, ERROR_CANCELLED, "no request starts while the program ends");
	assert(loop_is_current(client->loop));
	if (http_request_new(client, options, &request, err) < 0)
		return -1;
	request->callbacks = *callbacks;
	request->arg = arg;
	http_origin_enqueue(request);
	http_request_watch_time(request);
	if (out)
		*out = request;
	/* Not from here: what fails at once must not be reported before we have returned. */
	http_pool_do_later(request->pool);
	(void)TAKE_PTR(request);
	return 0;
}

void http_request_cancel(struct http_request *request)
{
	if (request->state == HTTP_REQUEST_ENDED)
		return;

	assert(loop_is_current(request->pool->client->loop));
	if (request->state == HTTP_REQUEST_ACTIVE && request->pool->depth > 0) {
		request->pool->n_cancelled += !request->cancelled;
		request->cancelled = true;
		return;
	}
	http_request_detach(request);
	http_pool_do_later(request->pool);
	http_request_free(request);
}

void http_request_resume(struct http_request *request)
{
	if (!request->paused || request->resuming || request->cancelled ||
		request->state != HTTP_REQUEST_ACTIVE)
		return;

	assert(loop_is_current(request->pool->client->loop));
	request->resuming = true;
	TAILQ_INSERT_TAIL(&request->pool->resuming, request, resuming_link);
	http_pool_do_later(request->pool);
}

void http_request_set_priority(struct http_request *request, enum priority priority)
{
	if (request->state != HTTP_REQUEST_WAITING) {
		request->priority = priority;
		return;
	}

	assert(loop_is_current(request->pool->client->loop));
	http_origin_dequeue(request);
	request->priority = priority;
	http_origin_enqueue(request);
	http_pool_do_later(request->pool);
}
