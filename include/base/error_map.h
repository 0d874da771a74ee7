/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Exit codes of the program; documented in varve(1) and stable, because scripts test them. */
enum exit_code {
	EXIT_CODE_SUCCESS = 0,
	EXIT_CODE_INTERNAL = 1,     /* a bug, or a failure nobody foresaw */
	EXIT_CODE_INVALID = 2,      /* command line or configuration is wrong */
	EXIT_CODE_NOT_FOUND = 3,    /* no such image, layer, file or mount */
	EXIT_CODE_UNAUTHORIZED = 4, /* credentials, certificates or permissions */
	EXIT_CODE_UNAVAILABLE = 5,  /* network or registry: the same command may work later */
	EXIT_CODE_BAD_DATA = 6,    /* what was received or stored is broken or not what it claims */
	EXIT_CODE_UNSUPPORTED = 7, /* nothing this program or this kernel can serve */
	EXIT_CODE_CONFLICT = 8,    /* exists already, is busy, or is read-only */
	EXIT_CODE_LOCAL = 9,       /* this machine: disk full, disk error, out of memory */
	EXIT_CODE_CANCELLED = 10,  /* stopped on request before it was done */
};

/* The positive errno a system call on a mount answers for this kind. A reader of file data only
 * ever sees EIO; this table is for everything else (path operations, control). */
int error_errno(enum error_kind kind);

/* The HTTP status a server of ours answers for this kind. */
int error_http_status(enum error_kind kind);

/* One of enum exit_code; 0 only for ERROR_NONE. */
int error_exit_code(enum error_kind kind);

/* A stable lower-case word for machine-readable output: "not_found", "digest_mismatch", ... */
const char *error_kind_name(enum error_kind kind);

/* True when another source, or the same one later, may still deliver. */
int error_is_retryable(enum error_kind kind);

#ifdef __cplusplus
}
#endif
