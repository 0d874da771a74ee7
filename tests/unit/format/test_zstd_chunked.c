/* SPDX-License-Identifier: Apache-2.0 */
#include "format/zstd_chunked.h"

#include "support/test.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "dump.h"
#include "format/estargz.h"

#define D1 "sha256:1111111111111111111111111111111111111111111111111111111111111111"
#define D2 "sha256:2222222222222222222222222222222222222222222222222222222222222222"
#define H1 "1111111111111111"
#define H2 "2222222222222222"
#define H0 "0000000000000000"

#define CONTAINERS "io.github.containers.zstd-chunked."
#define STARGZ "io.containers.zstd-chunked."

/* Payloads end at 9000. */
static const struct zstd_chunked_options strict = {.position = {.off = 9008, .size = 500}};

static int parse_entries(const char *entries, struct toc **toc, struct error *err)
{
	struct buffer json = {0};
	int result;

	assert_int_equal(buffer_printf(&json,
				 "{\"version\":1,\"entries\":[%s],"
				 "\"tarSplitDigest\":\"" D1 "\"}",
				 entries),
		0);
	result = zstd_chunked_json_parse((const char *)json.data, json.size, &strict, toc, err);
	buffer_free(&json);
	return result;
}

static void assert_parses(const char *entries, const char *expected)
{
	struct buffer text = {0};
	struct error err = {0};
	struct toc *toc;

	if (parse_entries(entries, &toc, &err) < 0)
		fail_msg("%s", err.message);
	dump_toc(toc, &text);
	assert_string_equal((const char *)text.data, expected);
	buffer_free(&text);
	toc_free(toc);
}

static void assert_refuses_as(enum error_kind kind, const char *entries, const char *words)
{
	struct toc *toc = NULL;
	struct error err = {0};

	if (parse_entries(entries, &toc, &err) == 0)
		fail_msg("accepted: %s", entries);
	if (!strstr(err.message, words) || !strstr(err.message, "zstd:chunked table of contents: "))
		fail_msg("\"%s\" lacks \"%s\"", err.message, words);
	assert_int_equal(err.kind, kind);
	assert_null(toc);
}

static void assert_refuses(const char *entries, const char *words)
{
	assert_refuses_as(ERROR_FORMAT, entries, words);
}

/* A regular file of one chunk in each dialect. */
#define CONTAINERS_FILE(name, off, end)                                                            \
	"{\"type\":\"reg\",\"name\":\"" name "\",\"size\":5,\"digest\":\"" D1 "\",\"offset\":" off \
	",\"endOffset\":" end "}"
#define STARGZ_FILE(name, off)                                                                     \
	"{\"type\":\"reg\",\"name\":\"" name "\",\"size\":5,\"digest\":\"" D1 "\",\"offset\":" off \
	"}"

static void files_with_an_end_are_read_in_the_dialect_of_containers(void **state)
{
	(void)state;
	assert_parses("{\"type\":\"dir\",\"name\":\"d/\",\"mode\":493,"
		      "\"modtime\":\"2024-02-29T12:34:56.123456789+01:00\","
		      "\"accesstime\":\"never\",\"changetime\":\"0001-01-01T00:00:00Z\"},"
		      "{\"type\":\"reg\",\"name\":\"d/empty\",\"modtime\":"
		      "\"0001-01-01T00:00:00Z\"}," CONTAINERS_FILE("d/one", "100", "120"),
		"dir d 0755 0:0 1709206496.123456789\n"
		"reg d/empty 0000 0:0 0 size 0\n"
		"reg d/one 0000 0:0 0 size 5\n"
		"  chunk 0+5 at 100+20 inner 0 zstd " H1 "\n");
}

static void the_chunks_of_a_file_end_where_the_next_one_begins_or_the_file(void **state)
{
	(void)state;
	assert_parses("{\"type\":\"reg\",\"name\":\"f\",\"size\":100000,\"digest\":\"" D1
		      "\",\"offset\":100,\"endOffset\":900,\"chunkSize\":60,\"chunkDigest\":\"" D2
		      "\"},{\"type\":\"chunk\",\"name\":\"f\",\"offset\":200,\"chunkOffset\":60,"
		      "\"chunkSize\":99000,\"chunkType\":\"zeros\",\"chunkDigest\":\"" D1
		      "\"},{\"type\":\"chunk\",\"name\":\"f\",\"offset\":210,\"chunkOffset\":99060,"
		      "\"chunkSize\":40,\"chunkDigest\":\"" D1
		      "\"},{\"type\":\"chunk\",\"name\":\"f\",\"offset\":900,\"chunkOffset\":99100,"
		      "\"chunkSize\":900,\"chunkType\":\"zeros\"}",
		"reg f 0000 0:0 0 size 100000\n"
		"  chunk 0+60 at 100+100 inner 0 zstd " H2 "\n"
		"  chunk 60+99000 at 200+10 inner 0 zstd " H1 " zeros\n"
		"  chunk 99060+40 at 210+690 inner 0 zstd " H1 "\n"
		"  chunk 99100+900 at 900+0 inner 0 zstd " H0 " zeros\n");
}

static void files_may_be_in_any_order_of_the_blob(void **state)
{
	(void)state;
	assert_parses(CONTAINERS_FILE("b", "500", "600") "," CONTAINERS_FILE("a", "100", "120"),
		"reg b 0000 0:0 0 size 5\n"
		"  chunk 0+5 at 500+100 inner 0 zstd " H1 "\n"
		"reg a 0000 0:0 0 size 5\n"
		"  chunk 0+5 at 100+20 inner 0 zstd " H1 "\n");
}

static void files_without_an_end_are_read_in_the_dialect_of_stargz(void **state)
{
	(void)state;
	assert_parses(
		"{\"type\":\"reg\",\"name\":\".no.prefetch.landmark\",\"size\":1,"
		"\"offset\":96}," STARGZ_FILE("a", "100") "," STARGZ_FILE("b",
			"200") ",{\"type\":\"reg\",\"name\":\"c\",\"size\":9,\"chunkDigest\":\"" D2
			       "\",\"offset\":200,\"innerOffset\":1024}",
		"landmark none\n"
		"reg a 0000 0:0 0 size 5\n"
		"  chunk 0+5 at 100+100 inner 0 zstd " H1 "\n"
		"reg b 0000 0:0 0 size 5\n"
		"  chunk 0+5 at 200+8800 inner 0 zstd " H1 "\n"
		"reg c 0000 0:0 0 size 9\n"
		"  chunk 0+9 at 200+8800 inner 1024 zstd " H2 "\n");
}

static void landmarks_of_stargz_are_files_to_containers(void **state)
{
	(void)state;
	assert_parses("{\"type\":\"dir\",\"name\":\"stargz.index.json/\"},"
		      "{\"type\":\"reg\",\"name\":\".no.prefetch.landmark\",\"size\":1,"
		      "\"offset\":96,\"endOffset\":99,\"digest\":\"" D1 "\"}",
		"dir stargz.index.json 0000 0:0 0\n"
		"reg .no.prefetch.landmark 0000 0:0 0 size 1\n"
		"  chunk 0+1 at 96+3 inner 0 zstd " H1 "\n");
}

static void tables_that_mix_the_dialects_are_refused(void **state)
{
	(void)state;
	assert_refuses(CONTAINERS_FILE("a", "100", "120") "," STARGZ_FILE("b", "200"),
		"entry 2 (b): no endOffset, unlike");
	assert_refuses(STARGZ_FILE("a", "100") "," CONTAINERS_FILE("b", "200", "300"),
		"entry 2 (b): an endOffset, unlike");
	assert_refuses("{\"type\":\"reg\",\"name\":\"a\",\"size\":5,\"digest\":\"" D1
		       "\",\"offset\":9,\"endOffset\":99,\"innerOffset\":1}",
		"entry 1 (a): innerOffset 1 in a file with an endOffset");
}

static void names_that_come_twice_are_refused(void **state)
{
	(void)state;
	assert_refuses("{\"type\":\"dir\",\"name\":\"a/b\"},{\"type\":\"dir\",\"name\":\"c\"},"
		       "{\"type\":\"fifo\",\"name\":\"./a//b/\"}",
		"the name 'a/b' comes twice");
	assert_refuses(CONTAINERS_FILE("a", "100", "120") "," CONTAINERS_FILE("a", "100", "120"),
		"the name 'a' comes twice");
	assert_refuses(STARGZ_FILE("a", "100") "," STARGZ_FILE("a", "200"), "'a' comes twice");
	assert_refuses("{\"type\":\"dir\",\"name\":\"./\"},{\"type\":\"dir\",\"name\":\"/\"}",
		"the name '' comes twice");
}

static void ranges_that_are_none_are_refused(void **state)
{
	(void)state;
	static const char big[] = "{\"type\":\"reg\",\"name\":\"a\",\"size\":99999999,\"digest\":"
				  "\"" D1 "\",\"offset\":10,\"endOffset\":20}";

	assert_refuses(CONTAINERS_FILE("a", "120", "120"), "a chunk from 120 to 120 of the blob");
	assert_refuses(CONTAINERS_FILE("a", "120", "100"), "a chunk from 120 to 100 of the blob");
	assert_refuses(CONTAINERS_FILE("a", "120", "9001"), "endOffset 9001 lies behind");
	assert_refuses(CONTAINERS_FILE("a", "9000", "9000"), "offset 9000 lies behind");
	assert_refuses(CONTAINERS_FILE("a", "9223372036854775807", "100"), "behind");
	assert_refuses(CONTAINERS_FILE("a", "1", "9223372036854775807"), "behind");
	/* A block of 4 bytes becomes 128 KiB at most. */
	assert_refuses(big, "10 bytes at 10 of the blob cannot decode to 99999999");
	assert_refuses("{\"type\":\"reg\",\"name\":\"f\",\"size\":100,\"offset\":100,"
		       "\"endOffset\":900,\"chunkSize\":60,\"chunkDigest\":\"" D2
		       "\"},{\"type\":\"chunk\",\"name\":\"f\",\"offset\":100,\"chunkOffset\":60,"
		       "\"chunkSize\":40,\"chunkDigest\":\"" D1 "\"}",
		"entry 2 (f): a chunk from 100 to 100");
}

static void contents_without_a_digest_are_refused(void **state)
{
	(void)state;
	assert_refuses_as(ERROR_UNSUPPORTED,
		"{\"type\":\"reg\",\"name\":\"a\",\"size\":5,\"offset\":1,\"endOffset\":9}",
		"entry 1 (a): no chunkDigest");
	assert_refuses_as(ERROR_UNSUPPORTED,
		"{\"type\":\"reg\",\"name\":\"a\",\"size\":5,\"offset\":1,\"endOffset\":9,"
		"\"chunkType\":\"ones\"}",
		"chunkType \"ones\" is unknown");
}

static void a_digest_of_the_tar_split_that_is_none_is_refused(void **state)
{
	(void)state;
	static const struct {
		const char *members;
		const char *words;
	} cases[] = {
		{"\"tarSplitDigest\":\"sha256:1\"", "tarSplitDigest: "},
		{"\"tarSplitDigest\":\"\"", "tarSplitDigest: "},
		{"\"tarSplitDigest\":\"" D1 "\\u0000\"", "tarSplitDigest is no digest"},
		{"\"tarSplitDigest\":1", "tarSplitDigest: not a string"},
		{"\"tarSplitDigest\":\"" D1 "\",\"tarSplitDigest\":\"" D1 "\"",
			"tarSplitDigest appears twice"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buffer json = {0};
		struct error err = {0};
		struct toc *toc = NULL;

		assert_int_equal(
			buffer_printf(&json, "{\"version\":1,\"entries\":[],%s}", cases[i].members),
			0);
		assert_int_equal(zstd_chunked_json_parse(
					 (const char *)json.data, json.size, &strict, &toc, &err),
			-1);
		if (err.kind != ERROR_FORMAT || !strstr(err.message, cases[i].words))
			fail_msg("%s: %s", cases[i].members, err.message);
		buffer_free(&json);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_with_an_end_are_read_in_the_dialect_of_containers),
		cmocka_unit_test(the_chunks_of_a_file_end_where_the_next_one_begins_or_the_file),
		cmocka_unit_test(files_may_be_in_any_order_of_the_blob),
		cmocka_unit_test(files_without_an_end_are_read_in_the_dialect_of_stargz),
		cmocka_unit_test(landmarks_of_stargz_are_files_to_containers),
		cmocka_unit_test(tables_that_mix_the_dialects_are_refused),
		cmocka_unit_test(names_that_come_twice_are_refused),
		cmocka_unit_test(ranges_that_are_none_are_refused),
		cmocka_unit_test(contents_without_a_digest_are_refused),
		cmocka_unit_test(a_digest_of_the_tar_split_that_is_none_is_refused),
	};
	return cmocka_run_group_tests_name("format/zstd_chunked", tests, NULL, NULL);
}
