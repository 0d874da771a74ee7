/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <pthread.h>

#include "base/loop.h"
#include "chunk/decoded.h"
#include "chunk/gzip_indexer.h"
#include "chunk/source.h"
#include "format/span_index.h"
#include "oci/descriptor.h"
#include "store/layer_staging.h"

/* One pass over the blob of a layer that nobody has indexed: fetched as ranges, decoded as a
 * stream, hashed in three ways, its files written to where the index will have them. A thread for
 * each of these, with short queues between them. */

/* pass_fetch.c: a blob from its beginning to its end, as parallel ranges of bounded memory. The
 * calls block; one thread. */
struct pass_fetch;

enum { PASS_RANGE_SIZE = 2 << 20, PASS_N_RANGES = 8 };

/* How a blob is fetched. */
struct pass_fetch_options {
	struct loop *loop;
	struct source **sources; /* in the order they are tried; owned, also on failure */
	size_t n_sources;
	bool borrows_sources; /* they are not owned, and outlive the pass */
	uint64_t blob_size;
	uint64_t patience_ns; /* how long a source may take for a range */
	unsigned n_ranges;    /* at a time; 0: PASS_N_RANGES, which is the most */
};

MUST_CHECK int pass_fetch_new(
	const struct pass_fetch_options *options, struct pass_fetch **out, struct error *err);
/* The next pass_fetch_next() is ERROR_CANCELLED, and one that waits. Any thread. */
void pass_fetch_cancel(struct pass_fetch *fetch);
/* Cancels what is under way. Not on the loop. */
void pass_fetch_free(struct pass_fetch *fetch);
void pass_fetch_freep(struct pass_fetch **fetch);

/* The next PASS_RANGE_SIZE bytes, or what is left of the blob; *out is NULL at its end. The caller
 * has the only reference. */
MUST_CHECK int pass_fetch_next(struct pass_fetch *fetch, struct decoded **out, struct error *err);

/* pass_queue.c: pieces on their way from one thread to the next. Whoever takes them takes all up to
 * the end, also after a failure: so nobody waits for ever. */
struct pass_piece {
	struct decoded *bytes; /* a reference */
	uint64_t span;         /* that it came out of */
};

enum { PASS_QUEUE_MAX = 16 };

struct pass_queue {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct pass_piece pieces[PASS_QUEUE_MAX]; /* guarded by lock, like the rest */
	size_t first;
	size_t n;
	size_t limit;
	bool ended;
};

/* @limit: pieces that wait at most. */
void pass_queue_init(struct pass_queue *queue, size_t limit);
void pass_queue_destroy(struct pass_queue *queue);
/* Takes a reference of its own; waits for room. */
void pass_queue_push(struct pass_queue *queue, struct decoded *bytes, uint64_t span);
void pass_queue_end(struct pass_queue *queue);
/* False at the end. */
bool pass_queue_pop(struct pass_queue *queue, struct pass_piece *out);

/* pass_archive.c: the members of the decoded archive. One thread. */
struct pass_archive;

/* Both are borrowed; entries are added to @index. */
MUST_CHECK int pass_archive_new(struct span_index *index, struct layer_staging *staging,
	struct pass_archive **out, struct error *err);
void pass_archive_free(struct pass_archive *archive);
void pass_archive_freep(struct pass_archive **archive);

/* The next decoded bytes, all of one span. */
MUST_CHECK int pass_archive_feed(struct pass_archive *archive, uint64_t span, const void *data,
	size_t size, struct error *err);
MUST_CHECK int pass_archive_end(struct pass_archive *archive, struct error *err);

/* SHA-256 of the pieces that span_index_cut() will make; the caller's. */
uint8_t (*pass_archive_take_digests(struct pass_archive *archive, size_t *ret_n))[32];

/* pass_decode.c: from the bytes of a blob to those of its archive, and its spans. One thread. */
struct pass_decoder;

/* As gzip_indexer_options; codec CODEC_NONE has spans, too. */
MUST_CHECK int pass_decoder_new(enum codec codec, const struct gzip_indexer_options *options,
	struct pass_decoder **out, struct error *err);
void pass_decoder_free(struct pass_decoder *decoder);
void pass_decoder_freep(struct pass_decoder **decoder);
MUST_CHECK int pass_decoder_feed(
	struct pass_decoder *decoder, struct decoded *bytes, struct error *err);
MUST_CHECK int pass_decoder_end(struct pass_decoder *decoder, struct error *err);

/* pass_claim.c: whether spans that somebody claims decode to what is in the archive. Two threads:
 * one gives the blob, one the archive, and one of them looks at the result when both are done. */
struct pass_claim;

enum { PASS_CLAIM_MAX_SPAN = 256 << 20 };

/* @index: borrowed. ERROR_UNSUPPORTED when a span has more bytes than can be decoded beside the
 * pass. */
MUST_CHECK int pass_claim_new(
	const struct span_index *index, struct pass_claim **out, struct error *err);
void pass_claim_free(struct pass_claim *claim);
void pass_claim_freep(struct pass_claim **claim);

/* The next bytes of the blob. Spans with a SPAN_DIGEST_ENCODED are decoded as readers do it. */
MUST_CHECK int pass_claim_feed_blob(
	struct pass_claim *claim, const void *data, size_t size, struct error *err);

/* The next bytes of the decoded archive. */
MUST_CHECK int pass_claim_feed(
	struct pass_claim *claim, const void *data, size_t size, struct error *err);

/* Everything went by: ERROR_FORMAT names the first span that is not what was claimed. */
MUST_CHECK int pass_claim_end(struct pass_claim *claim, struct error *err);

/* pass_cancel.c: to end a pass early, from any thread. */
struct pass_cancel {
	pthread_mutex_t lock;
	struct pass_fetch *fetch; /* guarded by lock; of the pass that runs */
	bool cancelled;           /* guarded by lock */
};

void pass_cancel_init(struct pass_cancel *cancel);
void pass_cancel_destroy(struct pass_cancel *cancel);
/* The pass that runs is ERROR_CANCELLED soon, and every other one. */
void pass_cancel(struct pass_cancel *cancel);
/* From here on it is @fetch that is cancelled; NULL: nothing any more. @cancel may be NULL. */
void pass_cancel_watch(struct pass_cancel *cancel, struct pass_fetch *fetch);

/* pass.c */
struct pass_options {
	struct loop *loop;
	struct source **sources; /* owned by the pass, also on failure, unless it borrows them */
	size_t n_sources;
	bool borrows_sources;
	uint64_t patience_ns; /* with a source, for each range */
	unsigned n_ranges;    /* at a time; 0: as many as make it fast */
	const struct descriptor *descriptor;
	const struct digest *diff_id;
	enum codec codec;
	struct layer_staging *staging;
	void (*progress)(void *arg, uint64_t done); /* bytes of the blob; may be NULL */
	/* Waits until @size more bytes may be asked for; may be NULL. */
	int (*pace)(void *arg, uint64_t size, struct error *err);
	void *arg;
	struct pass_cancel *cancel; /* may be NULL */
	/* What somebody says is in the layer: compared with it. NULL: nobody. */
	const struct span_index *claimed;
};

/* What was found; every digest was checked. */
struct pass_result {
	struct span_index *index; /* owned; not cut yet */
	uint8_t (*digests)[32];   /* owned; of its pieces */
	size_t n_digests;
	/* Also on failure: all of the blob was there and has its digest. What is wrong then is not
	 * for lack of bytes. */
	bool blob_is_right;
	/* ERROR_NONE, or the first thing that was claimed and is not so. */
	struct error contradiction;
};

void pass_result_clear(struct pass_result *result);

/**
 * pass_run() - read all of a layer once.
 * @err: ERROR_DIGEST_MISMATCH says whether it is the blob or the archive in it; ERROR_FORMAT, that
 *       the blob is as the manifest has it and no layer; otherwise why it could not be fetched.
 *
 * Blocks on network, CPU and disk.
 */
MUST_CHECK int pass_run(
	const struct pass_options *options, struct pass_result *out, struct error *err);
