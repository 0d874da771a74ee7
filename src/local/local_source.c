/* SPDX-License-Identifier: Apache-2.0 */
/* A blob in a file as a source of bytes: workers read, the net loop delivers. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#include "local_internal.h"

/* What a worker reads before it hands over: enough to keep a disk busy, little beside the memory
 * limit. */
enum { PIECE_SIZE = 512 << 10 };

/* What a source and its requests share. Reference counted: a cancelled request may still be with a
 * worker when the source is freed. */
struct local_blob {
	atomic_uint refs;
	struct local_image *image; /* a reference */
	struct digest digest;
	uint64_t size; /* as the manifest says */

	pthread_mutex_t lock;
	struct local_range range; /* guarded by lock; no file until it was found */
};

struct local_source {
	struct source base;
	struct local_blob *blob; /* a reference */
};

/* One request. Always either with a worker or on its way to the loop. */
struct source_fetch {
	struct local_blob *blob;        /* a reference */
	struct source_request *request; /* NULL once it was answered or cancelled; loop only */
	struct loop_timer *deadline;    /* loop only */
	struct work work;
	struct loop_task task;
	uint64_t off; /* of the next piece in the blob */
	uint64_t left;
	uint8_t *piece; /* owned */
	size_t piece_size;
	struct error err; /* of the last piece */
};

static struct local_blob *blob_ref(struct local_blob *blob)
{
	atomic_fetch_add(&blob->refs, 1);
	return blob;
}

static void blob_unref(struct local_blob *blob)
{
	if (atomic_fetch_sub(&blob->refs, 1) != 1)
		return;
	local_range_clear(&blob->range);
	local_image_unref(blob->image);
	(void)pthread_mutex_destroy(&blob->lock);
	free(blob);
}

static int find_range(struct local_blob *blob, struct error *err)
{
	CLEANUP(local_range_clear) struct local_range range = {0};
	struct local_image *image = blob->image;
	int result;

	pthread_mutex_lock(&image->lock);
	result = image->place->find(image, &blob->digest, &range, err);
	pthread_mutex_unlock(&image->lock);
	if (result < 0)
		return -1;
	if (range.size != blob->size)
		return error_set(err, ERROR_FORMAT,
			"the blob has %ju bytes in %s, the manifest says %ju",
			(uintmax_t)range.size, range.file->path, (uintmax_t)blob->size);
	blob->range = range;
	range = (struct local_range){0};
	return 0;
}

/* The image's lock is taken inside the blob's, never the other way round. */
static int get_range(struct local_blob *blob, struct local_range *out, struct error *err)
{
	int result = 0;

	pthread_mutex_lock(&blob->lock);
	if (!blob->range.file)
		result = find_range(blob, err);
	if (result == 0) {
		*out = blob->range;
		(void)local_file_ref(out->file);
	}
	pthread_mutex_unlock(&blob->lock);
	return result;
}

static int read_piece(struct source_fetch *fetch, struct error *err)
{
	CLEANUP(local_range_clear) struct local_range range = {0};

	if (get_range(fetch->blob, &range, err) < 0)
		return -1;
	return local_range_read(&range, fetch->off, fetch->piece, fetch->piece_size, err);
}

static void fetch_work(struct work *work)
{
	struct source_fetch *fetch = container_of(work, struct source_fetch, work);

	if (read_piece(fetch, &fetch->err) < 0)
		(void)error_prefix(&fetch->err, "%s", fetch->blob->image->origin);
	loop_post(fetch->blob->image->loop, &fetch->task);
}

static void read_next(struct source_fetch *fetch)
{
	fetch->piece_size = fetch->left < PIECE_SIZE ? fetch->left : PIECE_SIZE;
	workers_submit(fetch->blob->image->workers, &fetch->work);
}

static void fetch_free(struct source_fetch *fetch)
{
	blob_unref(fetch->blob);
	free(fetch->piece);
	free(fetch);
}

/* Nobody hears of the fetch any more; it is freed when it comes back from the workers. */
static struct source_request *leave(struct source_fetch *fetch)
{
	struct source_request *request = fetch->request;

	loop_timer_free(fetch->deadline);
	fetch->deadline = NULL;
	fetch->request = NULL;
	return request;
}

static void finish(struct source_fetch *fetch, const struct error *err)
{
	const char *origin = fetch->blob->image->origin;
	struct source_request *request = leave(fetch);

	request->done(request, origin, err);
}

static void deadline_fired(void *arg)
{
	struct source_fetch *fetch = arg;
	struct error err = {0};

	(void)error_set(&err, ERROR_TIMEOUT, "%s: the disk has not answered in time",
		fetch->blob->image->origin);
	finish(fetch, &err);
}

static int deliver(struct source_fetch *fetch, struct error *err)
{
	struct source_request *request = fetch->request;

	if (fetch->err.kind != ERROR_NONE) {
		*err = fetch->err;
		return -1;
	}
	request->origin = fetch->blob->image->origin;
	if (request->data(request, fetch->piece, fetch->piece_size) < 0)
		return error_set(err, ERROR_CANCELLED, "stopped by its reader");
	fetch->off += fetch->piece_size;
	fetch->left -= fetch->piece_size;
	return 0;
}

/* A piece came from a worker. */
static void fetch_task(struct loop_task *task)
{
	struct source_fetch *fetch = container_of(task, struct source_fetch, task);
	struct error err = {0};
	int result;

	if (!fetch->request) {
		fetch_free(fetch);
		return;
	}
	result = deliver(fetch, &err);
	if (fetch->request && result == 0 && fetch->left > 0) {
		read_next(fetch);
		return;
	}
	/* The reader may have cancelled it when it got its bytes. */
	if (fetch->request)
		finish(fetch, result < 0 ? &err : NULL);
	fetch_free(fetch);
}

static struct source_fetch *source_start(struct source *base, struct source_request *request)
{
	struct local_blob *blob = container_of(base, struct local_source, base)->blob;
	struct source_fetch *fetch = calloc(1, sizeof(*fetch));
	uint64_t now = clock_now_ns();
	struct error err;

	if (!fetch)
		return NULL;
	fetch->blob = blob_ref(blob);
	fetch->piece = malloc(request->size < PIECE_SIZE ? request->size : PIECE_SIZE);
	if (!fetch->piece || loop_timer_new(blob->image->loop, deadline_fired, fetch,
				     &fetch->deadline, &err) < 0) {
		fetch_free(fetch);
		return NULL;
	}
	fetch->request = request;
	fetch->off = request->off;
	fetch->left = request->size;
	fetch->work.priority = request->priority;
	fetch->work.run = fetch_work;
	fetch->task.run = fetch_task;
	loop_timer_set(
		fetch->deadline, request->deadline_ns > now ? request->deadline_ns - now : 0);
	read_next(fetch);
	return fetch;
}

static void source_cancel(struct source_fetch *fetch)
{
	(void)leave(fetch);
}

static void source_free(struct source *base)
{
	struct local_source *source = container_of(base, struct local_source, base);

	blob_unref(source->blob);
	free(source);
}

static const struct source_ops ops = {
	.start = source_start,
	.cancel = source_cancel,
	.free = source_free,
};

int local_source_new(struct local_image *image, const struct descriptor *descriptor,
	struct source **out, struct error *err)
{
	struct local_source *source = calloc(1, sizeof(*source));
	struct local_blob *blob = calloc(1, sizeof(*blob));
	struct local_range range = {0};

	if (!source || !blob) {
		free(source);
		free(blob);
		return error_set(err, ERROR_NO_MEMORY, "no memory for a source of blobs");
	}
	atomic_init(&blob->refs, 1);
	blob->image = local_image_ref(image);
	blob->digest = descriptor->digest;
	blob->size = descriptor->size;
	(void)pthread_mutex_init(&blob->lock, NULL);
	source->base.ops = &ops;
	source->base.kind = image_place_name(image->name.place);
	source->blob = blob;
	/* Opened now where it can be, so that it stays there; a layer that the store has all of
	 * needs no blob. */
	if (get_range(blob, &range, NULL) == 0)
		local_range_clear(&range);
	*out = &source->base;
	return 0;
}
