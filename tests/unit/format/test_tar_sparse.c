/* SPDX-License-Identifier: Apache-2.0 */
#include "format/tar.h"

#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/tar_archive.h"
#include "tar_listing.h"

/* The header of an old sparse file whose data are this many bytes. */
static void put_old(struct buffer *archive, size_t size, const char *real_size)
{
	archive_put(archive,
		&(struct tar_member){.dialect = TAR_GNU, .type = 'S', .name = "s", .size = size});
	archive_patch(archive, TAR_REAL_SIZE_OFF, real_size, strlen(real_size));
}

/* The i-th pair in the last record, whose pairs begin at @base. */
static void put_pair(struct buffer *archive, uint8_t *record, size_t i, unsigned off, unsigned size)
{
	char fields[32];

	snprintf(fields, sizeof(fields), "%011o %011o ", off, size);
	if (record)
		memcpy(record + 24 * i, fields, 24);
	else
		archive_patch(archive, TAR_SPARSE_OFF + 24 * i, fields, 24);
}

static const uint8_t data[4096];

static void the_old_form_has_its_map_in_the_header(void **state)
{
	(void)state;
	CLEANUP(buffer_free) struct buffer archive = {0};
	static const uint8_t binary[12] = {0x80, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0};

	put_old(&archive, 1100, "10000");
	put_pair(&archive, NULL, 0, 512, 1000);
	put_pair(&archive, NULL, 1, 2048, 100);
	put_pair(&archive, NULL, 2, 4096, 0);
	archive_put_payload(&archive, data, 1100);
	/* All of it is one hole. */
	put_old(&archive, 0, "10000");
	put_pair(&archive, NULL, 0, 4096, 0);
	/* Base-256, and data at both ends. */
	put_old(&archive, 3, "200001");
	archive_patch(&archive, TAR_REAL_SIZE_OFF, binary, sizeof(binary));
	put_pair(&archive, NULL, 0, 0, 1);
	put_pair(&archive, NULL, 1, 65534, 2);
	archive_put_payload(&archive, "abc", 3);
	archive_put_file(&archive, "last", "");
	assert_lists(&archive, "0 s 4096 [512+1000 at 512] [2048+100 at 1512]\n"
			       "0 s 4096\n"
			       "0 s 65536 [0+1 at 3072] [65534+2 at 3073]\n"
			       "0 last 0 mode 644\n");
}

static void the_old_map_goes_on_in_further_records(void **state)
{
	(void)state;
	CLEANUP(buffer_free) struct buffer archive = {0};
	struct buffer expected = {0};

	put_old(&archive, 40, "20000");
	archive_patch(&archive, TAR_IS_EXTENDED_OFF, "1", 1);
	for (unsigned i = 0; i < 4; i++)
		put_pair(&archive, NULL, i, 100 * i, 1);
	for (unsigned r = 0; r < 2; r++) {
		uint8_t record[512] = {0};

		for (unsigned i = 0; i < (r == 0 ? 21 : 15); i++)
			put_pair(NULL, record, i, 100 * (4 + 21 * r + i), 1);
		record[504] = r == 0;
		assert_int_equal(buffer_append(&archive, record, sizeof(record)), 0);
	}
	archive_put_payload(&archive, data, 40);
	archive_put_file(&archive, "last", "");

	assert_int_equal(buffer_printf(&expected, "0 s 8192"), 0);
	for (unsigned i = 0; i < 40; i++)
		assert_int_equal(buffer_printf(&expected, " [%u+1 at %u]", 100 * i, 1536 + i), 0);
	assert_int_equal(buffer_printf(&expected, "\n0 last 0 mode 644\n"), 0);
	assert_lists(&archive, (char *)expected.data);
	buffer_free(&expected);
}

static void form_0_0_has_two_records_for_each_part(void **state)
{
	(void)state;
	CLEANUP(buffer_free) struct buffer archive = {0};

	archive_put_pax(&archive, "GNU.sparse.size", "5000", "GNU.sparse.numblocks", "3",
		"GNU.sparse.offset", "0", "GNU.sparse.numbytes", "100", "GNU.sparse.offset", "3000",
		"GNU.sparse.numbytes", "500", "GNU.sparse.offset", "5000", "GNU.sparse.numbytes",
		"0", NULL);
	archive_put(&archive, &(struct tar_member){.type = '0', .name = "s", .size = 600});
	archive_put_payload(&archive, data, 600);
	archive_put_file(&archive, "last", "");
	assert_lists(&archive, "0 s 5000 [0+100 at 1536] [3000+500 at 1636]\n0 last 0 mode 644\n");
}

static void form_0_1_has_one_record_with_the_map(void **state)
{
	(void)state;
	CLEANUP(buffer_free) struct buffer archive = {0};

	archive_put_pax(&archive, "GNU.sparse.major", "0", "GNU.sparse.minor", "1",
		"GNU.sparse.name", "real name", "GNU.sparse.realsize", "5000",
		"GNU.sparse.numblocks", "3", "GNU.sparse.map", "100,100,200,50,5000,0", NULL);
	archive_put(&archive, &(struct tar_member){.type = '0', .name = "s", .size = 150});
	archive_put_payload(&archive, data, 150);
	/* What the archive began with was another file's. */
	archive_put_file(&archive, "last", "x");
	/* No data at all, and no map either. */
	archive_put_pax(
		&archive, "GNU.sparse.size", "7", "GNU.sparse.numblocks", "0", "path", "p", NULL);
	archive_put(&archive, &(struct tar_member){.type = '0', .name = "s"});
	assert_lists(&archive, "0 real name 5000 [100+150 at 1536]\n"
			       "0 last 1 [0+1 at 2560] mode 644\n"
			       "0 p 7\n");
}

/* Puts a file in form 1.0 of this map, data of @size bytes and this real size. */
static void put_new(struct buffer *archive, const char *map, size_t size, const char *real_size)
{
	size_t map_size = (strlen(map) + 511) / 512 * 512;

	archive_put_pax(archive, "path", "GNUSparseFile.7/s", "GNU.sparse.major", "1",
		"GNU.sparse.minor", "0", "GNU.sparse.name", "new", "GNU.sparse.realsize", real_size,
		NULL);
	archive_put(
		archive, &(struct tar_member){.type = '0', .name = "s", .size = map_size + size});
	if (map_size > 0)
		archive_put_payload(archive, map, strlen(map));
	archive_put_payload(archive, data, size);
}

static void form_1_0_has_its_map_in_front_of_the_data(void **state)
{
	(void)state;
	CLEANUP(buffer_free) struct buffer archive = {0};
	CLEANUP(buffer_free) struct buffer map = {0};
	CLEANUP(buffer_free) struct buffer expected = {0};

	put_new(&archive, "2\n0\n100\n4000\n50\n", 150, "5000");
	put_new(&archive, "1\n5000\n0\n", 0, "5000");
	put_new(&archive, "0\n", 0, "12");
	assert_lists(&archive, "0 new 5000 [0+100 at 2048] [4000+50 at 2148]\n0 new 5000\n"
			       "0 new 12\n");

	/* Numbers that lie across records. */
	archive.size = 0;
	assert_int_equal(buffer_printf(&map, "300\n"), 0);
	assert_int_equal(buffer_printf(&expected, "0 new 99999"), 0);
	for (unsigned i = 0; i < 300; i++) {
		assert_int_equal(buffer_printf(&map, "%u\n1\n", 100 * i), 0);
		assert_int_equal(
			buffer_printf(&expected, " [%u+1 at %u]", 100 * i, 1536 + 2560 + i), 0);
	}
	assert_true(map.size > 2048 && map.size < 2560);
	assert_int_equal(buffer_printf(&expected, "\n"), 0);
	put_new(&archive, (char *)map.data, 300, "99999");
	assert_lists(&archive, (char *)expected.data);
}

static void records_about_sparse_files_do_not_outlive_their_member(void **state)
{
	(void)state;
	CLEANUP(buffer_free) struct buffer archive = {0};

	put_new(&archive, "1\n10\n5\n", 5, "20");
	archive_put_pax(&archive, "GNU.sparse.size", "5000", "GNU.sparse.offset", "7",
		"GNU.sparse.numbytes", "100", NULL);
	/* The second one replaces it. */
	archive_put_pax(&archive, "mtime", "1", NULL);
	archive_put_file(&archive, "plain", "text");
	assert_lists(
		&archive, "0 new 20 [10+5 at 2048]\n0 plain 4 [0+4 at 5120] mode 644 mtime 1\n");
}

static void refuse_map(const char *map, size_t size, const char *real_size, const char *words)
{
	CLEANUP(buffer_free) struct buffer archive = {0};

	put_new(&archive, map, size, real_size);
	assert_refused(&archive, ERROR_FORMAT, words);
}

static void maps_that_contradict_the_file_are_refused(void **state)
{
	(void)state;
	CLEANUP(buffer_free) struct buffer archive = {0};

	refuse_map("1\n0\n100\n", 99, "200", "100 bytes of data has a payload of 99");
	refuse_map("1\n0\n100\n", 101, "200", "100 bytes of data has a payload of 101");
	refuse_map("1\n101\n100\n", 100, "200", "a sparse file of 200 bytes with data up to 201");
	refuse_map("1\n201\n0\n", 0, "200", "with data up to 201");
	refuse_map("2\n0\n100\n99\n1\n", 101, "200", "overlap or are out of order");
	refuse_map("2\n100\n1\n0\n1\n", 2, "200", "overlap or are out of order");
	refuse_map("2\n50\n0\n0\n1\n", 1, "200", "overlap or are out of order");
	refuse_map("x", 0, "200", "something else than numbers");
	refuse_map("-1\n", 0, "200", "something else than numbers");
	refuse_map("1 \n0\n1\n", 0, "200", "something else than numbers");
	refuse_map("\n", 0, "200", "lacks a number");
	refuse_map("1\n\n1\n", 0, "200", "lacks a number");
	refuse_map("2\n0\n0\n", 0, "200", "something else than numbers");
	refuse_map("1\n1234567890123456789\n0\n", 0, "200", "something else than numbers");
	refuse_map("", 100, "200", "map of a sparse file is cut off");

	/* Ends where a record does, in the middle of the map. */
	archive_put_pax(&archive, "GNU.sparse.major", "1", "GNU.sparse.minor", "0", NULL);
	archive_put(&archive, &(struct tar_member){.type = '0', .name = "s", .size = 512});
	assert_int_equal(buffer_append(&archive, "999\n", 4), 0);
	for (unsigned i = 0; i < 508; i++)
		assert_int_equal(buffer_append(&archive, i % 2 == 0 ? "0" : "\n", 1), 0);
	assert_refused(&archive, ERROR_FORMAT, "map of a sparse file is cut off");

	put_old(&archive, 10, "10");
	put_pair(&archive, NULL, 0, 0, 10);
	assert_refused(&archive, ERROR_FORMAT, "a sparse file of 8 bytes with data up to 10");
	put_old(&archive, 10, "x");
	assert_refused(&archive, ERROR_FORMAT, "size of a sparse file is no number");
	put_old(&archive, 10, "10");
	archive_patch(&archive, TAR_SPARSE_OFF, "8", 1);
	assert_refused(&archive, ERROR_FORMAT, "place of a sparse file's part is no number");
	put_old(&archive, 10, "10");
	archive_patch(&archive, TAR_SPARSE_OFF, "00000000000 \xff\xff\xff\xff\xff\xff\xff", 19);
	assert_refused(&archive, ERROR_FORMAT, "place of a sparse file's part is no number");
}

static void broken_records_about_sparse_files_are_refused(void **state)
{
	(void)state;
	static const struct {
		const char *pairs[6];
		const char *words;
	} cases[] = {
		{{"GNU.sparse.numbytes", "1"}, "GNU.sparse.numbytes has a value"},
		{{"GNU.sparse.offset", "1"}, "GNU.sparse.offset without"},
		{{"GNU.sparse.offset", "1", "GNU.sparse.offset", "2"}, "GNU.sparse.offset has"},
		{{"GNU.sparse.offset", "1,2"}, "GNU.sparse.offset has"},
		{{"GNU.sparse.map", "1"}, "half a pair"},
		{{"GNU.sparse.map", "1,"}, "something else than numbers"},
		{{"GNU.sparse.map", ",1"}, "something else than numbers"},
		{{"GNU.sparse.map", "1,2,3"}, "half a pair"},
		{{"GNU.sparse.map", "1, 2"}, "something else than numbers"},
		{{"GNU.sparse.map", "9223372036854775799,9223372036854775799"}, "out of order"},
		{{"GNU.sparse.map", "0,1", "GNU.sparse.numblocks", "2"}, "numblocks is not"},
		{{"GNU.sparse.numblocks", "1"}, "numblocks is not"},
	};
	CLEANUP(buffer_free) struct buffer archive = {0};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *const *pairs = cases[i].pairs;

		archive_put_pax(&archive, pairs[0], pairs[1], pairs[2], pairs[3], NULL);
		archive_put_file(&archive, "s", "");
		assert_refused(&archive, ERROR_FORMAT, cases[i].words);
	}
	archive_put_pax(&archive, "GNU.sparse.map", "0,1", NULL);
	archive_put(&archive, &(struct tar_member){.type = '5', .name = "d"});
	assert_refused(&archive, ERROR_FORMAT, "sparse, and no regular file");
}

static void forms_that_nobody_can_read_are_unsupported(void **state)
{
	(void)state;
	CLEANUP(buffer_free) struct buffer archive = {0};
	CLEANUP(buffer_free) struct buffer map = {0};

	archive_put(&archive, &(struct tar_member){.type = 'S', .name = "star"});
	assert_refused(&archive, ERROR_UNSUPPORTED, "not as star does");
	archive_put_pax(&archive, "GNU.sparse.major", "1", "GNU.sparse.minor", "1", NULL);
	archive_put_file(&archive, "s", "");
	assert_refused(&archive, ERROR_UNSUPPORTED, "sparse format 1.1 is not supported");
	archive_put_pax(&archive, "GNU.sparse.major", "2", NULL);
	archive_put_file(&archive, "s", "");
	assert_refused(&archive, ERROR_UNSUPPORTED, "sparse format 2.0 is not supported");
	archive_put_pax(&archive, "GNU.sparse.minor", "2", NULL);
	archive_put_file(&archive, "s", "");
	assert_refused(&archive, ERROR_UNSUPPORTED, "sparse format 0.2 is not supported");

	put_new(&archive, "262145\n", 512, "9");
	assert_refused(&archive, ERROR_UNSUPPORTED, "more than 262144 parts");
	for (unsigned i = 0; i < 262145; i++)
		assert_int_equal(buffer_append(&map, "0,0,", 4), 0);
	map.data[map.size - 1] = '\0';
	archive_put_pax(&archive, "GNU.sparse.map", (char *)map.data, NULL);
	/* One extension cannot have as many. */
	assert_refused(&archive, ERROR_FORMAT, "at most 1048576 are read");
}

static void a_map_of_the_old_form_has_a_limit_too(void **state)
{
	(void)state;
	CLEANUP(buffer_free) struct buffer archive = {0};
	CLEANUP(tar_reader_freep) struct tar_reader *reader = NULL;
	uint8_t record[512] = {0};
	struct error err = {0};
	int result = 0, n = 0;

	for (unsigned i = 0; i < 21; i++)
		put_pair(NULL, record, i, 0, 0);
	record[504] = 1;
	put_old(&archive, 0, "0");
	archive_patch(&archive, TAR_IS_EXTENDED_OFF, "1", 1);
	assert_int_equal(tar_reader_new(NULL, NULL, &reader, &err), 0);
	assert_int_equal(tar_reader_feed(reader, archive.data, archive.size, &err), 0);
	for (; result == 0 && n < 20000; n++)
		result = tar_reader_feed(reader, record, sizeof(record), &err);
	assert_int_equal(result, -1);
	assert_int_equal(n, 262144 / 21 + 1);
	assert_non_null(strstr(err.message, "more than 262144 parts"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_old_form_has_its_map_in_the_header),
		cmocka_unit_test(the_old_map_goes_on_in_further_records),
		cmocka_unit_test(form_0_0_has_two_records_for_each_part),
		cmocka_unit_test(form_0_1_has_one_record_with_the_map),
		cmocka_unit_test(form_1_0_has_its_map_in_front_of_the_data),
		cmocka_unit_test(records_about_sparse_files_do_not_outlive_their_member),
		cmocka_unit_test(maps_that_contradict_the_file_are_refused),
		cmocka_unit_test(broken_records_about_sparse_files_are_refused),
		cmocka_unit_test(forms_that_nobody_can_read_are_unsupported),
		cmocka_unit_test(a_map_of_the_old_form_has_a_limit_too),
	};
	return cmocka_run_group_tests_name("format/tar_sparse", tests, NULL, NULL);
}
