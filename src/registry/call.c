/* SPDX-License-Identifier: Apache-2.0 */
/* Asks the hosts of a namespace in order until one has the answer. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "oci/manifest.h"

#include "call_internal.h"

/* There is nobody else to push to; and what was sent has to be written and hashed before the
 * answer.
 */
#define PUSH_STALL_NS (60 * NS_PER_SECOND)
/* 64 KiB a second are slow, not broken. */
#define PUSH_NS_PER_BYTE (NS_PER_SECOND / (64 << 10))

static const char accept_referrers[] = MEDIA_TYPE_OCI_INDEX;
static const char accept_manifests[] =
	MEDIA_TYPE_OCI_INDEX ", " MEDIA_TYPE_OCI_MANIFEST ", " MEDIA_TYPE_DOCKER_LIST
			     ", " MEDIA_TYPE_DOCKER_MANIFEST ", */*";

/* Releases what belongs to the loop and wakes the caller, whose the call is from then on. */
static void finish(struct registry_call *call, const struct error *err)
{
	struct error before = {0};

	if (!err && call->failures.n_items > 0) {
		failure_list_compose(&call->failures, &before);
		log_info("answered in the end, after %s", before.message);
	}
	exchange_cancel(TAKE_PTR(call->exchange));
	host_wait_cancel(&call->host_wait);
	loop_timer_free(call->deadline_timer);
	loop_timer_free(call->retry_timer);
	host_set_unref(call->set);
	failure_list_clear(&call->failures);
	if (call->kind == CALL_REFERRERS) {
		buffer_free(&call->body);
		call->body = call->pages;
		call->pages = (struct buffer){0};
	}
	call_drop_pages(call);

	pthread_mutex_lock(&call->lock);
	call->finished = true;
	if (err)
		call->err = *err;
	pthread_cond_signal(&call->changed);
	pthread_mutex_unlock(&call->lock);
}

static void finish_failed(struct registry_call *call)
{
	struct error err = {0};

	failure_list_compose(&call->failures, &err);
	finish(call, &err);
}

static uint64_t time_of(const struct registry_call *call)
{
	return call->client->deadline_ns + call->content_size * PUSH_NS_PER_BYTE;
}

static void finish_late(struct registry_call *call)
{
	struct error err = {0};
	struct error causes = {0};

	failure_list_compose(&call->failures, &causes);
	(void)error_set(&err, ERROR_TIMEOUT, "no answer within %g s%s%s",
		(double)time_of(call) / 1e9, call->failures.n_items > 0 ? "; " : "",
		call->failures.n_items > 0 ? causes.message : "");
	finish(call, &err);
}

/* As containerd: to the first host that takes pushes; what is pushed has to be in one place. */
static bool is_first_to_push(const struct registry_call *call, size_t i)
{
	const struct host_entry *entries = call->set->entries;

	for (size_t j = 0; j < i; j++) {
		if (entries[j].config->capabilities & HOST_PUSH)
			return false;
	}
	return entries[i].config->capabilities & HOST_PUSH;
}

static bool is_eligible(const struct registry_call *call, size_t i)
{
	unsigned needed = HOST_PULL;

	if (call->kind == CALL_PUSH)
		return is_first_to_push(call, i);

	/* As containerd: content is asked of every host, whatever it is said to be good for. */
	if (call->kind == CALL_BLOB)
		return true;
	if (call->kind == CALL_REFERRERS)
		needed |= HOST_REFERRERS;
	else if (!call->digest)
		needed |= HOST_RESOLVE;
	return (call->set->entries[i].config->capabilities & needed) == needed;
}

/* The first eligible host from @i on; n_entries when there is none. */
static size_t eligible_from(const struct registry_call *call, size_t i)
{
	while (i < call->set->n_entries && !is_eligible(call, i))
		i++;
	return i;
}

static bool is_last_host(const struct registry_call *call)
{
	return eligible_from(call, call->i_host + 1) == call->set->n_entries;
}

static void record_failure(
	struct registry_call *call, const struct error *err, bool answered, const char *next)
{
	const char *origin = call->set->entries[call->i_host].config->origin;

	log_debug("%s; %s", err->message, next);
	failure_list_add(&call->failures, call->i_host, origin, err, answered);
}

static void build_path(const struct registry_call *call, char *out, size_t size)
{
	char digest[DIGEST_TEXT_SIZE];

	if (call->path) {
		(void)snprintf(out, size, "%s", call->path);
		return;
	}
	(void)snprintf(out, size, "%s/%s", call->is_blob_path ? "blobs" : "manifests",
		call->digest ? digest_format(call->digest, digest) : call->reference->tag);
}

static const char *accepted(const struct registry_call *call)
{
	switch (call->kind) {
	case CALL_BLOB:
		return NULL;
	case CALL_PUSH:
		return call->method == HTTP_GET ? accept_referrers : NULL;
	case CALL_REFERRERS:
		return accept_referrers;
	default:
		return accept_manifests;
	}
}

static enum http_method method_of(const struct registry_call *call)
{
	if (call->kind == CALL_PUSH)
		return call->method;
	return call->is_head ? HTTP_HEAD : HTTP_GET;
}

static void next_host(struct registry_call *call, size_t i);

/* Asks the host whose turn it is. */
static void ask(struct registry_call *call)
{
	char path[CALL_PATH_SIZE];
	struct exchange_options options = {
		.entry = &call->set->entries[call->i_host],
		.method = method_of(call),
		.repository = call->reference->repository,
		.path = path,
		.accept = accepted(call),
		.target = call->next ? call->next : call->target,
		.is_push = call->kind == CALL_PUSH,
		.content_type = call->content_type,
		.content = call->content,
		.content_size = call->content_size,
		.max_body = call->max_size ? call->max_size : 1,
		.stall_timeout_ns =
			call->kind == CALL_PUSH ? PUSH_STALL_NS : call->client->stall_timeout_ns,
		.deadline_ns = call->deadline_ns,
		.priority = PRIORITY_READER,
	};
	struct error err = {0};

	build_path(call, path, sizeof(path));
	call->body.size = 0;
	call->has_digest = false;
	call->media_type[0] = 0;
	if (exchange_start(&options, &call_callbacks, call, &call->exchange, &err) == 0)
		return;
	record_failure(call, &err, false, "it cannot be asked");
	next_host(call, call->i_host + 1);
}

static void begin_stage(struct registry_call *call, bool is_blob_path)
{
	call->is_blob_path = is_blob_path;
	next_host(call, 0);
}

/* Registries that keep manifests among the blobs only are asked there, unless a host had another
 * reason than not having it. */
static bool blobs_may_have_it(const struct registry_call *call)
{
	return (call->kind == CALL_RESOLVE || call->kind == CALL_MANIFEST) && call->digest &&
	       !call->is_blob_path && call->saw_not_found && !call->saw_other_status;
}

static void next_host(struct registry_call *call, size_t i)
{
	call->i_host = eligible_from(call, i);
	call->retry = (struct retry){0};
	call_drop_pages(call);
	call->is_head = call->kind == CALL_RESOLVE;
	if (call->i_host < call->set->n_entries)
		ask(call);
	else if (blobs_may_have_it(call))
		begin_stage(call, true);
	else
		finish_failed(call);
}

static void check_finish(struct loop_task *task)
{
	struct registry_call *call = container_of(task, struct registry_call, task);

	call->checking = false;
	if (call->check_err.kind == ERROR_NONE) {
		if (call->next)
			ask(call);
		else
			finish(call, NULL);
		return;
	}
	record_failure(call, &call->check_err, true, "trying the next host");
	if (clock_now_ns() >= call->deadline_ns)
		finish_late(call);
	else
		next_host(call, call->i_host + 1);
}

/* Worker: the digest of the body decides. */
static void check_run(struct work *work)
{
	struct registry_call *call = container_of(work, struct registry_call, work);
	const struct digest *expected = call->digest;
	struct error *err = &call->check_err;
	int result;

	*err = (struct error){0};
	if (!expected && call->has_digest)
		expected = &call->found;
	if (call->kind == CALL_REFERRERS)
		result = call_join_pages(call, err);
	else if (expected)
		result = digest_check(expected, call->body.data, call->body.size, err);
	else
		result = digest_compute(
			DIGEST_SHA256, call->body.data, call->body.size, &call->found, err);
	if (result == 0 && expected && call->kind != CALL_REFERRERS)
		call->found = *expected;
	call->task.run = check_finish;
	loop_post(call->client->loop, &call->task);
}

static void start_check(struct registry_call *call)
{
	call->checking = true;
	call->work.priority = PRIORITY_READER;
	call->work.run = check_run;
	workers_submit(call->client->workers, &call->work);
}

static void retry_fired(void *arg)
{
	ask(arg);
}

/* HEAD is an optional favour: GET says the same. */
static bool head_is_refused(const struct registry_call *call, int status)
{
	return call->is_head && (status == 403 || status == 405 || status == 501);
}

static void handle_failure(struct registry_call *call, const struct exchange_result *result)
{
	struct error err = result->err;
	uint64_t delay_ns;

	if (head_is_refused(call, result->status)) {
		call->is_head = false;
		ask(call);
		return;
	}
	if (result->status == 404)
		call->saw_not_found = true;
	else if (result->status >= 400)
		call->saw_other_status = true;
	if (retry_is_due(&call->retry, result, is_last_host(call), &delay_ns)) {
		record_failure(call, &result->err, result->status != 0, "trying again");
		delay_ns = registry_jitter(call->client, delay_ns);
		loop_timer_set(call->retry_timer, result->retry_after_ns + delay_ns);
		return;
	}
	/* Often enough to be sure. */
	if (result->failure == HTTP_FAILURE_CLIENT_CERT_REQUIRED)
		err.kind = ERROR_UNAUTHORIZED;
	record_failure(call, &err, result->status != 0, "trying the next host");
	next_host(call, call->i_host + 1);
}

/* HEAD said enough. */
static void take_headers(struct registry_call *call)
{
	char expected[DIGEST_TEXT_SIZE];
	char found[DIGEST_TEXT_SIZE];
	struct error err = {0};

	if (call->digest && call->has_digest && !digest_equal(call->digest, &call->found)) {
		(void)error_set(&err, ERROR_DIGEST_MISMATCH, "asked for %s it offers %s",
			digest_format(call->digest, expected), digest_format(&call->found, found));
		record_failure(call, &err, true, "trying the next host");
		next_host(call, call->i_host + 1);
		return;
	}
	if (call->digest)
		call->found = *call->digest;
	finish(call, NULL);
}

static void count(struct registry_call *call, const struct exchange_result *result)
{
	struct exchange_result counted = *result;

	if (call->may_be_absent && result->status == 404)
		counted.err = (struct error){0};
	host_entry_count(&call->set->entries[call->i_host], &counted);
}

/* One page is here: it is added to the others before the next one is asked for. */
static void take_page(struct registry_call *call, const struct exchange_result *result)
{
	struct error err = {0};

	if (call_take_link(call, result->url, &err) == 0) {
		start_check(call);
		return;
	}
	record_failure(call, &err, true, "trying the next host");
	next_host(call, call->i_host + 1);
}

/* The answer is in the headers, but for what a host says of itself. */
static void take_pushed(struct registry_call *call, const struct exchange_result *result)
{
	CLEANUP(cleanup_free) char *reference = TAKE_PTR(call->location);
	struct error err = {0};

	if (!reference || exchange_resolve(&call->set->entries[call->i_host], result->url,
				  reference, &call->location, &err) == 0) {
		finish(call, NULL);
		return;
	}
	record_failure(call, &err, true, "giving up");
	finish_failed(call);
}

void call_answered(struct registry_call *call, const struct exchange_result *result)
{
	call->exchange = NULL;
	call->status = result->status;
	count(call, result);
	if (result->failure == HTTP_FAILURE_DEADLINE) {
		finish_late(call);
	} else if (result->err.kind != ERROR_NONE) {
		handle_failure(call, result);
	} else if (call->kind == CALL_REFERRERS) {
		take_page(call, result);
	} else if (call->kind == CALL_PUSH) {
		take_pushed(call, result);
	} else if (!call->is_head) {
		start_check(call);
	} else if (call->digest || call->has_digest) {
		take_headers(call);
	} else {
		/* The headers do not say which digest it is: the body will. */
		call->is_head = false;
		ask(call);
	}
}

static void deadline_fired(void *arg)
{
	struct registry_call *call = arg;

	/* What a worker looks at has come in time. */
	if (!call->checking)
		finish_late(call);
}

/* What none of the hosts can do, or NULL. */
static const char *lacking_capability(const struct registry_call *call)
{
	bool can_pull = false;

	if (eligible_from(call, 0) < call->set->n_entries)
		return NULL;
	for (size_t i = 0; i < call->set->n_entries; i++)
		can_pull |= (call->set->entries[i].config->capabilities & HOST_PULL) != 0;
	if (call->kind == CALL_PUSH)
		return "push";
	if (!can_pull)
		return "pull";
	return call->kind == CALL_REFERRERS ? "list referrers" : "resolve tags";
}

static void on_hosts(struct host_wait *wait, struct host_set *set, const struct error *err)
{
	struct registry_call *call = container_of(wait, struct registry_call, host_wait);
	struct error none = {0};
	const char *lacking;

	if (err) {
		finish(call, err);
		return;
	}
	call->set = host_set_ref(set);
	lacking = lacking_capability(call);
	if (lacking) {
		(void)error_set(&none,
			call->kind == CALL_REFERRERS ? ERROR_UNSUPPORTED : ERROR_INVALID,
			"%s/hosts.toml gives no host of %s the capability to %s",
			set->hosts->directory, set->hosts->name, lacking);
		finish(call, &none);
		return;
	}
	begin_stage(call, call->kind == CALL_BLOB);
}

static void start(struct loop_task *task)
{
	struct registry_call *call = container_of(task, struct registry_call, task);
	struct error err = {0};

	if (loop_timer_new(call->client->loop, deadline_fired, call, &call->deadline_timer, &err) <
			0 ||
		loop_timer_new(call->client->loop, retry_fired, call, &call->retry_timer, &err) <
			0) {
		finish(call, &err);
		return;
	}
	call->deadline_ns = clock_now_ns() + time_of(call);
	loop_timer_set(call->deadline_timer, time_of(call));
	call->host_wait.done = on_hosts;
	host_table_get(call->client, call->reference->registry, true, &call->host_wait);
}

int registry_call_perform(struct registry_call *call, struct error *err)
{
	assert(!loop_is_current(call->client->loop));
	pthread_mutex_init(&call->lock, NULL);
	pthread_cond_init(&call->changed, NULL);
	call->task.run = start;
	loop_post(call->client->loop, &call->task);

	pthread_mutex_lock(&call->lock);
	while (!call->finished)
		pthread_cond_wait(&call->changed, &call->lock);
	pthread_mutex_unlock(&call->lock);
	pthread_cond_destroy(&call->changed);
	pthread_mutex_destroy(&call->lock);
	if (call->err.kind == ERROR_NONE)
		return 0;
	if (err)
		*err = call->err;
	return -1;
}
