/* SPDX-License-Identifier: Apache-2.0 */
#include "format/tar.h"

#include "support/test.h"

#include <stdio.h>
#include <string.h>

#include "support/tar_archive.h"
#include "tar_listing.h"

/* A member with nothing of its own, by this name and this link name. */
static void put_plain(struct buffer *archive, const char *name)
{
	archive_put(archive, &(struct tar_member){.type = '2', .name = name, .link_name = "l"});
}

/* A header with one record whose value may have zeros. */
static void put_record(
	struct buffer *archive, char type, const char *key, const void *value, size_t value_size)
{
	CLEANUP(buffer_free) struct buffer records = {0};

	pax_put(&records, key, value, value_size);
	archive_put_extension(archive, type, records.data, records.size);
}

static void records_override_the_header_of_one_member(void **state)
{
	(void)state;
	CLEANUP(buffer_free) struct buffer archive = {0};

	archive_put_pax(&archive, "path", "p\n=q", "size", "3", "uid", "4294967295", "gid",
		"0000000000000000000000000000000000000001", "mtime", "1.25", "unknown", "x",
		"SCHILY.ino", "5", "hdrcharset", "BINARY", NULL);
	archive_put(&archive,
		&(struct tar_member){.type = '0', .name = "short", .uid = 9, .gid = 9, .mtime = 9});
	archive_put_payload(&archive, "abc", 3);
	archive_put_pax(&archive, "linkpath", "to/\xff", "path", "from", NULL);
	put_plain(&archive, "x");
	archive_put_pax(&archive, "SCHILY.devmajor", "300", "SCHILY.devminor", "70000", NULL);
	archive_put(&archive, &(struct tar_member){.dialect = TAR_V7, .type = '3', .name = "dev"});
	put_plain(&archive, "plain");
	assert_lists(&archive, "0 p\n=q 3 [0+3 at 1536] owner 4294967295:1 mtime 1.250000000\n"
			       "2 from -> to/\xff\n"
			       "3 dev dev 300:70000\n"
			       "2 plain -> l\n");
}

/* pax(1) of Solaris before POSIX had a letter of its own. */
static void the_extended_header_of_solaris_is_one(void **state)
{
	(void)state;
	CLEANUP(buffer_free) struct buffer archive = {0};

	put_record(&archive, 'X', "path", "solaris", 7);
	put_plain(&archive, "x");
	assert_lists(&archive, "2 solaris -> l\n");
}

static void a_second_header_for_the_same_member_replaces_the_first(void **state)
{
	(void)state;
	CLEANUP(buffer_free) struct buffer archive = {0};

	archive_put_pax(&archive, "path", "first", "uid", "1", "SCHILY.xattr.user.a", "1", NULL);
	archive_put_pax(&archive, "uid", "2", NULL);
	put_plain(&archive, "x");
	assert_lists(&archive, "2 x -> l owner 2:0\n");
}

static void the_later_one_of_two_equal_keys_counts(void **state)
{
	(void)state;
	CLEANUP(buffer_free) struct buffer archive = {0};

	archive_put_pax(&archive, "path", "first", "path", "second", NULL);
	put_plain(&archive, "x");
	assert_lists(&archive, "2 second -> l\n");
}

static void global_records_are_defaults_for_all_that_follows(void **state)
{
	(void)state;
	CLEANUP(buffer_free) struct buffer archive = {0};

	put_plain(&archive, "before");
	put_record(&archive, 'g', "uid", "7", 1);
	put_plain(&archive, "a");
	archive_put_pax(&archive, "uid", "8", NULL);
	put_plain(&archive, "b");
	put_record(&archive, 'g', "mtime", "5.5", 3);
	put_record(&archive, 'g', "SCHILY.xattr.user.g", "G", 1);
	put_plain(&archive, "c");
	archive_put_pax(&archive, "SCHILY.xattr.user.g", "L", NULL);
	put_plain(&archive, "d");
	/* Between a member's own header and the member. */
	archive_put_pax(&archive, "path", "e", NULL);
	put_record(&archive, 'g', "gid", "3", 1);
	put_plain(&archive, "x");
	put_record(&archive, 'g', "uid", "", 0);
	put_plain(&archive, "f");
	/* One of many, and what it says about sparse files is about none. */
	put_record(&archive, 'g', "GNU.sparse.major", "1", 1);
	put_record(&archive, 'g', "GNU.sparse.offset", "x", 1);
	archive_put_file(&archive, "last", "");
	assert_lists(&archive, "2 before -> l\n"
			       "2 a -> l owner 7:0\n"
			       "2 b -> l owner 8:0\n"
			       "2 c -> l owner 7:0 mtime 5.500000000 xattr user.g=47\n"
			       "2 d -> l owner 7:0 mtime 5.500000000 xattr user.g=47 "
			       "xattr user.g=4c\n"
			       "2 e -> l owner 7:3 mtime 5.500000000 xattr user.g=47\n"
			       "2 f -> l owner 0:3 mtime 5.500000000 xattr user.g=47\n"
			       "0 last 0 mode 644 owner 0:3 mtime 5.500000000 xattr user.g=47\n");
}

static void an_empty_value_takes_back_what_another_record_said(void **state)
{
	(void)state;
	CLEANUP(buffer_free) struct buffer archive = {0};

	put_record(&archive, 'g', "path", "global", 6);
	put_plain(&archive, "x");
	archive_put_pax(&archive, "path", "", NULL);
	put_plain(&archive, "own");
	archive_put_pax(&archive, "path", "a", "path", "", "linkpath", "", "mtime", "", NULL);
	put_plain(&archive, "own");
	archive_put_pax(&archive, "path", "", "path", "again", NULL);
	put_plain(&archive, "x");
	put_plain(&archive, "x");
	assert_lists(&archive, "2 global -> l\n2 own -> l\n2 own -> l\n2 again -> l\n"
			       "2 global -> l\n");
}

static void times_have_fractions_and_may_be_before_1970(void **state)
{
	(void)state;
	static const struct {
		const char *value;
		const char *expected;
	} cases[] = {
		{"0", ""},
		{"1700000000", " mtime 1700000000"},
		{"12.", " mtime 12"},
		{"12.000000001", " mtime 12.000000001"},
		{"12.0000000019", " mtime 12.000000001"},
		{"0.5", " mtime 0.500000000"},
		{"-1", " mtime -1"},
		{"-1.25", " mtime -2.750000000"},
		{"-0.5", " mtime -1.500000000"},
		{"9223372036854775799", " mtime 9223372036854775799"},
	};
	CLEANUP(buffer_free) struct buffer archive = {0};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char expected[100];

		archive_put_pax(&archive, "mtime", cases[i].value, NULL);
		put_plain(&archive, "x");
		snprintf(expected, sizeof(expected), "2 x -> l%s\n", cases[i].expected);
		assert_lists(&archive, expected);
		archive.size = 0;
	}
}

static void xattrs_come_in_the_forms_of_schily_and_of_libarchive(void **state)
{
	(void)state;
	CLEANUP(buffer_free) struct buffer archive = {0};

	put_record(&archive, 'x', "SCHILY.xattr.security.capability", "\1\0\n\xff", 4);
	put_plain(&archive, "binary");
	archive_put_pax(&archive, "SCHILY.xattr.user.b", "", "SCHILY.xattr.user.a%3D", "1",
		"SCHILY.xattr.user.c", "=", NULL);
	put_plain(&archive, "several");
	archive_put_pax(&archive, "LIBARCHIVE.xattr.user.%61%3d%C3%A9%", "AAH/",
		"LIBARCHIVE.xattr.u", "YQ", "LIBARCHIVE.xattr.v", "YQ==", "LIBARCHIVE.xattr.w", "",
		"LIBARCHIVE.xattr.%4", "YWJj", "LIBARCHIVE.xattr.%zz", "YWJj", NULL);
	put_plain(&archive, "libarchive");
	assert_lists(&archive, "2 binary -> l xattr security.capability=01000aff\n"
			       "2 several -> l xattr user.b= xattr user.a%3D=31 xattr user.c=3d\n"
			       "2 libarchive -> l xattr user.a=\xc3\xa9%=0001ff xattr u=61 "
			       "xattr v=61 xattr w= xattr %4=616263 xattr %zz=616263\n");
}

static void broken_records_are_refused(void **state)
{
	(void)state;
	static const struct {
		const char *records;
		const char *words;
	} cases[] = {
		{"5 a=b\n", "wrong length"},
		{"7 a=b\n", "wrong length"},
		{"999 a=b\n", "wrong length"},
		{"0 a=b\n", "wrong length"},
		{"x a=b\n", "wrong length"},
		{" 7 a=b\n", "wrong length"},
		{"a=b\n", "wrong length"},
		{"2 \n", "wrong length"},
		{"6 a=b\n5", "wrong length"},
		{"99999999999999999999 a=b\n", "wrong length"},
		{"000000000000000000006 a=b\n", "wrong length"},
		{"5 ab\n", "without a value"},
		{"10 size=x\n", "PAX record size has a value it cannot have"},
		{"11 size=-1\n", "PAX record size has"},
		{"28 size=9999999999999999999\n", "PAX record size has"},
		{"28 size=9223372036854775808\n", "PAX record size has"},
		{"9 uid=1 \n", "PAX record uid has"},
		{"10 gid=0x\n", "PAX record gid has"},
		{"11 mtime=.\n", "PAX record mtime has"},
		{"11 mtime=-\n", "PAX record mtime has"},
		{"13 mtime=1.x\n", "PAX record mtime has"},
		{"13 mtime=1e5\n", "PAX record mtime has"},
		{"33 mtime=-99999999999999999999.1\n", "PAX record mtime has"},
		{"26 LIBARCHIVE.xattr.a=Y#=\n", "PAX record LIBARCHIVE.xattr.a has"},
		{"27 size=9223372036854775299\n", "PAX record of wrong length"},
		{"28 size=9223372036854775299\n", "size beyond all limits"},
		{"20 uid=42949672960\n", "wrong length"},
		{"19 uid=42949672960\n", "uid 42949672960 does not fit"},
	};
	CLEANUP(buffer_free) struct buffer archive = {0};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		archive_put_extension(&archive, 'x', cases[i].records, strlen(cases[i].records));
		archive_put_file(&archive, "f", "");
		assert_refused(&archive, ERROR_FORMAT, cases[i].words);
		archive_put_extension(&archive, 'g', cases[i].records, strlen(cases[i].records));
		archive_put_file(&archive, "f", "");
		assert_refused(&archive, ERROR_FORMAT, cases[i].words);
	}
	put_record(&archive, 'x', "path", "a\0b", 3);
	assert_refused(&archive, ERROR_FORMAT, "PAX record path has");
	put_record(&archive, 'x', "linkpath", "a\0", 2);
	assert_refused(&archive, ERROR_FORMAT, "PAX record linkpath has");
	archive_put_extension(&archive, 'x', "9 p\0th=a\n", 9);
	assert_refused(&archive, ERROR_FORMAT, "PAX key with a zero byte");
}

static void what_a_file_can_have_is_limited(void **state)
{
	(void)state;
	CLEANUP(buffer_free) struct buffer archive = {0};
	CLEANUP(buffer_free) struct buffer records = {0};

	for (int i = 0; i < TOC_MAX_XATTRS; i++)
		pax_put(&records, "SCHILY.xattr.user.x", "y", 1);
	/* Both headers together. */
	put_record(&archive, 'g', "SCHILY.xattr.user.g", "y", 1);
	archive_put_extension(&archive, 'x', records.data, records.size);
	put_plain(&archive, "x");
	assert_refused(&archive, ERROR_FORMAT, "more xattrs than a file can have");
	pax_put(&records, "SCHILY.xattr.user.x", "y", 1);
	archive_put_extension(&archive, 'x', records.data, records.size);
	assert_refused(&archive, ERROR_FORMAT, "more xattrs than a file can have");

	/* All global headers together. */
	records.size = 0;
	assert_int_equal(buffer_reserve(&records, 700000), 0);
	memset(records.data, 'v', 700000);
	for (int i = 0; i < 2; i++)
		put_record(&archive, 'g', "comment", records.data, 700000);
	assert_refused(&archive, ERROR_FORMAT, "at most 1048576 are read");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(records_override_the_header_of_one_member),
		cmocka_unit_test(the_extended_header_of_solaris_is_one),
		cmocka_unit_test(a_second_header_for_the_same_member_replaces_the_first),
		cmocka_unit_test(the_later_one_of_two_equal_keys_counts),
		cmocka_unit_test(global_records_are_defaults_for_all_that_follows),
		cmocka_unit_test(an_empty_value_takes_back_what_another_record_said),
		cmocka_unit_test(times_have_fractions_and_may_be_before_1970),
		cmocka_unit_test(xattrs_come_in_the_forms_of_schily_and_of_libarchive),
		cmocka_unit_test(broken_records_are_refused),
		cmocka_unit_test(what_a_file_can_have_is_limited),
	};
	return cmocka_run_group_tests_name("format/tar_pax", tests, NULL, NULL);
}
