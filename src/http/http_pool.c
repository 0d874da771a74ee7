/* SPDX-License-Identifier: Apache-2.0 */
/* A libcurl multi handle driven by the loop: descriptors, timers, finished transfers. */
#include <string.h>

#include "base/clock.h"
#include "base/log.h"

#include "http_client_internal.h"

/* Idle connections that are kept for later, over all hosts of a pool. */
#define MAX_CACHED_CONNECTIONS 64L

/* A descriptor that curl wants to be told about. */
struct watched {
	struct http_pool *pool;   /* borrowed */
	curl_socket_t fd;         /* curl's */
	struct loop_watch *watch; /* owned */
};

static void watched_free(struct watched *watched)
{
	if (!watched)
		return;

	loop_watch_free(watched->watch);
	free(watched);
}

static void note(struct http_pool *pool, CURLMcode code)
{
	if (code != CURLM_OK && pool->failed == CURLM_OK)
		pool->failed = code;
}

void http_pool_enter(struct http_pool *pool)
{
	pool->depth++;
}

static void finish_messages(struct http_pool *pool)
{
	CURLMsg *message;
	int n_left;

	while ((message = curl_multi_info_read(pool->multi, &n_left))) {
		struct http_request *request = NULL;
		struct http_result result = {0};
		char *private = NULL;
		CURLcode code = message->data.result;

		(void)curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &private);
		request = (struct http_request *)(void *)private;
		if (request->cancelled) {
			http_request_detach(request);
			http_request_free(request);
			continue;
		}
		http_result_from_curl(request, code, &result);
		http_request_finish(request, &result);
	}
}

static void reap_cancelled(struct http_pool *pool)
{
	struct http_request *request = TAILQ_FIRST(&pool->active);

	while (request) {
		struct http_request *next = TAILQ_NEXT(request, link);

		if (request->cancelled) {
			http_request_detach(request);
			http_request_free(request);
		}
		request = next;
	}
}

/* The multi handle may stay unusable: http_pool_get() makes another pool from now on. */
static void fail_all(struct http_pool *pool)
{
	struct http_request *request;

	while ((request = TAILQ_FIRST(&pool->active))) {
		struct http_result result = {0};

		http_result_set(request, &result, HTTP_FAILURE_INTERNAL, ERROR_UNAVAILABLE,
			"libcurl: %s", curl_multi_strerror(pool->failed));
		http_request_finish(request, &result);
	}
}

void http_pool_leave(struct http_pool *pool)
{
	if (pool->depth > 1) {
		pool->depth--;
		return;
	}

	pool->depth = 0;
	if (pool->n_cancelled > 0)
		reap_cancelled(pool);
	finish_messages(pool);
	if (pool->failed != CURLM_OK)
		fail_all(pool);
	if (!pool->slots_changed)
		return;
	pool->slots_changed = false;
	for (struct http_origin *origin = pool->origins; origin; origin = origin->next)
		http_origin_dispatch(pool, origin);
}

void http_pool_do_later(struct http_pool *pool)
{
	pool->slots_changed = true;
	loop_timer_set(pool->later_timer, 0);
}

static void socket_ready(void *arg, unsigned events)
{
	struct watched *watched = arg;
	struct http_pool *pool = watched->pool;
	int mask = 0;
	int n_running;

	if (events & LOOP_READABLE)
		mask |= CURL_CSELECT_IN;
	if (events & LOOP_WRITABLE)
		mask |= CURL_CSELECT_OUT;
	http_pool_enter(pool);
	/* watched may be gone from here on. */
	note(pool, curl_multi_socket_action(pool->multi, watched->fd, mask, &n_running));
	http_pool_leave(pool);
}

static int watch_socket(
	struct http_pool *pool, curl_socket_t fd, unsigned events, struct error *err)
{
	struct watched *watched = calloc(1, sizeof(*watched));

	if (!watched)
		return error_set(err, ERROR_NO_MEMORY, "no memory to watch a connection");
	watched->pool = pool;
	watched->fd = fd;
	if (loop_watch_new(pool->client->loop, fd, events, socket_ready, watched, &watched->watch,
		    err) < 0) {
		free(watched);
		return -1;
	}
	note(pool, curl_multi_assign(pool->multi, fd, watched));
	return 0;
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *socket_arg)
{
	struct http_pool *pool = arg;
	struct watched *watched = socket_arg;
	struct error err = {0};
	unsigned events = 0;
	int ret;

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		watched_free(watched);
		note(pool, curl_multi_assign(pool->multi, fd, NULL));
		return 0;
	}
	if (what == CURL_POLL_IN || what == CURL_POLL_INOUT)
		events |= LOOP_READABLE;
	if (what == CURL_POLL_OUT || what == CURL_POLL_INOUT)
		events |= LOOP_WRITABLE;
	ret = watched ? loop_watch_set(watched->watch, events, &err)
		      : watch_socket(pool, fd, events, &err);
	if (ret < 0)
		log_error("HTTP connection: %s", err.message);
	return ret;
}

static void curl_timer_fire(void *arg)
{
	struct http_pool *pool = arg;
	int n_running;

	http_pool_enter(pool);
	note(pool, curl_multi_socket_action(pool->multi, CURL_SOCKET_TIMEOUT, 0, &n_running));
	http_pool_leave(pool);
}

static int on_timer(CURLM *multi, long timeout_ms, void *arg)
{
	struct http_pool *pool = arg;

	(void)multi;
	if (timeout_ms < 0)
		loop_timer_cancel(pool->curl_timer);
	else
		loop_timer_set(pool->curl_timer, (uint64_t)timeout_ms * NS_PER_MS);
	return 0;
}

static void later_fire(void *arg)
{
	struct http_pool *pool = arg;
	struct http_request *request;

	http_origins_drop_idle(pool);
	while ((request = TAILQ_FIRST(&pool->resuming))) {
		TAILQ_REMOVE(&pool->resuming, request, resuming_link);
		request->resuming = false;
		http_request_unpause(request);
	}
	http_pool_enter(pool);
	http_pool_leave(pool);
}

static void idle_fire(void *arg)
{
	struct http_pool *pool = arg;
	struct http_pool **link = &pool->client->pools;

	if (pool->n_requests > 0)
		return;
	while (*link != pool)
		link = &(*link)->next;
	*link = pool->next;
	http_pool_free(pool);
}

void http_pool_add_request(struct http_pool *pool)
{
	if (pool->n_requests++ == 0)
		loop_timer_cancel(pool->idle_timer);
}

void http_pool_remove_request(struct http_pool *pool)
{
	if (--pool->n_requests == 0)
		loop_timer_set(pool->idle_timer, pool->client->idle_timeout_ns);
}

static int setup_multi(struct http_pool *pool, struct error *err)
{
	const struct http_client *client = pool->client;
	CURLM *multi = curl_multi_init();

	pool->multi = multi;
	if (!multi || curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, on_socket) != CURLM_OK ||
		curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, pool) != CURLM_OK ||
		curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, on_timer) != CURLM_OK ||
		curl_multi_setopt(multi, CURLMOPT_TIMERDATA, pool) != CURLM_OK ||
		curl_multi_setopt(multi, CURLMOPT_PIPELINING, CURLPIPE_MULTIPLEX) != CURLM_OK ||
		curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, MAX_CACHED_CONNECTIONS) !=
			CURLM_OK ||
		curl_multi_setopt(multi, CURLMOPT_MAX_HOST_CONNECTIONS,
			(long)client->max_connections) != CURLM_OK ||
		curl_multi_setopt(multi, CURLMOPT_MAX_CONCURRENT_STREAMS,
			(long)client->max_streams) != CURLM_OK)
		return error_set(err, ERROR_NO_MEMORY, "no memory for HTTP connections");
	return 0;
}

static int setup(struct http_pool *pool, struct error *err)
{
	struct loop *loop = pool->client->loop;

	TAILQ_INIT(&pool->active);
	TAILQ_INIT(&pool->resuming);
	if (loop_timer_new(loop, curl_timer_fire, pool, &pool->curl_timer, err) < 0 ||
		loop_timer_new(loop, later_fire, pool, &pool->later_timer, err) < 0 ||
		loop_timer_new(loop, idle_fire, pool, &pool->idle_timer, err) < 0)
		return -1;
	return setup_multi(pool, err);
}

int http_pool_get(struct http_client *client, struct tls_settings *tls, struct http_pool **out,
	struct error *err)
{
	struct http_pool *pool;

	for (pool = client->pools; pool; pool = pool->next) {
		if (pool->tls == tls && pool->failed == CURLM_OK) {
			*out = pool;
			return 0;
		}
	}

	pool = calloc(1, sizeof(*pool));
	if (!pool)
		return error_set(err, ERROR_NO_MEMORY, "no memory for HTTP connections");
	pool->client = client;
	pool->tls = tls_settings_ref(tls);
	if (setup(pool, err) < 0) {
		http_pool_free(pool);
		return -1;
	}
	pool->next = client->pools;
	client->pools = pool;
	*out = pool;
	return 0;
}

static void end_request(struct http_request *request)
{
	struct http_result result = {0};

	if (request->cancelled) {
		http_request_detach(request);
		http_request_free(request);
		return;
	}
	http_result_set(request, &result, HTTP_FAILURE_CANCELLED, ERROR_CANCELLED,
		"stopped, because the program ends");
	http_request_finish(request, &result);
}

void http_pool_free(struct http_pool *pool)
{
	struct http_request *request;

	for (struct http_origin *origin = pool->origins; origin; origin = origin->next)
		for (size_t i = 0; i < N_PRIORITIES; i++)
			while ((request = TAILQ_FIRST(&origin->waiting[i])))
				end_request(request);
	while ((request = TAILQ_FIRST(&pool->active)))
		end_request(request);

	/* Still calls back for the descriptors that it closes. */
	(void)curl_multi_cleanup(pool->multi);
	http_origins_free(pool);
	loop_timer_free(pool->curl_timer);
	loop_timer_free(pool->later_timer);
	loop_timer_free(pool->idle_timer);
	tls_settings_unref(pool->tls);
	free(pool);
}
