/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/error.h"
#include "registry/challenge.h"

/* Answers a host's challenges: basic authentication, or tokens from the server that the challenge
 * names. One authorizer belongs to each host of a snapshot, so that a token server gets exactly the
 * headers and certificates of the host that named it. Net loop only.
 * Spec: distribution, "Token Authentication" and "OAuth2"; what neither says is as containerd's
 * authorizer does it. */

struct host_entry;
struct auth_job;

/* Further repositories push out those whose tokens are least needed. */
enum { AUTHORIZER_MAX_TOKENS = 256 };

/* What a host accepts for one repository. */
struct auth_token {
	struct auth_token *next;
	struct authorizer *authorizer;
	char *repository;             /* owned */
	enum challenge_scheme scheme; /* 0: nothing is asked for */
	char *realm;                  /* owned; URL of the token server */
	char *service;                /* owned, or NULL */
	char *scopes;                 /* owned; sorted, separated by spaces */
	char *value;   /* owned: what Authorization says; NULL: not known (any more) */
	char *account; /* owned: whose credentials the value stands for, for messages; or NULL */
	uint64_t fetched_ns;
	uint64_t refresh_ns; /* a new one is fetched in the background from then on */
	uint64_t expires_ns;
	struct auth_job *job; /* fetches a new value, or NULL */
	TAILQ_HEAD(, auth_wait) waits;
};

struct authorizer {
	struct host_entry *entry;
	enum challenge_scheme scheme; /* of the last challenge; 0: none yet */
	char *realm;                  /* owned; of the last challenge */
	char *service;                /* owned; of the last challenge */
	struct auth_token *tokens;    /* owned; most recently used first */
	size_t n_tokens;
};

/* Somebody who needs a value. Embed it. */
struct auth_wait {
	TAILQ_ENTRY(auth_wait) link;
	struct auth_token *token; /* NULL when not waiting */
	/* @err NULL: authorizer_value() has it now. Not called after cancel. */
	void (*done)(struct auth_wait *wait, const struct error *err);
};

void authorizer_init(struct authorizer *authorizer, struct host_entry *entry);
void authorizer_clear(struct authorizer *authorizer);

/**
 * authorizer_value() - what to send as Authorization.
 * @value: NULL when nothing was asked for yet; borrowed until the next call.
 * @fetched_ns: when it was made.
 *
 * Return: false when it has to be fetched first: authorizer_wait().
 */
bool authorizer_value(struct authorizer *authorizer, const char *repository, const char **value,
	uint64_t *fetched_ns);

/* Fetches a value, together with others who wait for the same; wait->done() runs later. */
MUST_CHECK int authorizer_wait(struct authorizer *authorizer, const char *repository,
	struct auth_wait *wait, struct error *err);
void auth_wait_cancel(struct auth_wait *wait);

/**
 * authorizer_challenged() - learn from a 401.
 * @used: the Authorization that was refused, or NULL. A value that replaced it since is kept.
 * @err:  ERROR_UNAUTHORIZED when the challenge cannot be answered.
 */
MUST_CHECK int authorizer_challenged(struct authorizer *authorizer, const char *repository,
	const struct challenge_list *challenges, const char *used, struct error *err);

/* Tokens for this repository have to allow pushing from now on: one that does not is dropped. A
 * host that has not asked for tokens yet will say what it wants. */
MUST_CHECK int authorizer_want_push(
	struct authorizer *authorizer, const char *repository, struct error *err);

/* Whose credentials were sent, and where others were looked for: "" when that is not known. */
const char *authorizer_account(const struct authorizer *authorizer, const char *repository);

/* auth_scope.c: sorted set of the scopes in both texts; placeholders left out. NULL: no memory. */
char *auth_scopes_merge(const char *repository, const char *challenge_scope);

/* auth_response.c: what a token server answered. @token is owned by the caller. */
MUST_CHECK int auth_response_parse(
	const void *data, size_t size, char **token, uint64_t *lifetime_s, struct error *err);

/* What a server's JSON says went wrong: "CODE: message", cut; "" when it says nothing. Works for
 * the errors of registries and of token servers. */
void registry_error_text(const void *data, size_t size, char *out, size_t out_size);

/* auth_job.c: fetches token->value, tells everybody in token->waits. */
MUST_CHECK int auth_job_start(struct auth_token *token, struct error *err);
