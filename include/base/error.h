/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/cleanup.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What a caller can do about a failure. base/error_map.h turns it into an errno, an HTTP status or
 * a process exit code; nothing else may. */
enum error_kind {
	ERROR_NONE,
	ERROR_NOT_FOUND,
	ERROR_INVALID, /* the user's input or configuration is wrong: trying again cannot help */
	ERROR_UNAUTHORIZED,    /* credentials or certificates are missing, wrong or refused */
	ERROR_UNAVAILABLE,     /* worth another try, here or from another source */
	ERROR_RATE_LIMITED,    /* worth another try after a wait */
	ERROR_TIMEOUT,         /* a deadline passed; worth another try from another source */
	ERROR_DIGEST_MISMATCH, /* worth another try from another source, never from the same */
	ERROR_FORMAT,          /* bytes from outside break their specification */
	ERROR_UNSUPPORTED,     /* well-formed, but nothing this program can serve */
	ERROR_EXISTS,
	ERROR_BUSY, /* somebody else holds it; the message says who */
	ERROR_READ_ONLY,
	ERROR_NO_SPACE,
	ERROR_NO_MEMORY,
	ERROR_IO, /* a local disk failed */
	ERROR_CANCELLED,
	ERROR_INTERNAL,
};

/* No heap: it can be filled when memory has run out, lives on any stack, and needs no free. */
struct error {
	enum error_kind kind;
	char message[480];
};

/* Records kind and message and returns -1, so that a failing path reads
 * `return error_set(err, ...);`. err may be NULL. */
int error_set(struct error *err, enum error_kind kind, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Same, from an errno: the kind follows from errnum and ": strerror" is appended. */
int error_set_errno(struct error *err, int errnum, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Puts "context: " before the message already there and returns -1. err may be NULL. */
int error_prefix(struct error *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#ifdef __cplusplus
}
#endif
