/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/bytes.h"
#include "base/error.h"

/* Leaf functions: 0 or -ENOMEM; they append to out. */

/* Percent-encodes everything but unreserved characters (RFC 3986 section 2.3) and ':', which may
 * stand in a query as it is. */
MUST_CHECK int query_escape(struct buffer *out, const char *text);

/* "key=value" after '?' or '&', whichever the URL in @out needs. */
MUST_CHECK int query_append(struct buffer *out, const char *key, const char *value);

/* The same for a form: no '?' before the first. */
MUST_CHECK int form_append(struct buffer *out, const char *key, const char *value);
