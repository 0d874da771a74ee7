/* SPDX-License-Identifier: Apache-2.0 */
/* One way to a value for Authorization: credentials looked up on a worker, then the token server
 * asked with a form, and with GET where it does not take forms. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/log.h"
#include "http/url.h"

#include "auth_request_internal.h"
#include "credentials_internal.h"
#include "registry_internal.h"

enum { ANSWER_MAX_SIZE = 256 << 10, MAX_REDIRECTS = 5 };
#define TOKEN_STALL_NS (15 * NS_PER_SECOND)
#define TOKEN_DEADLINE_NS (30 * NS_PER_SECOND)

struct auth_job {
	struct work work;
	struct loop_task task;
	struct registry_client *client; /* a reference */
	struct host_set *set;           /* a reference: keeps the token and the host */
	struct auth_token *token;
	struct credential credential;
	bool found;
	struct buffer looked_at;
	struct error err;
	bool is_post;    /* of the request under way */
	bool is_foreign; /* a redirect led to another host */
	unsigned n_redirects;
	struct buffer url; /* of the GET under way */
	char *location;    /* owned: where the answer redirects to, or NULL */
	int status;
	struct buffer body;
};

static void job_free(struct auth_job *job)
{
	credential_clear(&job->credential);
	buffer_free(&job->looked_at);
	buffer_free(&job->url);
	secret_buffer_free(&job->body);
	free(job->location);
	host_set_unref(job->set);
	registry_client_unref(job->client);
	free(job);
}

/* Ends the job and tells everybody. */
static void job_finish(struct auth_job *job, const struct error *err)
{
	struct auth_token *token = job->token;
	struct auth_wait *wait;

	token->job = NULL;
	if (err && TAILQ_EMPTY(&token->waits))
		log_debug("%s: %s", token->authorizer->entry->config->origin, err->message);
	/* Only those who wait now: some come back at once. */
	for (wait = TAILQ_FIRST(&token->waits); wait && !token->job;
		wait = TAILQ_FIRST(&token->waits)) {
		TAILQ_REMOVE(&token->waits, wait, link);
		wait->token = NULL;
		wait->done(wait, err);
	}
	job_free(job);
}

static void job_fail(struct auth_job *job, const struct error *err)
{
	struct error whole = *err;

	/* Without a password the host is asked as it is, the next time: it may want none by then.
	 */
	if (job->token->scheme == CHALLENGE_BASIC)
		job->token->scheme = 0;
	(void)error_prefix(
		&whole, "authenticate with %s", job->token->authorizer->entry->config->authority);
	job_finish(job, &whole);
}

/* @value is owned by the token. */
static void job_succeed(struct auth_job *job, char *value, uint64_t lifetime_s)
{
	struct auth_token *token = job->token;
	uint64_t lifetime_ns;
	uint64_t margin_ns;
	uint64_t now = clock_now_ns();

	if (!u64_mul(lifetime_s, NS_PER_SECOND, &lifetime_ns) ||
		!u64_add(now, lifetime_ns, &token->expires_ns))
		token->expires_ns = UINT64_MAX;
	margin_ns = lifetime_ns / 4 < 30 * NS_PER_SECOND ? lifetime_ns / 4 : 30 * NS_PER_SECOND;
	token->refresh_ns = token->expires_ns;
	if (token->expires_ns != UINT64_MAX)
		token->refresh_ns -= margin_ns;
	token->fetched_ns = now;
	secret_free(token->value);
	token->value = value;
	job_finish(job, NULL);
}

static void set_account(struct auth_job *job)
{
	struct auth_token *token = job->token;
	char *account;
	int size;

	if (job->found)
		size = asprintf(&account, "with the credentials of \"%s\" from %s",
			job->credential.username, job->credential.source);
	else
		size = asprintf(&account, "without credentials (looked at %s)",
			job->looked_at.size > 0 ? (const char *)job->looked_at.data : "nothing");
	if (size < 0)
		return;
	free(token->account);
	token->account = account;
}

static void finish_basic(struct auth_job *job)
{
	struct buffer value = {0};

	if (!job->found || job->credential.is_identity_token) {
		(void)error_set(&job->err, ERROR_UNAUTHORIZED,
			"it wants a user name and a password%s; looked at %s",
			job->found ? ", not an identity token" : "",
			job->looked_at.size > 0 ? (const char *)job->looked_at.data : "nothing");
		job_fail(job, &job->err);
		return;
	}
	if (auth_basic_value(&job->credential, &value) < 0) {
		secret_buffer_free(&value);
		(void)error_set(&job->err, ERROR_NO_MEMORY, "no memory for credentials");
		job_fail(job, &job->err);
		return;
	}
	job_succeed(job, (char *)value.data, UINT64_MAX);
}

static void finish_bearer(struct auth_job *job)
{
	CLEANUP(cleanup_free) char *token = NULL;
	uint64_t lifetime_s;
	char *value;

	if (auth_response_parse(job->body.data, job->body.size, &token, &lifetime_s, &job->err) <
		0) {
		(void)error_prefix(&job->err, "token server %.200s", job->token->realm);
		job_fail(job, &job->err);
		return;
	}
	if (asprintf(&value, "Bearer %s", token) < 0) {
		(void)error_set(&job->err, ERROR_NO_MEMORY, "no memory for a token");
		job_fail(job, &job->err);
		return;
	}
	job_succeed(job, value, lifetime_s);
}

static enum error_kind kind_of(int status)
{
	if (status == 429)
		return ERROR_RATE_LIMITED;
	if (status >= 500)
		return ERROR_UNAVAILABLE;
	return ERROR_UNAUTHORIZED;
}

static void set_status_error(struct auth_job *job)
{
	char text[200];
	char url[200];

	registry_error_text(job->body.data, job->body.size, text, sizeof(text));
	url_redact(job->token->realm, url, sizeof(url));
	(void)error_set(&job->err, kind_of(job->status), "token server %s: status %d%s%s, asked %s",
		url, job->status, *text ? " " : "", text,
		job->token->account ? job->token->account : "");
}

static void send_get(struct auth_job *job);
static void send_get_to(struct auth_job *job);
static int follow(struct auth_job *job);

static bool is_redirect(const struct auth_job *job)
{
	return job->location && (job->status == 301 || job->status == 302 || job->status == 303 ||
					job->status == 307 || job->status == 308);
}

/* Servers that take no forms say so in many ways; containerd's list. */
static bool wants_get(const struct auth_job *job)
{
	if (!job->is_post || job->credential.is_identity_token)
		return false;
	return job->status == 400 || job->status == 401 || job->status == 404 ||
	       job->status == 405 || is_redirect(job);
}

static enum http_flow on_response(void *arg, const struct http_response *response)
{
	struct auth_job *job = arg;
	const char *location = http_headers_get(&response->headers, "Location");

	job->status = response->status;
	free(job->location);
	job->location = location ? strdup(location) : NULL;
	return HTTP_CONTINUE;
}

static enum http_flow on_data(void *arg, const void *data, size_t size)
{
	struct auth_job *job = arg;

	return buffer_append(&job->body, data, size) < 0 ? HTTP_ABORT : HTTP_CONTINUE;
}

static void on_done(void *arg, const struct http_result *result)
{
	struct auth_job *job = arg;

	if (atomic_load(&job->client->closing)) {
		job->token->job = NULL;
		job_free(job);
	} else if (result->err.kind != ERROR_NONE) {
		job_fail(job, &result->err);
	} else if (job->status >= 200 && job->status < 300) {
		finish_bearer(job);
	} else if (wants_get(job)) {
		send_get(job);
	} else if (!job->is_post && is_redirect(job)) {
		if (follow(job) < 0)
			job_fail(job, &job->err);
		else
			send_get_to(job);
	} else {
		set_status_error(job);
		job_fail(job, &job->err);
	}
}

/* Sends the host's own headers, too, but never two of a kind that we set. */
static size_t collect_headers(
	const struct host *host, const struct http_header *own, struct http_header *out)
{
	size_t n = 0;

	if (own)
		out[n++] = *own;
	for (size_t i = 0; i < host->n_headers; i++) {
		if (!own || strcasecmp(own->name, host->headers[i].name) != 0)
			out[n++] = host->headers[i];
	}
	return n;
}

static void send_request(
	struct auth_job *job, struct http_request_options *options, const struct http_header *own)
{
	static const struct http_callbacks callbacks = {on_response, on_data, on_done};
	const struct host *host = job->token->authorizer->entry->config;
	CLEANUP(cleanup_free)
	struct http_header *headers = calloc(host->n_headers + 1, sizeof(*headers));

	if (!headers) {
		(void)error_set(&job->err, ERROR_NO_MEMORY, "no memory for a token request");
		job_fail(job, &job->err);
		return;
	}
	if (!job->is_foreign) {
		options->n_headers = collect_headers(host, own, headers);
		options->headers = headers;
		options->tls = host->tls;
	}
	options->connect_timeout_ns = host->dial_timeout_ns;
	options->stall_timeout_ns = TOKEN_STALL_NS;
	options->deadline_ns = clock_now_ns() + TOKEN_DEADLINE_NS;
	options->max_body = ANSWER_MAX_SIZE;
	options->priority = PRIORITY_READER;
	job->is_post = options->method == HTTP_POST;
	job->status = 0;
	job->body.size = 0;
	if (http_request_start(job->client->http, options, &callbacks, job, NULL, &job->err) < 0)
		job_fail(job, &job->err);
}

static void send_get_to(struct auth_job *job)
{
	CLEANUP(secret_buffer_free) struct buffer value = {0};
	struct http_request_options options = {
		.method = HTTP_GET, .url = (const char *)job->url.data};
	struct http_header own = {"Authorization", NULL};

	if (job->found && auth_basic_value(&job->credential, &value) < 0) {
		(void)error_set(&job->err, ERROR_NO_MEMORY, "no memory for a token request");
		job_fail(job, &job->err);
		return;
	}
	own.value = (const char *)value.data;
	send_request(job, &options, job->found ? &own : NULL);
}

static void send_get(struct auth_job *job)
{
	job->url.size = 0;
	if (auth_token_url(job->token, &job->url) < 0) {
		(void)error_set(&job->err, ERROR_NO_MEMORY, "no memory for a token request");
		job_fail(job, &job->err);
		return;
	}
	send_get_to(job);
}

/* Follows a redirect; whatever is the host's own stays behind when it leads to another one. */
static int follow(struct auth_job *job)
{
	CLEANUP(url_free) struct url from = {0};
	CLEANUP(url_free) struct url to = {0};
	struct buffer next = {0};

	if (++job->n_redirects > MAX_REDIRECTS)
		return error_set(&job->err, ERROR_FORMAT, "token server %.200s: too many redirects",
			job->token->realm);
	if (url_parse((const char *)job->url.data, &from, &job->err) < 0 ||
		url_resolve(&from, job->location, &to, &job->err) < 0)
		return -1;
	if (strcmp(from.scheme, "https") == 0 && strcmp(to.scheme, "http") == 0)
		return error_set(&job->err, ERROR_UNAUTHORIZED,
			"token server %.200s: refused a redirect from https to http",
			job->token->realm);
	if (url_format(&to, &next, &job->err) < 0)
		return -1;
	if (!url_origin_equal(&from, &to))
		job->is_foreign = true;
	buffer_free(&job->url);
	job->url = next;
	return 0;
}

static void send_post(struct auth_job *job)
{
	static const struct http_header type = {
		"Content-Type", "application/x-www-form-urlencoded; charset=utf-8"};
	CLEANUP(secret_buffer_free) struct buffer form = {0};
	struct http_request_options options = {.method = HTTP_POST, .url = job->token->realm};

	if (auth_token_form(job->token, &job->credential, &form) < 0) {
		(void)error_set(&job->err, ERROR_NO_MEMORY, "no memory for a token request");
		job_fail(job, &job->err);
		return;
	}
	options.body = form.data;
	options.body_size = form.size;
	send_request(job, &options, &type);
}

static void lookup_finish(struct loop_task *task)
{
	struct auth_job *job = container_of(task, struct auth_job, task);

	if (atomic_load(&job->client->closing)) {
		job->token->job = NULL;
		job_free(job);
		return;
	}
	if (job->err.kind != ERROR_NONE) {
		job_fail(job, &job->err);
		return;
	}
	set_account(job);
	if (job->token->scheme == CHALLENGE_BASIC)
		finish_basic(job);
	else if (job->found)
		send_post(job);
	else
		send_get(job);
}

/* What the user gave for this run is for the registry he named, not for mirrors of it. */
static const struct credentials *credentials_for(const struct host_entry *entry)
{
	const struct host_set *set = entry->set;
	bool is_upstream = entry == &set->entries[set->n_entries - 1] ||
			   !host_is_proxy(entry->config, set->hosts->name);

	return is_upstream ? set->client->credentials : set->client->mirror_credentials;
}

static void lookup_run(struct work *work)
{
	struct auth_job *job = container_of(work, struct auth_job, work);
	const struct host_entry *entry = job->token->authorizer->entry;

	if (credentials_find(credentials_for(entry), entry->config->authority,
		    job->token->repository, &job->credential, &job->found, &job->looked_at,
		    &job->err) < 0 &&
		job->err.kind == ERROR_NONE)
		job->err.kind = ERROR_INTERNAL;
	job->task.run = lookup_finish;
	loop_post(job->client->loop, &job->task);
}

int auth_job_start(struct auth_token *token, struct error *err)
{
	struct host_set *set = token->authorizer->entry->set;
	struct auth_job *job = calloc(1, sizeof(*job));

	if (!job)
		return error_set(err, ERROR_NO_MEMORY, "no memory to authenticate with");
	job->client = registry_client_ref(set->client);
	job->set = host_set_ref(set);
	job->token = token;
	job->work.priority = PRIORITY_READER;
	job->work.run = lookup_run;
	token->job = job;
	workers_submit(set->client->workers, &job->work);
	return 0;
}
