/* SPDX-License-Identifier: Apache-2.0 */
/* What the fetcher does when time passes: patience ends, failed flights are tried again, quiet
 * moments are used. */
#include "fetch_internal.h"

#include "base/clock.h"

/* Ten looks a second are enough to fill gaps between readers, and to follow one. */
#define LOOK_NS (100 * NS_PER_MS)

void fetcher_on_timer(struct fetcher *fetcher)
{
	uint64_t now = clock_now_ns();

	fetcher->timer_ns = UINT64_MAX;
	while (fetcher->waits_head && fetcher->waits_head->fetcher.deadline_ns <= now)
		wait_time_out(fetcher->waits_head);
	for (struct fetch_layer *layer = fetcher->layers; layer; layer = layer->next) {
		fetcher_retry_delayed(layer, now);
		ahead_follow_notes(layer);
		ahead_background(layer, now);
	}
	fetcher_arm_timer(fetcher);
	plan_post(fetcher);
}

static bool wants_looks(const struct fetch_layer *layer)
{
	if (layer->complete || layer->closing)
		return false;
	return atomic_load(&layer->background_wanted) || ahead_is_followed(layer);
}

void fetcher_arm_timer(struct fetcher *fetcher)
{
	uint64_t now = clock_now_ns();
	uint64_t at = UINT64_MAX;

	if (fetcher->waits_head)
		at = fetcher->waits_head->fetcher.deadline_ns;
	for (struct fetch_layer *layer = fetcher->layers; layer; layer = layer->next) {
		if (layer->next_retry_ns < at)
			at = layer->next_retry_ns;
		if (at > now + LOOK_NS && wants_looks(layer))
			at = now + LOOK_NS;
	}
	/* A timer that fires too early looks and is set again; setting it each time would cost
	 * more, and a look could be put off for ever. */
	if (at >= fetcher->timer_ns)
		return;
	fetcher->timer_ns = at;
	loop_timer_set(fetcher->timer, at > now ? at - now : 0);
}
