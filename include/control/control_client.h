/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/json.h"

/* Asks the process that owns a store, over its control socket. Blocks, with a deadline. */

/**
 * control_request() - one request.
 * @socket:     path of the socket; of any length.
 * @target:     path and query, escaped: see control_target_add().
 * @timeout_ns: for everything together.
 * @served:     false when nobody listens there: then *out is not set, and that is success.
 * @out:        the answer; json_free() it.
 * @err:        what the other side answered, or why it did not: ERROR_TIMEOUT, ERROR_UNAUTHORIZED
 *              for a socket of another user.
 */
MUST_CHECK int control_request(const char *socket, const char *method, const char *target,
	uint64_t timeout_ns, bool *served, struct json **out, struct error *err);

/* Appends "?name=value" or "&name=value" to a target, escaping value. Leaf: 0 or -ENOMEM. */
MUST_CHECK int control_target_add(struct buffer *target, const char *name, const char *value);

/* The body of an HTTP/1.0 response; *status gets its status. ERROR_FORMAT when it is none, or is
 * cut. */
MUST_CHECK int control_response_parse(const void *data, size_t size, int *status, const void **body,
	size_t *body_size, struct error *err);
