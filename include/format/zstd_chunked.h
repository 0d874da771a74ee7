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
	ZSTD_CHUNKED_FOOTER_SIZE = 64,        /* of containers/storage */
	ZSTD_CHUNKED_STARGZ_FOOTER_SIZE = 40, /* of stargz, and of containers/storage once */
	/* The manifest, the JSON in it, and manifest and tar-split with what is between them. */
	ZSTD_CHUNKED_MAX_TOC_SIZE = 150 << 20,
};

/* Where the manifest is, and the tar-split behind it: a description of the tar around the files,
 * which nobody here rebuilds. Its size is 0 where there is none, or nobody says where it is. */
struct zstd_chunked_position {
	uint64_t off; /* in the blob, behind the header of its skippable frame */
	uint64_t size;
	uint64_t json_size;     /* what it decodes to */
	uint64_t tar_split_off; /* behind the header of its own frame */
	uint64_t tar_split_size;
};

/* How many bytes from position->off on there are to fetch: all that zstd_chunked_parse() checks. */
uint64_t zstd_chunked_stretch(const struct zstd_chunked_position *position);

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
 * @stretch: zstd_chunked_stretch() bytes: the manifest first, the tar-split last.
 * @err: ERROR_DIGEST_MISMATCH when a digest is not the promised one; ERROR_FORMAT for everything
 *       that breaks the format, naming entry and field.
 *
 * What the tar-split says is not read. But where the table of contents names its digest
 * (tarSplitDigest) it has to have it: a layer in which the two do not belong together was made or
 * changed by somebody who is not to be believed in the rest either.
 * Threads: workers; CPU only.
 */
MUST_CHECK int zstd_chunked_parse(const uint8_t *stretch,
	const struct zstd_chunked_options *options, struct toc **out, struct error *err);

/* The same from the JSON itself, already authenticated, without a tar-split. */
MUST_CHECK int zstd_chunked_json_parse(const char *json, size_t json_size,
	const struct zstd_chunked_options *options, struct toc **out, struct error *err);
