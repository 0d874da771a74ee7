/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "http/http_headers.h"

/**
 * link_find_next() - where the next page of a list is.
 * @headers: of an answer; hostile.
 * @out:     set to a copy of the reference, relative or absolute, or to NULL when there is no Link
 *           header with rel=next; owned by the caller.
 *
 * What cannot be understood ends its header. Spec: RFC 8288 section 3.
 *
 * Return: 0 or -ENOMEM.
 */
MUST_CHECK int link_find_next(const struct http_headers *headers, char **out);
