/* SPDX-License-Identifier: Apache-2.0 */
/* Random histories of many requests on one client. */
#include "soak.h"

#include "support/test.h"

#include <stdlib.h>

#include "base/clock.h"

enum { AT_ONCE = 24 };

struct run;

struct slot {
	struct run *run;
	struct http_request *request; /* NULL: free */
	int n_responses;
};

struct run {
	struct fixture *fixture;
	const struct soak *soak;
	struct slot slots[AT_ONCE];
	struct loop_timer *tick;
	unsigned n_started;
	unsigned n_done;
	unsigned n_cancelled;
	unsigned n_succeeded;
	unsigned seed;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool over; /* guarded by lock */
};

static unsigned draw(struct run *run, unsigned n)
{
	return (unsigned)rand_r(&run->seed) % n;
}

static void start_some(struct run *run);

static void cancel_one(struct run *run)
{
	struct slot *slot = &run->slots[draw(run, AT_ONCE)];

	if (!slot->request)
		return;
	http_request_cancel(slot->request);
	slot->request = NULL;
	run->n_cancelled++;
}

static void resume_one(struct run *run)
{
	struct slot *slot = &run->slots[draw(run, AT_ONCE)];

	if (slot->request)
		http_request_resume(slot->request);
}

static void disturb(struct run *run)
{
	switch (draw(run, 12)) {
	case 0:
		cancel_one(run);
		break;
	case 1:
		start_some(run);
		break;
	case 2:
	case 3:
		resume_one(run);
		break;
	default:
		break;
	}
}

static enum http_flow on_response(void *arg, const struct http_response *response)
{
	struct slot *slot = arg;

	(void)response;
	if (slot->n_responses++ > 0)
		abort();
	disturb(slot->run);
	return draw(slot->run, 20) == 0 ? HTTP_ABORT : HTTP_CONTINUE;
}

static enum http_flow on_data(void *arg, const void *data, size_t size)
{
	struct slot *slot = arg;

	(void)data;
	if (size == 0 || slot->n_responses != 1)
		abort();
	disturb(slot->run);
	switch (draw(slot->run, 30)) {
	case 0:
		return HTTP_ABORT;
	case 1:
	case 2:
		return HTTP_PAUSE;
	default:
		return HTTP_CONTINUE;
	}
}

static void on_done(void *arg, const struct http_result *result)
{
	struct slot *slot = arg;
	struct run *run = slot->run;

	if (!slot->request)
		abort();
	slot->request = NULL;
	run->n_done++;
	run->n_succeeded += result->failure == HTTP_FAILURE_NONE;
	disturb(run);
}

static void start_one(struct run *run, struct slot *slot)
{
	static const struct http_callbacks callbacks = {
		.on_response = on_response, .on_data = on_data, .on_done = on_done};
	const struct soak *soak = run->soak;
	const struct http_request_options options = {
		.url = soak->urls[draw(run, (unsigned)soak->n_urls)],
		.tls = soak->tls,
		.unix_socket = soak->unix_socket,
		.stall_timeout_ns = (5 + draw(run, 50)) * NS_PER_MS,
		.deadline_ns = draw(run, 4) ? 0 : clock_now_ns() + draw(run, 40) * NS_PER_MS,
		.range = draw(run, 2),
		.range_size = 100000,
		.priority = draw(run, N_PRIORITIES),
	};
	struct error err = {0};

	*slot = (struct slot){.run = run};
	run->n_started++;
	if (http_request_start(
		    run->fixture->client, &options, &callbacks, slot, &slot->request, &err) < 0)
		abort();
}

static void start_some(struct run *run)
{
	for (size_t i = 0; i < AT_ONCE && run->n_started < run->soak->n_requests; i++)
		if (!run->slots[i].request && draw(run, 3) == 0)
			start_one(run, &run->slots[i]);
}

/* Whatever happened, things go on: new requests start, paused ones are resumed. */
static void on_tick(void *arg)
{
	struct run *run = arg;

	start_some(run);
	disturb(run);
	for (size_t i = 0; i < AT_ONCE; i++)
		if (run->slots[i].request && draw(run, 4) == 0)
			http_request_resume(run->slots[i].request);
	if (run->n_done + run->n_cancelled < run->soak->n_requests) {
		loop_timer_set(run->tick, NS_PER_MS);
		return;
	}
	(void)pthread_mutex_lock(&run->lock);
	run->over = true;
	(void)pthread_cond_signal(&run->changed);
	(void)pthread_mutex_unlock(&run->lock);
}

static void begin(void *arg)
{
	struct run *run = arg;

	if (loop_timer_new(run->fixture->loop, on_tick, run, &run->tick, NULL) < 0)
		abort();
	loop_timer_set(run->tick, 0);
}

static void end(void *arg)
{
	struct run *run = arg;

	loop_timer_free(run->tick);
}

void soak_run(struct fixture *fixture, const struct soak *soak)
{
	struct run run = {
		.fixture = fixture,
		.soak = soak,
		.seed = soak->seed,
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.changed = PTHREAD_COND_INITIALIZER,
	};

	fixture_on_loop(fixture, begin, &run);
	(void)pthread_mutex_lock(&run.lock);
	while (!run.over)
		(void)pthread_cond_wait(&run.changed, &run.lock);
	(void)pthread_mutex_unlock(&run.lock);
	fixture_on_loop(fixture, end, &run);
	assert_int_equal(run.n_started, soak->n_requests);
	assert_int_equal(run.n_done + run.n_cancelled, soak->n_requests);
	/* Else nothing was mixed. */
	assert_true(run.n_cancelled > 0 && run.n_succeeded > 0);
}
