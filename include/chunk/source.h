/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/workers.h"
#include "oci/digest.h"

/* Where encoded bytes of a blob come from: a registry, a peer. Peers and registry implement this;
 * the fetcher gets an ordered list of them and knows neither. Net loop only, all of it. */
struct source;
struct source_fetch; /* one request under way; the source's */

/* One contiguous range of one blob. Owned by the caller, unchanged and alive until done(). */
struct source_request {
	uint64_t off;
	uint64_t size; /* at least 1; [off, off + size) lies inside the blob */
	enum priority priority;
	uint64_t
		deadline_ns; /* CLOCK_MONOTONIC: done() comes no later, whatever the network does */

	/* Origins that delivered wrong bytes for this range: not to be asked again. */
	const char *const *avoid;
	size_t n_avoid;

	/* Set by the source before each data(): who these bytes come from. A string as in done().
	 */
	const char *origin;

	/* Bytes in order, each exactly once, never beyond the range. Nothing is checked yet. After
	 * a retry inside the source they go on where they stopped. 0 or -1 to abort. */
	int (*data)(struct source_request *request, const uint8_t *data, size_t size);

	/* Exactly once, also after an abort, never from inside start(). @err is NULL when the whole
	 * range was delivered; @origin names who delivered or failed last ("https://mirror:5000"),
	 * borrowed until the source is freed. Not called after cancel(). */
	void (*done)(struct source_request *request, const char *origin, const struct error *err);
};

/* What an implementation provides. */
struct source_ops {
	/* Begins; errors come through done(). NULL only when memory ran out. */
	struct source_fetch *(*start)(struct source *source, struct source_request *request);
	/* No call into the request from now on. */
	void (*cancel)(struct source_fetch *fetch);
	/* Frees the source; no request is under way. Before the first start() on any thread. */
	void (*free)(struct source *source);
};

/* First member of every implementation. */
struct source {
	const struct source_ops *ops;
	const char *kind; /* "registry", "peer": for status */
};
