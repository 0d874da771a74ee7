/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of the registry client have in common. */
#include "client_fixture.h"

#include "base/clock.h"
#include "base/fdio.h"
#include "http/http_client.h"
#include "registry/url_source.h"

#define READING_TIME_NS (20 * NS_PER_SECOND)

static void require(int result, const struct error *err)
{
	if (result < 0)
		fail_msg("%s", err->message);
}

static void make_blob(struct fixture *fixture)
{
	struct error err = {0};
	uint32_t x = 1;

	for (size_t i = 0; i < BLOB_SIZE; i++) {
		x = x * 1664525 + 1013904223;
		fixture->blob[i] = (uint8_t)(x >> 24);
	}
	fixture->descriptor.size = BLOB_SIZE;
	require(digest_compute(
			DIGEST_SHA256, fixture->blob, BLOB_SIZE, &fixture->descriptor.digest, &err),
		&err);
}

/* A name that nothing is known about yet, so that no test waits for a changed file to be seen. */
static void new_registry(struct fixture *fixture)
{
	struct error err = {0};
	char text[64];

	(void)snprintf(
		text, sizeof(text), "r%u.example.com/library/app:v1", fixture->n_registries++);
	require(reference_parse(text, &fixture->reference, &err), &err);
}

int fixture_setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	const struct tls_settings_options tls = {0};
	struct registry_client_options options = {
		.deadline_ns = READING_TIME_NS, .stall_timeout_ns = NS_PER_SECOND};
	struct http_client_options http = {0};
	struct error err = {0};

	assert_non_null(fixture);
	assert_int_equal(scratch_setup((void **)&fixture->scratch), 0);
	/* The credentials of whoever runs the tests are none of their business. */
	setenv("DOCKER_CONFIG", fixture->scratch->path, 1);
	setenv("REGISTRY_AUTH_FILE", "/nonexistent/auth.json", 1);
	make_blob(fixture);
	require(loop_new(&fixture->loop, &err), &err);
	require(loop_thread_start(fixture->loop, "net", &err), &err);
	require(workers_new(2, "worker", &fixture->workers, &err), &err);
	require(tls_settings_load(&tls, &fixture->tls, &err), &err);
	http.tls = fixture->tls;
	require(http_client_new(fixture->loop, &http, &fixture->http, &err), &err);
	options.http = fixture->http;
	options.loop = fixture->loop;
	options.workers = fixture->workers;
	options.hosts_dirs = fixture->scratch->path;
	options.tls = fixture->tls;
	require(registry_client_new(&options, &fixture->client, &err), &err);
	new_registry(fixture);
	*state = fixture;
	return 0;
}

int fixture_teardown(void **state)
{
	struct fixture *fixture = *state;

	registry_client_free(fixture->client);
	loop_thread_stop(fixture->loop);
	http_client_free(fixture->http);
	workers_free(fixture->workers);
	loop_free(fixture->loop);
	tls_settings_unref(fixture->tls);
	(void)scratch_teardown((void **)&fixture->scratch);
	free(fixture);
	return 0;
}

void fixture_write_hosts(struct fixture *fixture, const char *text)
{
	struct error err = {0};
	char path[600];

	(void)snprintf(
		path, sizeof(path), "%s/%s", fixture->scratch->path, fixture->reference.registry);
	require(directory_make(path, 0755, &err), &err);
	(void)snprintf(path, sizeof(path), "%s/%s/hosts.toml", fixture->scratch->path,
		fixture->reference.registry);
	require(file_replace(AT_FDCWD, path, text, strlen(text), 0644, &err), &err);
}

void fixture_configure(struct fixture *fixture, struct fake_registry *const *hosts, size_t n_hosts)
{
	CLEANUP(buffer_free) struct buffer text = {0};

	new_registry(fixture);
	assert_int_equal(buffer_printf(&text, "server = \"http://%s\"\n",
				 fake_registry_host(hosts[n_hosts - 1])),
		0);
	for (size_t i = 0; i + 1 < n_hosts; i++)
		assert_int_equal(buffer_printf(&text, "[host.\"http://%s\"]\n",
					 fake_registry_host(hosts[i])),
			0);
	fixture_write_hosts(fixture, (const char *)text.data);
}

/* The last step, on the net loop: nothing of the source is under way. */
static void reading_end(struct loop_task *task)
{
	struct reading *reading = container_of(task, struct reading, task);

	if (!reading->given)
		reading->source->ops->free(reading->source);
	pthread_mutex_lock(&reading->lock);
	reading->source = NULL;
	pthread_cond_broadcast(&reading->changed);
	pthread_mutex_unlock(&reading->lock);
}

static void post_end(struct reading *reading)
{
	reading->fetch = NULL;
	reading->task.run = reading_end;
	loop_post(reading->fixture->loop, &reading->task);
}

static void cancel_now(struct reading *reading)
{
	pthread_mutex_lock(&reading->lock);
	reading->cancelled = true;
	pthread_mutex_unlock(&reading->lock);
	reading->source->ops->cancel(reading->fetch);
	post_end(reading);
}

static int on_data(struct source_request *request, const uint8_t *data, size_t size)
{
	struct reading *reading = (struct reading *)request;
	bool abort_now;

	pthread_mutex_lock(&reading->lock);
	assert_false(reading->cancelled);
	assert_int_equal(buffer_append(&reading->body, data, size), 0);
	(void)snprintf(reading->data_origin, sizeof(reading->data_origin), "%s",
		request->origin ? request->origin : "nobody");
	abort_now = reading->abort_at && reading->body.size >= reading->abort_at;
	size = reading->body.size;
	pthread_mutex_unlock(&reading->lock);
	if (reading->cancel_at && size >= reading->cancel_at)
		cancel_now(reading);
	return abort_now ? -1 : 0;
}

static void on_done(struct source_request *request, const char *origin, const struct error *err)
{
	struct reading *reading = (struct reading *)request;

	pthread_mutex_lock(&reading->lock);
	assert_false(reading->cancelled);
	reading->n_done++;
	if (err)
		reading->err = *err;
	(void)snprintf(reading->origin, sizeof(reading->origin), "%s", origin);
	pthread_mutex_unlock(&reading->lock);
	post_end(reading);
}

static void start_on_loop(struct loop_task *task)
{
	struct reading *reading = container_of(task, struct reading, task);

	reading->fetch = reading->source->ops->start(reading->source, &reading->request);
	assert_non_null(reading->fetch);
}

void reading_start(struct reading *reading, struct fixture *fixture, uint64_t off, uint64_t size)
{
	struct source_request *request = &reading->request;
	struct error err = {0};

	reading->fixture = fixture;
	pthread_mutex_init(&reading->lock, NULL);
	pthread_cond_init(&reading->changed, NULL);
	if (reading->given)
		reading->source = reading->given;
	else if (reading->from_urls)
		require(url_source_new(
				fixture->client, &fixture->descriptor, &reading->source, &err),
			&err);
	else
		require(registry_source_new(fixture->client, &fixture->reference,
				&fixture->descriptor, &reading->source, &err),
			&err);
	request->off = off;
	request->size = size;
	request->priority = PRIORITY_READER;
	if (!request->deadline_ns)
		request->deadline_ns = clock_now_ns() + READING_TIME_NS;
	request->avoid = reading->avoid;
	while (request->n_avoid < 4 && reading->avoid[request->n_avoid])
		request->n_avoid++;
	request->data = on_data;
	request->done = on_done;
	reading->task.run = start_on_loop;
	loop_post(fixture->loop, &reading->task);
}

struct cancel_task {
	struct loop_task task;
	struct reading *reading;
};

static void cancel_on_loop(struct loop_task *task)
{
	struct reading *reading = ((struct cancel_task *)task)->reading;

	free(task);
	if (reading->fetch)
		cancel_now(reading);
}

void reading_cancel(struct reading *reading)
{
	struct cancel_task *cancel = calloc(1, sizeof(*cancel));

	assert_non_null(cancel);
	cancel->reading = reading;
	cancel->task.run = cancel_on_loop;
	loop_post(reading->fixture->loop, &cancel->task);
}

void reading_wait(struct reading *reading)
{
	pthread_mutex_lock(&reading->lock);
	while (reading->source)
		pthread_cond_wait(&reading->changed, &reading->lock);
	pthread_mutex_unlock(&reading->lock);
}

void reading_perform(struct reading *reading, struct fixture *fixture, uint64_t off, uint64_t size)
{
	reading_start(reading, fixture, off, size);
	reading_wait(reading);
}

void reading_free(struct reading *reading)
{
	buffer_free(&reading->body);
	pthread_cond_destroy(&reading->changed);
	pthread_mutex_destroy(&reading->lock);
}

struct source_freeing {
	struct loop_task task;
	struct source *source;
};

static void free_on_loop(struct loop_task *task)
{
	struct source_freeing *freeing = container_of(task, struct source_freeing, task);

	freeing->source->ops->free(freeing->source);
	free(freeing);
}

void reading_free_source(struct fixture *fixture, struct source *source)
{
	struct source_freeing *freeing = calloc(1, sizeof(*freeing));

	assert_non_null(freeing);
	freeing->source = source;
	freeing->task.run = free_on_loop;
	loop_post(fixture->loop, &freeing->task);
}

void assert_read(const struct reading *reading)
{
	if (reading->err.kind != ERROR_NONE)
		fail_msg("%s", reading->err.message);
	assert_int_equal(reading->n_done, 1);
	assert_int_equal(reading->body.size, reading->request.size);
	assert_memory_equal(reading->body.data, reading->fixture->blob + reading->request.off,
		reading->request.size);
}
