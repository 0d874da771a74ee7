/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <pthread.h>

#include "base/loop.h"
#include "http/http_client.h"
#include "http/http_sync.h"

/* A client on a loop thread of its own. */
struct fixture {
	struct loop *loop;
	struct http_client *client;
};

void fixture_open(struct fixture *fixture, const struct http_client_options *options);
void fixture_close(struct fixture *fixture);

/* Runs run(arg) on the loop and waits for its end. */
void fixture_on_loop(struct fixture *fixture, void (*run)(void *arg), void *arg);

/* A request whose progress a test follows from its own thread. */
struct probe {
	struct fixture *fixture;
	struct http_request_options options;
	struct http_request *request; /* loop thread only; NULL when ended */
	/* What the callbacks answer; loop thread only once started. */
	enum http_flow response_flow;
	enum http_flow data_flow;
	void (*on_data_hook)(struct probe *probe);     /* or NULL */
	void (*on_response_hook)(struct probe *probe); /* or NULL */
	void (*on_done_hook)(struct probe *probe);     /* or NULL */
	void *hook_arg;
	struct error start_err;
	int start_ret;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	/* guarded by lock */
	int status;
	int version;
	char x_connection[32]; /* header of that name, "" when absent */
	int n_responses;
	int n_data; /* calls of on_data */
	int n_done;
	struct buffer body;
	struct http_result result;
};

void probe_init(struct probe *probe, struct fixture *fixture, const char *url);
void probe_free(struct probe *probe);
void probe_start(struct probe *probe);
void probe_start_on_loop(void *probe); /* from a callback */
void probe_cancel(struct probe *probe);
void probe_resume(struct probe *probe, enum http_flow data_flow);
void probe_wait_response(struct probe *probe);
void probe_wait_data(struct probe *probe, int n_calls);
const struct http_result *probe_wait_done(struct probe *probe);
