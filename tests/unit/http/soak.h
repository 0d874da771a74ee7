/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "client_fixture.h"

/* Which requests to mix. */
struct soak {
	const char *const *urls;
	size_t n_urls;
	struct tls_settings *tls;
	const char *unix_socket;
	unsigned n_requests;
	unsigned seed;
};

/* Starts, pauses, resumes, aborts and cancels requests in a random order, from callbacks and from
 * outside of them, and checks that each ends exactly once or was cancelled. */
void soak_run(struct fixture *fixture, const struct soak *soak);
