/* SPDX-License-Identifier: Apache-2.0 */
#include "support/test.h"

#include <stdio.h>
#include <string.h>

#include "dump.h"
#include "format/estargz.h"
#include "support/failing_new.h"

#define D1 "sha256:1111111111111111111111111111111111111111111111111111111111111111"
#define D2 "sha256:2222222222222222222222222222222222222222222222222222222222222222"
#define H1 "1111111111111111"
#define H2 "2222222222222222"

static const struct estargz_toc_options strict = {.blob_size = 10000, .payload_end = 9000};
static const struct estargz_toc_options lenient = {
	.blob_size = 10000, .payload_end = 9000, .allow_unverified = true};

static int parse_entries(const char *entries, const struct estargz_toc_options *options,
	struct toc **toc, struct error *err)
{
	struct buffer json = {0};
	int result;

	assert_int_equal(buffer_printf(&json, "{\"version\":1,\"entries\":[%s]}", entries), 0);
	result = estargz_json_parse((const char *)json.data, json.size, options, toc, err);
	buffer_free(&json);
	return result;
}

static void assert_parses_with(
	const struct estargz_toc_options *options, const char *entries, const char *expected)
{
	struct buffer text = {0};
	struct error err = {0};
	struct toc *toc;

	if (parse_entries(entries, options, &toc, &err) < 0)
		fail_msg("%s", err.message);
	dump_toc(toc, &text);
	assert_string_equal((const char *)text.data, expected);
	buffer_free(&text);
	toc_free(toc);
}

static void assert_parses(const char *entries, const char *expected)
{
	assert_parses_with(&strict, entries, expected);
}

static void assert_refuses_as(enum error_kind kind, const char *entries, const char *words)
{
	struct toc *toc = NULL;
	struct error err = {0};

	if (parse_entries(entries, &strict, &toc, &err) == 0)
		fail_msg("accepted: %s", entries);
	if (!strstr(err.message, words))
		fail_msg("\"%s\" lacks \"%s\"", err.message, words);
	assert_int_equal(err.kind, kind);
	assert_null(toc);
}

static void assert_refuses(const char *entries, const char *words)
{
	assert_refuses_as(ERROR_FORMAT, entries, words);
}

static void entries_of_every_type_keep_their_attributes(void **state)
{
	(void)state;
	assert_parses(
		"{\"name\":\"etc/\",\"type\":\"dir\",\"modtime\":\"2024-02-29T12:34:56Z\","
		"\"mode\":16877,\"uid\":1,\"gid\":4294967295,\"NumLink\":7},"
		"{\"name\":\"etc/empty\",\"type\":\"reg\",\"mode\":33188,\"digest\":\"" D1 "\"},"
		"{\"name\":\"./bin\",\"type\":\"symlink\",\"linkName\":\"usr/../bin/\","
		"\"mode\":511},"
		"{\"name\":\"/etc/hard\",\"type\":\"hardlink\",\"linkName\":\"./etc//empty\"},"
		"{\"name\":\"dev/null\",\"type\":\"char\",\"devMajor\":1,\"devMinor\":3,"
		"\"mode\":438},"
		"{\"name\":\"dev/loop0\",\"type\":\"block\",\"devMajor\":7},"
		"{\"name\":\"../pipe\",\"type\":\"fifo\",\"mode\":-1,\"devMajor\":99999}",
		"dir etc 0755 1:4294967295 1709210096\n"
		"reg etc/empty 0644 0:0 0 size 0\n"
		"symlink bin 0777 0:0 0 -> usr/../bin/\n"
		"hardlink etc/hard 0000 0:0 0 -> etc/empty\n"
		"char dev/null 0666 0:0 0 dev 1:3\n"
		"block dev/loop0 0000 0:0 0 dev 7:0\n"
		"fifo pipe 7777 0:0 0\n");
}

static void the_root_may_be_listed_in_any_spelling(void **state)
{
	(void)state;
	assert_parses("{\"name\":\"./\",\"type\":\"dir\",\"mode\":448},"
		      "{\"name\":\"/\",\"type\":\"dir\"},{\"name\":\"\",\"type\":\"dir\"}",
		"dir / 0700 0:0 0\ndir / 0000 0:0 0\ndir / 0000 0:0 0\n");
	assert_refuses(
		"{\"name\":\"/\",\"type\":\"fifo\"}", "entry 1 (/): the root is no directory");
	assert_refuses("{\"type\":\"dir\"}", "entry 1 (): no name");
}

static void an_empty_table_is_a_table(void **state)
{
	(void)state;
	static const char *const documents[] = {"{\"version\":1,\"entries\":[]}",
		"{\"entries\":null,\"version\":1}", " {\"version\" : 1 } ",
		"{\"version\":1,\"unknown\":{\"entries\":[1]},\"entries\":[]}\n"};

	for (size_t i = 0; i < sizeof(documents) / sizeof(documents[0]); i++) {
		struct error err = {0};
		struct toc *toc;

		if (estargz_json_parse(documents[i], strlen(documents[i]), &strict, &toc, &err) < 0)
			fail_msg("%s", err.message);
		assert_int_equal(toc->n_entries, 0);
		toc_free(toc);
	}
}

static void documents_that_are_no_table_are_refused(void **state)
{
	(void)state;
	static const struct {
		const char *json;
		enum error_kind kind;
	} cases[] = {
		{"", ERROR_FORMAT},
		{"[]", ERROR_FORMAT},
		{"1", ERROR_FORMAT},
		{"\"entries\"", ERROR_FORMAT},
		{"{", ERROR_FORMAT},
		{"{\"version\":1,\"entries\":[", ERROR_FORMAT},
		{"{\"version\":1,\"entries\":[{}", ERROR_FORMAT},
		{"{\"version\":1,\"entries\":[{\"name\":\"a", ERROR_FORMAT},
		{"{\"version\":1,\"entries\":{}}", ERROR_FORMAT},
		{"{\"version\":1,\"entries\":[1]}", ERROR_FORMAT},
		{"{\"version\":1,\"entries\":[[]]}", ERROR_FORMAT},
		{"{\"version\":1,\"entries\":[],\"entries\":[]}", ERROR_FORMAT},
		{"{\"version\":1,\"entries\":[] \"x\":2}", ERROR_FORMAT},
		{"{\"version\":1 \xff}", ERROR_FORMAT},
		{"{\"entries\":[]}", ERROR_UNSUPPORTED},
		{"{\"version\":2,\"entries\":[]}", ERROR_UNSUPPORTED},
		{"{\"version\":\"1\",\"entries\":[]}", ERROR_UNSUPPORTED},
		{"{\"version\":1.0,\"entries\":[]}", ERROR_UNSUPPORTED},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct error err = {0};
		struct toc *toc = NULL;

		if (estargz_json_parse(cases[i].json, strlen(cases[i].json), &strict, &toc, &err) ==
			0)
			fail_msg("accepted: %s", cases[i].json);
		if (err.kind != cases[i].kind)
			fail_msg("%s: %s", cases[i].json, err.message);
	}
}

static void fields_have_one_type_and_appear_once(void **state)
{
	(void)state;
	static const char *const bad[] = {"\"name\":1", "\"name\":{}", "\"name\":[\"a\"]",
		"\"name\":true", "\"size\":\"1\"", "\"size\":-1", "\"size\":1.0", "\"size\":1e3",
		"\"size\":9223372036854775808", "\"size\":01", "\"size\":0x1", "\"mode\":\"0755\"",
		"\"mode\":9223372036854775808", "\"uid\":-1", "\"offset\":{}", "\"xattrs\":[]",
		"\"xattrs\":\"a\"", "\"xattrs\":{\"user.a\":1}", "\"xattrs\":{\"user.a\":\"!\"}",
		"\"xattrs\":{\"\":\"\"}", "\"xattrs\":{\"a\\u0000b\":\"\"}", "\"modtime\":5",
		"\"modtime\":\"yesterday\"", "\"uid\":4294967296", "\"gid\":4294967296",
		"\"size\":1,\"size\":1", "\"uid\":1,\"u\\u0069d\":1", "\"name\":\"\\ud800\"",
		"\"name\":\"\\x\""};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char entries[200];

		snprintf(entries, sizeof(entries), "{\"type\":\"dir\",%s%s}",
			strstr(bad[i], "\"name\"") ? "" : "\"name\":\"some/name\",", bad[i]);
		assert_refuses(entries, "entry 1");
	}
	assert_refuses("{\"name\":\"d\",\"type\":\"dir\",\"size\":1,\"size\":1}", "appears twice");
	assert_refuses("{\"name\":\"d\",\"type\":\"dir\",\"uid\":\"x\"}",
		"entry 1 (d): uid: not a number from 0 to 2^63 - 1");
	assert_parses("{\"name\":\"d\",\"type\":\"dir\",\"uid\":null,\"xattrs\":null,"
		      "\"modtime\":null,\"other\":[{\"name\":\"x\"}],\"n\\u0061mes\":\"y\"}",
		"dir d 0000 0:0 0\n");
}

static void strings_with_escapes_are_decoded(void **state)
{
	(void)state;
	assert_parses(
		"{\"n\\u0061me\":\"a\\u003c\\/\\n\\ud83d\\ude00\\\"b\",\"type\":\"sy\\u006dlink\","
		"\"linkName\":\"\\\\\\t\",\"xattrs\":{\"us\\u0065r.x\":\"Y\\u0057I=\"}}",
		"symlink a</\\x0a\\xf0\\x9f\\x98\\x80\"b 0000 0:0 0 -> \\x5c\\x09\n"
		"  xattr user.x 6162\n");
}

static void xattrs_are_decoded_from_base64(void **state)
{
	(void)state;
	assert_parses("{\"name\":\"d\",\"type\":\"dir\",\"xattrs\":{\"security.capability\":"
		      "\"AQAAAgAgAAAAAAAAAAAAAAAAAAA=\",\"user.empty\":\"\",\"user.null\":null}}",
		"dir d 0000 0:0 0\n"
		"  xattr security.capability 0100000200200000000000000000000000000000\n"
		"  xattr user.empty \n"
		"  xattr user.null \n");
}

static void chunks_of_a_file_follow_it(void **state)
{
	(void)state;
	assert_parses("{\"name\":\"a\",\"type\":\"reg\",\"size\":100,\"offset\":10,"
		      "\"chunkSize\":60,\"chunkDigest\":\"" D1 "\"},"
		      "{\"name\":\"ignored\",\"type\":\"chunk\",\"offset\":50,\"chunkOffset\":60,"
		      "\"chunkDigest\":\"" D2 "\"},"
		      "{\"name\":\"d\",\"type\":\"dir\",\"offset\":5},"
		      "{\"name\":\"b\",\"type\":\"reg\",\"size\":1,\"offset\":80,"
		      "\"digest\":\"" D1 "\",\"chunkDigest\":\"" D2 "\"},"
		      "{\"name\":\"c\",\"type\":\"reg\",\"size\":7,\"chunkSize\":7,\"offset\":90,"
		      "\"digest\":\"" D1 "\"}",
		"reg a 0000 0:0 0 size 100\n"
		"  chunk 0+60 at 10+40 inner 0 gzip " H1 "\n"
		"  chunk 60+40 at 50+30 inner 0 gzip " H2 "\n"
		"dir d 0000 0:0 0\n"
		"reg b 0000 0:0 0 size 1\n"
		"  chunk 0+1 at 80+10 inner 0 gzip " H2 "\n"
		"reg c 0000 0:0 0 size 7\n"
		"  chunk 0+7 at 90+8910 inner 0 gzip " H1 "\n");
}

static void payloads_of_one_member_are_siblings(void **state)
{
	(void)state;
	assert_parses("{\"name\":\"a\",\"type\":\"reg\",\"size\":9,\"innerOffset\":512,"
		      "\"chunkDigest\":\"" D1 "\"},"
		      "{\"name\":\"b\",\"type\":\"reg\",\"size\":100,\"chunkSize\":60,"
		      "\"innerOffset\":1536,\"chunkDigest\":\"" D1 "\"},"
		      "{\"name\":\"b\",\"type\":\"chunk\",\"offset\":400,\"chunkOffset\":60,"
		      "\"chunkSize\":40,\"chunkDigest\":\"" D2 "\"},"
		      "{\"name\":\"c\",\"type\":\"reg\",\"size\":5,\"offset\":400,"
		      "\"innerOffset\":40,\"chunkDigest\":\"" D1 "\"},"
		      "{\"name\":\"d\",\"type\":\"reg\",\"size\":6,\"offset\":500,"
		      "\"innerOffset\":512,\"chunkDigest\":\"" D2 "\"}",
		"reg a 0000 0:0 0 size 9\n"
		"  chunk 0+9 at 0+400 inner 512 gzip " H1 "\n"
		"reg b 0000 0:0 0 size 100\n"
		"  chunk 0+60 at 0+400 inner 1536 gzip " H1 "\n"
		"  chunk 60+40 at 400+100 inner 0 gzip " H2 "\n"
		"reg c 0000 0:0 0 size 5\n"
		"  chunk 0+5 at 400+100 inner 40 gzip " H1 "\n"
		"reg d 0000 0:0 0 size 6\n"
		"  chunk 0+6 at 500+8500 inner 512 gzip " H2 "\n");
}

/* A regular file "f" of 100 bytes with chunks of 60 and 40, with one thing replaced. */
static void assert_refuses_file(const char *first, const char *second, const char *words)
{
	char entries[1000];

	snprintf(entries, sizeof(entries),
		"{\"name\":\"f\",\"type\":\"reg\",\"size\":100,\"chunkDigest\":\"" D1 "\",%s},"
		"{\"name\":\"f\",\"type\":\"chunk\",\"chunkDigest\":\"" D1 "\",%s}",
		first, second);
	assert_refuses(entries, words);
}

static void chunks_that_do_not_cover_their_file_exactly_are_refused(void **state)
{
	(void)state;
	static const char first[] = "\"chunkSize\":60,\"offset\":10";

	assert_refuses_file(first, "\"offset\":50,\"chunkOffset\":59", "chunkOffset 59");
	assert_refuses_file(first, "\"offset\":50,\"chunkOffset\":61", "chunkOffset 61");
	assert_refuses_file(first, "\"offset\":50,\"chunkOffset\":60,\"chunkSize\":41",
		"entry 2 (f): chunkSize 41 at 60 of a file of 100 bytes");
	assert_refuses_file(first,
		"\"offset\":50,\"chunkOffset\":60,\"chunkSize\":9223372036854775807", "chunkSize");
	assert_refuses_file(first, "\"offset\":50,\"chunkOffset\":60,\"chunkSize\":39",
		"chunks for 99 of its 100 bytes");
	assert_refuses_file("\"offset\":10", "\"offset\":50,\"chunkOffset\":100", "chunkSize 0");
	assert_refuses_file("\"offset\":10,\"chunkOffset\":1", "\"offset\":50", "chunkOffset 1");
	assert_refuses_file("\"offset\":10,\"chunkSize\":101", "\"offset\":50", "chunkSize 101");
	assert_refuses(
		"{\"name\":\"f\",\"type\":\"reg\",\"size\":100,\"offset\":1,\"chunkSize\":60,"
		"\"chunkDigest\":\"" D1 "\"},{\"name\":\"g\",\"type\":\"dir\"}",
		"entry 2 (g): the file before it has chunks for 60 of its 100 bytes");
	assert_refuses("{\"name\":\"f\",\"type\":\"chunk\",\"offset\":50}", "no regular file");
	assert_refuses("{\"name\":\"d\",\"type\":\"dir\"},{\"type\":\"chunk\",\"offset\":50}",
		"no regular file");
	assert_refuses("{\"name\":\"e\",\"type\":\"reg\"},{\"type\":\"chunk\",\"offset\":50}",
		"chunkSize 0 at 0 of a file of 0 bytes");
}

static void payloads_that_overlap_or_lie_outside_are_refused(void **state)
{
	(void)state;
	static const char first[] = "\"chunkSize\":60,\"offset\":10";

	assert_refuses_file(first, "\"offset\":9,\"chunkOffset\":60", "offset 9 lies before 10");
	assert_refuses_file(first, "\"offset\":10,\"chunkOffset\":60", "overlaps");
	assert_refuses_file(first, "\"offset\":10,\"innerOffset\":59,\"chunkOffset\":60",
		"payload at offset 10, innerOffset 59 overlaps the one before it");
	assert_refuses_file(first, "\"offset\":9000,\"chunkOffset\":60", "offset 9000 lies behind");
	assert_refuses_file(first, "\"offset\":9223372036854775807,\"chunkOffset\":60", "behind");
	/* Deflate cannot turn 10 bytes into more than 10320. */
	assert_refuses(
		"{\"name\":\"a\",\"type\":\"reg\",\"size\":20000,\"offset\":1,\"digest\":\"" D1
		"\"},{\"name\":\"b\",\"type\":\"reg\",\"size\":2,\"offset\":11,\"digest\":\"" D1
		"\"}",
		"10 bytes at 1 of the blob cannot decode to 20000");
	assert_refuses("{\"name\":\"a\",\"type\":\"reg\",\"size\":1,\"offset\":1,\"innerOffset\":"
		       "9223372036854775807,\"digest\":\"" D1 "\"}",
		"end of entries");
}

static void content_without_a_digest_is_refused_unless_that_is_allowed(void **state)
{
	(void)state;
	static const char no_digest[] = "{\"name\":\"a\",\"type\":\"reg\",\"size\":1,\"offset\":1}";
	/* The digest of the file says nothing about a part of it. */
	static const char chunked[] =
		"{\"name\":\"a\",\"type\":\"reg\",\"size\":2,\"chunkSize\":1,\"offset\":1,"
		"\"digest\":"
		"\"" D1 "\"},{\"name\":\"a\",\"type\":\"chunk\",\"chunkOffset\":1,\"offset\":2,"
		"\"chunkDigest\":\"" D2 "\"}";

	assert_refuses_as(ERROR_UNSUPPORTED, no_digest, "entry 1 (a): no chunkDigest");
	assert_refuses_as(ERROR_UNSUPPORTED, chunked, "entry 1 (a): no chunkDigest");
	assert_parses_with(&lenient, no_digest,
		"reg a 0000 0:0 0 size 1\n"
		"  chunk 0+1 at 1+8999 inner 0 gzip 0000000000000000 unverified\n");
	assert_parses_with(&lenient, chunked,
		"reg a 0000 0:0 0 size 2\n"
		"  chunk 0+1 at 1+1 inner 0 gzip 0000000000000000 unverified\n"
		"  chunk 1+1 at 2+8998 inner 0 gzip " H2 "\n");
}

static void digests_must_be_sha256(void **state)
{
	(void)state;
	static const char *const bad[] = {"sha256:11", "md5:1111", "1111", "sha256:" H1, "\\u0000",
		"sha256:111111111111111111111111111111111111111111111111111111111111111G"};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char entries[300];
		struct error err = {0};
		struct toc *toc;

		snprintf(entries, sizeof(entries),
			"{\"name\":\"a\",\"type\":\"reg\",\"size\":1,\"chunkDigest\":\"%s\"}",
			bad[i]);
		assert_int_equal(parse_entries(entries, &lenient, &toc, &err), -1);
		assert_non_null(strstr(err.message, "entry 1 (a): chunkDigest"));
	}
	assert_refuses_as(ERROR_UNSUPPORTED,
		"{\"name\":\"a\",\"type\":\"reg\",\"size\":1,\"digest\":\"sha512:" H1 H1 H1 H1 H1 H1
			H1 H1 "\"}",
		"digest is not SHA-256");
}

static void landmarks_are_hidden_and_say_how_much_to_prefetch(void **state)
{
	(void)state;
#define LANDMARK(name, offset)                                                                     \
	"{\"name\":\"" name "\",\"type\":\"reg\",\"size\":1,\"offset\":" offset "}"
	static const char file[] =
		"{\"name\":\"a\",\"type\":\"reg\",\"size\":1,\"offset\":100,\"digest\":\"" D1
		"\"},";
	char entries[1000];

	snprintf(entries, sizeof(entries), "%s" LANDMARK("./.prefetch.landmark", "300"), file);
	assert_parses(entries, "landmark 300\nreg a 0000 0:0 0 size 1\n"
			       "  chunk 0+1 at 100+200 inner 0 gzip " H1 "\n");
	snprintf(entries, sizeof(entries), "%s" LANDMARK(".no.prefetch.landmark", "300"), file);
	assert_parses(entries, "landmark none\nreg a 0000 0:0 0 size 1\n"
			       "  chunk 0+1 at 100+200 inner 0 gzip " H1 "\n");
	snprintf(entries, sizeof(entries),
		"%s" LANDMARK(".no.prefetch.landmark", "300") "," LANDMARK(
			".prefetch.landmark", "310"),
		file);
	assert_parses(entries, "landmark none\nreg a 0000 0:0 0 size 1\n"
			       "  chunk 0+1 at 100+200 inner 0 gzip " H1 "\n");
	/* Elsewhere, or of another kind, the names mean nothing. */
	assert_parses_with(&lenient, LANDMARK("usr/.prefetch.landmark", "300"),
		"reg usr/.prefetch.landmark 0000 0:0 0 size 1\n"
		"  chunk 0+1 at 300+8700 inner 0 gzip 0000000000000000 unverified\n");
	assert_parses("{\"name\":\".prefetch.landmark\",\"type\":\"dir\"}",
		"dir .prefetch.landmark 0000 0:0 0\n");
#undef LANDMARK
}

static void the_table_is_no_file_of_the_layer(void **state)
{
	(void)state;
	assert_parses("{\"name\":\"a\",\"type\":\"reg\",\"size\":1,\"offset\":10,\"digest\":\"" D1
		      "\"},{\"name\":\"/stargz.index.json\",\"type\":\"reg\",\"size\":3,"
		      "\"chunkSize\":2,\"offset\":50},{\"type\":\"chunk\",\"chunkOffset\":2,"
		      "\"offset\":60},{\"name\":\"stargz.index.json/x\",\"type\":\"dir\"},"
		      "{\"name\":\"stargz.index.jsonx\",\"type\":\"dir\"},"
		      "{\"name\":\"usr/stargz.index.json\",\"type\":\"fifo\"}",
		"reg a 0000 0:0 0 size 1\n"
		"  chunk 0+1 at 10+40 inner 0 gzip " H1 "\n"
		"dir stargz.index.jsonx 0000 0:0 0\n"
		"fifo usr/stargz.index.json 0000 0:0 0\n");
}

static void names_and_links_are_bounded(void **state)
{
	(void)state;
	struct buffer entries = {0};

	assert_refuses(
		"{\"name\":\"a\\u0000b\",\"type\":\"dir\"}", "entry 1 (a?b): name with a zero");
	assert_refuses("{\"name\":\"l\",\"type\":\"symlink\"}", "linkName of 0 bytes");
	assert_refuses(
		"{\"name\":\"l\",\"type\":\"symlink\",\"linkName\":\"\\u0000\"}", "linkName");
	assert_refuses("{\"name\":\"l\",\"type\":\"hardlink\",\"linkName\":\"a/..\"}", "the root");
	assert_refuses("{\"name\":\"l\",\"type\":\"socket\"}", "unknown type \"socket\"");
	assert_refuses("{\"name\":\"l\"}", "unknown type \"\"");
	assert_refuses("{\"name\":\"n\",\"type\":\"char\",\"devMajor\":4096}", "devMajor 4096");
	assert_refuses("{\"name\":\"n\",\"type\":\"block\",\"devMinor\":1048576}", "devMinor");

	assert_int_equal(buffer_printf(&entries, "{\"type\":\"dir\",\"name\":\"%0300d\"}", 7), 0);
	assert_refuses((const char *)entries.data, "00007): name with a component of 300 bytes");
	entries.size = 0;
	assert_int_equal(
		buffer_printf(&entries,
			"{\"name\":\"l\",\"type\":\"symlink\",\"linkName\":\"%04096d\"}", 7),
		0);
	assert_refuses((const char *)entries.data, "linkName of 4096 bytes");
	entries.size = 0;
	assert_int_equal(
		buffer_printf(&entries, "{\"name\":\"d\",\"type\":\"dir\",\"xattrs\":{"), 0);
	for (int i = 0; i < 1025; i++)
		assert_int_equal(buffer_printf(&entries, "%s\"user.%d\":\"\"", i ? "," : "", i), 0);
	assert_int_equal(buffer_printf(&entries, "}}"), 0);
	assert_refuses((const char *)entries.data, "more than 1024 xattrs");
	buffer_free(&entries);
}

static void a_failing_operator_new_is_an_error_and_no_exception(void **state)
{
	(void)state;
	static const char entries[] = "{\"name\":\"a\\n\",\"type\":\"dir\"}";
	int n_failed = 0;

	for (unsigned n = 1; n <= 20; n++) {
		struct toc *toc = NULL;
		struct error err = {0};
		int result;

		failing_new_arm(n);
		result = parse_entries(entries, &strict, &toc, &err);
		failing_new_arm(0);
		if (result < 0) {
			assert_int_equal(err.kind, ERROR_NO_MEMORY);
			assert_null(toc);
			n_failed++;
		}
		toc_free(toc);
	}
	assert_true(n_failed > 0 && n_failed < 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(entries_of_every_type_keep_their_attributes),
		cmocka_unit_test(the_root_may_be_listed_in_any_spelling),
		cmocka_unit_test(an_empty_table_is_a_table),
		cmocka_unit_test(documents_that_are_no_table_are_refused),
		cmocka_unit_test(fields_have_one_type_and_appear_once),
		cmocka_unit_test(strings_with_escapes_are_decoded),
		cmocka_unit_test(xattrs_are_decoded_from_base64),
		cmocka_unit_test(chunks_of_a_file_follow_it),
		cmocka_unit_test(payloads_of_one_member_are_siblings),
		cmocka_unit_test(chunks_that_do_not_cover_their_file_exactly_are_refused),
		cmocka_unit_test(payloads_that_overlap_or_lie_outside_are_refused),
		cmocka_unit_test(content_without_a_digest_is_refused_unless_that_is_allowed),
		cmocka_unit_test(digests_must_be_sha256),
		cmocka_unit_test(landmarks_are_hidden_and_say_how_much_to_prefetch),
		cmocka_unit_test(the_table_is_no_file_of_the_layer),
		cmocka_unit_test(names_and_links_are_bounded),
		cmocka_unit_test(a_failing_operator_new_is_an_error_and_no_exception),
	};
	return cmocka_run_group_tests_name("format/estargz_json", tests, NULL, NULL);
}
