/* SPDX-License-Identifier: Apache-2.0 */
/* Remembers what each host wants to see, and gets it once for everybody who waits. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "http/url.h"

#include "credentials_internal.h"
#include "registry_internal.h"

static void token_free(struct auth_token *token)
{
	free(token->repository);
	free(token->realm);
	free(token->service);
	free(token->scopes);
	secret_free(token->value);
	free(token->account);
	free(token);
}

void authorizer_init(struct authorizer *authorizer, struct host_entry *entry)
{
	*authorizer = (struct authorizer){.entry = entry};
}

void authorizer_clear(struct authorizer *authorizer)
{
	struct auth_token *token;

	while ((token = authorizer->tokens)) {
		authorizer->tokens = token->next;
		token_free(token);
	}
	free(authorizer->realm);
	free(authorizer->service);
	*authorizer = (struct authorizer){0};
}

/* The token of a repository, moved to the front; NULL when there is none. */
static struct auth_token *token_find(struct authorizer *authorizer, const char *repository)
{
	struct auth_token **link = &authorizer->tokens;
	struct auth_token *token;

	for (; (token = *link); link = &token->next) {
		if (strcmp(token->repository, repository) != 0)
			continue;
		*link = token->next;
		token->next = authorizer->tokens;
		authorizer->tokens = token;
		return token;
	}
	return NULL;
}

/* Makes room by dropping the token that was not used for the longest time. */
static void drop_one(struct authorizer *authorizer)
{
	struct auth_token **victim = NULL;
	struct auth_token *token;

	for (struct auth_token **link = &authorizer->tokens; *link; link = &(*link)->next) {
		if (!(*link)->job)
			victim = link;
	}
	if (!victim)
		return;
	token = *victim;
	*victim = token->next;
	authorizer->n_tokens--;
	token_free(token);
}

static char *copy_or_null(const char *text)
{
	return text ? strdup(text) : NULL;
}

/* A new token starts from what the last challenge for any repository said. */
static struct auth_token *token_get(
	struct authorizer *authorizer, const char *repository, struct error *err)
{
	struct auth_token *token = token_find(authorizer, repository);

	if (token)
		return token;
	token = calloc(1, sizeof(*token));
	if (token) {
		TAILQ_INIT(&token->waits);
		token->authorizer = authorizer;
		token->scheme = authorizer->scheme;
		token->repository = strdup(repository);
		token->realm = copy_or_null(authorizer->realm);
		token->service = copy_or_null(authorizer->service);
		token->scopes = auth_scopes_merge(repository, NULL);
	}
	if (!token || !token->repository || !token->scopes ||
		(authorizer->realm && !token->realm) || (authorizer->service && !token->service)) {
		if (token)
			token_free(token);
		(void)error_set(err, ERROR_NO_MEMORY, "no memory to authenticate with");
		return NULL;
	}
	if (authorizer->n_tokens >= AUTHORIZER_MAX_TOKENS)
		drop_one(authorizer);
	token->next = authorizer->tokens;
	authorizer->tokens = token;
	authorizer->n_tokens++;
	return token;
}

bool authorizer_value(struct authorizer *authorizer, const char *repository, const char **value,
	uint64_t *fetched_ns)
{
	struct auth_token *token = token_find(authorizer, repository);
	uint64_t now = clock_now_ns();

	*value = NULL;
	*fetched_ns = 0;
	/* A host that wanted a token for one repository will for the next. Passwords may be wanted
	 * for some repositories only. */
	if (token ? !token->scheme : authorizer->scheme != CHALLENGE_BEARER)
		return true;
	if (!token || !token->value || token->expires_ns <= now)
		return false;
	if (token->refresh_ns <= now && !token->job) {
		/* A failure is nobody's yet: it is tried again while the old value lasts. */
		token->refresh_ns = now + 10 * NS_PER_SECOND;
		if (auth_job_start(token, NULL) < 0)
			token->job = NULL;
	}
	*value = token->value;
	*fetched_ns = token->fetched_ns;
	return true;
}

int authorizer_wait(struct authorizer *authorizer, const char *repository, struct auth_wait *wait,
	struct error *err)
{
	struct auth_token *token = token_get(authorizer, repository, err);

	if (!token || (!token->job && auth_job_start(token, err) < 0))
		return -1;
	wait->token = token;
	TAILQ_INSERT_TAIL(&token->waits, wait, link);
	return 0;
}

void auth_wait_cancel(struct auth_wait *wait)
{
	if (!wait->token)
		return;
	TAILQ_REMOVE(&wait->token->waits, wait, link);
	wait->token = NULL;
}

static int replace(char **out, const char *text)
{
	char *copy = copy_or_null(text);

	if (text && !copy)
		return -1;
	free(*out);
	*out = copy;
	return 0;
}

/* Passwords and tokens must not travel in the clear where the registry itself does not. */
static int check_realm(const struct authorizer *authorizer, const char *realm, struct error *err)
{
	const struct host_entry *entry = authorizer->entry;
	bool is_secure = strcmp(entry->config->scheme, "https") == 0 &&
			 !entry->state->speaks_plain_http && !entry->set->client->plain_http;
	struct url url = {0};
	bool is_plain;

	if (url_parse(realm, &url, err) < 0)
		return error_prefix(err, "the token server named by %s", entry->config->origin);
	is_plain = strcmp(url.scheme, "http") == 0;
	url_free(&url);
	if (is_plain && is_secure)
		return error_set(err, ERROR_UNAUTHORIZED,
			"%s names a token server without TLS, %.200s: refused",
			entry->config->origin, realm);
	return 0;
}

/* The best challenge that can be answered. */
static const struct challenge *choose(const struct authorizer *authorizer,
	const struct challenge_list *challenges, struct error *err)
{
	(void)error_set(err, ERROR_UNAUTHORIZED,
		challenges->n_items > 0
			? "it asks for a kind of authentication that varve does not know"
			: "it does not say how to authenticate");
	for (size_t i = 0; i < challenges->n_items; i++) {
		const struct challenge *challenge = &challenges->items[i];
		const char *realm = challenge_parameter(challenge, "realm");

		if (challenge->scheme == CHALLENGE_BASIC)
			return challenge;
		if (challenge->scheme != CHALLENGE_BEARER)
			continue;
		if (!realm || !*realm)
			(void)error_set(err, ERROR_UNAUTHORIZED, "it names no token server");
		else if (check_realm(authorizer, realm, err) == 0)
			return challenge;
	}
	return NULL;
}

int authorizer_challenged(struct authorizer *authorizer, const char *repository,
	const struct challenge_list *challenges, const char *used, struct error *err)
{
	const struct challenge *challenge = choose(authorizer, challenges, err);
	struct auth_token *token;
	char *scopes;

	if (!challenge)
		return -1;
	authorizer->scheme = challenge->scheme;
	token = token_get(authorizer, repository, err);
	if (!token)
		return -1;
	scopes = auth_scopes_merge(repository, challenge_parameter(challenge, "scope"));
	if (scopes) {
		free(token->scopes);
		token->scopes = scopes;
	}
	if (!scopes || replace(&token->realm, challenge_parameter(challenge, "realm")) < 0 ||
		replace(&token->service, challenge_parameter(challenge, "service")) < 0 ||
		replace(&authorizer->realm, token->realm) < 0 ||
		replace(&authorizer->service, token->service) < 0)
		return error_set(err, ERROR_NO_MEMORY, "no memory to authenticate with");

	if (token->value &&
		((used && strcmp(used, token->value) == 0) || token->scheme != challenge->scheme))
		secret_free(TAKE_PTR(token->value));
	token->scheme = challenge->scheme;
	return 0;
}

int authorizer_want_push(struct authorizer *authorizer, const char *repository, struct error *err)
{
	CLEANUP(cleanup_free) char *scope = NULL;
	CLEANUP(cleanup_free) char *scopes = NULL;
	struct auth_token *token;

	if (authorizer->scheme != CHALLENGE_BEARER)
		return 0;
	token = token_get(authorizer, repository, err);
	if (!token)
		return -1;
	if (asprintf(&scope, "repository:%s:pull,push", repository) < 0)
		scope = NULL;
	scopes = scope ? auth_scopes_merge(repository, scope) : NULL;
	if (!scopes)
		return error_set(err, ERROR_NO_MEMORY, "no memory to authenticate with");
	if (strcmp(scopes, token->scopes) == 0)
		return 0;
	free(token->scopes);
	token->scopes = TAKE_PTR(scopes);
	secret_free(TAKE_PTR(token->value));
	return 0;
}

const char *authorizer_account(const struct authorizer *authorizer, const char *repository)
{
	for (const struct auth_token *token = authorizer->tokens; token; token = token->next) {
		if (strcmp(token->repository, repository) == 0)
			return token->account ? token->account : "";
	}
	return "";
}
