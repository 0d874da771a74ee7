/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "format/toc.h"
#include "oci/descriptor.h"
#include "oci/digest.h"

/* zstd:chunked: a tar of many zstd frames with a table of contents, the manifest, in a skippable
 * frame near its end. Two programs write it, and each pairs annotation names, footer and dialect of
 * the table in its own way, which has changed over time; so all pairings are read.
 * Spec: containers/storage, pkg/chunked; stargz-snapshotter, estargz/zstdchunked. */

/* SHA-256 of the manifest, by containers/storage; stargz' name lacks "github.". */
#define ZSTD_CHUNKED_CHECKSUM_ANNOTATION "io.github.containers.zstd-chunked.manifest-checksum"

enum {
	ZSTD_CHUNKED_FOOTER_SIZE = 64,         /* of containers/storage */
	ZSTD_CHUNKED_STARGZ_FOOTER_SIZE = 40,  /* of stargz, and of containers/storage once */
	ZSTD_CHUNKED_MAX_TOC_SIZE = 150 << 20, /* the manifest, and the JSON in it */
};

/* Where the manifest is. */
struct zstd_chunked_position {
	uint64_t off; /* in the blob, behind the header of its skippable frame */
	uint64_t size;
	uint64_t json_size; /* what it decodes to */
};

/* What the annotations of a layer promise. */
struct zstd_chunked_promise {
	bool has_manifest_digest;
	bool has_toc_digest;
	bool has_position;
	struct digest manifest_digest; /* of the manifest as it is in the blob */
	struct digest toc_digest;      /* of the JSON in it */
	struct zstd_chunked_position position;
};

/**
 * zstd_chunked_promise_parse() - read the annotations, under the names of both programs.
 * @err: ERROR_FORMAT naming the annotation that is malformed, or the two that contradict each
 *       other. As containers/storage does, its checksum beside eStargz' digest is refused: readers
 *       of the one and of the other might see different trees.
 *
 * A layer without any of them is success; nothing is promised then.
 */
MUST_CHECK int zstd_chunked_promise_parse(
	const struct descriptor *layer, struct zstd_chunked_promise *out, struct error *err);

/**
 * zstd_chunked_footer_parse() - look for a footer at the end of a blob.
 * @tail: the last bytes of the blob, at least ZSTD_CHUNKED_FOOTER_SIZE where the blob has them.
 *
 * Bytes without a footer are success with *@found false; one that points outside the blob is
 * ERROR_FORMAT.
 */
MUST_CHECK int zstd_chunked_footer_parse(const uint8_t *tail, size_t tail_size, uint64_t blob_size,
	bool *found, struct zstd_chunked_position *out, struct error *err);

/* What a manifest is checked against. */
struct zstd_chunked_options {
	struct zstd_chunked_position position;
	const struct digest *manifest_digest; /* NULL: not promised */
	const struct digest *toc_digest;      /* NULL: not promised */
	bool allow_unverified; /* accept that neither was, and chunks without a digest */
};

/**
 * zstd_chunked_parse() - from the manifest to entries.
 * @manifest: position.size bytes.
 * @err: ERROR_DIGEST_MISMATCH when a digest is not the promised one; ERROR_FORMAT for everything
 *       that breaks the format, naming entry and field.
 *
 * The tar-split that may follow the manifest describes the tar around the files, which nobody here
 * rebuilds: it is not read.
 * Threads: workers; CPU only.
 */
MUST_CHECK int zstd_chunked_parse(const void *manifest, const struct zstd_chunked_options *options,
	struct toc **out, struct error *err);

/* The same from the JSON itself, already authenticated. */
MUST_CHECK int zstd_chunked_json_parse(const char *json, size_t json_size,
	const struct zstd_chunked_options *options, struct toc **out, struct error *err);
