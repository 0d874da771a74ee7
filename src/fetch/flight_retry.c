/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of a flight when a source fails or lies. */
#include "fetch_internal.h"

#include <string.h>

#include "base/clock.h"

#define FIRST_RETRY_NS (200 * NS_PER_MS)
#define MAX_RETRY_NS (5 * NS_PER_SECOND)

/* Wrong bytes tell more than the connection error of the next source; otherwise the last word
 * counts. */
static void remember(struct flight *flight, const char *origin, const struct error *err)
{
	if (flight->recorded)
		return;
	flight->err = *err;
	flight->origin = origin;
}

static bool may_pass(const struct error *err)
{
	return err->kind == ERROR_UNAVAILABLE || err->kind == ERROR_RATE_LIMITED ||
	       err->kind == ERROR_TIMEOUT;
}

/* Who has come since the wrong bytes were asked for expects that their source is asked again, for
 * it may have been repaired; everybody else has seen what it has. */
static void forgive(struct flight *flight)
{
	bool is_expected = false;

	if (flight->n_avoid == 0)
		return;
	for (const struct wait_link *link = flight->waits; link; link = link->next_of_flight)
		is_expected |= wait_began_after(link->wait, flight->wrong_ns);
	if (!is_expected)
		return;
	flight->n_avoid = 0;
	flight->wrong_ns = 0;
	flight->recorded = false;
}

static void delay(struct flight *flight)
{
	struct fetch_layer *layer = flight->layer;
	uint64_t delay_ns = FIRST_RETRY_NS << (flight->n_rounds < 5 ? flight->n_rounds : 5);

	if (delay_ns > MAX_RETRY_NS)
		delay_ns = MAX_RETRY_NS;
	flight->n_rounds++;
	flight->asked = 0;
	flight->hope = false;
	forgive(flight);
	flight->retry_ns = clock_now_ns() + delay_ns;
	flight->state = FLIGHT_DELAYED;
	queue_push(&layer->delayed, flight);
	if (flight->retry_ns < layer->next_retry_ns)
		layer->next_retry_ns = flight->retry_ns;
	fetcher_arm_timer(layer->fetcher);
}

static void next_source(struct flight *flight)
{
	flight->asked |= UINT64_C(1) << flight->source_i;
	if (!flight_is_wanted(flight))
		flight_cancel(flight);
	else if (source_is_left(flight))
		flight_requeue(flight);
	else if (flight->hope && flight->waits)
		delay(flight);
	else
		flight_fail(flight);
}

void flight_source_failed(struct flight *flight, const char *origin, const struct error *err)
{
	remember(flight, origin, err);
	flight->hope |= may_pass(err);
	next_source(flight);
}

static bool is_avoided(const struct flight *flight, const char *origin)
{
	for (size_t i = 0; i < flight->n_avoid; i++) {
		if (strcmp(flight->avoid[i], origin) == 0)
			return true;
	}
	return false;
}

void flight_wrong_bytes(struct flight *flight, const char *origin, const struct error *err)
{
	atomic_fetch_add(&flight->layer->n_wrong, 1);
	if (!flight->wrong_ns)
		flight->wrong_ns = flight->sent_ns;
	flight_record(flight, origin, err);
	remember(flight, origin, err);
	flight->recorded = true;

	if (!flight_is_wanted(flight))
		flight_cancel(flight);
	/* A source that cannot say who its bytes are from, or asks them again, is done with. */
	else if (!origin || is_avoided(flight, origin) || flight->n_avoid == FLIGHT_MAX_AVOID)
		next_source(flight);
	else {
		flight->avoid[flight->n_avoid++] = origin;
		flight_requeue(flight);
	}
}

void fetcher_retry_delayed(struct fetch_layer *layer, uint64_t now_ns)
{
	struct flight *following;
	uint64_t earliest = UINT64_MAX;

	if (layer->next_retry_ns > now_ns)
		return;
	for (struct flight *flight = layer->delayed.head; flight; flight = following) {
		following = flight->next;
		if (flight->retry_ns > now_ns) {
			earliest = flight->retry_ns < earliest ? flight->retry_ns : earliest;
			continue;
		}
		queue_remove(&layer->delayed, flight);
		flight_requeue(flight);
	}
	layer->next_retry_ns = earliest;
}
