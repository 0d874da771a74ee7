/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <libdeflate.h>
#include <zstd.h>

#include "base/error.h"
#include "decoder_internal.h"
#include "oci/digest.h"

/* What a thread reuses from chunk to chunk: setting these up costs as much as decoding or hashing
 * a small file. Freed when the thread ends. */
struct thread_context {
	struct libdeflate_decompressor *libdeflate;
	ZSTD_DCtx *zstd; /* whole frames in memory; the window is the output itself */
	struct decoder *gzip_decoder;
	struct decoder *zstd_decoder;
	struct digest_hasher *sha256;
};

/* The calling thread's own. Members are made by the functions below, at first use. */
MUST_CHECK int thread_context_get(struct thread_context **out, struct error *err);

MUST_CHECK int thread_context_libdeflate(
	struct thread_context *context, struct libdeflate_decompressor **out, struct error *err);
MUST_CHECK int thread_context_zstd(
	struct thread_context *context, ZSTD_DCtx **out, struct error *err);
/* Reset and ready. */
MUST_CHECK int thread_context_decoder(
	struct thread_context *context, enum codec codec, struct decoder **out, struct error *err);
MUST_CHECK int thread_context_sha256(
	struct thread_context *context, struct digest_hasher **out, struct error *err);
