/* SPDX-License-Identifier: Apache-2.0 */
/* Who gets a free connection: readers before read-ahead before background, first come first
 * served among equals. libcurl's own queue knows no priorities. */
#include <stdio.h>
#include <string.h>

#include "http_client_internal.h"

/* A registry that redirects to ever new hosts must not fill the memory. */
#define MAX_IDLE_ORIGINS 64

static bool is_idle(const struct http_origin *origin)
{
	for (size_t i = 0; i < N_PRIORITIES; i++)
		if (!TAILQ_EMPTY(&origin->waiting[i]))
			return false;
	return origin->n_active == 0;
}

static void origin_free(struct http_origin *origin)
{
	free(origin->key);
	free(origin);
}

void http_origins_drop_idle(struct http_pool *pool)
{
	struct http_origin **link = &pool->origins;

	while (*link && pool->n_origins > MAX_IDLE_ORIGINS) {
		struct http_origin *origin = *link;

		if (is_idle(origin)) {
			*link = origin->next;
			pool->n_origins--;
			origin_free(origin);
		} else {
			link = &origin->next;
		}
	}
}

int http_origin_get(
	struct http_pool *pool, const char *key, struct http_origin **out, struct error *err)
{
	struct http_origin *origin;

	for (origin = pool->origins; origin; origin = origin->next) {
		if (strcmp(origin->key, key) == 0) {
			*out = origin;
			return 0;
		}
	}

	origin = calloc(1, sizeof(*origin));
	if (origin)
		origin->key = strdup(key);
	if (!origin || !origin->key) {
		free(origin);
		return error_set(err, ERROR_NO_MEMORY, "no memory for an HTTP host");
	}
	for (size_t i = 0; i < N_PRIORITIES; i++)
		TAILQ_INIT(&origin->waiting[i]);
	origin->next = pool->origins;
	pool->origins = origin;
	pool->n_origins++;
	*out = origin;
	return 0;
}

void http_origin_enqueue(struct http_request *request)
{
	request->state = HTTP_REQUEST_WAITING;
	TAILQ_INSERT_TAIL(&request->origin->waiting[request->priority], request, link);
}

void http_origin_dequeue(struct http_request *request)
{
	TAILQ_REMOVE(&request->origin->waiting[request->priority], request, link);
}

/* A quarter of the slots is kept for readers: otherwise a reader that comes while long background
 * ranges use every connection waits for the end of one. */
static unsigned slots_for(
	const struct http_client *client, const struct http_origin *origin, enum priority priority)
{
	unsigned slots = client->max_connections;

	if (origin->multiplexed)
		slots *= client->max_streams;
	if (priority == PRIORITY_READER || slots == 1)
		return slots;
	return slots - (slots + 3) / 4;
}

static struct http_request *next_waiting(
	const struct http_client *client, const struct http_origin *origin)
{
	for (enum priority i = 0; i < N_PRIORITIES; i++) {
		struct http_request *request = TAILQ_FIRST(&origin->waiting[i]);

		if (!request)
			continue;
		return origin->n_active < slots_for(client, origin, i) ? request : NULL;
	}
	return NULL;
}

void http_origin_dispatch(struct http_pool *pool, struct http_origin *origin)
{
	struct http_request *request;

	while ((request = next_waiting(pool->client, origin)))
		http_request_activate(request);
}

void http_origins_free(struct http_pool *pool)
{
	while (pool->origins) {
		struct http_origin *origin = pool->origins;

		pool->origins = origin->next;
		origin_free(origin);
	}
}
