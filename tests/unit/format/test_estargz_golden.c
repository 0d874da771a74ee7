/* SPDX-License-Identifier: Apache-2.0 */
/* Real blobs, read as the layer code reads them; tests/golden/estargz/generate.py says what they
 * are. */
#include "support/test.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/fdio.h"
#include "chunk/codec.h"
#include "chunk/verify.h"
#include "dump.h"
#include "format/estargz.h"

static const char *golden_directory(void)
{
	const char *directory = getenv("VARVE_GOLDEN_ESTARGZ");

	if (!directory)
		fail_msg("VARVE_GOLDEN_ESTARGZ is not set");
	return directory;
}

/* The file NAME.SUFFIX; empty when there is none. Text loses its newline. */
static struct buffer read_golden(const char *name, const char *suffix)
{
	struct buffer contents = {0};
	struct error err = {0};
	char path[4096];

	snprintf(path, sizeof(path), "%s/%s.%s", golden_directory(), name, suffix);
	if (access(path, F_OK) == 0 && file_read(AT_FDCWD, path, 1 << 20, &contents, &err) < 0)
		fail_msg("%s", err.message);
	assert_int_equal(buffer_append(&contents, "", 0), 0);
	return contents;
}

/* Calls each() with the name of every blob whose name begins so, or does not. */
static void for_each_blob(bool should_fail, void (*each)(const char *name))
{
	DIR *directory = opendir(golden_directory());
	struct dirent *entry;
	int n = 0;

	assert_non_null(directory);
	while ((entry = readdir(directory))) {
		char *suffix = strstr(entry->d_name, ".blob");

		if (!suffix || (strncmp(entry->d_name, "should-fail-", 12) == 0) != should_fail)
			continue;
		*suffix = '\0';
		each(entry->d_name);
		n++;
	}
	closedir(directory);
	assert_true(n >= 5);
}

static int parse_blob(
	const char *name, const struct buffer *blob, struct toc **toc, struct error *err)
{
	struct buffer digest_text = read_golden(name, "digest");
	struct buffer external = read_golden(name, "toc");
	struct estargz_toc_options options = {.blob_size = blob->size};
	struct estargz_footer footer;
	struct digest digest;
	int result;

	digest_text.data[strcspn((char *)digest_text.data, "\n")] = '\0';
	assert_int_equal(digest_parse((char *)digest_text.data, &digest, err), 0);
	options.toc_digest = &digest;
	result = estargz_footer_parse(blob->data, blob->size, blob->size, &footer, err);
	if (result == 0 && external.size > 0) {
		assert_int_equal(footer.kind, ESTARGZ_EXTERNAL);
		options.payload_end = blob->size;
		result = estargz_toc_parse(external.data, external.size, &options, toc, err);
	} else if (result == 0) {
		assert_true(footer.kind == ESTARGZ_FOOTER || footer.kind == ESTARGZ_LEGACY);
		options.payload_end = footer.toc_off;
		result = estargz_toc_parse(blob->data + footer.toc_off,
			blob->size - footer.toc_off - footer.size, &options, toc, err);
	}
	buffer_free(&digest_text);
	buffer_free(&external);
	return result;
}

static void check_chunk(const char *name, const struct buffer *blob, const struct toc_chunk *chunk)
{
	struct unit unit = {.size = chunk->size};
	struct verified_chunk *verified = NULL;
	struct decoded *decoded = NULL;
	struct error err = {0};

	memcpy(unit.digest, chunk->digest, sizeof(unit.digest));
	assert_true(range_within(chunk->blob_off, chunk->blob_size, blob->size));
	if (codec_decode_new((enum codec)chunk->codec, blob->data + chunk->blob_off,
		    chunk->blob_size, chunk->inner_off, (size_t)chunk->size, &decoded, &err) < 0 ||
		chunk_verify(&unit, decoded, 0, &verified, &err) < 0)
		fail_msg("%s: %s", name, err.message);
	chunk_unref(verified);
	decoded_unref(decoded);
}

static void check_good(const char *name)
{
	struct buffer blob = read_golden(name, "blob");
	struct buffer expected = read_golden(name, "dump");
	struct buffer actual = {0};
	struct toc *toc = NULL;
	struct error err = {0};

	if (parse_blob(name, &blob, &toc, &err) < 0)
		fail_msg("%s: %s", name, err.message);
	dump_toc(toc, &actual);
	if (strcmp((char *)actual.data, (char *)expected.data) != 0)
		fail_msg("%s reads as:\n%s", name, (char *)actual.data);
	for (size_t i = 0; i < toc->n_chunks; i++)
		check_chunk(name, &blob, &toc->chunks[i]);
	toc_free(toc);
	buffer_free(&blob);
	buffer_free(&expected);
	buffer_free(&actual);
}

static void check_bad(const char *name)
{
	struct buffer blob = read_golden(name, "blob");
	struct buffer words = read_golden(name, "error");
	struct toc *toc = NULL;
	struct error err = {0};

	words.data[strcspn((char *)words.data, "\n")] = '\0';
	if (parse_blob(name, &blob, &toc, &err) == 0)
		fail_msg("%s was accepted", name);
	if (words.size == 0 || !strstr(err.message, (char *)words.data))
		fail_msg("%s: \"%s\" lacks \"%s\"", name, err.message, (char *)words.data);
	buffer_free(&blob);
	buffer_free(&words);
}

static void every_golden_blob_reads_as_recorded_and_every_chunk_verifies(void **state)
{
	(void)state;
	for_each_blob(false, check_good);
}

static void every_blob_that_should_fail_does_so_with_its_reason(void **state)
{
	(void)state;
	for_each_blob(true, check_bad);
}

static void a_missing_digest_is_refused_unless_that_is_allowed(void **state)
{
	(void)state;
	struct buffer blob = read_golden("should-fail-legacy", "blob");
	struct estargz_toc_options options = {.blob_size = blob.size};
	struct estargz_footer footer;
	struct toc *toc = NULL;
	struct error err = {0};
	const uint8_t *member;
	size_t member_size;

	assert_int_equal(estargz_footer_parse(blob.data, blob.size, blob.size, &footer, &err), 0);
	assert_int_equal(footer.kind, ESTARGZ_LEGACY);
	options.payload_end = footer.toc_off;
	member = blob.data + footer.toc_off;
	member_size = blob.size - footer.toc_off - footer.size;

	assert_int_equal(estargz_toc_parse(member, member_size, &options, &toc, &err), -1);
	assert_int_equal(err.kind, ERROR_UNSUPPORTED);
	assert_non_null(strstr(err.message, ESTARGZ_TOC_DIGEST_ANNOTATION));

	options.allow_unverified = true;
	if (estargz_toc_parse(member, member_size, &options, &toc, &err) < 0)
		fail_msg("%s", err.message);
	assert_true(toc->n_chunks > 0);
	for (size_t i = 0; i < toc->n_chunks; i++)
		assert_int_equal(toc->chunks[i].flags, UNIT_UNVERIFIED);
	toc_free(toc);
	buffer_free(&blob);
}

static void a_wrong_toc_digest_is_a_digest_mismatch(void **state)
{
	(void)state;
	struct buffer blob = read_golden("should-fail-other-digest", "blob");
	struct toc *toc = NULL;
	struct error err = {0};

	assert_int_equal(parse_blob("should-fail-other-digest", &blob, &toc, &err), -1);
	assert_int_equal(err.kind, ERROR_DIGEST_MISMATCH);
	assert_null(toc);
	buffer_free(&blob);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_golden_blob_reads_as_recorded_and_every_chunk_verifies),
		cmocka_unit_test(every_blob_that_should_fail_does_so_with_its_reason),
		cmocka_unit_test(a_missing_digest_is_refused_unless_that_is_allowed),
		cmocka_unit_test(a_wrong_toc_digest_is_a_digest_mismatch),
	};
	return cmocka_run_group_tests_name("format/estargz_golden", tests, NULL, NULL);
}
