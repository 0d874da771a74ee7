/* SPDX-License-Identifier: Apache-2.0 */
/* What the fetcher does when time passes: patience ends, failed flights are tried again, stalled
 * ones elsewhere, quiet moments are used. */
#include "fetch_internal.h"

#include "base/clock.h"

void fetcher_on_timer(struct fetcher *fetcher)
{
	uint64_t now = clock_now_ns();

	fetcher->timer_ns = UINT64_MAX;
	while (fetcher->waits_head && fetcher->waits_head->fetcher.deadline_ns <= now)
		wait_time_out(fetcher->waits_head);
	for (struct fetch_layer *layer = fetcher->layers; layer; layer = layer->next) {
		fetcher_look_for_stalls(layer, now);
		fetcher_retry_delayed(layer, now);
		ahead_follow_notes(layer);
	}
	/* Uses a quiet moment, and sets the timer again. */
	plan_post(fetcher);
}

void fetcher_arm_timer(struct fetcher *fetcher)
{
	uint64_t now = clock_now_ns();
	uint64_t at = UINT64_MAX;
	uint64_t look;

	if (fetcher->waits_head)
		at = fetcher->waits_head->fetcher.deadline_ns;
	for (struct fetch_layer *layer = fetcher->layers; layer; layer = layer->next) {
		if (layer->next_retry_ns < at)
			at = layer->next_retry_ns;
		if (layer->next_stall_ns < at)
			at = layer->next_stall_ns;
		look = ahead_next_look_ns(layer, now);
		at = look < at ? look : at;
		look = background_next_look_ns(layer, now);
		at = look < at ? look : at;
	}
	/* A timer that fires too early looks and is set again; setting it each time would cost
	 * more, and a look could be put off for ever. */
	if (at >= fetcher->timer_ns)
		return;
	fetcher->timer_ns = at;
	loop_timer_set(fetcher->timer, at > now ? at - now : 0);
}
