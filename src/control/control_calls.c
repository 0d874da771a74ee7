/* SPDX-License-Identifier: Apache-2.0 */
/* The requests of the control socket: read on the loop, answered from reports that workers make. */
#include "control_server_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error_map.h"
#include "base/log.h"

enum { MAX_UNITS = 10000, DEFAULT_UNITS = 1000 };

typedef int report_function(const struct report_context *context,
	const struct report_why_query *query, struct json **out, struct error *err);

/* A request whose report is being made. */
struct control_call {
	struct control_server *server;
	struct http_call *http;
	report_function *report;
	struct report_why_query query;
	char *dir;  /* owned, what query points into */
	char *path; /* owned */
	struct work work;
	struct loop_task task;
	struct json *answer; /* owned; the report or an error */
	int status;
};

static void reply(struct http_call *http, int status, const struct json *json)
{
	CLEANUP(buffer_free) struct buffer text = {0};
	struct error err = {.message = "no memory"};

	if (json_write(json, true, &text, &err) < 0 || buffer_append(&text, "\n", 1) < 0) {
		log_error("a control request gets no answer: %s", err.message);
		http_call_reply(http, 500, NULL, NULL, 0);
		return;
	}
	http_call_reply(http, status, "application/json", text.data, text.size);
}

static void reply_error(struct http_call *http, const struct error *err)
{
	struct json *json = report_error(err);

	reply(http, error_http_status(err->kind), json);
	json_free(json);
}

static void call_free(struct control_call *call)
{
	json_free(call->answer);
	free(call->dir);
	free(call->path);
	free(call);
}

/* Loop. */
static void call_reply(struct loop_task *task)
{
	struct control_call *call = container_of(task, struct control_call, task);
	struct control_server *server = call->server;

	reply(call->http, call->status, call->answer);
	call_free(call);
	pthread_mutex_lock(&server->lock);
	if (--server->n_calls == 0)
		pthread_cond_broadcast(&server->idle);
	pthread_mutex_unlock(&server->lock);
}

/* A copy that the worker may use without the lock; the caller frees mounts. */
static int context_of(struct control_server *server, char phase[128], struct report_mount **mounts,
	struct report_context *out, struct error *err)
{
	pthread_mutex_lock(&server->lock);
	memcpy(phase, server->phase, sizeof(server->phase));
	*mounts = calloc(server->n_mounts + 1, sizeof(**mounts));
	if (*mounts && server->n_mounts > 0)
		memcpy(*mounts, server->mounts, server->n_mounts * sizeof(**mounts));
	*out = (struct report_context){
		.store = server->options.store,
		.registry = server->options.registry,
		.mounts = *mounts,
		.n_mounts = server->n_mounts,
		.phase = phase,
	};
	pthread_mutex_unlock(&server->lock);
	return *mounts ? 0 : error_set(err, ERROR_NO_MEMORY, "no memory for a report");
}

/* Worker. */
static void call_run(struct work *work)
{
	struct control_call *call = container_of(work, struct control_call, work);
	CLEANUP(cleanup_free) struct report_mount *mounts = NULL;
	struct report_context context;
	struct error err = {0};
	char phase[128];

	if (context_of(call->server, phase, &mounts, &context, &err) < 0 ||
		call->report(&context, &call->query, &call->answer, &err) < 0) {
		call->answer = report_error(&err);
		call->status = error_http_status(err.kind);
	} else {
		call->status = 200;
	}
	loop_post(call->server->options.loop, &call->task);
}

static void start_call(struct control_server *server, struct control_call *call)
{
	pthread_mutex_lock(&server->lock);
	server->n_calls++;
	pthread_mutex_unlock(&server->lock);
	call->work = (struct work){.priority = PRIORITY_READ_AHEAD, .run = call_run};
	call->task = (struct loop_task){.run = call_reply};
	workers_submit(server->options.workers, &call->work);
}

static struct control_call *new_call(
	struct control_server *server, struct http_call *http, report_function *report)
{
	struct control_call *call = calloc(1, sizeof(*call));
	struct error err;

	if (!call) {
		(void)error_set(&err, ERROR_NO_MEMORY, "no memory for a control request");
		reply_error(http, &err);
		return NULL;
	}
	call->server = server;
	call->http = http;
	call->report = report;
	return call;
}

static int make_status(const struct report_context *context, const struct report_why_query *query,
	struct json **out, struct error *err)
{
	(void)query;
	return report_status(context, out, err);
}

static int make_images(const struct report_context *context, const struct report_why_query *query,
	struct json **out, struct error *err)
{
	(void)query;
	return report_images(context, out, err);
}

static int make_cache(const struct report_context *context, const struct report_why_query *query,
	struct json **out, struct error *err)
{
	(void)query;
	return report_cache(context, out, err);
}

static void handle(struct http_call *http, struct control_server *server, report_function *report)
{
	struct control_call *call = new_call(server, http, report);

	if (call)
		start_call(server, call);
}

static void on_status(struct http_call *http, void *arg)
{
	handle(http, arg, make_status);
}

static void on_images(struct http_call *http, void *arg)
{
	handle(http, arg, make_images);
}

static void on_cache(struct http_call *http, void *arg)
{
	handle(http, arg, make_cache);
}

/* An absent parameter leaves *out as it is. */
static int query_number(struct http_call *http, const char *name, uint64_t *out, struct error *err)
{
	const char *text = http_call_query(http, name);
	char *end;

	if (!text)
		return 0;
	errno = 0;
	*out = strtoull(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end || errno)
		return error_set(err, ERROR_INVALID, "parameter %s=%s is not a number", name, text);
	return 0;
}

/* A copy: the next look-up takes the value away. *out stays NULL when it is absent. */
static int query_text(struct http_call *http, const char *name, char **out, struct error *err)
{
	const char *text = http_call_query(http, name);

	if (!text)
		return 0;
	*out = strdup(text);
	return *out ? 0 : error_set(err, ERROR_NO_MEMORY, "no memory for a control request");
}

static int read_why(struct http_call *http, struct control_call *call, struct error *err)
{
	struct report_why_query *query = &call->query;
	bool has_ino = http_call_query(http, "ino") != NULL;

	query->max_units = DEFAULT_UNITS;
	if (query_text(http, "dir", &call->dir, err) < 0 ||
		query_text(http, "path", &call->path, err) < 0 ||
		query_number(http, "ino", &query->ino, err) < 0 ||
		query_number(http, "first", &query->first_unit, err) < 0 ||
		query_number(http, "max", &query->max_units, err) < 0)
		return -1;
	if (!call->dir || (!call->path && !has_ino))
		return error_set(err, ERROR_INVALID,
			"parameters dir, and path or ino, say which file is meant");
	if (query->max_units > MAX_UNITS)
		query->max_units = MAX_UNITS;
	query->dir = call->dir;
	query->path = call->path;
	return 0;
}

static void on_why(struct http_call *http, void *arg)
{
	struct control_call *call = new_call(arg, http, report_why);
	struct error err;

	if (!call)
		return;
	if (read_why(http, call, &err) < 0) {
		reply_error(http, &err);
		call_free(call);
		return;
	}
	start_call(arg, call);
}

static void reply_verify(struct http_call *http, struct control_server *server, int status)
{
	struct json *json = verify_job_report(server->verify);

	reply(http, status, json);
	json_free(json);
}

static int start_verify(struct http_call *http, struct control_server *server, struct error *err)
{
	uint64_t repair = 0;

	if (query_number(http, "repair", &repair, err) < 0)
		return -1;
	if (server->verify && !verify_job_ended(server->verify))
		return error_set(err, ERROR_BUSY, "a verification of this store is running");
	verify_job_free(server->verify);
	server->verify = NULL;
	return verify_job_start(server->options.store, repair != 0, &server->verify, err);
}

static void on_verify_start(struct http_call *http, void *arg)
{
	struct error err;

	if (start_verify(http, arg, &err) < 0)
		reply_error(http, &err);
	else
		reply_verify(http, arg, 202);
}

static void on_verify(struct http_call *http, void *arg)
{
	struct control_server *server = arg;
	struct error err;

	if (!server->verify) {
		(void)error_set(&err, ERROR_NOT_FOUND,
			"nobody asked this process to verify its store: POST here starts it");
		reply_error(http, &err);
		return;
	}
	if (strcmp(http_call_method(http), "DELETE") == 0)
		verify_job_cancel(server->verify);
	reply_verify(http, server, 200);
}

static void on_unknown(struct http_call *http, void *arg)
{
	struct error err;

	(void)arg;
	(void)error_set(&err, ERROR_NOT_FOUND, "%s %s: nothing is served there",
		http_call_method(http), http_call_path(http));
	reply_error(http, &err);
}

const struct http_route control_routes[] = {
	{"GET", "/v1/status", on_status},
	{"GET", "/v1/why", on_why},
	{"GET", "/v1/images", on_images},
	{"GET", "/v1/cache", on_cache},
	{"POST", "/v1/cache/verify", on_verify_start},
	{"GET", "/v1/cache/verify", on_verify},
	{"DELETE", "/v1/cache/verify", on_verify},
	{"GET", "/", on_unknown},
	{"POST", "/", on_unknown},
	{"DELETE", "/", on_unknown},
};

const size_t n_control_routes = sizeof(control_routes) / sizeof(control_routes[0]);
