/* SPDX-License-Identifier: Apache-2.0 */
#include "format/tar_toc.h"

#include "support/test.h"

#include <stdio.h>
#include <string.h>

#include "dump.h"
#include "support/tar_archive.h"

/* Ends the archive, reads it cut in this way, and empties it. */
static void check_cut(struct buffer *archive, uint64_t cut, const char *expected)
{
	struct buffer text = {0};
	struct toc *toc = NULL;
	struct error err = {0};

	archive_put_end(archive);
	if (toc_of_archive(archive->data, archive->size, SIZE_MAX, cut, &toc, &err) < 0)
		fail_msg("%s", err.message);
	dump_toc(toc, &text);
	assert_string_equal((char *)text.data, expected);
	buffer_free(&text);
	toc_free(toc);
	archive->size = 0;
}

static void check(struct buffer *archive, const char *expected)
{
	check_cut(archive, UINT64_C(1) << 40, expected);
}

static void check_refused(struct buffer *archive, const char *words)
{
	struct toc *toc = NULL;
	struct error err = {0};

	assert_int_equal(
		toc_of_archive(archive->data, archive->size, SIZE_MAX, 512, &toc, &err), -1);
	assert_int_equal(err.kind, ERROR_FORMAT);
	if (!strstr(err.message, words))
		fail_msg("\"%s\" lacks \"%s\"", err.message, words);
	archive->size = 0;
}

static void names_stay_below_the_root_however_they_begin(void **state)
{
	(void)state;
	static const char *const names[] = {"usr/x", "./usr/x", "/usr/x", "../usr/x", "//usr//./x",
		"../../a/../usr/x", "usr/lib/../../../usr/x", "./././/usr/x/"};
	CLEANUP(buffer_free) struct buffer archive = {0};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		archive_put(&archive, &(struct tar_member){.type = '1',
					      .name = names[i],
					      .link_name = names[i],
					      .mode = 0644});
		/* Where a symlink leads to is nobody's business here. */
		archive_put(&archive,
			&(struct tar_member){
				.type = '2', .name = names[i], .link_name = "../../.././etc//x/"});
		check(&archive, "hardlink usr/x 0644 0:0 0 -> usr/x\n"
				"symlink usr/x 0000 0:0 0 -> ../../.././etc//x/\n");
	}
	for (const char *const *name = (const char *const[]){"./", "/", "..", "a/..", "", NULL};
		*name; name++) {
		archive_put(&archive,
			&(struct tar_member){.type = '5', .name = *name, .mode = 0700, .uid = 3});
		check(&archive, "dir / 0700 3:0 0\n");
	}
}

static void every_type_and_attribute_is_kept(void **state)
{
	(void)state;
	CLEANUP(buffer_free) struct buffer archive = {0};

	archive_put(&archive, &(struct tar_member){.type = '3',
				      .name = "null",
				      .mode = 0666,
				      .dev_major = 4095,
				      .dev_minor = 0xfffff});
	archive_put(&archive, &(struct tar_member){.type = '4', .name = "disk", .dev_major = 8});
	archive_put(&archive, &(struct tar_member){.type = '6', .name = "pipe", .dev_minor = 1});
	archive_put_pax(&archive, "uid", "4294967295", "gid", "70000", "mtime", "-1.5",
		"SCHILY.xattr.user.a", "1", "SCHILY.xattr.user.b", "", NULL);
	archive_put(&archive, &(struct tar_member){.type = '0', .name = "x", .mode = 0106755});
	archive_put_file(&archive, "text", "abc");
	check(&archive, "char null 0666 0:0 0 dev 4095:1048575\n"
			"block disk 0000 0:0 0 dev 8:0\n"
			"fifo pipe 0000 0:0 0\n"
			"reg x 6755 4294967295:70000 -2.500000000 size 0\n"
			"  xattr user.a 31\n"
			"  xattr user.b \n"
			"reg text 0644 0:0 0 size 3\n"
			"  chunk 0+3 at 0+5120 inner 3584 none ba7816bf8f01cfea\n");
}

static void files_are_cut_where_their_caller_wants(void **state)
{
	(void)state;
	CLEANUP(buffer_free) struct buffer archive = {0};
	char text[1101];

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	archive_put_file(&archive, "a", text);
	archive_put_file(&archive, "b", "bb");
	check_cut(&archive, 1000,
		"reg a 0644 0:0 0 size 1100\n"
		"  chunk 0+488 at 0+1000 inner 512 none b38f16ede54aa1f6\n"
		"  chunk 488+612 at 1000+1000 inner 0 none 1d200d6d56bd2599\n"
		"reg b 0644 0:0 0 size 2\n"
		"  chunk 0+2 at 2000+1000 inner 560 none 3b64db95cb55c763\n");
}

/* A file of 100 bytes with this map, and its data. */
static void put_sparse(struct buffer *archive, const char *map, const char *data)
{
	archive_put_pax(archive, "GNU.sparse.size", "100", "GNU.sparse.map", map, NULL);
	archive_put(archive, &(struct tar_member){.type = '0', .name = "s", .size = strlen(data)});
	archive_put_payload(archive, data, strlen(data));
}

static void holes_are_chunks_of_zeros_at_their_neighbours_place(void **state)
{
	(void)state;
	CLEANUP(buffer_free) struct buffer archive = {0};

	put_sparse(&archive, "10,2,20,80",
		"aabbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
		"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb");
	put_sparse(&archive, "0,2", "cc");
	put_sparse(&archive, "100,0", "");
	check(&archive, "reg s 0000 0:0 0 size 100\n"
			"  chunk 0+10 at 0+0 inner 1536 none 0000000000000000 zeros\n"
			"  chunk 10+2 at 0+6656 inner 1536 none 961b6dd3ede3cb8e\n"
			"  chunk 12+8 at 0+0 inner 1538 none 0000000000000000 zeros\n"
			"  chunk 20+80 at 0+6656 inner 1538 none 18766a15ea395280\n"
			"reg s 0000 0:0 0 size 100\n"
			"  chunk 0+2 at 0+6656 inner 3584 none 355b1bbfc96725cd\n"
			"  chunk 2+98 at 0+0 inner 3584 none 0000000000000000 zeros\n"
			"reg s 0000 0:0 0 size 100\n"
			"  chunk 0+100 at 0+0 inner 3584 none 0000000000000000 zeros\n");
}

static void what_no_file_can_have_is_refused_by_its_name(void **state)
{
	(void)state;
	CLEANUP(buffer_free) struct buffer archive = {0};
	CLEANUP(buffer_free) struct buffer text = {0};
	static const char letters[300] = "";

	archive_put_file(&archive, "first", "");
	archive_put_file(&archive, "a/..", "");
	check_refused(&archive, "entry 2 (a/..): the root is no directory");
	archive_put(&archive, &(struct tar_member){.type = '2', .name = "x\n\x1b"});
	check_refused(&archive, "entry 1 (x?"
				"?): link name of 0 bytes");
	archive_put(&archive, &(struct tar_member){.type = '1', .name = "x", .link_name = ".."});
	check_refused(&archive, "hard link to the root");
	archive_put(&archive, &(struct tar_member){.type = '3', .name = "x", .dev_major = 4096});
	check_refused(&archive, "device 4096:0 is beyond 4095:1048575");
	archive_put(&archive, &(struct tar_member){.type = '4', .name = "x", .dev_minor = 1 << 20});
	check_refused(&archive, "device 0:1048576 is beyond");

	for (size_t i = 0; i < 300; i++)
		assert_int_equal(buffer_append(&text, "n", 1), 0);
	archive_put_pax(&archive, "path", (char *)text.data, NULL);
	archive_put_file(&archive, "x", "");
	check_refused(&archive, "a component of 300 bytes; at most 255 are possible");
	archive_put_pax(&archive, "linkpath", (char *)text.data, NULL);
	archive_put(&archive, &(struct tar_member){.type = '1', .name = "x"});
	check_refused(&archive, "entry 1 (x): link name: name with a component of 300 bytes");
	text.size = 0;
	for (size_t i = 0; i < 4096; i++)
		assert_int_equal(buffer_append(&text, "n", 1), 0);
	archive_put_pax(&archive, "linkpath", (char *)text.data, NULL);
	archive_put(&archive, &(struct tar_member){.type = '2', .name = "x"});
	check_refused(&archive, "link name of 4096 bytes; 1 to 4095 are possible");

	text.size = 0;
	assert_int_equal(buffer_printf(&text, "SCHILY.xattr.user."), 0);
	for (size_t i = 0; i < 251; i++)
		assert_int_equal(buffer_append(&text, "n", 1), 0);
	archive_put_pax(&archive, (char *)text.data, "v", NULL);
	archive_put_file(&archive, "x", "");
	check_refused(&archive, "xattr name of 256 bytes; 1 to 255 are possible");
	archive_put_pax(&archive, "SCHILY.xattr.", "v", NULL);
	archive_put_file(&archive, "x", "");
	check_refused(&archive, "xattr name of 0 bytes");
	text.size = 0;
	for (size_t i = 0; i < 65536 / 256; i++)
		assert_int_equal(buffer_append(&text, letters, 256), 0);
	memset(text.data, 'v', 65536);
	archive_put_pax(&archive, "SCHILY.xattr.user.v", (char *)text.data, NULL);
	archive_put_file(&archive, "x", "");
	check_refused(&archive, "xattr user.v has 65536 bytes; at most 65535 are possible");
}

/* One file of 100 bytes with data in [10, 12) and [20, 100). */
static struct tar_toc *sparse_file(void)
{
	static const struct tar_segment segments[] = {
		{.file_off = 10, .size = 2, .payload_off = 512},
		{.file_off = 20, .size = 80, .payload_off = 514}};
	struct tar_entry entry = {.name = "s",
		.type = '0',
		.size = 100,
		.payload_size = 82,
		.segments = segments,
		.n_segments = 2};
	struct tar_toc *tar_toc = NULL;
	size_t index = 7;

	assert_int_equal(tar_toc_new(&tar_toc, NULL), 0);
	assert_int_equal(tar_toc_add(tar_toc, &entry, &index, NULL), 0);
	assert_int_equal(index, 0);
	assert_int_equal(tar_toc_n_entries(tar_toc), 1);
	return tar_toc;
}

static void chunks_have_to_be_exactly_the_data(void **state)
{
	(void)state;
	static const struct {
		size_t n;
		struct toc_chunk chunks[4];
		const char *words;
	} cases[] = {
		{0, {{0}}, "chunks of a part of the data"},
		{1, {{.file_off = 10, .size = 2}}, "chunks of a part of the data"},
		{1, {{.file_off = 10, .size = 1}}, "not the data at 11"},
		{1, {{.file_off = 0, .size = 2}}, "not the data at 10"},
		{1, {{.file_off = 10, .size = 0}}, "not the data at 10"},
		{1, {{.file_off = 10, .size = 90}}, "not the data at 10"},
		{2, {{.file_off = 10, .size = 2}, {.file_off = 21, .size = 79}}, "the data at 20"},
		{2, {{.file_off = 10, .size = 2}, {.file_off = 20, .size = 81}}, "the data at 20"},
		{2, {{.file_off = 10, .size = 2}, {.file_off = 20, .size = 79}}, "the data at 99"},
		{3,
			{{.file_off = 10, .size = 2}, {.file_off = 20, .size = 80},
				{.file_off = 100, .size = 1}},
			"chunks of more than the data"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CLEANUP(tar_toc_freep) struct tar_toc *tar_toc = sparse_file();
		struct error err = {0};

		assert_int_equal(
			tar_toc_set_chunks(tar_toc, 0, cases[i].chunks, cases[i].n, &err), -1);
		assert_int_equal(err.kind, ERROR_INTERNAL);
		if (!strstr(err.message, cases[i].words))
			fail_msg("case %zu: %s", i, err.message);
	}
}

static void every_file_gets_its_chunks_once(void **state)
{
	(void)state;
	static const struct toc_chunk chunks[] = {{.file_off = 10, .size = 2},
		{.file_off = 20, .size = 30}, {.file_off = 50, .size = 50}};
	CLEANUP(tar_toc_freep) struct tar_toc *tar_toc = sparse_file();
	struct toc *toc = NULL;
	struct error err = {0};
	size_t n;

	assert_int_equal(tar_toc_segments(tar_toc, 0, &n)[1].payload_off, 514);
	assert_int_equal(n, 2);
	assert_int_equal(tar_toc_finish(tar_toc, &toc, &err), -1);
	assert_int_equal(err.kind, ERROR_INTERNAL);
	assert_string_equal(err.message, "entry 1 (s): no chunks");
	assert_null(toc);
	assert_int_equal(tar_toc_set_chunks(tar_toc, 0, chunks, 3, &err), 0);
	assert_int_equal(tar_toc_set_chunks(tar_toc, 0, chunks, 3, &err), -1);
	assert_string_equal(err.message, "entry 1 (s): chunks for the second time");
	assert_int_equal(tar_toc_finish(tar_toc, &toc, &err), 0);
	assert_int_equal(toc->n_chunks, 5);
	assert_int_equal(toc->entries[0].n_chunks, 5);
	toc_freep(&toc);
	tar_toc_freep(&tar_toc);
	assert_null(tar_toc);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_stay_below_the_root_however_they_begin),
		cmocka_unit_test(every_type_and_attribute_is_kept),
		cmocka_unit_test(files_are_cut_where_their_caller_wants),
		cmocka_unit_test(holes_are_chunks_of_zeros_at_their_neighbours_place),
		cmocka_unit_test(what_no_file_can_have_is_refused_by_its_name),
		cmocka_unit_test(chunks_have_to_be_exactly_the_data),
		cmocka_unit_test(every_file_gets_its_chunks_once),
	};
	return cmocka_run_group_tests_name("format/tar_toc", tests, NULL, NULL);
}
