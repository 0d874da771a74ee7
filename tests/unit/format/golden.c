/* SPDX-License-Identifier: Apache-2.0 */
#include "golden.h"

#include "support/test.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/fdio.h"
#include "chunk/codec.h"
#include "chunk/verify.h"
#include "dump.h"

static const char *golden_directory(void)
{
	const char *directory = getenv("VARVE_GOLDEN");

	if (!directory)
		fail_msg("VARVE_GOLDEN is not set");
	return directory;
}

struct buffer golden_read(const char *name, const char *suffix)
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

struct buffer golden_read_line(const char *name, const char *suffix)
{
	struct buffer line = golden_read(name, suffix);

	line.data[strcspn((char *)line.data, "\n")] = '\0';
	return line;
}

/* Whether the name ends with ".SUFFIX", which it loses then. */
static bool cut_suffix(char *name, const char *suffix)
{
	char *dot = strrchr(name, '.');

	if (!dot || strcmp(dot + 1, suffix) != 0)
		return false;
	*dot = '\0';
	return true;
}

void golden_each(bool should_fail, void (*each)(const char *name))
{
	golden_each_file("blob", should_fail, each);
}

void golden_each_file(const char *suffix, bool should_fail, void (*each)(const char *name))
{
	DIR *directory = opendir(golden_directory());
	struct dirent *entry;
	int n = 0;

	assert_non_null(directory);
	while ((entry = readdir(directory))) {
		bool fails = strncmp(entry->d_name, "should-fail-", 12) == 0;

		if (fails != should_fail || !cut_suffix(entry->d_name, suffix))
			continue;
		each(entry->d_name);
		n++;
	}
	closedir(directory);
	assert_true(n >= 5);
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
	assert_true(chunk_is_zeros(verified) || !(chunk->flags & UNIT_ZEROS));
	chunk_unref(verified);
	decoded_unref(decoded);
}

void golden_check_toc(const char *name, const struct buffer *blob, const struct toc *toc)
{
	struct buffer expected = golden_read(name, "dump");
	struct buffer actual = {0};

	dump_toc(toc, &actual);
	if (strcmp((char *)actual.data, (char *)expected.data) != 0)
		fail_msg("%s reads as:\n%s", name, (char *)actual.data);
	for (size_t i = 0; i < toc->n_chunks; i++)
		check_chunk(name, blob, &toc->chunks[i]);
	buffer_free(&expected);
	buffer_free(&actual);
}

void golden_check_error(const char *name, const struct error *err)
{
	struct buffer words = golden_read_line(name, "error");

	if (words.data[0] == '\0' || !strstr(err->message, (char *)words.data))
		fail_msg("%s: \"%s\" lacks \"%s\"", name, err->message, (char *)words.data);
	buffer_free(&words);
}

void golden_check_good(const char *name, int (*parse)(const char *name, const struct buffer *blob,
						 struct toc **toc, struct error *err))
{
	struct buffer blob = golden_read(name, "blob");
	struct toc *toc = NULL;
	struct error err = {0};

	if (parse(name, &blob, &toc, &err) < 0)
		fail_msg("%s: %s", name, err.message);
	golden_check_toc(name, &blob, toc);
	toc_free(toc);
	buffer_free(&blob);
}

void golden_check_bad(const char *name, int (*parse)(const char *name, const struct buffer *blob,
						struct toc **toc, struct error *err))
{
	struct buffer blob = golden_read(name, "blob");
	struct toc *toc = NULL;
	struct error err = {0};

	if (parse(name, &blob, &toc, &err) == 0)
		fail_msg("%s was accepted", name);
	assert_null(toc);
	golden_check_error(name, &err);
	buffer_free(&blob);
}
