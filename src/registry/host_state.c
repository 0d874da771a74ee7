/* SPDX-License-Identifier: Apache-2.0 */
/* What is remembered about each host that was asked. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"

#include "exchange_internal.h"

/* For so long others are asked first. Hosts that let one wait cost most. */
#define DOWN_NS (5 * NS_PER_SECOND)
#define DOWN_AFTER_SILENCE_NS (30 * NS_PER_SECOND)
/* It is twice as long each time, up to this. */
#define LONGEST_DOWN_NS (600 * NS_PER_SECOND)
/* Without Retry-After. */
#define BUSY_NS NS_PER_SECOND
/* A date far away is a clock that is wrong: no host is left alone for longer. */
#define LONGEST_BUSY_NS (300 * NS_PER_SECOND)

/* Shorter bodies say more about the round trip than about the bandwidth. */
enum { BANDWIDTH_MIN_SIZE = 256 << 10 };

static struct host_state *state_new(
	struct registry_client *client, const char *name, const char *origin)
{
	struct host_state *state = calloc(1, sizeof(*state));
	char *copy = strdup(origin);

	if (!state || !copy) {
		free(state);
		free(copy);
		return NULL;
	}
	state->origin = copy;
	(void)snprintf(state->stats.namespace, sizeof(state->stats.namespace), "%s", name);
	(void)snprintf(state->stats.origin, sizeof(state->stats.origin), "%s", origin);
	pthread_mutex_lock(&client->lock);
	state->next = client->states;
	client->states = state;
	pthread_mutex_unlock(&client->lock);
	return state;
}

struct host_state *host_state_get(
	struct registry_client *client, const char *name, const char *origin)
{
	/* The list changes on this thread only, so reading it here needs no lock. */
	for (struct host_state *state = client->states; state; state = state->next) {
		if (strcmp(state->origin, origin) == 0 && strcmp(state->stats.namespace, name) == 0)
			return state;
	}
	return state_new(client, name, origin);
}

void host_states_free(struct host_state *state)
{
	while (state) {
		struct host_state *next = state->next;

		free(state->origin);
		free(state);
		state = next;
	}
}

static void set_silent(struct host_state *state, uint64_t now)
{
	/* It is known already: this request was sent before. */
	if (state->silent_ns > 0 && now < state->down_until_ns && !state->on_trial)
		return;
	state->on_trial = false;
	state->silent_ns = state->silent_ns ? 2 * state->silent_ns : DOWN_AFTER_SILENCE_NS;
	if (state->silent_ns > LONGEST_DOWN_NS)
		state->silent_ns = LONGEST_DOWN_NS;
	state->down_until_ns = now + state->silent_ns;
}

void host_state_asked(struct host_state *state, uint64_t stall_ns)
{
	uint64_t now = clock_now_ns();

	if (state->silent_ns == 0 || state->down_until_ns > now)
		return;
	state->on_trial = true;
	state->down_until_ns = now + stall_ns;
}

static void set_health(struct host_state *state, const struct exchange_result *result)
{
	uint64_t now = clock_now_ns();
	bool is_success = result->status >= 200 && result->status <= 299;
	bool is_broken =
		result->err.kind != ERROR_NONE && result->failure != HTTP_FAILURE_CANCELLED;

	if (result->status == 408 || result->status == 429 || result->status == 503) {
		uint64_t wait_ns = result->retry_after_ns ? result->retry_after_ns : BUSY_NS;

		state->not_before_ns =
			now + (wait_ns < LONGEST_BUSY_NS ? wait_ns : LONGEST_BUSY_NS);
	} else if (is_success && !is_broken) {
		state->not_before_ns = 0;
		state->down_until_ns = 0;
		state->silent_ns = 0;
		state->on_trial = false;
	} else if (is_success || result->status == 0 || result->status >= 500) {
		if (result->failure == HTTP_FAILURE_CONNECT_TIMEOUT ||
			result->failure == HTTP_FAILURE_STALLED)
			set_silent(state, now);
		else if (state->down_until_ns < now + DOWN_NS)
			state->down_until_ns = now + DOWN_NS;
	}
}

/* An eighth of the newest, so that one odd answer does not decide. */
static uint64_t smooth(uint64_t old, uint64_t sample)
{
	return old ? old - old / 8 + sample / 8 : sample;
}

static void measure(struct registry_host_stats *stats, const struct exchange_result *result)
{
	uint64_t body_ns = result->total_ns - result->wait_ns;

	if (result->wait_ns)
		stats->round_trip_ns = smooth(stats->round_trip_ns, result->wait_ns);
	if (result->n_received >= BANDWIDTH_MIN_SIZE && result->total_ns > result->wait_ns)
		stats->bytes_per_s = smooth(stats->bytes_per_s,
			(uint64_t)((double)result->n_received * 1e9 / (double)body_ns));
}

void host_entry_count(struct host_entry *entry, const struct exchange_result *result)
{
	struct registry_host_stats *stats = &entry->state->stats;

	set_health(entry->state, result);
	pthread_mutex_lock(&entry->set->client->lock);
	stats->n_requests++;
	stats->received_bytes += result->n_received;
	measure(stats, result);
	if (result->err.kind != ERROR_NONE && result->failure != HTTP_FAILURE_CANCELLED) {
		stats->n_errors++;
		stats->last_error_s = clock_wall_s();
		(void)snprintf(
			stats->last_error, sizeof(stats->last_error), "%s", result->err.message);
	}
	pthread_mutex_unlock(&entry->set->client->lock);
}

void host_entry_set_ignores_range(struct host_entry *entry, bool ignores)
{
	pthread_mutex_lock(&entry->set->client->lock);
	entry->state->stats.ignores_range = ignores;
	pthread_mutex_unlock(&entry->set->client->lock);
}

int registry_each_host(struct registry_client *client,
	int (*each)(void *arg, const struct registry_host_stats *stats), void *arg)
{
	const struct host_state *state;
	int result = 0;

	pthread_mutex_lock(&client->lock);
	state = client->states;
	pthread_mutex_unlock(&client->lock);
	/* States are only ever added in front: those behind one stay. */
	for (; state && result == 0; state = state->next) {
		struct registry_host_stats copy;

		pthread_mutex_lock(&client->lock);
		copy = state->stats;
		pthread_mutex_unlock(&client->lock);
		if (copy.n_requests > 0)
			result = each(arg, &copy);
	}
	return result;
}
