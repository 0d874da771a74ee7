/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "format/toc.h"
#include "oci/digest.h"

/* eStargz: a tar.gz of many members with a table of contents (TOC) at its end.
 * Spec: stargz-snapshotter, docs/estargz.md. */

#define ESTARGZ_TOC_DIGEST_ANNOTATION "containerd.io/snapshot/stargz/toc.digest"

enum {
	ESTARGZ_FOOTER_SIZE = 51,
	ESTARGZ_LEGACY_FOOTER_SIZE = 47,
	ESTARGZ_EXTERNAL_FOOTER_SIZE = 46,
	ESTARGZ_MAX_TOC_SIZE = 256 << 20, /* uncompressed JSON */
};

enum estargz_footer_kind { ESTARGZ_FOOTER_NONE, ESTARGZ_FOOTER, ESTARGZ_LEGACY, ESTARGZ_EXTERNAL };

/* What the footer says. */
struct estargz_footer {
	enum estargz_footer_kind kind;
	uint64_t toc_off; /* of the TOC's gzip member in the blob; unset for external */
	uint64_t size;    /* of the footer itself */
};

/**
 * estargz_footer_parse() - look for a footer at the end of a blob.
 * @tail: the last bytes of the blob, at least ESTARGZ_FOOTER_SIZE where the blob has them.
 *
 * Bytes without a footer are kind NONE and success; a footer whose offset lies outside the blob
 * is ERROR_FORMAT.
 */
MUST_CHECK int estargz_footer_parse(const uint8_t *tail, size_t tail_size, uint64_t blob_size,
	struct estargz_footer *out, struct error *err);

/* What a table of contents is checked against. */
struct estargz_toc_options {
	const struct digest *toc_digest; /* of the JSON; NULL only with allow_unverified */
	bool allow_unverified;           /* accept a missing digest, and chunks without one */
	uint64_t blob_size;
	/* Where payloads end at the latest: the TOC's own offset, or the blob's size. */
	uint64_t payload_end;
};

/**
 * estargz_toc_parse() - from the compressed TOC to entries.
 * @member: [toc_off, footer) of the blob, or the whole external TOC blob: a gzip member with a tar
 *          of one entry, stargz.index.json.
 * @err:    ERROR_DIGEST_MISMATCH when the JSON has another digest than the manifest's annotation;
 *          ERROR_FORMAT for everything that breaks the specification, naming entry and field.
 *
 * Threads: workers; CPU only.
 */
MUST_CHECK int estargz_toc_parse(const void *member, size_t member_size,
	const struct estargz_toc_options *options, struct toc **out, struct error *err);

/* The same from the JSON itself, already authenticated. */
MUST_CHECK int estargz_json_parse(const char *json, size_t json_size,
	const struct estargz_toc_options *options, struct toc **out, struct error *err);

/* The tag of the image that holds external TOCs: "<tag>-esgztoc"; the layer of that image whose
 * annotation of this name equals our layer's digest. */
#define ESTARGZ_EXTERNAL_TAG_SUFFIX "-esgztoc"
#define ESTARGZ_EXTERNAL_LAYER_ANNOTATION "containerd.io/snapshot/stargz/layer.digest"
