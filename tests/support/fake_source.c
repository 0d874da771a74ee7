/* SPDX-License-Identifier: Apache-2.0 */
#include "support/fake_source.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"

struct source_fetch {
	struct fake_source *source;
	struct source_request *request;
	struct loop_timer *timer;
	uint64_t sent;
	const char *origin;
	bool lies;
};

static void end(struct source_fetch *fetch, const struct error *err)
{
	struct source_request *request = fetch->request;
	const char *origin = fetch->origin;

	loop_timer_free(fetch->timer);
	free(fetch);
	request->done(request, origin, err);
}

static bool avoided(const struct source_request *request, const char *origin)
{
	for (size_t i = 0; i < request->n_avoid; i++) {
		if (strcmp(request->avoid[i], origin) == 0)
			return true;
	}
	return false;
}

static bool fail_at_once(struct source_fetch *fetch, struct error *err)
{
	struct fake_source *source = fetch->source;

	if (atomic_load(&source->n_fails) > 0) {
		atomic_fetch_sub(&source->n_fails, 1);
		return error_set(err, ERROR_UNAVAILABLE, "the fake fails") < 0;
	}
	if (atomic_load(&source->fails))
		return error_set(err, ERROR_UNAVAILABLE, "the fake fails") < 0;
	if (atomic_load(&source->forbids))
		return error_set(err, ERROR_UNAUTHORIZED, "the fake forbids") < 0;
	fetch->origin = source->origin;
	if (avoided(fetch->request, source->origin))
		fetch->origin = source->second_origin;
	if (!fetch->origin || avoided(fetch->request, fetch->origin)) {
		fetch->origin = source->origin;
		return error_set(err, ERROR_NOT_FOUND, "no origin is left") < 0;
	}
	fetch->lies = fetch->origin == source->origin && atomic_load(&source->lies);
	if (fetch->origin == source->origin && atomic_load(&source->n_lies) > 0) {
		atomic_fetch_sub(&source->n_lies, 1);
		fetch->lies = true;
	}
	return false;
}

static int send_piece(struct source_fetch *fetch)
{
	struct fake_source *source = fetch->source;
	struct source_request *request = fetch->request;
	uint8_t piece[16384 + 1] = {0};
	uint64_t place = request->off + fetch->sent;
	uint64_t lies_at = atomic_load(&source->lies_at);
	uint64_t left = request->size - fetch->sent;
	size_t size = left < sizeof(piece) - 1 ? left : sizeof(piece) - 1;

	memcpy(piece, source->blob + place, size);
	if (fetch->lies)
		piece[0] ^= 1;
	if (lies_at >= place && lies_at - place < size)
		piece[lies_at - place] ^= 1;
	request->origin = fetch->origin;
	if (request->data(request, piece, size + (atomic_load(&source->surplus) && size == left)) <
		0)
		return -1;
	fetch->sent += size;
	return 0;
}

static void on_timer(void *arg)
{
	struct source_fetch *fetch = arg;
	struct fake_source *source = fetch->source;
	struct source_request *request = fetch->request;
	struct error err;

	if (atomic_load(&source->stalls) || fetch->sent >= atomic_load(&source->stalls_after)) {
		loop_timer_set(fetch->timer, 10 * NS_PER_MS);
		return;
	}
	if (fetch->sent == 0 && fail_at_once(fetch, &err)) {
		end(fetch, &err);
		return;
	}
	for (int i = 0; i < 16 && fetch->sent < request->size &&
			fetch->sent < atomic_load(&source->stalls_after);
		i++) {
		if (atomic_load(&source->cuts) && fetch->sent >= request->size / 2) {
			(void)error_set(&err, ERROR_UNAVAILABLE, "the fake cuts");
			end(fetch, &err);
			return;
		}
		if (send_piece(fetch) < 0) {
			(void)error_set(&err, ERROR_CANCELLED, "aborted by the caller");
			end(fetch, &err);
			return;
		}
	}
	if (fetch->sent == request->size)
		end(fetch, NULL);
	else
		loop_timer_set(fetch->timer, 0);
}

static void log_request(struct fake_source *source, const struct source_request *request)
{
	unsigned n = atomic_load(&source->n_started);

	if (n < FAKE_LOG_SIZE)
		source->log[n] = (struct fake_asked){.off = request->off,
			.size = request->size,
			.priority = request->priority,
			.deadline_ns = request->deadline_ns};
	if (request->size > atomic_load(&source->most_asked))
		atomic_store(&source->most_asked, request->size);
	atomic_fetch_add(&source->bytes_asked, request->size);
	atomic_fetch_add(&source->n_started, 1);
}

static struct source_fetch *start(struct source *base, struct source_request *request)
{
	struct fake_source *source = container_of(base, struct fake_source, base);
	struct source_fetch *fetch = calloc(1, sizeof(*fetch));

	if (!fetch)
		return NULL;
	fetch->source = source;
	fetch->request = request;
	fetch->origin = source->origin;
	if (loop_timer_new(source->loop, on_timer, fetch, &fetch->timer, NULL) < 0) {
		free(fetch);
		return NULL;
	}
	log_request(source, request);
	loop_timer_set(fetch->timer, atomic_load(&source->delay_us) * NS_PER_US);
	return fetch;
}

static void cancel(struct source_fetch *fetch)
{
	atomic_fetch_add(&fetch->source->n_cancelled, 1);
	loop_timer_free(fetch->timer);
	free(fetch);
}

static void count_free(struct source *base)
{
	struct fake_source *source = container_of(base, struct fake_source, base);

	atomic_fetch_add(&source->n_freed, 1);
}

static const struct source_ops ops = {.start = start, .cancel = cancel, .free = count_free};

void fake_source_init(struct fake_source *source, struct loop *loop, const uint8_t *blob,
	size_t blob_size, const char *origin)
{
	memset(source, 0, sizeof(*source));
	source->base.ops = &ops;
	source->base.kind = "fake";
	source->loop = loop;
	source->blob = blob;
	source->blob_size = blob_size;
	source->origin = origin;
	atomic_init(&source->lies_at, UINT64_MAX);
	atomic_init(&source->stalls_after, UINT64_MAX);
}
