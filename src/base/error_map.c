/* SPDX-License-Identifier: Apache-2.0 */
/* The one place where a kind of error becomes a number or a word of somebody else's vocabulary. */
#include "base/error_map.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>

struct error_row {
	const char *name;
	int errnum;
	int http_status;
	int exit_code;
	bool retryable;
};

/* EIO where a process on the mount could do nothing with a finer errno: EAGAIN or EINTR would make
 * it spin. 502 is what went wrong between us and upstream, 503 what may be gone on the next try.
 * 403 rather than 401, which obliges us to offer a challenge we cannot honour. */
static const struct error_row rows[] = {
	[ERROR_NONE] = {"none", 0, 200, EXIT_CODE_SUCCESS, false},
	[ERROR_NOT_FOUND] = {"not_found", ENOENT, 404, EXIT_CODE_NOT_FOUND, false},
	[ERROR_INVALID] = {"invalid", EINVAL, 400, EXIT_CODE_INVALID, false},
	[ERROR_UNAUTHORIZED] = {"unauthorized", EACCES, 403, EXIT_CODE_UNAUTHORIZED, false},
	[ERROR_UNAVAILABLE] = {"unavailable", EIO, 503, EXIT_CODE_UNAVAILABLE, true},
	[ERROR_RATE_LIMITED] = {"rate_limited", EIO, 429, EXIT_CODE_UNAVAILABLE, true},
	[ERROR_TIMEOUT] = {"timeout", ETIMEDOUT, 504, EXIT_CODE_UNAVAILABLE, true},
	[ERROR_DIGEST_MISMATCH] = {"digest_mismatch", EIO, 502, EXIT_CODE_BAD_DATA, true},
	[ERROR_FORMAT] = {"format", EIO, 502, EXIT_CODE_BAD_DATA, false},
	[ERROR_UNSUPPORTED] = {"unsupported", EOPNOTSUPP, 501, EXIT_CODE_UNSUPPORTED, false},
	[ERROR_EXISTS] = {"exists", EEXIST, 409, EXIT_CODE_CONFLICT, false},
	[ERROR_BUSY] = {"busy", EBUSY, 409, EXIT_CODE_CONFLICT, false},
	[ERROR_READ_ONLY] = {"read_only", EROFS, 403, EXIT_CODE_CONFLICT, false},
	[ERROR_NO_SPACE] = {"no_space", ENOSPC, 507, EXIT_CODE_LOCAL, false},
	[ERROR_NO_MEMORY] = {"no_memory", ENOMEM, 503, EXIT_CODE_LOCAL, false},
	[ERROR_IO] = {"io", EIO, 500, EXIT_CODE_LOCAL, false},
	[ERROR_CANCELLED] = {"cancelled", EINTR, 503, EXIT_CODE_CANCELLED, false},
	[ERROR_INTERNAL] = {"internal", EIO, 500, EXIT_CODE_INTERNAL, false},
};

static const struct error_row *row_of(enum error_kind kind)
{
	const size_t n_rows = sizeof(rows) / sizeof(rows[0]);

	assert((size_t)kind < n_rows);
	return &rows[(size_t)kind < n_rows ? (size_t)kind : ERROR_INTERNAL];
}

int error_errno(enum error_kind kind)
{
	return row_of(kind)->errnum;
}

int error_http_status(enum error_kind kind)
{
	return row_of(kind)->http_status;
}

int error_exit_code(enum error_kind kind)
{
	return row_of(kind)->exit_code;
}

const char *error_kind_name(enum error_kind kind)
{
	return row_of(kind)->name;
}

int error_is_retryable(enum error_kind kind)
{
	return row_of(kind)->retryable;
}
