/* SPDX-License-Identifier: Apache-2.0 */
#include "local_fixture.h"

#include "base/clock.h"
#include "base/fdio.h"
#include "format/oci_layout.h"

static void require(int result, const struct error *err)
{
	if (result < 0)
		fail_msg("%s", err->message);
}

int local_setup(void **state)
{
	struct local_fixture *fixture = calloc(1, sizeof(*fixture));
	uint32_t random = 1;
	struct error err = {0};

	assert_non_null(fixture);
	assert_int_equal(scratch_setup((void **)&fixture->scratch), 0);
	fixture->blob = malloc(BLOB_SIZE);
	assert_non_null(fixture->blob);
	for (size_t i = 0; i < BLOB_SIZE; i++) {
		random = random * 1664525 + 1013904223;
		fixture->blob[i] = (uint8_t)(random >> 24);
	}
	require(loop_new(&fixture->loop, &err), &err);
	require(loop_thread_start(fixture->loop, "net", &err), &err);
	require(workers_new(2, "worker", &fixture->workers, &err), &err);
	*state = fixture;
	return 0;
}

int local_teardown(void **state)
{
	struct local_fixture *fixture = *state;

	loop_thread_stop(fixture->loop);
	workers_free(fixture->workers);
	loop_free(fixture->loop);
	free(fixture->blob);
	(void)scratch_teardown((void **)&fixture->scratch);
	free(fixture);
	return 0;
}

void put_file(struct local_fixture *fixture, const char *path, const void *data, size_t size)
{
	struct error err = {0};
	char parent[512];

	(void)snprintf(parent, sizeof(parent), "%s/%s", fixture->scratch->path, path);
	*strrchr(parent, '/') = '\0';
	require(directory_make(parent, 0755, &err), &err);
	require(file_replace(fixture->scratch->fd, path, data, size, 0644, &err), &err);
}

void put_text(struct local_fixture *fixture, const char *path, const char *text)
{
	put_file(fixture, path, text, strlen(text));
}

struct descriptor put_blob(struct local_fixture *fixture, const char *layout,
	enum digest_algorithm algorithm, const void *data, size_t size)
{
	static char media_type[] = "application/octet-stream";
	struct descriptor descriptor = {.media_type = media_type, .size = size};
	char blob[OCI_LAYOUT_BLOB_PATH_SIZE];
	char path[512];

	assert_int_equal(digest_compute(algorithm, data, size, &descriptor.digest, NULL), 0);
	(void)snprintf(path, sizeof(path), "%s/%s", layout,
		oci_layout_blob_path(&descriptor.digest, blob));
	put_file(fixture, path, data, size);
	return descriptor;
}

struct image_source *open_image(struct local_fixture *fixture, const char *format)
{
	const char *at = strstr(format, "%s");
	struct image_source *source;
	struct image_name name;
	struct error err = {0};
	char text[512];

	assert_non_null(at);
	(void)snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - format), format,
		fixture->scratch->path, at + 2);
	require(image_name_parse(text, &name, &err), &err);
	const struct local_image_options options = {
		.name = &name,
		.loop = fixture->loop,
		.workers = fixture->workers,
	};
	require(local_image_new(&options, &source, &err), &err);
	assert_true(source->is_local);
	return source;
}

void assert_resolve_fails(
	struct local_fixture *f, const char *name, enum error_kind kind, const char *says)
{
	CLEANUP(image_source_freep) struct image_source *image = open_image(f, name);
	struct error err = {0};
	struct digest digest;

	assert_int_equal(image->ops->resolve(image, "", &digest, &err), -1);
	if (err.kind != kind || !strstr(err.message, says))
		fail_msg("kind %d, or no \"%s\" in: %s", (int)err.kind, says, err.message);
}

static void set_finished(struct local_reading *reading, const char *origin, const struct error *err)
{
	pthread_mutex_lock(&reading->lock);
	if (origin)
		(void)snprintf(reading->origin, sizeof(reading->origin), "%s", origin);
	if (err)
		reading->err = *err;
	reading->finished = true;
	pthread_cond_signal(&reading->changed);
	pthread_mutex_unlock(&reading->lock);
}

static void cancelled(struct loop_task *task)
{
	set_finished(container_of(task, struct local_reading, task), NULL, NULL);
}

static int on_data(struct source_request *request, const uint8_t *data, size_t size)
{
	struct local_reading *reading = container_of(request, struct local_reading, request);

	assert_non_null(request->origin);
	assert_int_equal(buffer_append(&reading->body, data, size), 0);
	if (reading->cancel_at && reading->body.size >= reading->cancel_at) {
		reading->source->ops->cancel(reading->fetch);
		reading->task.run = cancelled;
		loop_post(reading->fixture->loop, &reading->task);
	}
	return reading->abort_at && reading->body.size >= reading->abort_at ? -1 : 0;
}

static void on_done(struct source_request *request, const char *origin, const struct error *err)
{
	struct local_reading *reading = container_of(request, struct local_reading, request);

	reading->n_done++;
	set_finished(reading, origin, err);
}

static void start(struct loop_task *task)
{
	struct local_reading *reading = container_of(task, struct local_reading, task);

	reading->fetch = reading->source->ops->start(reading->source, &reading->request);
	assert_non_null(reading->fetch);
	assert_int_equal(reading->n_done, 0);
}

void local_read(struct local_reading *reading, struct local_fixture *fixture, struct source *source,
	uint64_t off, uint64_t size)
{
	reading->fixture = fixture;
	reading->source = source;
	reading->request.off = off;
	reading->request.size = size;
	if (!reading->request.deadline_ns)
		reading->request.deadline_ns = clock_now_ns() + 60 * NS_PER_SECOND;
	reading->request.data = on_data;
	reading->request.done = on_done;
	reading->task.run = start;
	pthread_mutex_init(&reading->lock, NULL);
	pthread_cond_init(&reading->changed, NULL);
	loop_post(fixture->loop, &reading->task);
	pthread_mutex_lock(&reading->lock);
	while (!reading->finished)
		pthread_cond_wait(&reading->changed, &reading->lock);
	pthread_mutex_unlock(&reading->lock);
}

void local_reading_clear(struct local_reading *reading)
{
	buffer_free(&reading->body);
	pthread_mutex_destroy(&reading->lock);
	pthread_cond_destroy(&reading->changed);
}

/* A source on its way to the loop. */
struct freeing {
	struct loop_task task;
	struct source *source;
};

static void free_on_loop(struct loop_task *task)
{
	struct freeing *freeing = container_of(task, struct freeing, task);

	freeing->source->ops->free(freeing->source);
	free(freeing);
}

void free_source(struct local_fixture *fixture, struct source *source)
{
	struct freeing *freeing = calloc(1, sizeof(*freeing));

	assert_non_null(freeing);
	freeing->source = source;
	freeing->task.run = free_on_loop;
	loop_post(fixture->loop, &freeing->task);
}
