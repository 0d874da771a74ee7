/* SPDX-License-Identifier: Apache-2.0 */
/* One range of a blob: hosts in order, again and again, until all of it is there, it is clear that
 * it never will be, or the time is over. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"

#include "source_internal.h"

#define CONNECT_TIMEOUT_NS (10 * NS_PER_SECOND)
/* While there is another host to ask, unless round trips take long. */
#define TIMEOUT_BEFORE_OTHERS_NS (3 * NS_PER_SECOND)
enum { ROUND_TRIPS_BEFORE_OTHERS = 16 };
/* Between rounds, and before a broken body is resumed. */
#define FIRST_BACKOFF_NS (200 * NS_PER_MS)
#define LAST_BACKOFF_NS (5 * NS_PER_SECOND)
#define RESUME_DELAY_NS (20 * NS_PER_MS)
/* How long a blob that is elsewhere is not asked for where it was not found. */
#define ABSENT_NS (30 * NS_PER_SECOND)
/* A host that breaks off after less is not resumed at once. */
enum { GOOD_PROGRESS = 64 << 10 };

static void ask(struct source_fetch *fetch);
static void next_host(struct source_fetch *fetch);

static void fetch_free(struct source_fetch *fetch)
{
	if (fetch->gone)
		*fetch->gone = true;
	exchange_cancel(fetch->exchange);
	host_wait_cancel(&fetch->host_wait);
	loop_timer_free(fetch->deadline_timer);
	loop_timer_free(fetch->retry_timer);
	host_set_unref(fetch->set);
	failure_list_clear(&fetch->failures);
	free(fetch->given_up);
	free(fetch->order);
	free(fetch);
}

static void finish(struct source_fetch *fetch, const struct error *err)
{
	struct source_request *request = fetch->request;
	const char *origin = fetch->origin ? fetch->origin : fetch->source->reference.registry;
	struct error copy = {0};

	if (err)
		copy = *err;
	fetch_free(fetch);
	request->done(request, origin, err ? &copy : NULL);
}

static void finish_failed(struct source_fetch *fetch)
{
	struct registry_source *source = fetch->source;
	struct error err = {0};

	failure_list_compose(&fetch->failures, &err);
	if (source->has_others && err.kind == ERROR_NOT_FOUND) {
		source->absent = err;
		source->absent_until_ns = clock_now_ns() + ABSENT_NS;
	}
	finish(fetch, &err);
}

static void deadline_fired(void *arg)
{
	struct source_fetch *fetch = arg;
	struct error err = {0};
	struct error causes = {0};

	failure_list_compose(&fetch->failures, &causes);
	(void)error_set(&err, ERROR_TIMEOUT, "%ju of %ju bytes when the time was over%s%s",
		(uintmax_t)fetch->delivered, (uintmax_t)fetch->request->size,
		fetch->failures.n_items > 0 ? "; " : "",
		fetch->failures.n_items > 0 ? causes.message : "");
	finish(fetch, &err);
}

static struct host_entry *current_entry(const struct source_fetch *fetch)
{
	return &fetch->set->entries[fetch->order[fetch->i_order]];
}

static bool is_avoided(const struct source_fetch *fetch, const char *origin)
{
	for (size_t i = 0; i < fetch->request->n_avoid; i++) {
		if (strcmp(fetch->request->avoid[i], origin) == 0)
			return true;
	}
	return false;
}

static bool is_healthy(const struct host_state *state, uint64_t now)
{
	return state->down_until_ns <= now && state->not_before_ns <= now;
}

/* The hosts of this round: in the order of the configuration, those that failed lately last. */
static void order_hosts(struct source_fetch *fetch)
{
	uint64_t now = clock_now_ns();

	fetch->n_order = 0;
	fetch->i_order = 0;
	for (int healthy = 1; healthy >= 0; healthy--) {
		for (size_t i = 0; i < fetch->set->n_entries; i++) {
			const struct host_entry *entry = &fetch->set->entries[i];

			if (!fetch->given_up[i] && !is_avoided(fetch, entry->state->origin) &&
				is_healthy(entry->state, now) == (healthy == 1))
				fetch->order[fetch->n_order++] = i;
		}
	}
}

static void retry_fired(void *arg)
{
	struct source_fetch *fetch = arg;

	if (fetch->retry_round)
		host_table_get(fetch->source->client, fetch->source->reference.registry, false,
			&fetch->host_wait);
	else
		ask(fetch);
}

static void retry_later(struct source_fetch *fetch, bool round, uint64_t delay_ns)
{
	fetch->retry_round = round;
	loop_timer_set(fetch->retry_timer, delay_ns);
}

/* When the first of the hosts that asked for a pause may be asked again. */
static uint64_t pause_ns(const struct source_fetch *fetch)
{
	uint64_t now = clock_now_ns();
	uint64_t earliest = UINT64_MAX;

	for (size_t i = 0; i < fetch->n_order; i++) {
		size_t i_host = fetch->order[i];
		uint64_t at = fetch->set->entries[i_host].state->not_before_ns;

		if (!fetch->given_up[i_host] && at < earliest)
			earliest = at;
	}
	return earliest != UINT64_MAX && earliest > now ? earliest - now : 0;
}

/* No host can serve it. The hosts may be out of date, though, and their certificates: those of
 * short life are renewed while nobody reads. */
static void look_again(struct source_fetch *fetch)
{
	if (fetch->looked_again) {
		finish_failed(fetch);
		return;
	}
	fetch->looked_again = true;
	fetch->looking_again = true;
	host_table_get(
		fetch->source->client, fetch->source->reference.registry, true, &fetch->host_wait);
}

static void end_round(struct source_fetch *fetch)
{
	bool hope = false;
	uint64_t delay_ns;

	for (size_t i = 0; i < fetch->n_order; i++)
		hope |= !fetch->given_up[fetch->order[i]];
	if (!hope) {
		look_again(fetch);
		return;
	}
	delay_ns = registry_jitter(fetch->source->client, fetch->backoff_ns);
	if (delay_ns < pause_ns(fetch))
		delay_ns += pause_ns(fetch);
	fetch->backoff_ns *= 2;
	if (fetch->backoff_ns > LAST_BACKOFF_NS)
		fetch->backoff_ns = LAST_BACKOFF_NS;
	retry_later(fetch, true, delay_ns);
}

static void next_host(struct source_fetch *fetch)
{
	fetch->i_order++;
	fetch->lost_target = false;
	if (fetch->i_order < fetch->n_order)
		ask(fetch);
	else
		end_round(fetch);
}

/* Gives up the host for this fetch when the failure is its last word. */
static void fail_host(struct source_fetch *fetch, const struct error *err, bool answered)
{
	struct host_entry *entry = current_entry(fetch);

	log_debug("%s: %s", entry->state->origin, err->message);
	failure_list_add(&fetch->failures, fetch->order[fetch->i_order], entry->state->origin, err,
		answered);
	if (err->kind != ERROR_UNAVAILABLE && err->kind != ERROR_RATE_LIMITED &&
		err->kind != ERROR_TIMEOUT)
		fetch->given_up[fetch->order[fetch->i_order]] = true;
	next_host(fetch);
}

/* How long the host whose turn it is may be silent, @most if it is the last one. */
static uint64_t timeout_of_turn(const struct source_fetch *fetch, uint64_t most)
{
	/* The statistics change on this thread only. */
	uint64_t round_trip_ns = current_entry(fetch)->state->stats.round_trip_ns;
	uint64_t ns = TIMEOUT_BEFORE_OTHERS_NS;

	if (ns < ROUND_TRIPS_BEFORE_OTHERS * round_trip_ns)
		ns = ROUND_TRIPS_BEFORE_OTHERS * round_trip_ns;
	return fetch->i_order + 1 < fetch->n_order && ns < most ? ns : most;
}

static void ask(struct source_fetch *fetch)
{
	struct registry_source *source = fetch->source;
	struct host_entry *entry = current_entry(fetch);
	uint64_t stall_ns = timeout_of_turn(fetch, source->client->stall_timeout_ns);
	uint64_t left = fetch->request->size - fetch->delivered;
	struct exchange_options options = {
		.entry = entry,
		.method = HTTP_GET,
		.repository = source->reference.repository,
		.path = source->path,
		.target = target_cache_get(
			source->client, entry->state, source->reference.repository, source->path),
		.range = left != source->size,
		.range_off = fetch->request->off + fetch->delivered,
		.range_size = left,
		.connect_timeout_ns = timeout_of_turn(fetch, CONNECT_TIMEOUT_NS),
		.stall_timeout_ns = stall_ns,
		.deadline_ns = fetch->request->deadline_ns,
		.priority = fetch->request->priority,
	};
	struct error err = {0};

	fetch->origin = entry->state->origin;
	fetch->used_target = options.target != NULL;
	fetch->delivered_before = fetch->delivered;
	fetch->answer = (struct source_answer){0};
	host_state_asked(entry->state, stall_ns);
	if (exchange_start(&options, &source_callbacks, fetch, &fetch->exchange, &err) < 0)
		fail_host(fetch, &err, false);
}

/* A cached redirect that does not serve any more is not the host's fault. */
static bool blames_target(const struct source_fetch *fetch, const struct exchange_result *result)
{
	if (!fetch->used_target || fetch->lost_target)
		return false;
	switch (result->status) {
	case 0:
	case 400:
	case 401:
	case 403:
	case 404:
	case 410:
		return true;
	default:
		return result->status >= 500;
	}
}

static void resume(struct source_fetch *fetch)
{
	uint64_t progress = fetch->delivered - fetch->delivered_before;
	uint64_t delay_ns = progress >= GOOD_PROGRESS ? RESUME_DELAY_NS : FIRST_BACKOFF_NS;

	fetch->backoff_ns = FIRST_BACKOFF_NS;
	fetch->lost_target = false;
	retry_later(fetch, false, registry_jitter(fetch->source->client, delay_ns));
}

static void handle_failure(struct source_fetch *fetch, const struct exchange_result *result)
{
	struct registry_source *source = fetch->source;
	const struct error *err = &result->err;

	if (blames_target(fetch, result)) {
		target_cache_forget(source->client, current_entry(fetch)->state,
			source->reference.repository, source->path);
		fetch->lost_target = true;
		ask(fetch);
	} else if (fetch->delivered > fetch->delivered_before &&
		   (result->failure != HTTP_FAILURE_STALLED || fetch->n_order == 1)) {
		failure_list_add(&fetch->failures, fetch->order[fetch->i_order], fetch->origin, err,
			result->status != 0);
		resume(fetch);
	} else {
		fail_host(fetch, err, result->status != 0);
	}
}

/* What was wrong with the answer itself explains why it was cut off; a range that is shorter than
 * asked for is a beginning, but not without a single byte. */
static void judge(struct source_fetch *fetch, struct exchange_result *result)
{
	if (fetch->answer.err.kind != ERROR_NONE) {
		result->err = fetch->answer.err;
		result->failure = HTTP_FAILURE_PROTOCOL;
	} else if (result->err.kind == ERROR_NONE && fetch->delivered < fetch->request->size &&
		   fetch->delivered == fetch->delivered_before) {
		(void)error_set(&result->err, ERROR_FORMAT, "it sent nothing of the range");
		result->failure = HTTP_FAILURE_PROTOCOL;
	}
}

void source_fetch_answered(struct source_fetch *fetch, const struct exchange_result *result)
{
	struct exchange_result judged = *result;
	struct error err = {0};

	fetch->exchange = NULL;
	judge(fetch, &judged);
	host_entry_count(current_entry(fetch), &judged);
	if (fetch->aborted) {
		(void)error_set(&err, ERROR_CANCELLED, "stopped by its reader");
		finish(fetch, &err);
		return;
	}
	if (result->status >= 200 && result->status <= 299 &&
		judged.failure != HTTP_FAILURE_PROTOCOL && result->target)
		target_cache_set(fetch->source->client, current_entry(fetch)->state,
			fetch->source->reference.repository, fetch->source->path, result->target);
	if (fetch->delivered == fetch->request->size)
		finish(fetch, NULL);
	else if (result->failure == HTTP_FAILURE_DEADLINE)
		deadline_fired(fetch);
	else
		handle_failure(fetch, &judged);
}

/* Another snapshot may have other hosts, and all of them are worth asking. */
static int use_set(struct source_fetch *fetch, struct host_set *set)
{
	size_t n = set->n_entries;
	bool *given_up;
	size_t *order;

	if (fetch->set == set)
		return 0;
	given_up = calloc(n + 1, sizeof(*given_up));
	order = calloc(n + 1, sizeof(*order));
	if (!given_up || !order) {
		free(given_up);
		free(order);
		return -1;
	}
	free(fetch->given_up);
	free(fetch->order);
	fetch->given_up = given_up;
	fetch->order = order;
	host_set_unref(fetch->set);
	fetch->set = host_set_ref(set);
	return 0;
}

static void on_hosts(struct host_wait *wait, struct host_set *set, const struct error *err)
{
	struct source_fetch *fetch = container_of(wait, struct source_fetch, host_wait);
	struct error none = {0};

	if (fetch->looking_again && (err || set == fetch->set)) {
		finish_failed(fetch);
		return;
	}
	fetch->looking_again = false;
	if (err) {
		finish(fetch, err);
		return;
	}
	if (use_set(fetch, set) < 0) {
		(void)error_set(&none, ERROR_NO_MEMORY, "no memory to fetch a blob");
		finish(fetch, &none);
		return;
	}
	order_hosts(fetch);
	if (fetch->n_order > 0) {
		ask(fetch);
		return;
	}
	(void)error_set(&none, ERROR_DIGEST_MISMATCH,
		"every host of %s has sent wrong bytes for this range", set->hosts->name);
	finish(fetch, &none);
}

static void begin(struct loop_task *task)
{
	struct source_fetch *fetch = container_of(task, struct source_fetch, task);
	struct registry_source *source = fetch->source;
	uint64_t now = clock_now_ns();
	uint64_t deadline_ns = fetch->cancelled ? 0 : fetch->request->deadline_ns;
	struct error err = {0};

	fetch->begun = true;
	if (fetch->cancelled) {
		fetch_free(fetch);
		return;
	}
	if (source->absent_until_ns > now) {
		finish(fetch, &source->absent);
		return;
	}
	if (loop_timer_new(source->client->loop, deadline_fired, fetch, &fetch->deadline_timer,
		    &err) < 0 ||
		loop_timer_new(
			source->client->loop, retry_fired, fetch, &fetch->retry_timer, &err) < 0) {
		finish(fetch, &err);
		return;
	}
	loop_timer_set(fetch->deadline_timer, deadline_ns > now ? deadline_ns - now : 0);
	host_table_get(source->client, source->reference.registry, false, &fetch->host_wait);
}

struct source_fetch *source_fetch_start(struct source *base, struct source_request *request)
{
	struct registry_source *source = (struct registry_source *)base;
	struct source_fetch *fetch = calloc(1, sizeof(*fetch));

	if (!fetch)
		return NULL;
	fetch->source = source;
	fetch->request = request;
	fetch->backoff_ns = FIRST_BACKOFF_NS;
	fetch->host_wait.done = on_hosts;
	fetch->task.run = begin;
	loop_post(source->client->loop, &fetch->task);
	return fetch;
}

void source_fetch_cancel(struct source_fetch *fetch)
{
	/* Until it has begun the loop still has its task. */
	if (fetch->begun)
		fetch_free(fetch);
	else
		fetch->cancelled = true;
}
