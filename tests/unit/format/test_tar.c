/* SPDX-License-Identifier: Apache-2.0 */
#include "format/tar.h"

#include "support/test.h"

#include <stdio.h>
#include <string.h>

#include "support/tar_archive.h"
#include "tar_listing.h"

static void members_of_every_dialect_are_found(void **state)
{
	(void)state;
	CLEANUP(buffer_free) struct buffer archive = {0};
	uint8_t payload[1500];

	memset(payload, 'p', sizeof(payload));
	archive_put(&archive, &(struct tar_member){.dialect = TAR_V7, .name = "v7", .size = 5});
	archive_put_payload(&archive, "hello", 5);
	archive_put(&archive, &(struct tar_member){.type = '5',
				      .name = "dir/",
				      .mode = 01755,
				      .uid = 1,
				      .gid = 2,
				      .mtime = 1700000000});
	archive_put(&archive,
		&(struct tar_member){.type = '0', .name = "posix", .mode = 0100644, .size = 1500});
	archive_put_payload(&archive, payload, sizeof(payload));
	archive_put(&archive, &(struct tar_member){.dialect = TAR_GNU, .type = '0', .name = "gnu"});
	archive_put(&archive,
		&(struct tar_member){.type = '2', .name = "sym", .link_name = "/t/../x/"});
	archive_put(&archive,
		&(struct tar_member){.type = '3', .name = "null", .dev_major = 1, .dev_minor = 3});
	archive_put(&archive, &(struct tar_member){.dialect = TAR_GNU,
				      .type = '4',
				      .name = "disk",
				      .dev_major = 07777,
				      .dev_minor = 07777777});
	archive_put(&archive, &(struct tar_member){.type = '6', .name = "pipe", .dev_major = 5});
	archive_put(&archive, &(struct tar_member){.dialect = TAR_V7, .type = '3', .name = "v7"});
	archive_put_end(&archive);
	assert_int_equal(buffer_append(&archive, "whatever follows", 16), 0);
	assert_lists(&archive, "0 v7 5 [0+5 at 512]\n"
			       "5 dir/ mode 1755 owner 1:2 mtime 1700000000\n"
			       "0 posix 1500 [0+1500 at 2048] mode 644\n"
			       "0 gnu 0\n"
			       "2 sym -> /t/../x/\n"
			       "3 null dev 1:3\n"
			       "4 disk dev 4095:2097151\n"
			       "6 pipe\n"
			       "3 v7\n");
}

/* POSIX, "ustar Interchange Format": a link's size is what it links to, not a payload. */
static void sizes_of_what_has_no_payload_are_ignored(void **state)
{
	(void)state;
	CLEANUP(buffer_free) struct buffer archive = {0};

	for (char type = '1'; type <= '6'; type++)
		archive_put(&archive,
			&(struct tar_member){
				.type = type, .name = "x", .link_name = "y", .size = 600});
	archive_put_file(&archive, "last", "text");
	assert_lists(&archive, "1 x -> y\n2 x -> y\n3 x\n4 x\n5 x\n6 x\n"
			       "0 last 4 [0+4 at 3584] mode 644\n");
}

static void a_slash_makes_a_directory_only_where_no_type_does(void **state)
{
	(void)state;
	CLEANUP(buffer_free) struct buffer archive = {0};

	archive_put(&archive, &(struct tar_member){.dialect = TAR_V7, .name = "v7/", .size = 3});
	archive_put(&archive, &(struct tar_member){.name = "old posix/"});
	archive_put(&archive, &(struct tar_member){.type = '0', .name = "file/"});
	assert_lists(&archive, "5 v7/\n5 old posix/\n0 file/ 0\n");
}

static void types_that_few_programs_write_are_regular_or_passed_over(void **state)
{
	(void)state;
	static const char regular[] = {'7', '8', 'A', 'E', 'Z', 'z', '\xe9'};
	CLEANUP(buffer_free) struct buffer archive = {0};

	for (size_t i = 0; i < sizeof(regular); i++) {
		archive_put(
			&archive, &(struct tar_member){.type = regular[i], .name = "x", .size = 2});
		archive_put_payload(&archive, "ab", 2);
		if (i == 0)
			assert_lists(&archive, "0 x 2 [0+2 at 512]\n");
	}
	archive.size = 1024;
	/* A directory of an incremental archive, with the names in it. */
	archive_put(&archive,
		&(struct tar_member){
			.dialect = TAR_GNU, .type = 'D', .name = "d/", .mode = 0700, .size = 5});
	archive_put_payload(&archive, "Yf\0\0", 5);
	/* The archive's own name. */
	archive_put_pax(&archive, "mtime", "1", "SCHILY.xattr.user.a", "b", NULL);
	archive_put(&archive,
		&(struct tar_member){.dialect = TAR_GNU, .type = 'V', .name = "v", .size = 7});
	archive_put_payload(&archive, "ignored", 7);
	archive_put(&archive, &(struct tar_member){.dialect = TAR_GNU, .type = 'V', .name = "v"});
	archive_put_file(&archive, "last", "");
	assert_lists(&archive, "0 x 2 [0+2 at 512]\n5 d/ mode 700\n0 last 0 mode 644\n");
}

static void ustar_prefixes_and_names_without_a_terminator_are_joined(void **state)
{
	(void)state;
	CLEANUP(buffer_free) struct buffer archive = {0};
	char prefix[156], name[101], expected[600];

	memset(prefix, 'd', 155);
	prefix[155] = '\0';
	memset(name, 'n', 100);
	name[100] = '\0';
	archive_put(
		&archive, &(struct tar_member){
				  .type = '1', .name = name, .prefix = prefix, .link_name = name});
	/* In a V7 header the prefix is garbage. */
	archive_put(&archive, &(struct tar_member){.dialect = TAR_V7,
				      .type = '1',
				      .name = "v7",
				      .prefix = "p",
				      .link_name = "x"});
	snprintf(expected, sizeof(expected), "1 %s/%s -> %s\n1 v7 -> x\n", prefix, name, name);
	assert_lists(&archive, expected);
}

static void prefixes_share_their_place_with_times_of_gnu_and_star(void **state)
{
	(void)state;
	CLEANUP(buffer_free) struct buffer archive = {0};
	static const uint8_t binary_time[12] = {0x80, 0, 0, 0, 0, 0, 0, 0, 0x65, 0, 0, 0};

	/* atime and ctime. */
	archive_put(&archive,
		&(struct tar_member){
			.dialect = TAR_GNU, .type = '6', .name = "gnu", .prefix = "14524770000"});
	archive_patch(&archive, TAR_PREFIX_OFF + 12, "14524770000", 12);
	archive_put(&archive, &(struct tar_member){.dialect = TAR_GNU, .type = '6', .name = "gnu"});
	archive_patch(&archive, TAR_PREFIX_OFF, binary_time, sizeof(binary_time));
	/* Go before 1.8. */
	archive_put(&archive, &(struct tar_member){.dialect = TAR_GNU,
				      .type = '6',
				      .name = "go",
				      .prefix = "a/long/directory/name"});
	archive_put(&archive,
		&(struct tar_member){
			.dialect = TAR_GNU, .type = '6', .name = "no", .prefix = "a/\xc3\xa9"});
	/* star's times begin at 131 of the prefix. */
	archive_put(&archive, &(struct tar_member){.type = '6', .name = "star", .prefix = "dir"});
	archive_patch(&archive, TAR_PREFIX_OFF + 131, "14524770000 14524770000 ", 24);
	archive_patch(&archive, 508, "tar", 4);
	assert_lists(&archive, "6 gnu\n6 gnu\n6 a/long/directory/name/go\n6 no\n6 dir/star\n");
}

static void gnu_long_names_come_before_those_of_pax(void **state)
{
	(void)state;
	CLEANUP(buffer_free) struct buffer archive = {0};
	char name[1200], expected[2600];

	memset(name, 'a', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	archive_put_extension(&archive, 'K', "a/target", 9);
	archive_put_extension(&archive, 'L', name, sizeof(name));
	archive_put(&archive, &(struct tar_member){.type = '2', .name = "a", .link_name = "b"});
	archive_put_extension(&archive, 'L', "gnu\0garbage", 11);
	archive_put_pax(&archive, "path", "pax", NULL);
	archive_put(&archive, &(struct tar_member){.type = '6', .name = "a"});
	/* An empty one is none, and nothing of them is left for the next member. */
	archive_put_extension(&archive, 'L', "", 1);
	archive_put_extension(&archive, 'L', "", 0);
	archive_put(&archive, &(struct tar_member){.type = '2', .name = "b", .link_name = "c"});
	snprintf(expected, sizeof(expected), "2 %s -> a/target\n6 gnu\n2 b -> c\n", name);
	assert_lists(&archive, expected);
}

static void numbers_are_read_in_whatever_form_they_come(void **state)
{
	(void)state;
	CLEANUP(buffer_free) struct buffer archive = {0};
	static const struct {
		size_t off;
		const char *bytes;
		size_t size;
		const char *expected;
	} cases[] = {
		{TAR_UID_OFF, "   17 \0", 8, "owner 15:0"},
		{TAR_UID_OFF,
			"\0"
			"0000017",
			8, "owner 15:0"},
		{TAR_UID_OFF, "77777777", 8, "owner 16777215:0"},
		{TAR_UID_OFF, "17\0garba", 8, "owner 15:0"},
		{TAR_UID_OFF, "        ", 8, ""},
		{TAR_GID_OFF, "\x80\0\0\0\xff\xff\xff\xfe", 8, "owner 0:4294967294"},
		{TAR_UID_OFF, "\xff\xff\xff\xff\xff\xff\xff\xfe", 8, "owner 4294967294:0"},
		{TAR_MODE_OFF, "0107755\0", 8, "mode 7755"},
		{TAR_MTIME_OFF, "77777777777", 12, "mtime 8589934591"},
		{TAR_MTIME_OFF, "777777777777", 12, "mtime 68719476735"},
		{TAR_MTIME_OFF, "\x80\0\0\0\0\0\1\0\0\0\0\0", 12, "mtime 1099511627776"},
		{TAR_MTIME_OFF, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfe", 12, "mtime -2"},
		{TAR_MTIME_OFF, "\xff\xff\xff\xff\x80\0\0\0\0\0\0\0", 12,
			"mtime -9223372036854775808"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char expected[100];

		archive_put(&archive, &(struct tar_member){.type = '6', .name = "x"});
		archive_patch(&archive, cases[i].off, cases[i].bytes, cases[i].size);
		snprintf(expected, sizeof(expected), "6 x%s%s\n", cases[i].expected[0] ? " " : "",
			cases[i].expected);
		assert_lists(&archive, expected);
		archive.size = 0;
	}
}

static void both_sums_of_a_header_are_accepted(void **state)
{
	(void)state;
	CLEANUP(buffer_free) struct buffer archive = {0};
	long sum = 0;
	char text[16];

	archive_put(&archive, &(struct tar_member){.type = '6', .name = "\xe9t\xe9"});
	for (size_t i = 0; i < 512; i++)
		sum += i >= TAR_CHECKSUM_OFF && i < TAR_CHECKSUM_OFF + 8
			       ? ' '
			       : (signed char)archive.data[i];
	snprintf(text, sizeof(text), "%6lo", sum);
	memcpy(archive.data + TAR_CHECKSUM_OFF, text, 7);
	archive.data[TAR_CHECKSUM_OFF + 7] = ' ';
	assert_lists(&archive, "6 \xe9t\xe9\n");
}

static int count(void *arg, const struct tar_entry *entry, struct error *err)
{
	(void)err;
	assert_string_equal(entry->name, "f");
	return ++*(int *)arg == 2;
}

static void a_listener_that_has_seen_enough_stops_the_reader(void **state)
{
	(void)state;
	CLEANUP(buffer_free) struct buffer archive = {0};
	CLEANUP(tar_reader_freep) struct tar_reader *reader = NULL;
	struct error err = {0};
	int n = 0;

	for (int i = 0; i < 5; i++)
		archive_put_file(&archive, "f", "");
	assert_int_equal(tar_reader_new(count, &n, &reader, &err), 0);
	assert_int_equal(tar_reader_feed(reader, archive.data, archive.size, &err), 1);
	assert_int_equal(n, 2);
}

static int refuse_entry(void *arg, const struct tar_entry *entry, struct error *err)
{
	(void)arg;
	return strcmp(entry->name, "bad") == 0 ? error_set(err, ERROR_BUSY, "no") : 0;
}

static int refuse_payload(void *arg, const struct tar_entry *entry, uint64_t file_off,
	const void *data, size_t size, struct error *err)
{
	(void)arg;
	(void)data;
	(void)size;
	if (strcmp(entry->name, "enough") == 0)
		return file_off > 0;
	return error_set(err, ERROR_BUSY, "no payload");
}

static void callbacks_decide_how_a_feed_ends(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		int result;
		const char *message;
	} cases[] = {{"bad", -1, "no"}, {"other", -1, "no payload"}, {"enough", 1, ""}};

	for (size_t i = 0; i < 3; i++) {
		CLEANUP(buffer_free) struct buffer archive = {0};
		CLEANUP(tar_reader_freep) struct tar_reader *reader = NULL;
		struct error err = {0};

		archive_put_file(&archive, cases[i].name, "text");
		assert_int_equal(tar_reader_new_with_payload(
					 refuse_entry, refuse_payload, NULL, &reader, &err),
			0);
		assert_int_equal(tar_reader_feed(reader, archive.data, 512 + (i == 2), &err),
			i == 0 ? -1 : 0);
		if (i > 0)
			assert_int_equal(
				tar_reader_feed(reader, archive.data + 512 + (i == 2), 2, &err),
				cases[i].result);
		assert_string_equal(err.message, cases[i].message);
	}
}

static int total(void *arg, const struct tar_entry *entry, struct error *err)
{
	(void)err;
	*(uint64_t *)arg += entry->size;
	return 0;
}

static int too_early(void *arg, const struct tar_entry *entry, uint64_t file_off, const void *data,
	size_t size, struct error *err)
{
	(void)arg;
	(void)data;
	(void)entry;
	assert_int_equal(file_off, (UINT64_C(9) << 30) - 1);
	assert_int_equal(size, 1);
	(void)err;
	return 0;
}

static void payloads_beyond_8_gib_are_skipped_and_resumed_at_the_right_byte(void **state)
{
	(void)state;
	CLEANUP(buffer_free) struct buffer archive = {0};
	CLEANUP(tar_reader_freep) struct tar_reader *reader = NULL;
	static const uint8_t size[12] = {0x80, 0, 0, 0, 0, 0, 0, 2, 0x40, 0, 0, 0};
	uint64_t nine_gib = UINT64_C(9) << 30, sum = 0;
	struct error err = {0};
	uint8_t last[1] = {7};

	archive_put(&archive, &(struct tar_member){.type = '0', .name = "base-256"});
	archive_patch(&archive, TAR_SIZE_OFF, size, sizeof(size));
	archive_put_pax(&archive, "size", "9663676416", NULL);
	archive_put(&archive, &(struct tar_member){.type = '0', .name = "pax"});
	assert_int_equal(tar_reader_new_with_payload(total, too_early, &sum, &reader, &err), 0);

	assert_int_equal(tar_reader_skip(reader, UINT64_MAX), 0);
	assert_int_equal(tar_reader_feed(reader, archive.data, 512, &err), 0);
	assert_int_equal(sum, nine_gib);
	assert_int_equal(tar_reader_skip(reader, 1000), 1000);
	assert_int_equal(tar_reader_skip(reader, nine_gib - 1001), nine_gib - 1001);
	assert_int_equal(tar_reader_feed(reader, last, 1, &err), 0);
	assert_int_equal(tar_reader_skip(reader, UINT64_MAX), 0);
	assert_int_equal(tar_reader_off(reader), 512 + nine_gib);
	assert_int_equal(tar_reader_feed(reader, archive.data + 512, archive.size - 512, &err), 0);
	assert_int_equal(sum, 2 * nine_gib);
	assert_int_equal(tar_reader_finish(reader, &err), -1);
	assert_int_equal(tar_reader_skip(reader, UINT64_MAX), nine_gib);
	assert_int_equal(tar_reader_finish(reader, &err), 0);
}

/* @size bytes of the archive are all there is. */
static int finish_after(const struct buffer *archive, size_t size, struct error *err)
{
	CLEANUP(tar_reader_freep) struct tar_reader *reader = NULL;
	uint64_t ignored = 0;

	assert_int_equal(tar_reader_new(total, &ignored, &reader, err), 0);
	assert_int_equal(tar_reader_feed(reader, archive->data, size, err), 0);
	return tar_reader_finish(reader, err);
}

static void only_padding_and_trailing_zeros_may_be_missing(void **state)
{
	(void)state;
	CLEANUP(buffer_free) struct buffer archive = {0};
	size_t member, ends[8], n = 0;

	ends[n++] = 0;
	archive_put_file(&archive, "a", "text");
	ends[n++] = 516;
	ends[n++] = 600;
	ends[n++] = member = archive.size;
	archive_put_pax(&archive, "path", "p", NULL);
	archive_put_file(&archive, "b", "");
	ends[n++] = archive.size;
	archive_put_end(&archive);
	ends[n++] = archive.size - 700;
	ends[n++] = archive.size - 512;
	ends[n++] = archive.size;

	for (size_t size = 0, i = 0; size <= archive.size; size++) {
		bool may_end = size >= archive.size - 1024 || (size >= 516 && size <= member);
		struct error err = {0};
		int result = finish_after(&archive, size, &err);

		may_end = may_end || size == 0;
		if (result != (may_end ? 0 : -1))
			fail_msg("%zu bytes: %d %s", size, result, err.message);
		if (result < 0)
			assert_non_null(strstr(err.message, "ends at byte"));
		if (i < n && ends[i] == size) {
			assert_int_equal(result, 0);
			i++;
		}
	}
}

static void broken_headers_are_refused(void **state)
{
	(void)state;
	CLEANUP(buffer_free) struct buffer archive = {0};
	static const struct {
		size_t off;
		const char *bytes;
		const char *words;
	} fields[] = {
		{TAR_SIZE_OFF, "8", "size is no number"},
		{TAR_SIZE_OFF, "1.", "size is no number"},
		{TAR_SIZE_OFF, "-1", "size is no number"},
		{TAR_SIZE_OFF, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", "size is no"},
		{TAR_SIZE_OFF, "\x80\1\1\1\1\1\1\1\1\1\1\1", "size is no number"},
		{TAR_SIZE_OFF + 3, "\x7f\xff\xff\xff\xff\xff\xff\xff\xff", "size is no number"},
		{TAR_UID_OFF, "x", "uid is no number"},
		{TAR_UID_OFF, "\xff\xff\xff\xff\x7f\xff\xff\xff", "uid -2147483649 does not"},
		{TAR_GID_OFF, "x", "gid is no number"},
		{TAR_MODE_OFF, "9", "mode is no number"},
		{TAR_MTIME_OFF, "now", "mtime is no number"},
	};
	static const uint8_t large_id[8] = {0x80, 0, 0, 1, 0, 0, 0, 0};
	static const uint8_t large_size[12] = {
		0x80, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

	archive_put_file(&archive, "f", "");
	archive.data[3] ^= 1;
	assert_refused(&archive, ERROR_FORMAT, "tar header at byte 0: wrong checksum");
	archive_put_file(&archive, "f", "");
	memcpy(archive.data + TAR_CHECKSUM_OFF, "12345678", 8);
	assert_refused(&archive, ERROR_FORMAT, "wrong checksum");
	for (const char *type = "xgLKV"; *type; type++) {
		archive_put(&archive, &(struct tar_member){.type = *type, .name = "x"});
		archive_patch(&archive, TAR_SIZE_OFF, "x", 1);
		assert_refused(&archive, ERROR_FORMAT, "size is no number");
	}
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		archive_put_file(&archive, "before", "text");
		archive_put_file(&archive, "f", "");
		archive_patch(&archive, fields[i].off, fields[i].bytes, strlen(fields[i].bytes));
		assert_refused(&archive, ERROR_FORMAT, fields[i].words);
	}
	archive_put_file(&archive, "f", "");
	archive_patch(&archive, TAR_UID_OFF, large_id, sizeof(large_id));
	assert_refused(&archive, ERROR_FORMAT, "uid 4294967296 does not fit into 32 bits");
	archive_put_file(&archive, "f", "");
	archive_patch(&archive, TAR_SIZE_OFF, large_size, sizeof(large_size));
	assert_refused(&archive, ERROR_FORMAT, "size beyond all limits");
	archive_put(&archive, &(struct tar_member){.type = 'x', .size = (1 << 20) + 1});
	assert_refused(&archive, ERROR_FORMAT, "at most 1048576 are read");
	archive_put(&archive, &(struct tar_member){.type = 'L', .size = UINT64_C(07777777777)});
	assert_refused(&archive, ERROR_FORMAT, "extension of 1073741823 bytes");
	archive_put(&archive, &(struct tar_member){.type = '3', .name = "null"});
	archive_patch(&archive, TAR_DEV_MAJOR_OFF, "x", 1);
	assert_refused(&archive, ERROR_FORMAT, "devmajor is no number");
}

static void what_cannot_be_read_right_is_not_read_at_all(void **state)
{
	(void)state;
	CLEANUP(buffer_free) struct buffer archive = {0};

	archive_put(&archive, &(struct tar_member){.type = 'M', .name = "part"});
	assert_refused(&archive, ERROR_UNSUPPORTED, "another volume");
	archive_put(&archive, &(struct tar_member){.type = 'N', .name = "names"});
	assert_refused(&archive, ERROR_UNSUPPORTED, "long names of GNU tar before");
	/* Go refuses this, and GNU tar ignores what follows: no two programs see the same tree. */
	archive_put_file(&archive, "a", "");
	archive_put_end(&archive);
	archive.size -= 512;
	archive_put_file(&archive, "b", "");
	assert_refused(&archive, ERROR_FORMAT, "at byte 512: a single record of zeros");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(members_of_every_dialect_are_found),
		cmocka_unit_test(sizes_of_what_has_no_payload_are_ignored),
		cmocka_unit_test(a_slash_makes_a_directory_only_where_no_type_does),
		cmocka_unit_test(types_that_few_programs_write_are_regular_or_passed_over),
		cmocka_unit_test(ustar_prefixes_and_names_without_a_terminator_are_joined),
		cmocka_unit_test(prefixes_share_their_place_with_times_of_gnu_and_star),
		cmocka_unit_test(gnu_long_names_come_before_those_of_pax),
		cmocka_unit_test(numbers_are_read_in_whatever_form_they_come),
		cmocka_unit_test(both_sums_of_a_header_are_accepted),
		cmocka_unit_test(a_listener_that_has_seen_enough_stops_the_reader),
		cmocka_unit_test(callbacks_decide_how_a_feed_ends),
		cmocka_unit_test(payloads_beyond_8_gib_are_skipped_and_resumed_at_the_right_byte),
		cmocka_unit_test(only_padding_and_trailing_zeros_may_be_missing),
		cmocka_unit_test(broken_headers_are_refused),
		cmocka_unit_test(what_cannot_be_read_right_is_not_read_at_all),
	};
	return cmocka_run_group_tests_name("format/tar", tests, NULL, NULL);
}
