/* SPDX-License-Identifier: Apache-2.0 */
/* The indexes of an image's layers, several at a time: each needs a round trip or two. */
#include "image_internal.h"

#include "base/thread.h"
#include <pthread.h>

enum { MAX_THREADS = 8 };

struct job {
	const struct image_opening *opening;
	const struct manifest *manifest;
	const struct descriptor *layers;
	size_t n_layers;
	struct indexed_layer *indexed;
	struct layer_turns turns;
	pthread_mutex_t lock;
	size_t next; /* guarded by lock, like the rest */
	size_t n_ready;
	bool failed;
	struct error err; /* the first */
};

static void finish_layer(struct job *job, size_t i, int result, const struct error *err)
{
	const struct image_options *options = job->opening->options;
	char text[DIGEST_TEXT_SIZE];

	pthread_mutex_lock(&job->lock);
	if (result == 0) {
		job->n_ready++;
		if (options->progress)
			options->progress(
				options->arg, IMAGE_INDEXING, job->n_ready, job->n_layers);
	} else if (!job->failed) {
		job->failed = true;
		job->err = *err;
		(void)error_prefix(
			&job->err, "layer %s", digest_format(&job->layers[i].digest, text));
	}
	pthread_mutex_unlock(&job->lock);
}

static void *run(void *arg)
{
	struct job *job = arg;

	for (;;) {
		struct error err = {0};
		size_t i;
		int result;

		pthread_mutex_lock(&job->lock);
		i = job->failed ? job->n_layers : job->next++;
		pthread_mutex_unlock(&job->lock);
		if (i >= job->n_layers)
			return NULL;
		result = image_layer_index(&(struct layer_blob){.opening = job->opening,
						   .manifest = job->manifest,
						   .descriptor = &job->layers[i],
						   .turns = &job->turns},
			&job->indexed[i], &err);
		finish_layer(job, i, result, &err);
	}
}

int image_layer_indexes(const struct image_opening *opening, const struct manifest *manifest,
	const struct descriptor *layers, size_t n_layers, struct indexed_layer *indexed,
	struct error *err)
{
	struct job job = {
		.opening = opening,
		.manifest = manifest,
		.turns.reporting = &job.lock,
		.layers = layers,
		.n_layers = n_layers,
		.indexed = indexed,
	};
	pthread_t threads[MAX_THREADS];
	size_t n_threads = 0;

	(void)pthread_mutex_init(&job.lock, NULL);
	(void)pthread_mutex_init(&job.turns.reading, NULL);
	/* This thread works too; fewer helpers than hoped for only take longer. */
	while (n_threads + 1 < n_layers && n_threads < MAX_THREADS &&
		thread_start(&threads[n_threads], "index", run, &job) == 0)
		n_threads++;
	(void)run(&job);
	for (size_t i = 0; i < n_threads; i++)
		(void)pthread_join(threads[i], NULL);
	(void)pthread_mutex_destroy(&job.turns.reading);
	(void)pthread_mutex_destroy(&job.lock);

	if (job.failed) {
		if (err)
			*err = job.err;
		return -1;
	}
	return 0;
}
