/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"

/* Longest URL that is accepted, in bytes: signed redirect targets reach about 4 KiB. */
#define URL_MAX_SIZE 16384

/* An absolute http or https URL, normalised: scheme and host in lower case, dot parts of the path
 * removed, no user, no fragment. Percent-encoding is kept as it came. Zero-initialise. */
struct url {
	char *scheme;  /* "http" or "https" */
	char *host;    /* an IPv6 address is in brackets */
	uint16_t port; /* the scheme's own when the text names none */
	char *path;    /* begins with '/' */
	char *query;   /* without '?'; NULL when there is none */
};

/**
 * url_parse() - take an absolute URL apart.
 * @text: hostile; not longer than URL_MAX_SIZE.
 * @out:  empty; filled on success, released with url_free().
 * @err:  ERROR_INVALID; the message shows the text with its query redacted.
 *
 * User names and passwords in a URL are refused: they would end up in logs and process lists.
 */
MUST_CHECK int url_parse(const char *text, struct url *out, struct error *err);

/**
 * url_resolve() - the target of a Location or Link header.
 * @base:      the URL that was asked.
 * @reference: absolute or relative, as received.
 * @out:       empty; filled on success.
 *
 * Spec: RFC 3986 section 5.2.
 */
MUST_CHECK int url_resolve(
	const struct url *base, const char *reference, struct url *out, struct error *err);

/* Appends the text of the URL to out; the port only where it is not the scheme's own. */
MUST_CHECK int url_format(const struct url *url, struct buffer *out, struct error *err);

/* Same scheme, host and port: what RFC 6454 calls the origin, and as far as credentials may go. */
bool url_origin_equal(const struct url *a, const struct url *b);

/* Releases what the URL owns and leaves it empty. */
void url_free(struct url *url);

/**
 * url_redact() - a URL as it may be logged.
 * @text: any text, also one that url_parse() refuses.
 * @out:  receives at most @out_size - 1 bytes and a NUL; "..." ends what did not fit.
 *
 * The value of every query parameter but `ns`, and any user information, becomes "***": both may
 * be as good as a password (signed redirect targets).
 */
void url_redact(const char *text, char *out, size_t out_size);
