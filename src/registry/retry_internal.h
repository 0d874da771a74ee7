/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "exchange_internal.h"

/* How often one host is asked the same question again. Zero-initialise for each host. */
struct retry {
	unsigned n_attempts; /* that failed */
	int last_status;
};

/**
 * retry_is_due() - whether to ask the same host again.
 * @last_host: nobody is left to be asked instead.
 * @delay_ns:  before jitter, and beyond what the host asked for; set when true.
 *
 * As containerd: 408 and 429 up to five attempts; 500, 502, 503 and 504 once more, but only the
 * last host, and not when they come twice. Beyond it: connections that fail or break, up to three
 * attempts, the last host only. Refused certificates and credentials are never tried again.
 */
bool retry_is_due(struct retry *retry, const struct exchange_result *result, bool last_host,
	uint64_t *delay_ns);

/* Longest wait that a host can ask for; one that asks for more is not waited for. */
#define RETRY_AFTER_MAX_NS (30 * NS_PER_SECOND)
