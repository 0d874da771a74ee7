/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "chunk/source.h"

#include "exchange_internal.h"
#include "failure_internal.h"

/* One blob of one repository. Net loop only, once made. */
struct registry_source {
	struct source base;
	struct registry_client *client; /* borrowed */
	struct reference reference;
	char path[8 + DIGEST_TEXT_SIZE]; /* "blobs/sha256:..." */
	uint64_t size;
};

/* Why the answer under way is of no use. */
struct source_answer {
	uint64_t skip;    /* bytes of the body that come before what was asked for */
	uint64_t left;    /* bytes of the body that are wanted */
	uint64_t surplus; /* bytes that came after these */
	bool knows_rest;  /* rest is known */
	uint64_t rest;    /* bytes of the body still to come */
	struct error err; /* it is wrong; ERROR_NONE: not so far */
};

/* One request of the fetcher: rounds over the hosts until all bytes are there. */
struct source_fetch {
	struct registry_source *source;
	struct source_request *request;
	struct loop_task task; /* begins it */
	bool begun;
	bool cancelled;
	bool *gone; /* set when the fetch is freed inside a callback */
	struct host_wait host_wait;
	struct host_set *set; /* a reference, or NULL */
	bool *given_up;       /* owned, of each host of set: it can never serve this */
	size_t *order;        /* owned: the hosts to ask in this round */
	size_t n_order;
	size_t i_order;
	struct exchange *exchange;   /* under way, or NULL */
	struct source_answer answer; /* of exchange */
	bool used_target;            /* exchange began at a cached redirect */
	bool lost_target;            /* such a one failed since the last progress */
	bool aborted;                /* by request->data() */
	bool looked_again;  /* for other hosts, when those known could not serve it: once only */
	bool looking_again; /* host_wait is that look */
	uint64_t delivered;
	uint64_t delivered_before; /* by this exchange */
	uint64_t backoff_ns;
	const char *origin; /* asked last */
	struct loop_timer *deadline_timer;
	struct loop_timer *retry_timer;
	bool retry_round; /* what retry_timer begins: a round, or the same host again */
	struct failure_list failures;
};

extern const struct source_ops registry_source_ops;

/* source_fetch.c */
struct source_fetch *source_fetch_start(struct source *source, struct source_request *request);
void source_fetch_cancel(struct source_fetch *fetch);

/* source_answer.c: what the exchange calls; the end comes to source_fetch_answered(). */
extern const struct exchange_callbacks source_callbacks;
void source_fetch_answered(struct source_fetch *fetch, const struct exchange_result *result);

/* "bytes 0-99/1000"; *total is UINT64_MAX for "*". -EINVAL when it is anything else. */
MUST_CHECK int content_range_parse(
	const char *text, uint64_t *first, uint64_t *last, uint64_t *total);
