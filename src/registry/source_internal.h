/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "chunk/source.h"

#include "answer_internal.h"
#include "exchange_internal.h"
#include "failure_internal.h"

/* One blob of one repository. Net loop only, once made. */
struct registry_source {
	struct source base;
	struct registry_client *client; /* borrowed */
	struct reference reference;
	char path[8 + DIGEST_TEXT_SIZE]; /* "blobs/sha256:..." */
	uint64_t size;

	/* A blob that is elsewhere, too, is not asked for again and again where it is not. */
	bool has_others;
	uint64_t absent_until_ns; /* the hosts are known not to have it until then */
	struct error absent;
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

/* source_delivery.c: what the exchange calls; the end comes to source_fetch_answered(). */
extern const struct exchange_callbacks source_callbacks;
void source_fetch_answered(struct source_fetch *fetch, const struct exchange_result *result);
