/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

/* Why each host of a namespace could not serve, so that nothing is hidden when none could. */

struct host_failure {
	size_t host;        /* its place in hosts.toml: an origin may stand there twice */
	const char *origin; /* borrowed */
	struct error err;
	bool answered; /* there was a response, whatever its status */
};

/* Zero-initialise. */
struct failure_list {
	struct host_failure *items; /* owned */
	size_t n_items;
};

/* The newest failure of a host replaces its older one, and goes to the end. When memory runs out,
 * what does not fit is forgotten. */
void failure_list_add(struct failure_list *list, size_t host, const char *origin,
	const struct error *err, bool answered);

/* One error out of all: of one host, with its URL or origin; of several, each by its origin and its
 * cause. The kind is that of the host asked last if it answered: it is the upstream. Otherwise the
 * kind that a person can do most about. An empty list is ERROR_UNAVAILABLE. */
void failure_list_compose(const struct failure_list *list, struct error *out);

void failure_list_clear(struct failure_list *list);
