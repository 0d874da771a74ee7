/* SPDX-License-Identifier: Apache-2.0 */
/* When asking the same host again makes sense. */
#include "retry_internal.h"

#include "base/clock.h"
#include "base/error_map.h"

enum { BUSY_ATTEMPTS = 5, CONNECTION_ATTEMPTS = 3 };
#define FIRST_DELAY_NS (200 * NS_PER_MS)

static bool is_connection_failure(const struct exchange_result *result)
{
	bool is_broken_body = result->status >= 200 && result->status <= 299;

	if (result->status != 0 && !is_broken_body)
		return false;
	return error_is_retryable(result->err.kind) && result->failure != HTTP_FAILURE_DEADLINE;
}

static bool is_due(const struct retry *retry, const struct exchange_result *result, bool last_host)
{
	switch (result->status) {
	case 408:
	case 429:
		return retry->n_attempts < BUSY_ATTEMPTS;
	case 500:
	case 502:
	case 503:
	case 504:
		return last_host && retry->last_status != result->status;
	default:
		return last_host && retry->n_attempts < CONNECTION_ATTEMPTS &&
		       is_connection_failure(result);
	}
}

bool retry_is_due(struct retry *retry, const struct exchange_result *result, bool last_host,
	uint64_t *delay_ns)
{
	bool due;

	retry->n_attempts++;
	due = is_due(retry, result, last_host) && result->retry_after_ns <= RETRY_AFTER_MAX_NS;
	retry->last_status = result->status;
	*delay_ns = FIRST_DELAY_NS << (retry->n_attempts - 1);
	return due;
}
