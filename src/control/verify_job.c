/* SPDX-License-Identifier: Apache-2.0 */
/* Verification of a store on its own thread, and the report of it. */
#include "control/verify_job.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "control/report.h"
#include "report_internal.h"
#include "store/store_cache.h"

enum { MAX_FINDINGS = 1000 };

struct verify_job {
	struct store *store;
	bool repair;
	pthread_t thread;

	pthread_mutex_t lock;
	/* All below: guarded by lock. */
	bool cancelled;
	bool ended;
	uint64_t checked;
	uint64_t total;
	struct json *findings; /* owned */
	uint64_t n_findings;
	struct cache_verify_result result;
	struct error err; /* ERROR_NONE unless it failed */
};

static int on_progress(void *arg, uint64_t checked_bytes, uint64_t total_bytes)
{
	struct verify_job *job = arg;
	bool cancelled;

	pthread_mutex_lock(&job->lock);
	job->checked = checked_bytes;
	job->total = total_bytes;
	cancelled = job->cancelled;
	pthread_mutex_unlock(&job->lock);
	return cancelled;
}

/* Which blob a layer of the store is of, for people. */
struct blob_search {
	const uint8_t *key;
	struct json *finding;
};

static int match_blob(void *arg, const struct cache_layer *layer)
{
	struct blob_search *search = arg;

	if (memcmp(layer->key, search->key, 32) != 0)
		return 0;
	set_digest(search->finding, "blob", &layer->blob);
	return 1;
}

static void on_finding(void *arg, const uint8_t key[32], uint64_t unit, const char *what)
{
	struct verify_job *job = arg;
	struct json *finding = json_new_object();
	struct blob_search search = {key, finding};
	char hex[2 * 32 + 1];

	hex_encode(key, 32, hex);
	set_text(finding, "key", hex);
	if (unit != UINT64_MAX) /* that is the layer's index */
		set_number(finding, "unit", unit);
	set_text(finding, "what", what);
	/* Without its blob a finding is still one. */
	(void)!cache_each_layer(job->store, match_blob, &search, NULL);

	pthread_mutex_lock(&job->lock);
	if (job->n_findings++ < MAX_FINDINGS) {
		json_append(job->findings, finding);
		finding = NULL;
	}
	pthread_mutex_unlock(&job->lock);
	json_free(finding);
}

static void *verify_main(void *arg)
{
	struct verify_job *job = arg;
	const struct cache_verify_options options = {
		.repair = job->repair,
		.progress = on_progress,
		.finding = on_finding,
		.arg = job,
	};
	struct cache_verify_result result = {0};
	struct error err = {0};
	int failed = cache_verify(job->store, &options, &result, &err);

	pthread_mutex_lock(&job->lock);
	if (failed < 0)
		job->err = err;
	job->result = result;
	job->ended = true;
	pthread_mutex_unlock(&job->lock);
	return NULL;
}

int verify_job_start(struct store *store, bool repair, struct verify_job **out, struct error *err)
{
	struct verify_job *job = calloc(1, sizeof(*job));
	int failed;

	if (!job)
		return error_set(err, ERROR_NO_MEMORY, "no memory to verify the store");
	job->store = store;
	job->repair = repair;
	job->findings = json_new_array();
	(void)pthread_mutex_init(&job->lock, NULL);
	failed = pthread_create(&job->thread, NULL, verify_main, job);
	if (failed) {
		(void)pthread_mutex_destroy(&job->lock);
		json_free(job->findings);
		free(job);
		return error_set_errno(err, failed, "start a thread to verify the store");
	}
	(void)pthread_setname_np(job->thread, "verify");
	*out = job;
	return 0;
}

void verify_job_cancel(struct verify_job *job)
{
	pthread_mutex_lock(&job->lock);
	job->cancelled = true;
	pthread_mutex_unlock(&job->lock);
}

bool verify_job_ended(struct verify_job *job)
{
	bool ended;

	pthread_mutex_lock(&job->lock);
	ended = job->ended;
	pthread_mutex_unlock(&job->lock);
	return ended;
}

/* Called with the lock held. */
static const char *state_name(const struct verify_job *job)
{
	if (!job->ended)
		return "running";
	if (job->cancelled)
		return "cancelled";
	return job->err.kind == ERROR_NONE ? "done" : "failed";
}

static struct json *copy_finding(const struct json *finding)
{
	static const char *const texts[] = {"key", "blob", "what"};
	struct json *copy = json_new_object();
	int64_t unit;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		set_text(copy, texts[i], json_string(json_get(finding, texts[i])));
	if (json_i64(json_get(finding, "unit"), &unit))
		set_number(copy, "unit", (uint64_t)unit);
	return copy;
}

struct json *verify_job_report(struct verify_job *job)
{
	struct json *json = json_new_object();
	struct json *findings = json_new_array();
	const struct cache_verify_result *result = &job->result;

	pthread_mutex_lock(&job->lock);
	set_text(json, "state", state_name(job));
	set_bool(json, "repair", job->repair);
	set_number(json, "progress_bytes", job->checked);
	set_number(json, "total_bytes", job->total);
	set_number(json, "layers", result->n_layers);
	set_number(json, "checked_units", result->n_checked);
	set_number(json, "checked_bytes", result->checked_bytes);
	set_number(json, "wrong_units", result->n_wrong);
	set_number(json, "repaired_units", result->n_repaired);
	set_number(json, "broken_indexes", result->n_broken_indexes);
	for (size_t i = 0; i < json_length(job->findings); i++)
		json_append(findings, copy_finding(json_at(job->findings, i)));
	json_set(json, "findings", findings);
	set_number(json, "findings_omitted",
		job->n_findings > MAX_FINDINGS ? job->n_findings - MAX_FINDINGS : 0);
	if (job->ended && job->err.kind != ERROR_NONE)
		set_text(json, "error", job->err.message);
	pthread_mutex_unlock(&job->lock);
	return json;
}

void verify_job_free(struct verify_job *job)
{
	if (!job)
		return;
	verify_job_cancel(job);
	(void)pthread_join(job->thread, NULL);
	(void)pthread_mutex_destroy(&job->lock);
	json_free(job->findings);
	free(job);
}

void verify_job_freep(struct verify_job **job)
{
	verify_job_free(*job);
}
