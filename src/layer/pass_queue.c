/* SPDX-License-Identifier: Apache-2.0 */
/* Bounded queues between the threads of a pass. */
#include "pass_internal.h"

#include <assert.h>

void pass_queue_init(struct pass_queue *queue, size_t limit)
{
	assert(limit > 0 && limit <= PASS_QUEUE_MAX);
	*queue = (struct pass_queue){.limit = limit};
	(void)pthread_mutex_init(&queue->lock, NULL);
	(void)pthread_cond_init(&queue->changed, NULL);
}

void pass_queue_destroy(struct pass_queue *queue)
{
	for (; queue->n > 0; queue->n--) {
		decoded_unref(queue->pieces[queue->first].bytes);
		queue->first = (queue->first + 1) % PASS_QUEUE_MAX;
	}
	(void)pthread_cond_destroy(&queue->changed);
	(void)pthread_mutex_destroy(&queue->lock);
}

void pass_queue_push(struct pass_queue *queue, struct decoded *bytes, uint64_t span)
{
	(void)pthread_mutex_lock(&queue->lock);
	while (queue->n == queue->limit)
		(void)pthread_cond_wait(&queue->changed, &queue->lock);
	queue->pieces[(queue->first + queue->n) % PASS_QUEUE_MAX] =
		(struct pass_piece){.bytes = decoded_ref(bytes), .span = span};
	if (queue->n++ == 0)
		(void)pthread_cond_signal(&queue->changed);
	(void)pthread_mutex_unlock(&queue->lock);
}

void pass_queue_end(struct pass_queue *queue)
{
	(void)pthread_mutex_lock(&queue->lock);
	queue->ended = true;
	(void)pthread_cond_signal(&queue->changed);
	(void)pthread_mutex_unlock(&queue->lock);
}

bool pass_queue_pop(struct pass_queue *queue, struct pass_piece *out)
{
	bool found;

	(void)pthread_mutex_lock(&queue->lock);
	while (queue->n == 0 && !queue->ended)
		(void)pthread_cond_wait(&queue->changed, &queue->lock);
	found = queue->n > 0;
	if (found) {
		*out = queue->pieces[queue->first];
		queue->first = (queue->first + 1) % PASS_QUEUE_MAX;
		if (queue->n-- == queue->limit)
			(void)pthread_cond_signal(&queue->changed);
	}
	(void)pthread_mutex_unlock(&queue->lock);
	return found;
}
