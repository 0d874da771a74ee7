/* SPDX-License-Identifier: Apache-2.0 */
/* Tar archives of all that makes unpacking one an art, from their bytes to an index. */
#include "format/tar_toc.h"
#include "index/layer_index.h"

#include "support/test.h"

#include <stdlib.h>
#include <string.h>

#include "support/layer_text.h"
#include "support/scratch.h"
#include "support/tar_archive.h"

enum { CUT = 4096 };

static void put(struct buffer *archive, char type, const char *name, const char *link_name)
{
	archive_put(archive, &(struct tar_member){.type = type,
				     .name = name,
				     .link_name = link_name,
				     .mode = type == '5' ? 0755 : 0644});
}

static int build(const struct scratch *scratch, uint8_t key_byte, struct buffer *archive,
	struct layer_index **out, struct error *err)
{
	CLEANUP(toc_freep) struct toc *toc = NULL;
	uint8_t key[INDEX_KEY_SIZE] = {key_byte};
	struct digest blob = {.algorithm = DIGEST_SHA256};
	struct layer_index_build_options options = {.key = key, .blob = &blob};

	archive_put_end(archive);
	options.blob_size = archive->size;
	if (toc_of_archive(archive->data, archive->size, 1000, CUT, &toc, err) < 0)
		fail_msg("%s", err->message);
	archive->size = 0;
	if (layer_index_build(scratch->fd, toc, &options, err) < 0)
		return -1;
	return layer_index_open(scratch->fd, key, out, err);
}

static void check(
	const struct scratch *scratch, uint8_t key, struct buffer *archive, const char *expected)
{
	CLEANUP(layer_index_closep) struct layer_index *layer = NULL;
	CLEANUP(cleanup_free) char *text = NULL;
	struct error err = {0};

	if (build(scratch, key, archive, &layer, &err) < 0)
		fail_msg("%s", err.message);
	text = text_of_tree(layer->tree);
	assert_string_equal(text, expected);
}

static void check_refused(
	const struct scratch *scratch, uint8_t key, struct buffer *archive, const char *words)
{
	struct layer_index *layer = NULL;
	struct error err = {0};

	assert_int_equal(build(scratch, key, archive, &layer, &err), -1);
	assert_int_equal(err.kind, ERROR_FORMAT);
	if (!strstr(err.message, words))
		fail_msg("\"%s\" lacks \"%s\"", err.message, words);
}

static void the_same_name_in_other_words_is_the_same_file(void **state)
{
	CLEANUP(buffer_free) struct buffer archive = {0};

	put(&archive, '5', "./", NULL);
	archive_put_file(&archive, "usr/a", "1");
	archive_put_file(&archive, "/usr//./a", "22");
	archive_put_file(&archive, "../../usr/b", "1");
	archive_put_file(&archive, "usr/lib/../b", "333");
	put(&archive, '5', "../..", NULL);
	check(*state, 1, &archive, "d .\nd? usr\nf usr/a 2\nf usr/b 3\n");
}

static void hard_links_are_resolved_before_and_after_their_target(void **state)
{
	CLEANUP(buffer_free) struct buffer archive = {0};

	put(&archive, '1', "./early", "/file");
	archive_put_file(&archive, "file", "text");
	put(&archive, '1', "late", "./x/../file");
	put(&archive, '1', "chain", "../late");
	put(&archive, '1', "lower", "not/in/this/layer");
	check(*state, 2, &archive,
		"d? .\nf chain 4 x4\nf early 4 x4\nf file 4 x4\nf late 4 x4\n"
		"h lower -> not/in/this/layer\n");
	put(&archive, '1', "a", "b");
	put(&archive, '1', "b", "./a");
	check_refused(*state, 3, &archive, "in a circle");
	put(&archive, '5', "d", NULL);
	put(&archive, '1', "a", "d/");
	check_refused(*state, 4, &archive, "hard link to directory");
}

static void what_lies_below_a_file_is_refused_and_below_a_symlink_stays_inside(void **state)
{
	CLEANUP(buffer_free) struct buffer archive = {0};

	archive_put_file(&archive, "file", "text");
	archive_put_file(&archive, "file/below", "text");
	check_refused(*state, 5, &archive, "entry 'file/below'");
	put(&archive, '2', "out", "../../../etc");
	archive_put_file(&archive, "out/passwd", "text");
	put(&archive, '2', "abs", "/usr");
	archive_put_file(&archive, "abs/x", "text");
	check(*state, 6, &archive,
		"d? .\nl abs -> /usr\nd? etc\nf etc/passwd 4\n"
		"l out -> ../../../etc\nd? usr\nf usr/x 4\n");
	put(&archive, '2', "loop", "loop");
	archive_put_file(&archive, "loop/x", "text");
	check_refused(*state, 7, &archive, "entry 'loop/x'");
}

static void whiteouts_and_marks_of_overlayfs_are_applied(void **state)
{
	CLEANUP(buffer_free) struct buffer archive = {0};

	put(&archive, '5', "etc/", NULL);
	archive_put_file(&archive, "etc/.wh.gone", "");
	archive_put_pax(&archive, "SCHILY.xattr.trusted.overlay.opaque", "y", "SCHILY.xattr.user.a",
		"1", NULL);
	put(&archive, '5', "srv/", NULL);
	archive_put_file(&archive, "opq/.wh..wh..opq", "");
	check(*state, 8, &archive, "d? .\nd etc\nw etc/gone\nd! opq\nd srv xattr=user.a:1\n");
}

static void put_sparse(struct buffer *archive, const char *name, const char *map, size_t size)
{
	char data[8192];

	memset(data, 'x', sizeof(data));
	archive_put_pax(
		archive, "GNU.sparse.size", "100000", "GNU.sparse.map", map, "path", name, NULL);
	archive_put(archive, &(struct tar_member){.type = '0', .mode = 0644, .size = size});
	archive_put_payload(archive, data, size);
}

static void holes_are_units_of_zeros_and_files_keep_their_order(void **state)
{
	static const struct {
		uint64_t data_off;
		uint64_t size;
		unsigned flags;
	} expected[] = {
		{0, 4, 0},                                   /* first */
		{4096, 20000, UNIT_ZEROS}, {24096, 1536, 0}, /* up to byte 4096 of the archive */
		{25632, 3464, 0}, {29096, 100000 - 25000, UNIT_ZEROS},
		{4096 + 102400, 100000, UNIT_ZEROS}, /* all hole */
		{4096 + 204800, 1, 0}, {4096 + 204801, 99999, UNIT_ZEROS},
		{4096 + 307200, 5, 0}, /* last */
	};
	CLEANUP(buffer_free) struct buffer archive = {0};
	CLEANUP(layer_index_closep) struct layer_index *layer = NULL;
	struct error err = {0};
	struct unit unit;

	archive_put_file(&archive, "first", "text");
	put_sparse(&archive, "a", "20000,5000", 5000);
	put_sparse(&archive, "hole", "100000,0", 0);
	put_sparse(&archive, "b", "0,1", 1);
	archive_put_file(&archive, "last", "text.");
	if (build(*state, 9, &archive, &layer, &err) < 0)
		fail_msg("%s", err.message);
	assert_int_equal(unit_table_header(layer->units)->n_units, 9);
	for (size_t i = 0; i < 9; i++) {
		assert_int_equal(unit_table_get(layer->units, i, &unit, &err), 0);
		assert_int_equal(unit.data_off, expected[i].data_off);
		assert_int_equal(unit.size, expected[i].size);
		assert_int_equal(unit.flags, expected[i].flags);
	}
}

static void attributes_of_every_dialect_arrive(void **state)
{
	CLEANUP(buffer_free) struct buffer archive = {0};
	static const uint8_t uid[8] = {0x80, 0, 0, 0, 0xff, 0xff, 0xff, 0xfe};

	archive_put(&archive, &(struct tar_member){.dialect = TAR_GNU,
				      .type = '0',
				      .name = "gnu",
				      .mode = 06755,
				      .gid = 7,
				      .mtime = 1700000000});
	archive_patch(&archive, TAR_UID_OFF, uid, sizeof(uid));
	archive_put_pax(&archive, "mtime", "-1", "uid", "3", "SCHILY.devmajor", "300", NULL);
	archive_put(&archive,
		&(struct tar_member){.type = '3', .name = "char", .mode = 0600, .dev_minor = 9});
	archive_put(&archive, &(struct tar_member){.dialect = TAR_V7, .name = "v7/", .mode = 0700});
	put(&archive, '6', "pipe", NULL);
	check(*state, 10, &archive,
		"d? .\nc char 300:9 mode=600 uid=3 mtime=-1\n"
		"f gnu 0 mode=6755 uid=4294967294 gid=7 mtime=1700000000\n"
		"p pipe\nd v7 mode=700\n");
}

#define IN_SCRATCH(test) cmocka_unit_test_setup_teardown(test, scratch_setup, scratch_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_SCRATCH(the_same_name_in_other_words_is_the_same_file),
		IN_SCRATCH(hard_links_are_resolved_before_and_after_their_target),
		IN_SCRATCH(what_lies_below_a_file_is_refused_and_below_a_symlink_stays_inside),
		IN_SCRATCH(whiteouts_and_marks_of_overlayfs_are_applied),
		IN_SCRATCH(holes_are_units_of_zeros_and_files_keep_their_order),
		IN_SCRATCH(attributes_of_every_dialect_arrive),
	};
	return cmocka_run_group_tests_name("index/tar_layer", tests, NULL, NULL);
}
