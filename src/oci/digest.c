/* SPDX-License-Identifier: Apache-2.0 */
/* Content digests: their text form, and hashing with OpenSSL. */
#include "oci/digest.h"

#include <assert.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <string.h>

#include "base/bytes.h"

struct digest_hasher {
	enum digest_algorithm algorithm;
	EVP_MD_CTX *context; /* owned */
};

struct algorithm {
	const char *name;
	const char *openssl_name;
	size_t size; /* bytes */
};

static const struct algorithm algorithms[] = {
	[DIGEST_SHA256] = {.name = "sha256", .openssl_name = "SHA256", .size = 32},
	[DIGEST_SHA512] = {.name = "sha512", .openssl_name = "SHA512", .size = 64},
};

enum { N_ALGORITHMS = sizeof(algorithms) / sizeof(algorithms[0]) };

/* Fetched once for the life of the process: an implicit fetch costs more than hashing a small
 * chunk. Written under fetch_once, constant afterwards; NULL where OpenSSL lacks the algorithm. */
static EVP_MD *fetched[N_ALGORITHMS];
static pthread_once_t fetch_once = PTHREAD_ONCE_INIT;

static void fetch_all(void)
{
	for (int i = DIGEST_SHA256; i < N_ALGORITHMS; i++)
		fetched[i] = EVP_MD_fetch(NULL, algorithms[i].openssl_name, NULL);
}

static const struct algorithm *algorithm_of(enum digest_algorithm algorithm)
{
	assert(algorithm >= DIGEST_SHA256 && (int)algorithm < N_ALGORITHMS);
	return &algorithms[algorithm];
}

static const EVP_MD *evp_of(enum digest_algorithm algorithm)
{
	(void)algorithm_of(algorithm);
	(void)pthread_once(&fetch_once, fetch_all);
	return fetched[algorithm];
}

static int set_unavailable(enum digest_algorithm algorithm, struct error *err)
{
	return error_set(
		err, ERROR_INTERNAL, "OpenSSL cannot compute %s", algorithm_of(algorithm)->name);
}

size_t digest_size(const struct digest *digest)
{
	return algorithm_of(digest->algorithm)->size;
}

static bool is_lower_or_digit(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* algorithm ":" encoded, as the grammar of descriptor.md has it for any algorithm. */
static bool is_well_formed(const char *text)
{
	bool after_separator = true;
	const char *p = text;

	for (; *p && *p != ':'; p++) {
		if (!is_lower_or_digit(*p) && (after_separator || !strchr("+._-", *p)))
			return false;
		after_separator = !is_lower_or_digit(*p);
	}
	if (*p != ':' || after_separator || !p[1])
		return false;
	for (p++; *p; p++) {
		if (!is_lower_or_digit(*p) && !(*p >= 'A' && *p <= 'Z') && !strchr("=_-", *p))
			return false;
	}
	return true;
}

int digest_parse(const char *text, struct digest *out, struct error *err)
{
	for (int i = DIGEST_SHA256; i < N_ALGORITHMS; i++) {
		size_t name_size = strlen(algorithms[i].name);
		struct digest digest = {.algorithm = (enum digest_algorithm)i};

		if (strncmp(text, algorithms[i].name, name_size) != 0 || text[name_size] != ':')
			continue;
		const char *hex = text + name_size + 1;
		if (strnlen(hex, DIGEST_TEXT_SIZE) != 2 * algorithms[i].size ||
			hex_decode(hex, 2 * algorithms[i].size, digest.bytes, algorithms[i].size) <
				0)
			return error_set(err, ERROR_FORMAT,
				"\"%.*s\" is not a %s digest (%zu lower-case hexadecimal digits)",
				DIGEST_TEXT_SIZE, text, algorithms[i].name, 2 * algorithms[i].size);
		*out = digest;
		return 0;
	}
	if (strnlen(text, 1024) < 1024 && is_well_formed(text))
		return error_set(err, ERROR_UNSUPPORTED,
			"digest \"%.*s\" uses an algorithm other than sha256 and sha512",
			DIGEST_TEXT_SIZE, text);
	return error_set(err, ERROR_FORMAT,
		"\"%.*s\" is not a digest (sha256:<64 hexadecimal digits>)", DIGEST_TEXT_SIZE,
		text);
}

const char *digest_format(const struct digest *digest, char text[DIGEST_TEXT_SIZE])
{
	const struct algorithm *algorithm = algorithm_of(digest->algorithm);
	size_t name_size = strlen(algorithm->name);

	memcpy(text, algorithm->name, name_size);
	text[name_size] = ':';
	hex_encode(digest->bytes, algorithm->size, text + name_size + 1);
	return text;
}

bool digest_equal(const struct digest *a, const struct digest *b)
{
	return a->algorithm == b->algorithm && memcmp(a->bytes, b->bytes, digest_size(a)) == 0;
}

void digest_from_sha256(const uint8_t bytes[32], struct digest *out)
{
	*out = (struct digest){.algorithm = DIGEST_SHA256};
	memcpy(out->bytes, bytes, 32);
}

int digest_hasher_new(
	enum digest_algorithm algorithm, struct digest_hasher **out, struct error *err)
{
	CLEANUP(digest_hasher_freep) struct digest_hasher *hasher = calloc(1, sizeof(*hasher));

	if (!hasher)
		return error_set(err, ERROR_NO_MEMORY, "no memory for a digest");
	hasher->algorithm = algorithm;
	hasher->context = EVP_MD_CTX_new();
	if (!hasher->context)
		return error_set(err, ERROR_NO_MEMORY, "no memory for a digest");
	if (digest_hasher_reset(hasher, err) < 0)
		return -1;
	*out = TAKE_PTR(hasher);
	return 0;
}

int digest_hasher_update(
	struct digest_hasher *hasher, const void *data, size_t size, struct error *err)
{
	if (!EVP_DigestUpdate(hasher->context, data, size))
		return set_unavailable(hasher->algorithm, err);
	return 0;
}

int digest_hasher_final(struct digest_hasher *hasher, struct digest *out, struct error *err)
{
	struct digest digest = {.algorithm = hasher->algorithm};

	if (!EVP_DigestFinal_ex(hasher->context, digest.bytes, NULL))
		return set_unavailable(hasher->algorithm, err);
	*out = digest;
	return 0;
}

int digest_hasher_reset(struct digest_hasher *hasher, struct error *err)
{
	const EVP_MD *evp = evp_of(hasher->algorithm);

	if (!evp || !EVP_DigestInit_ex2(hasher->context, evp, NULL))
		return set_unavailable(hasher->algorithm, err);
	return 0;
}

void digest_hasher_free(struct digest_hasher *hasher)
{
	if (!hasher)
		return;
	EVP_MD_CTX_free(hasher->context);
	free(hasher);
}

void digest_hasher_freep(struct digest_hasher **hasher)
{
	digest_hasher_free(*hasher);
}

int digest_compute(enum digest_algorithm algorithm, const void *data, size_t size,
	struct digest *out, struct error *err)
{
	struct digest digest = {.algorithm = algorithm};
	const EVP_MD *evp = evp_of(algorithm);

	if (!evp || !EVP_Digest(data, size, digest.bytes, NULL, evp, NULL))
		return set_unavailable(algorithm, err);
	*out = digest;
	return 0;
}

int digest_check(const struct digest *expected, const void *data, size_t size, struct error *err)
{
	char expected_text[DIGEST_TEXT_SIZE];
	char actual_text[DIGEST_TEXT_SIZE];
	struct digest actual;

	if (digest_compute(expected->algorithm, data, size, &actual, err) < 0)
		return -1;
	if (digest_equal(expected, &actual))
		return 0;
	return error_set(err, ERROR_DIGEST_MISMATCH, "%zu bytes have digest %s instead of %s", size,
		digest_format(&actual, actual_text), digest_format(expected, expected_text));
}
