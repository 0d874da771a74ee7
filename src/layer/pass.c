/* SPDX-License-Identifier: Apache-2.0 */
/* The threads of a pass, and what has to be true of a layer before anything of it is kept. */
#include "pass_internal.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/thread.h"
#include "format/detect.h"

/* Ranges of the blob are large, pieces of the archive are not. */
enum { RANGES_WAITING = 2, PIECES_WAITING = PASS_QUEUE_MAX };

/* Spans as they are found, before anybody knows that they are right. */
struct found_spans {
	struct unit_span *spans; /* owned, with their windows */
	size_t n;
	size_t capacity;
};

struct pass {
	const struct pass_options *options;
	struct pass_fetch *fetch;  /* owned */
	struct pass_queue blob;    /* to be hashed */
	struct pass_queue encoded; /* to be decoded */
	struct pass_queue decoded; /* to be hashed */
	struct pass_queue members; /* to be read */

	struct span_index *index;     /* owned; its entries are the reader's thread's */
	struct pass_archive *archive; /* owned; the reader's thread's */
	struct found_spans found;     /* the decoder's thread's */
	uint8_t (*span_digests)[32];  /* owned; the hashing thread's */
	size_t n_span_digests;
	struct pass_claim *claim;  /* owned; the hashing threads'; NULL: nobody claims anything */
	struct digest blob_digest; /* the hashing threads' */
	struct digest archive_digest;

	atomic_bool failed;
	pthread_mutex_t lock;
	struct error err; /* guarded by lock; the first */
};

void pass_result_clear(struct pass_result *result)
{
	span_index_free(result->index);
	free(result->digests);
	*result = (struct pass_result){0};
}

static void fail(struct pass *pass, const struct error *err)
{
	(void)pthread_mutex_lock(&pass->lock);
	if (!atomic_load(&pass->failed))
		pass->err = *err;
	atomic_store(&pass->failed, true);
	(void)pthread_mutex_unlock(&pass->lock);
}

/* Hashes whatever comes, so that a wrong blob is called one whatever else it is. */
static int hash_blob(struct pass *pass, struct error *err)
{
	CLEANUP(digest_hasher_freep) struct digest_hasher *hasher = NULL;
	int result = digest_hasher_new(pass->options->descriptor->digest.algorithm, &hasher, err);
	struct pass_piece piece;

	while (pass_queue_pop(&pass->blob, &piece)) {
		if (result == 0)
			result = digest_hasher_update(
				hasher, decoded_data(piece.bytes), decoded_size(piece.bytes), err);
		if (result == 0 && pass->claim)
			result = pass_claim_feed_blob(pass->claim, decoded_data(piece.bytes),
				decoded_size(piece.bytes), err);
		decoded_unref(piece.bytes);
	}
	return result < 0 ? -1 : digest_hasher_final(hasher, &pass->blob_digest, err);
}

static void *run_hash_blob(void *arg)
{
	struct error err;

	if (hash_blob(arg, &err) < 0)
		fail(arg, &err);
	return NULL;
}

static int end_span_digest(
	struct pass *pass, struct digest_hasher *hasher, uint64_t span, struct error *err)
{
	struct digest digest;
	void *more = pass->span_digests;

	if ((span & (span + 1)) == 0)
		more = reallocarray(more, 2 * (size_t)span + 2, sizeof(*pass->span_digests));
	if (!more)
		return error_set(err, ERROR_NO_MEMORY, "no memory for digests of spans");
	pass->span_digests = more;
	if (digest_hasher_final(hasher, &digest, err) < 0 || digest_hasher_reset(hasher, err) < 0)
		return -1;
	memcpy(pass->span_digests[span], digest.bytes, sizeof(*pass->span_digests));
	pass->n_span_digests = (size_t)span + 1;
	return 0;
}

/* What goes by, twice: as a whole, and span by span. */
struct archive_hash {
	struct digest_hasher *whole;
	struct digest_hasher *span;
	uint64_t span_i;
	bool begun;
};

static void archive_hash_clear(struct archive_hash *hash)
{
	digest_hasher_free(hash->whole);
	digest_hasher_free(hash->span);
}

static int hash_piece(struct pass *pass, struct archive_hash *hash, const struct pass_piece *piece,
	struct error *err)
{
	const void *data = decoded_data(piece->bytes);
	size_t size = decoded_size(piece->bytes);

	if (hash->begun && piece->span != hash->span_i &&
		end_span_digest(pass, hash->span, hash->span_i, err) < 0)
		return -1;
	hash->begun = true;
	hash->span_i = piece->span;
	if (digest_hasher_update(hash->whole, data, size, err) < 0 ||
		(pass->claim && pass_claim_feed(pass->claim, data, size, err) < 0))
		return -1;
	return digest_hasher_update(hash->span, data, size, err);
}

static int hash_archive(struct pass *pass, struct error *err)
{
	CLEANUP(archive_hash_clear) struct archive_hash hash = {0};
	struct pass_piece piece;
	int result = digest_hasher_new(pass->options->diff_id->algorithm, &hash.whole, err);

	if (result == 0)
		result = digest_hasher_new(DIGEST_SHA256, &hash.span, err);
	while (pass_queue_pop(&pass->decoded, &piece)) {
		if (result == 0)
			result = hash_piece(pass, &hash, &piece, err);
		decoded_unref(piece.bytes);
	}
	if (result == 0 && hash.begun)
		result = end_span_digest(pass, hash.span, hash.span_i, err);
	return result < 0 ? -1 : digest_hasher_final(hash.whole, &pass->archive_digest, err);
}

static void *run_hash_archive(void *arg)
{
	struct error err;

	if (hash_archive(arg, &err) < 0)
		fail(arg, &err);
	return NULL;
}

static int read_archive(struct pass *pass, struct error *err)
{
	struct pass_piece piece;
	int result = 0;

	while (pass_queue_pop(&pass->members, &piece)) {
		if (result == 0 &&
			pass_archive_feed(pass->archive, piece.span, decoded_data(piece.bytes),
				decoded_size(piece.bytes), err) < 0) {
			result = -1;
			/* Nobody needs to decode any more. */
			fail(pass, err);
		}
		decoded_unref(piece.bytes);
	}
	if (result == 0 && !atomic_load(&pass->failed))
		result = pass_archive_end(pass->archive, err);
	return result;
}

static void *run_read_archive(void *arg)
{
	struct error err = {0};

	if (read_archive(arg, &err) < 0)
		fail(arg, &err);
	return NULL;
}

static int on_decoded(void *arg, uint64_t span, struct decoded *piece, struct error *err)
{
	struct pass *pass = arg;

	(void)err;
	pass_queue_push(&pass->decoded, piece, span);
	pass_queue_push(&pass->members, piece, span);
	return 0;
}

static int on_span(void *arg, uint64_t span_i, uint64_t out_off, const struct unit_span *span,
	struct error *err)
{
	struct found_spans *found = &((struct pass *)arg)->found;
	uint8_t *window = NULL;

	(void)span_i;
	(void)out_off;
	if (found->n == found->capacity) {
		size_t capacity = found->capacity > 0 ? 2 * found->capacity : 64;
		void *more = reallocarray(found->spans, capacity, sizeof(*found->spans));

		if (!more)
			return error_set(
				err, ERROR_NO_MEMORY, "no memory for the spans of a layer");
		found->spans = more;
		found->capacity = capacity;
	}
	if (span->window_size > 0) {
		window = malloc(span->window_size);
		if (!window)
			return error_set(
				err, ERROR_NO_MEMORY, "no memory for the window of a span");
		memcpy(window, span->window, span->window_size);
	}
	found->spans[found->n] = *span;
	found->spans[found->n++].window = window;
	return 0;
}

static void found_spans_clear(struct found_spans *found)
{
	for (size_t i = 0; i < found->n; i++)
		free((void *)(uintptr_t)found->spans[i].window);
	free(found->spans);
}

static int decode(struct pass *pass, struct error *err)
{
	CLEANUP(pass_decoder_freep) struct pass_decoder *decoder = NULL;
	const struct gzip_indexer_options options = {
		.data = on_decoded, .found = on_span, .arg = pass};
	struct pass_piece piece;
	int result = pass_decoder_new(pass->options->codec, &options, &decoder, err);

	while (pass_queue_pop(&pass->encoded, &piece)) {
		if (result == 0 && !atomic_load(&pass->failed))
			result = pass_decoder_feed(decoder, piece.bytes, err);
		decoded_unref(piece.bytes);
	}
	if (result == 0 && !atomic_load(&pass->failed))
		result = pass_decoder_end(decoder, err);
	return result;
}

static void *run_decode(void *arg)
{
	struct pass *pass = arg;
	struct error err;

	if (decode(pass, &err) < 0)
		fail(pass, &err);
	pass_queue_end(&pass->decoded);
	pass_queue_end(&pass->members);
	return NULL;
}

/* All of the blob into the queues. */
static int feed(struct pass *pass, struct error *err)
{
	const struct pass_options *options = pass->options;
	uint64_t done = 0;

	for (;;) {
		CLEANUP(decoded_unrefp) struct decoded *bytes = NULL;

		if (options->pace && options->pace(options->arg, PASS_RANGE_SIZE, err) < 0)
			return -1;
		if (pass_fetch_next(pass->fetch, &bytes, err) < 0)
			return -1;
		if (!bytes)
			return 0;
		if (done == 0 &&
			detect_content(options->descriptor, decoded_data(bytes),
				decoded_size(bytes) < DETECT_HEAD_SIZE ? decoded_size(bytes)
								       : DETECT_HEAD_SIZE,
				err) < 0)
			return -1;
		pass_queue_push(&pass->blob, bytes, 0);
		pass_queue_push(&pass->encoded, bytes, 0);
		done += decoded_size(bytes);
		if (options->progress)
			options->progress(options->arg, done);
	}
}

/* For people, of what has another digest than somebody says. */
struct subject {
	const char *what;
	const char *who_says;
	const char *advice;
};

static int check_digest(const struct subject *subject, const struct digest *expected,
	const struct digest *actual, struct error *err)
{
	char expected_text[DIGEST_TEXT_SIZE], actual_text[DIGEST_TEXT_SIZE];

	if (digest_equal(expected, actual))
		return 0;
	return error_set(err, ERROR_DIGEST_MISMATCH, "%s has the digest %s, but %s says %s: %s",
		subject->what, digest_format(actual, actual_text), subject->who_says,
		digest_format(expected, expected_text), subject->advice);
}

/* In the order of blame: bytes on their way, then what the image was made of. */
static int judge(struct pass *pass, bool *blob_is_right, struct error *err)
{
	static const struct subject blob = {"the blob", "the manifest",
		"it was damaged where it is or on the way; repair it there"};
	static const struct subject archive = {"the archive in the blob",
		"the image's config (diffID)", "it is of another layer; push the image again"};
	const struct pass_options *options = pass->options;
	bool is_hashed = pass->blob_digest.algorithm != 0;

	if (is_hashed &&
		check_digest(&blob, &options->descriptor->digest, &pass->blob_digest, err) < 0)
		return -1;
	*blob_is_right = is_hashed;
	if (atomic_load(&pass->failed)) {
		if (err)
			*err = pass->err;
		return -1;
	}
	return check_digest(&archive, options->diff_id, &pass->archive_digest, err);
}

static int add_spans(struct pass *pass, struct error *err)
{
	struct found_spans *found = &pass->found;

	if (found->n != pass->n_span_digests)
		return error_set(err, ERROR_INTERNAL, "%zu spans and digests of %zu", found->n,
			pass->n_span_digests);
	for (size_t i = 0; i < found->n; i++) {
		struct unit_span span = found->spans[i];

		span.digest_kind = SPAN_DIGEST_DECODED;
		memcpy(span.digest, pass->span_digests[i], sizeof(span.digest));
		if (span_index_add_span(pass->index, &span, err) < 0)
			return -1;
	}
	pass->index->diff_id = pass->archive_digest;
	return 0;
}

/* Starts them all, or those before the one that could not be started. */
static size_t start_threads(struct pass *pass, pthread_t threads[4], struct error *err)
{
	static const struct {
		const char *name;
		void *(*run)(void *arg);
	} all[4] = {{"pass-blob", run_hash_blob}, {"pass-decode", run_decode},
		{"pass-digest", run_hash_archive}, {"pass-files", run_read_archive}};

	for (size_t i = 0; i < 4; i++) {
		int ret = thread_start(&threads[i], all[i].name, all[i].run, pass);

		if (ret < 0) {
			(void)error_set_errno(err, -ret, "start a thread");
			return i;
		}
	}
	return 4;
}

static int run_threads(struct pass *pass, struct error *err)
{
	pthread_t threads[4];
	size_t n = start_threads(pass, threads, err);
	int result = n == 4 ? feed(pass, err) : -1;
	struct error stop = {.kind = ERROR_CANCELLED};

	/* Without all of the blob nobody is to blame what he got of it. */
	if (result < 0)
		fail(pass, &stop);
	pass_queue_end(&pass->blob);
	pass_queue_end(&pass->encoded);
	for (size_t i = 0; i < n; i++)
		(void)pthread_join(threads[i], NULL);
	return result;
}

static void pass_clear(struct pass *pass)
{
	pass_cancel_watch(pass->options->cancel, NULL);
	pass_fetch_free(pass->fetch);
	pass_claim_free(pass->claim);
	pass_archive_free(pass->archive);
	span_index_free(pass->index);
	found_spans_clear(&pass->found);
	free(pass->span_digests);
	pass_queue_destroy(&pass->blob);
	pass_queue_destroy(&pass->encoded);
	pass_queue_destroy(&pass->decoded);
	pass_queue_destroy(&pass->members);
	(void)pthread_mutex_destroy(&pass->lock);
}

static int prepare(struct pass *pass, struct error *err)
{
	const struct pass_options *options = pass->options;
	const struct pass_fetch_options fetch = {
		.loop = options->loop,
		.sources = options->sources,
		.n_sources = options->n_sources,
		.borrows_sources = options->borrows_sources,
		.blob_size = options->descriptor->size,
		.patience_ns = options->patience_ns,
		.n_ranges = options->n_ranges,
	};

	if (pass_fetch_new(&fetch, &pass->fetch, err) < 0 || span_index_new(&pass->index, err) < 0)
		return -1;
	pass_cancel_watch(options->cancel, pass->fetch);
	pass->index->codec = options->codec;
	pass->index->blob = options->descriptor->digest;
	pass->index->blob_size = options->descriptor->size;
	if (options->claimed && pass_claim_new(options->claimed, &pass->claim, err) < 0)
		return -1;
	return pass_archive_new(pass->index, options->staging, &pass->archive, err);
}

/* The tree before the spans: what it says can be told of a file. */
static void compare(const struct pass *pass, struct error *contradiction)
{
	if (!pass->claim)
		return;
	if (span_index_compare(pass->options->claimed, pass->index, contradiction) == 0 &&
		pass_claim_end(pass->claim, contradiction) == 0)
		*contradiction = (struct error){0};
}

int pass_run(const struct pass_options *options, struct pass_result *out, struct error *err)
{
	CLEANUP(pass_clear) struct pass pass = {.options = options};

	(void)pthread_mutex_init(&pass.lock, NULL);
	pass_queue_init(&pass.blob, RANGES_WAITING);
	pass_queue_init(&pass.encoded, RANGES_WAITING);
	pass_queue_init(&pass.decoded, PIECES_WAITING);
	pass_queue_init(&pass.members, PIECES_WAITING);
	*out = (struct pass_result){0};
	if (prepare(&pass, err) < 0 || run_threads(&pass, err) < 0 ||
		judge(&pass, &out->blob_is_right, err) < 0 || add_spans(&pass, err) < 0)
		return -1;
	compare(&pass, &out->contradiction);
	out->digests = pass_archive_take_digests(pass.archive, &out->n_digests);
	out->index = TAKE_PTR(pass.index);
	return 0;
}
