/* SPDX-License-Identifier: Apache-2.0 */
/* One range of a blob from its urls: each in turn until all of it is there. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "http/url.h"

#include "exchange_internal.h"
#include "url_internal.h"

#define CONNECT_TIMEOUT_NS (10 * NS_PER_SECOND)
enum {
	MAX_REDIRECTS = 10,
	MAX_RESUMES = 5, /* of one URL, each after some progress */
	ERROR_BODY_MAX = 64 << 10,
};

struct source_fetch {
	struct url_source *source;
	struct source_request *request;
	struct loop_task task; /* begins it */
	bool begun;
	bool cancelled;
	bool aborted; /* by request->data() */
	bool *gone;   /* set when the fetch is freed inside a callback */
	size_t i_place;
	char *url; /* owned: asked now; where redirects led */
	unsigned n_redirects;
	unsigned n_resumes;
	uint64_t delivered;
	uint64_t delivered_before; /* by the request under way */
	struct http_request *http; /* under way, or NULL */
	int status;                /* of its answer */
	char *location;            /* owned: of a redirect, or NULL */
	uint64_t error_body_size;
	struct source_answer answer;
	struct failure_list failures;
};

static void ask(struct source_fetch *fetch);

static void fetch_free(struct source_fetch *fetch)
{
	if (fetch->gone)
		*fetch->gone = true;
	if (fetch->http)
		http_request_cancel(fetch->http);
	failure_list_clear(&fetch->failures);
	free(fetch->location);
	free(fetch->url);
	free(fetch);
}

static const char *origin_of(const struct source_fetch *fetch)
{
	size_t last = fetch->source->n_places - 1;

	return fetch->source->places[fetch->i_place < last ? fetch->i_place : last].origin;
}

static void finish(struct source_fetch *fetch, const struct error *err)
{
	struct source_request *request = fetch->request;
	const char *origin = origin_of(fetch);
	struct error copy = {0};

	if (err)
		copy = *err;
	fetch_free(fetch);
	request->done(request, origin, err ? &copy : NULL);
}

static void finish_failed(struct source_fetch *fetch)
{
	struct error err = {0};

	if (fetch->failures.n_items > 0)
		failure_list_compose(&fetch->failures, &err);
	else
		(void)error_set(&err, ERROR_DIGEST_MISMATCH,
			"every URL of this blob has sent wrong bytes for this range");
	finish(fetch, &err);
}

static bool is_avoided(const struct source_fetch *fetch)
{
	for (size_t i = 0; i < fetch->request->n_avoid; i++) {
		if (strcmp(fetch->request->avoid[i], origin_of(fetch)) == 0)
			return true;
	}
	return false;
}

/* Goes to the next URL and asks it, if there is one. */
static void next_place(struct source_fetch *fetch)
{
	fetch->n_redirects = 0;
	fetch->n_resumes = 0;
	free(TAKE_PTR(fetch->url));
	fetch->i_place++;
	ask(fetch);
}

static void fail_place(struct source_fetch *fetch, const struct error *err)
{
	log_debug("%s: %s", origin_of(fetch), err->message);
	failure_list_add(
		&fetch->failures, fetch->i_place, origin_of(fetch), err, fetch->status != 0);
	next_place(fetch);
}

static enum http_flow on_response(void *arg, const struct http_response *response)
{
	struct source_fetch *fetch = arg;
	const struct answer_range range = {
		.off = fetch->request->off + fetch->delivered,
		.size = fetch->request->size - fetch->delivered,
		.blob_size = fetch->source->size,
	};
	const char *location = http_headers_get(&response->headers, "Location");

	fetch->status = response->status;
	if (response->status >= 200 && response->status <= 299)
		return source_answer_begin(&fetch->answer, response, &range) < 0 ? HTTP_ABORT
										 : HTTP_CONTINUE;
	if (response->status >= 300 && response->status <= 399 && location)
		fetch->location = strdup(location);
	return HTTP_CONTINUE;
}

/* Hands on what is wanted of these bytes. */
static enum http_flow deliver(struct source_fetch *fetch, const uint8_t *data, size_t size)
{
	bool gone = false;
	int result;

	fetch->gone = &gone;
	fetch->request->origin = origin_of(fetch);
	result = fetch->request->data(fetch->request, data, size);
	if (gone)
		return HTTP_ABORT;
	fetch->gone = NULL;
	fetch->delivered += size;
	fetch->aborted = result < 0;
	return result < 0 ? HTTP_ABORT : HTTP_CONTINUE;
}

static enum http_flow on_data(void *arg, const void *data, size_t size)
{
	struct source_fetch *fetch = arg;
	bool goes_on;
	size_t wanted;
	size_t off;

	if (fetch->status < 200 || fetch->status > 299) {
		fetch->error_body_size += size;
		return fetch->error_body_size > ERROR_BODY_MAX ? HTTP_ABORT : HTTP_CONTINUE;
	}
	wanted = source_answer_take(&fetch->answer, size, &off);
	goes_on = source_answer_goes_on(&fetch->answer);
	/* The fetch may be gone when it returns. */
	if (wanted > 0 && deliver(fetch, (const uint8_t *)data + off, wanted) == HTTP_ABORT)
		return HTTP_ABORT;
	return goes_on ? HTTP_CONTINUE : HTTP_ABORT;
}

/* Takes where the answer leads as the URL that is asked next. */
static int take_redirect(struct source_fetch *fetch, struct error *err)
{
	CLEANUP(url_free) struct url from = {0};
	CLEANUP(url_free) struct url to = {0};
	CLEANUP(buffer_free) struct buffer next = {0};

	if (++fetch->n_redirects > MAX_REDIRECTS)
		return error_set(err, ERROR_FORMAT, "more than %d redirects", MAX_REDIRECTS);
	if (url_parse(fetch->url, &from, err) < 0 ||
		url_resolve(&from, fetch->location, &to, err) < 0 ||
		url_format(&to, &next, err) < 0)
		return -1;
	if (strcmp(from.scheme, "https") == 0 && strcmp(to.scheme, "http") == 0)
		return error_set(err, ERROR_UNSUPPORTED, "refused its redirect from https to http");
	free(fetch->url);
	fetch->url = (char *)next.data;
	next = (struct buffer){0};
	return 0;
}

/* Why the request did not bring everything. */
static void judge(
	const struct source_fetch *fetch, const struct http_result *result, struct error *err)
{
	const struct buffer nothing = {0};
	char url[240], what[250];

	if (fetch->answer.err.kind != ERROR_NONE) {
		*err = fetch->answer.err;
	} else if (result->err.kind != ERROR_NONE) {
		*err = result->err;
	} else if (fetch->status < 200 || fetch->status > 299) {
		url_redact(fetch->url, url, sizeof(url));
		(void)snprintf(what, sizeof(what), "GET %s", url);
		exchange_set_status_error(err, what, fetch->status, &nothing);
	} else {
		(void)error_set(err, ERROR_FORMAT, "it sent less than it was asked for");
	}
}

static void handle_failure(struct source_fetch *fetch, const struct http_result *result)
{
	bool progress = fetch->delivered > fetch->delivered_before;
	struct error err = {0};

	judge(fetch, result, &err);
	if (progress && result->failure != HTTP_FAILURE_DEADLINE &&
		fetch->n_resumes < MAX_RESUMES) {
		fetch->n_resumes++;
		ask(fetch);
		return;
	}
	fail_place(fetch, &err);
}

static void on_done(void *arg, const struct http_result *result)
{
	struct source_fetch *fetch = arg;
	struct error err = {0};

	fetch->http = NULL;
	if (fetch->aborted) {
		(void)error_set(&err, ERROR_CANCELLED, "stopped by its reader");
		finish(fetch, &err);
	} else if (fetch->delivered == fetch->request->size) {
		finish(fetch, NULL);
	} else if (!fetch->location) {
		handle_failure(fetch, result);
	} else if (take_redirect(fetch, &err) < 0) {
		fail_place(fetch, &err);
	} else {
		ask(fetch);
	}
}

/* No header, no settings of any registry: only what is wanted. */
static int send_request(struct source_fetch *fetch, struct error *err)
{
	static const struct http_callbacks callbacks = {on_response, on_data, on_done};
	struct url_source *source = fetch->source;
	uint64_t left = fetch->request->size - fetch->delivered;
	struct http_request_options options = {
		.method = HTTP_GET,
		.connect_timeout_ns = CONNECT_TIMEOUT_NS,
		.stall_timeout_ns = source->client->stall_timeout_ns,
		.deadline_ns = fetch->request->deadline_ns,
		.range = left != source->size,
		.range_off = fetch->request->off + fetch->delivered,
		.range_size = left,
		.priority = fetch->request->priority,
	};

	if (!fetch->url)
		fetch->url = strdup(source->places[fetch->i_place].url);
	if (!fetch->url)
		return error_set(err, ERROR_NO_MEMORY, "no memory for a request");
	options.url = fetch->url;
	fetch->delivered_before = fetch->delivered;
	fetch->status = 0;
	fetch->error_body_size = 0;
	fetch->answer = (struct source_answer){0};
	free(TAKE_PTR(fetch->location));
	return http_request_start(
		source->client->http, &options, &callbacks, fetch, &fetch->http, err);
}

static void ask(struct source_fetch *fetch)
{
	struct error err = {0};

	while (fetch->i_place < fetch->source->n_places && is_avoided(fetch))
		fetch->i_place++;
	if (fetch->i_place == fetch->source->n_places)
		finish_failed(fetch);
	else if (send_request(fetch, &err) < 0)
		fail_place(fetch, &err);
}

static void begin(struct loop_task *task)
{
	struct source_fetch *fetch = container_of(task, struct source_fetch, task);

	fetch->begun = true;
	if (fetch->cancelled)
		fetch_free(fetch);
	else
		ask(fetch);
}

struct source_fetch *url_fetch_start(struct source *base, struct source_request *request)
{
	struct url_source *source = container_of(base, struct url_source, base);
	struct source_fetch *fetch = calloc(1, sizeof(*fetch));

	if (!fetch)
		return NULL;
	fetch->source = source;
	fetch->request = request;
	fetch->task.run = begin;
	loop_post(source->client->loop, &fetch->task);
	return fetch;
}

void url_fetch_cancel(struct source_fetch *fetch)
{
	/* Until it has begun the loop still has its task. */
	if (fetch->begun)
		fetch_free(fetch);
	else
		fetch->cancelled = true;
}
