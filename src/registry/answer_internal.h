/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"
#include "http/http_client.h"

/* Taking the wanted bytes out of whatever a server answers to a request for a range. */

/* Bytes [off, off + size) of a blob. */
struct answer_range {
	uint64_t off;
	uint64_t size;
	uint64_t blob_size;
};

/* One answer, and why it is of no use. Zero-initialise. */
struct source_answer {
	uint64_t skip;    /* bytes of the body that come before what was asked for */
	uint64_t left;    /* bytes of the body that are wanted */
	uint64_t surplus; /* bytes that came after these */
	bool is_part;    /* it is what was asked for, or begins with it; otherwise the whole blob */
	bool knows_rest; /* rest is known */
	uint64_t rest;   /* bytes of the body still to come */
	struct error err; /* it is wrong; ERROR_NONE: not so far */
};

/* The head of an answer with a status of success: -1 and answer->err when it is not the blob. */
MUST_CHECK int source_answer_begin(struct source_answer *answer,
	const struct http_response *response, const struct answer_range *range);

/* Bytes of the body came: *off is where the wanted ones among them begin, and their number is
 * returned. */
size_t source_answer_take(struct source_answer *answer, size_t size, size_t *off);

/* Whether the rest of the body is to be received: bytes are missing, or it is so short that a
 * connection that can serve again is worth it. */
bool source_answer_goes_on(const struct source_answer *answer);

/* "bytes 0-99/1000"; *total is UINT64_MAX for "*". -EINVAL when it is anything else. */
MUST_CHECK int content_range_parse(
	const char *text, uint64_t *first, uint64_t *last, uint64_t *total);
