/* SPDX-License-Identifier: Apache-2.0 */
/* Decoders and hashers that a thread keeps from chunk to chunk. */
#include "thread_context_internal.h"

#include <pthread.h>
#include <stdlib.h>

static pthread_once_t key_once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static int key_errnum;

static void context_free(void *arg)
{
	struct thread_context *context = arg;

	libdeflate_free_decompressor(context->libdeflate);
	(void)ZSTD_freeDCtx(context->zstd);
	decoder_free(context->gzip_decoder);
	decoder_free(context->zstd_decoder);
	digest_hasher_free(context->sha256);
	free(context);
}

static void make_key(void)
{
	key_errnum = pthread_key_create(&key, context_free);
}

int thread_context_get(struct thread_context **out, struct error *err)
{
	struct thread_context *context;

	(void)pthread_once(&key_once, make_key);
	if (key_errnum != 0)
		return error_set_errno(err, key_errnum, "create a key for per-thread decoders");
	context = pthread_getspecific(key);
	if (!context) {
		int errnum;

		context = calloc(1, sizeof(*context));
		if (!context)
			return error_set(err, ERROR_NO_MEMORY, "no memory for per-thread decoders");
		errnum = pthread_setspecific(key, context);
		if (errnum != 0) {
			free(context);
			return error_set_errno(err, errnum, "keep per-thread decoders");
		}
	}
	*out = context;
	return 0;
}

int thread_context_libdeflate(
	struct thread_context *context, struct libdeflate_decompressor **out, struct error *err)
{
	if (!context->libdeflate)
		context->libdeflate = libdeflate_alloc_decompressor();
	if (!context->libdeflate)
		return error_set(err, ERROR_NO_MEMORY, "no memory for a deflate decoder");
	*out = context->libdeflate;
	return 0;
}

int thread_context_zstd(struct thread_context *context, ZSTD_DCtx **out, struct error *err)
{
	if (!context->zstd)
		context->zstd = ZSTD_createDCtx();
	if (!context->zstd)
		return error_set(err, ERROR_NO_MEMORY, "no memory for a zstd decoder");
	*out = context->zstd;
	return 0;
}

int thread_context_decoder(
	struct thread_context *context, enum codec codec, struct decoder **out, struct error *err)
{
	struct decoder **decoder =
		codec == CODEC_GZIP ? &context->gzip_decoder : &context->zstd_decoder;

	if (!*decoder) {
		if (decoder_new(codec, decoder, err) < 0)
			return -1;
	} else if (decoder_reset(*decoder, err) < 0) {
		return -1;
	}
	*out = *decoder;
	return 0;
}

int thread_context_sha256(
	struct thread_context *context, struct digest_hasher **out, struct error *err)
{
	if (!context->sha256) {
		if (digest_hasher_new(DIGEST_SHA256, &context->sha256, err) < 0)
			return -1;
	} else if (digest_hasher_reset(context->sha256, err) < 0) {
		return -1;
	}
	*out = context->sha256;
	return 0;
}
