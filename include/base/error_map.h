/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"

/* The positive errno a system call on a mount answers for this kind. A reader of file data only
 * ever sees EIO; this table is for everything else (path operations, control). */
int error_errno(enum error_kind kind);

/* The HTTP status a server of ours answers for this kind. */
int error_http_status(enum error_kind kind);

/* The exit code of the program; documented in varve(1). 0 only for ERROR_NONE. */
int error_exit_code(enum error_kind kind);

/* A stable lower-case word for machine-readable output: "not_found", "digest_mismatch", ... */
const char *error_kind_name(enum error_kind kind);

/* True when another source, or the same one later, may still deliver. */
int error_is_retryable(enum error_kind kind);
