/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct fetch_layer;

/* Net loop, both; see source_health.c. */

/* What is known about one source of a layer. */
struct source_health {
	uint64_t down_until_ns; /* others are asked first */
	uint64_t pause_ns;      /* the last one; 0: it has not stalled since it served */
};

/* Whether the bytes of a request keep coming. */
struct stall_watch {
	struct fetch_layer *layer;
	size_t source_i;
	uint64_t window_ns;
	uint64_t at_ns;             /* when to look; UINT64_MAX: never */
	uint64_t n_received;        /* when it was looked at last */
	uint64_t n_received_beside; /* from this source by any request, at that moment */
	unsigned n_queued;          /* windows in which others were served and this one was not */
};
