/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "exchange_internal.h"
#include "failure_internal.h"
#include "retry_internal.h"

enum call_kind {
	CALL_RESOLVE,   /* HEAD of a manifest; GET where that says too little */
	CALL_MANIFEST,  /* its bytes */
	CALL_BLOB,      /* its bytes */
	CALL_REFERRERS, /* all pages of what refers to a manifest */
	/* Whatever it is, by the first host with the capability to push, and no other. */
	CALL_PUSH,
};

/* "referrers/DIGEST?artifactType=..." is the longest that is asked for. */
enum { CALL_PATH_SIZE = 16 + DIGEST_TEXT_SIZE + 16 + 3 * 256 };

/* A question of a thread that waits for the answer: the hosts of a namespace are asked one after
 * the other. Lives on that thread's stack. */
struct registry_call {
	/* Set by the caller. */
	struct registry_client *client;
	enum call_kind kind;
	const struct reference *reference;
	const struct digest *digest; /* wanted; NULL: whatever the tag names */
	uint64_t max_size;           /* of the body */
	const char *path;            /* of CALL_REFERRERS, below the repository */
	enum http_method method;     /* CALL_PUSH */
	const char *target;          /* CALL_PUSH: an absolute URL; NULL: path */
	const char *content_type;    /* CALL_PUSH: of what is sent, or NULL */
	const void *content;         /* borrowed */
	size_t content_size;
	bool may_be_absent; /* that nobody has it is no failure of a host */

	/* The answer. */
	char media_type[128]; /* without parameters; "" when the host did not say */
	struct digest found;
	struct buffer body;
	int status;       /* of the last answer, 0 without one */
	char *location;   /* CALL_PUSH: where it leads, absolute, or NULL; the caller's */
	bool has_subject; /* CALL_PUSH: the host knows what a subject is */

	/* Net loop, but for work. */
	struct loop_task task;
	struct work work;
	struct host_wait host_wait;
	struct host_set *set; /* a reference */
	struct loop_timer *deadline_timer;
	struct loop_timer *retry_timer;
	uint64_t deadline_ns;
	size_t i_host;
	bool is_head;
	bool is_blob_path; /* ask for blobs/DIGEST */
	bool saw_not_found;
	bool saw_other_status; /* something from 400 on, but 404 */
	bool has_digest;       /* found is what the headers said */
	bool checking;         /* on a worker */
	struct retry retry;
	struct exchange *exchange; /* under way, or NULL */
	char *link;                /* owned: the Link header of a page, or NULL */
	char *next;                /* owned: URL of the next page, or NULL */
	unsigned n_pages;          /* that came from this host */
	struct buffer pages;       /* owned: those before this one, as one */
	struct failure_list failures;
	struct error check_err;

	/* Guarded by lock. */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool finished;
	struct error err;
};

/* Blocks until the call has ended, and releases all but body. */
MUST_CHECK int registry_call_perform(struct registry_call *call, struct error *err);

/* call_answer.c */
extern const struct exchange_callbacks call_callbacks;

/* call_pages.c: a page came from @url. Whether there is another one, and its place. */
MUST_CHECK int call_take_link(struct registry_call *call, const char *url, struct error *err);
/* Worker: adds the page in body to those before it, all of which are in body then. */
MUST_CHECK int call_join_pages(struct registry_call *call, struct error *err);
/* Forgets all pages. */
void call_drop_pages(struct registry_call *call);

/* call.c: what an answer leads to. */
void call_answered(struct registry_call *call, const struct exchange_result *result);
