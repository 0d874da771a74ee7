/* SPDX-License-Identifier: Apache-2.0 */
#include "index/layer_index.h"

#include "support/test.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/bytes.h"
#include "support/layer_text.h"
#include "support/scratch.h"

static void check_layer(int dir_fd, uint8_t key, const char *in, const char *out)
{
	CLEANUP(layer_index_closep) struct layer_index *layer = layer_of_text(dir_fd, key, in);
	CLEANUP(cleanup_free) char *text = text_of_tree(layer->tree);

	assert_string_equal(text, out);
}

struct in_out {
	const char *in;
	const char *out;
};

static void check_all(const struct scratch *scratch, const struct in_out *cases, size_t n)
{
	for (size_t i = 0; i < n; i++)
		check_layer(scratch->fd, (uint8_t)i, cases[i].in, cases[i].out);
}

#define CHECK_ALL(state, cases) check_all(*(state), cases, sizeof(cases) / sizeof((cases)[0]))

static void missing_parents_are_made_and_described_ones_are_as_described(void **state)
{
	static const struct in_out cases[] = {
		{"", "d? .\n"},
		{"d . mode=700 uid=3 mtime=9", "d . mode=700 uid=3 mtime=9\n"},
		{"f a/b/c 5", "d? .\nd? a\nd? a/b\nf a/b/c 5\n"},
		{"f a/b 5\nd a mode=1777 gid=4", "d? .\nd a mode=1777 gid=4\nf a/b 5\n"},
		{"d a mode=700\nf a/b 5", "d? .\nd a mode=700\nf a/b 5\n"},
	};

	CHECK_ALL(state, cases);
}

static void every_type_and_attribute_is_kept(void **state)
{
	static const struct in_out cases[] = {
		{"c null 1:3 mode=666\nb disk 8:17\np pipe\nl link /abs/target\nf empty 0",
			"d? .\nb disk 8:17\nf empty 0\nl link -> /abs/target\nc null 1:3 mode=666\n"
			"p pipe\n"},
		{"f x 7 mode=6755 uid=4294967295 gid=70000 mtime=-3",
			"d? .\nf x 7 mode=6755 uid=4294967295 gid=70000 mtime=-3\n"},
		{"f x 1 xattr=user.b:2 xattr=security.capability:cap xattr=user.a:1",
			"d? .\nf x 1 xattr=security.capability:cap xattr=user.a:1 "
			"xattr=user.b:2\n"},
	};

	CHECK_ALL(state, cases);
}

static void marks_of_overlayfs_and_foreign_xattrs_are_dropped(void **state)
{
	static const struct in_out cases[] = {
		{"d a xattr=trusted.overlay.opaque:y xattr=user.overlay.redirect:x xattr=user.x:1",
			"d? .\nd a xattr=user.x:1\n"},
		{"f a 1 xattr=com.apple.quarantine:x xattr=system.nfs4_acl:y xattr=user.:z",
			"d? .\nf a 1\n"},
	};

	CHECK_ALL(state, cases);
}

/* As `umoci unpack` of the same archive has it. */
static void a_later_entry_replaces_an_earlier_one(void **state)
{
	static const struct in_out cases[] = {
		{"f a 1\nf a 2", "d? .\nf a 2\n"},
		{"d a\nf a/b 1\nd a mode=700", "d? .\nd a mode=700\nf a/b 1\n"},
		{"d a\nf a/b 1\nf a 2", "d? .\nf a 2\n"},
		{"d a\nf a/b 1\nf a 2\nd a\nf a/c 3", "d? .\nd a\nf a/c 3\n"},
		{"f a 1\nd a\nf a/b 2", "d? .\nd a\nf a/b 2\n"},
		{"d usr\nl lib usr\nd lib\nf lib/x 1", "d? .\nd lib\nf lib/x 1\nd usr\n"},
		{"f a 1 xattr=user.x:1\nf a 2", "d? .\nf a 2\n"},
		{"d a xattr=user.x:1\nd a", "d? .\nd a\n"},
	};

	CHECK_ALL(state, cases);
}

static void symlinks_on_the_way_are_followed_inside_the_layer(void **state)
{
	static const struct in_out cases[] = {
		{"d usr\nd usr/lib\nl lib usr/lib\nf lib/x 1",
			"d? .\nl lib -> usr/lib\nd usr\nd usr/lib\nf usr/lib/x 1\n"},
		{"l lib usr/lib\nf lib/x 1",
			"d? .\nl lib -> usr/lib\nd? usr\nd? usr/lib\nf usr/lib/x 1\n"},
		{"l a /b\nl b c/d\nf a/x 1",
			"d? .\nl a -> /b\nl b -> c/d\nd? c\nd? c/d\nf c/d/x 1\n"},
		{"l up ../../../etc\nf up/passwd 1", "d? .\nd? etc\nf etc/passwd 1\nl up -> "
						     "../../../etc\n"},
		{"d d\nl d/back ..\nf d/back/x 1", "d? .\nd d\nl d/back -> ..\nf x 1\n"},
		{"l self .\nf self/self/self/x 1", "d? .\nl self -> .\nf x 1\n"},
	};

	CHECK_ALL(state, cases);
}

static void the_place_of_one_entry_does_not_outlive_a_change_of_its_directory(void **state)
{
	static const struct in_out cases[] = {
		{"d a\nf a/x 1\nl a b\nf a/y 2", "d? .\nl a -> b\nd? b\nf b/y 2\n"},
		{"d a/b\nf a/b/x 1\nf a 2\nd a\nf a/b/y 3", "d? .\nd a\nd? a/b\nf a/b/y 3\n"},
		{"l a b\nf a/x 1\nl a c\nf a/y 2",
			"d? .\nl a -> c\nd? b\nf b/x 1\nd? c\nf c/y 2\n"},
	};

	CHECK_ALL(state, cases);
}

static void hard_links_share_an_inode_whichever_comes_first(void **state)
{
	static const struct in_out cases[] = {
		{"f a 1\nh b a\nh c b", "d? .\nf a 1 x3\nf b 1 x3\nf c 1 x3\n"},
		{"h b a\nf a 1", "d? .\nf a 1 x2\nf b 1 x2\n"},
		{"h d c\nh c b\nh b a\nf a 1", "d? .\nf a 1 x4\nf b 1 x4\nf c 1 x4\nf d 1 x4\n"},
		{"h b a\nh c b\nf a 1", "d? .\nf a 1 x3\nf b 1 x3\nf c 1 x3\n"},
		{"f a 1\nh b a\nf a 22", "d? .\nf a 22\nf b 1\n"},
		{"f a 1\nh b a\nf b 2", "d? .\nf a 1\nf b 2\n"},
		{"l a x\nh b a", "d? .\nl a -> x x2\nl b -> x x2\n"},
		{"d d\nf d/a 1\nl s d\nh b s/a", "d? .\nf b 1 x2\nd d\nf d/a 1 x2\nl s -> d\n"},
		{"f a 1\nd d\nh d/a a\nh d/a a", "d? .\nf a 1 x2\nd d\nf d/a 1 x2\n"},
		{"d a\nf a/x 1\nh y a/x\nf a 2", "d? .\nf a 2\nf y 1\n"},
	};

	CHECK_ALL(state, cases);
}

static void a_hard_link_into_a_lower_layer_stays_unresolved(void **state)
{
	const struct scratch *scratch = *state;
	CLEANUP(layer_index_closep) struct layer_index *layer = NULL;
	static const struct in_out cases[] = {
		{"h b lower/a", "d? .\nh b -> lower/a\n"},
		{"h c b\nh b lower/a", "d? .\nh b -> lower/a x2\nh c -> lower/a x2\n"},
		{"h b lower/a\nh c b", "d? .\nh b -> lower/a x2\nh c -> lower/a x2\n"},
		{"h b lower/a\nf b 2", "d? .\nf b 2\n"},
	};

	CHECK_ALL(state, cases);
	layer = layer_of_text(scratch->fd, 100, "h b lower/a");
	assert_true(layer->has_unresolved_links);
	layer_index_close(layer);
	layer = layer_of_text(scratch->fd, 101, "h b lower/a\nf b 2");
	assert_false(layer->has_unresolved_links);
}

static void whiteouts_become_what_overlayfs_reads(void **state)
{
	static const struct in_out cases[] = {
		{"f .wh.a 0", "d? .\nw a\n"},
		{"d d\nf d/.wh.a 0\nf d/b 1", "d? .\nd d\nw d/a\nf d/b 1\n"},
		{"f .wh.a 0\nf a 1", "d? .\nf a 1\n"},
		{"f a 1\nf .wh.a 0", "d? .\nf a 1\n"},
		{"d d\nf d/.wh..wh..opq 0\nf d/x 1", "d? .\nd! d\nf d/x 1\n"},
		{"f .wh..wh..opq 0", "d! .\n"},
		{"f .wh.d 0\nd d\nf d/new 1", "d? .\nd! d\nf d/new 1\n"},
		{"f d/new 1\nf .wh.d 0", "d? .\nd! d\nf d/new 1\n"},
		{"d .wh..wh.plnk\nf .wh..wh.plnk/1.2 5\nh b .wh..wh.plnk/1.2\nf .wh..wh.aufs 0",
			"d? .\nf b 5\n"},
		{"f .wh. 0\nf .wh.. 0\nf .wh... 0", "d? .\n"},
		{"d .wh.a\nf .wh.a/x 1", "d? .\nw a\n"},
		{"f .wh..wh.plnk/1.2 5\nh b .wh..wh.plnk/1.2", "d? .\nf b 5\n"},
		{"f .wh.a/x 1", "d? .\n"},
		{"f .wh.a/x 1\nd .wh.a", "d? .\nw a\n"},
		{"f .wh.a 0\nf .wh.a 0", "d? .\nw a\n"},
	};

	CHECK_ALL(state, cases);
}

struct xattr_count {
	unsigned n_opaque;
	unsigned n_other;
};

static int count_xattr(void *arg, const char *name, const void *value, size_t value_size)
{
	struct xattr_count *count = arg;

	if (strcmp(name, "trusted.overlay.opaque") != 0 && strcmp(name, "user.overlay.opaque") != 0)
		count->n_other++;
	else if (value_size == 1 && *(const char *)value == 'y')
		count->n_opaque++;
	return 0;
}

static void an_opaque_directory_has_both_marks_and_its_own_xattrs(void **state)
{
	const struct scratch *scratch = *state;
	CLEANUP(layer_index_closep)
	struct layer_index *layer = layer_of_text(
		scratch->fd, 0, "d d xattr=user.mine:1 xattr=trusted.mine:2\nf d/.wh..wh..opq 0");
	struct xattr_count count = {0};
	uint64_t nid;
	bool found;

	assert_int_equal(
		erofs_lookup(layer->tree, erofs_root(layer->tree), "d", 1, &found, &nid, NULL), 0);
	assert_int_equal(erofs_each_xattr(layer->tree, nid, count_xattr, &count, NULL), 0);
	assert_int_equal(count.n_opaque, 2);
	assert_int_equal(count.n_other, 2);
}

static struct error build_error(const struct scratch *scratch, const struct toc *toc)
{
	static const uint8_t key[INDEX_KEY_SIZE] = {0xee};
	struct digest blob = {.algorithm = DIGEST_SHA256};
	struct layer_index_build_options options = {.key = key, .blob = &blob, .blob_size = 10000};
	struct error err = {0};

	assert_int_equal(layer_index_build(scratch->fd, toc, &options, &err), -1);
	return err;
}

static void layers_that_no_program_could_unpack_are_refused_with_the_name(void **state)
{
	const struct scratch *scratch = *state;
	static const struct {
		const char *in;
		enum error_kind kind;
		const char *message;
	} cases[] = {
		{"f a 1\nf a/b 2", ERROR_FORMAT, "entry 'a/b': 'a' on the way is not a directory"},
		{"d a\nh b a", ERROR_FORMAT, "entry 'b': a hard link to directory 'a'"},
		{"h b a\nd a", ERROR_FORMAT, "entry 'b': a hard link to directory 'a'"},
		{"h a b\nh b a", ERROR_FORMAT, "in a circle"},
		{"h a b\nh b c\nh c a", ERROR_FORMAT, "in a circle"},
		{"h a a", ERROR_FORMAT, "entry 'a': hard links that lead in a circle"},
		{"l a b\nl b a\nf a/x 1", ERROR_FORMAT, "entry 'a/x': more than 40 symlinks"},
		{"c a 4096:0", ERROR_UNSUPPORTED, "entry 'a': device number 4096:0"},
		{"f . 0", ERROR_FORMAT, "entry '': the root is not a directory"},
		{"f a 15000", ERROR_FORMAT, "entry 'a': chunk 0 ends behind the blob"},
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CLEANUP(toc_freep) struct toc *toc = toc_of_text(cases[i].in);
		struct error err = build_error(scratch, toc);

		if (err.kind != cases[i].kind || !strstr(err.message, cases[i].message))
			fail_msg("kind %d, '%s' instead of '%s'", err.kind, err.message,
				cases[i].message);
	}
}

static void chunks_that_do_not_make_the_file_are_refused(void **state)
{
	const struct scratch *scratch = *state;
	CLEANUP(toc_freep) struct toc *toc = toc_of_text("f a 10 chunk=4");

	toc->chunks[1].file_off = 5;
	assert_non_null(strstr(build_error(scratch, toc).message, "chunk 1 is not where"));
	toc->chunks[1].file_off = 4;
	toc->chunks[2].size = 3;
	assert_non_null(strstr(build_error(scratch, toc).message, "chunk 2 is larger than"));
	toc->chunks[2].size = 1;
	assert_non_null(strstr(build_error(scratch, toc).message, "chunks of 9 bytes"));
	toc->chunks[2].size = 0;
	assert_non_null(strstr(build_error(scratch, toc).message, "chunk 2 is empty"));
	toc->entries[0].n_chunks = 4;
	assert_non_null(strstr(build_error(scratch, toc).message, "10 bytes and no chunks"));
}

static void files_follow_each_other_in_the_data_space_as_in_the_blob(void **state)
{
	const struct scratch *scratch = *state;
	CLEANUP(layer_index_closep)
	struct layer_index *layer = layer_of_text(
		scratch->fd, 0, "f z 5000\nf gone 9000\nf a 10 chunk=4\nf e 0\nf gone 4096\nh y z");
	const struct unit_table_header *header = unit_table_header(layer->units);
	static const struct {
		const char *name;
		uint64_t data_off;
	} places[] = {{"z", 0}, {"y", 0}, {"a", 8192}, {"gone", 12288}};
	struct unit unit;

	assert_int_equal(header->n_units, 5);
	assert_int_equal(header->data_size, 16384);
	assert_int_equal(erofs_device_size(layer->tree, 0), 16384);
	for (unsigned i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		struct erofs_extent extent;
		uint64_t nid;
		bool found;

		assert_int_equal(erofs_lookup(layer->tree, erofs_root(layer->tree), places[i].name,
					 strlen(places[i].name), &found, &nid, NULL),
			0);
		assert_int_equal(erofs_extent(layer->tree, nid, &extent, NULL), 0);
		assert_int_equal(extent.data_off, places[i].data_off);
	}
	assert_int_equal(unit_table_get(layer->units, 3, &unit, NULL), 0);
	assert_int_equal(unit.data_off, 8192 + 8);
	assert_int_equal(unit.size, 2);
	assert_int_equal(unit.codec, CODEC_GZIP);
}

static uint64_t place_of(const struct layer_index *layer, const char *name)
{
	struct erofs_extent extent;
	uint64_t nid;
	bool found;

	assert_int_equal(erofs_lookup(layer->tree, erofs_root(layer->tree), name, strlen(name),
				 &found, &nid, NULL),
		0);
	assert_true(found);
	assert_int_equal(erofs_extent(layer->tree, nid, &extent, NULL), 0);
	return extent.data_off;
}

static void every_entry_keeps_its_place_whoever_replaces_it(void **state)
{
	const struct scratch *scratch = *state;
	CLEANUP(toc_freep)
	struct toc *toc = toc_of_text("f z 5000\nf gone 9000\nd d\nf a 10 chunk=4\nf e 0\n"
				      "f gone 4096\nh y z\nf last 1");
	CLEANUP(layer_index_closep) struct layer_index *layer = NULL;
	const struct digest blob = {.algorithm = DIGEST_SHA256};
	const uint8_t key[INDEX_KEY_SIZE] = {7};
	const struct layer_index_build_options options = {
		.key = key, .blob = &blob, .blob_size = UINT64_C(1) << 40, .place_all = true};
	uint64_t places[8] = {0}, end = 0;
	struct error err = {0};

	assert_int_equal(layer_index_build(scratch->fd, toc, &options, &err), 0);
	assert_int_equal(layer_index_open(scratch->fd, key, &layer, &err), 0);
	for (size_t i = 0; i < toc->n_entries; i++)
		if (toc->entries[i].type == TOC_REGULAR && toc->entries[i].size > 0)
			assert_int_equal(
				layer_place_next(&end, toc->entries[i].size, &places[i], &err), 0);
	assert_int_equal(place_of(layer, "z"), places[0]);
	assert_int_equal(place_of(layer, "y"), places[0]);
	assert_int_equal(place_of(layer, "a"), places[3]);
	assert_int_equal(place_of(layer, "gone"), places[5]);
	assert_int_equal(place_of(layer, "last"), places[7]);
	assert_int_equal(places[7], 8192 + 12288 + 4096 + 4096);
	assert_int_equal(unit_table_header(layer->units)->data_size, end);
	assert_int_equal(erofs_device_size(layer->tree, 0), end);
}

static void an_index_that_is_there_is_not_written_again(void **state)
{
	const struct scratch *scratch = *state;
	CLEANUP(layer_index_closep)
	struct layer_index *first = layer_of_text(scratch->fd, 1, "f a 1");
	CLEANUP(layer_index_closep)
	struct layer_index *second = layer_of_text(scratch->fd, 1, "f b 1");
	CLEANUP(cleanup_free) char *text = text_of_tree(second->tree);

	assert_string_equal(text, "d? .\nf a 1\n");
}

static void a_broken_index_is_built_anew(void **state)
{
	const struct scratch *scratch = *state;
	CLEANUP(layer_index_closep) struct layer_index *layer = NULL;
	char path[512] = {0};

	layer_index_close(layer_of_text(scratch->fd, 1, "f a 1"));
	(void)snprintf(path, sizeof(path), "%s/01%062d.erofs", scratch->path, 0);
	assert_int_equal(truncate(path, 4096), 0);
	layer = layer_of_text(scratch->fd, 1, "f a 1");
	assert_non_null(layer);
}

static void two_halves_of_different_indexes_do_not_open(void **state)
{
	const struct scratch *scratch = *state;
	struct layer_index *layer = NULL;
	uint8_t key[INDEX_KEY_SIZE] = {1};
	struct error err = {0};
	char ours[80], other[80];

	layer_index_close(layer_of_text(scratch->fd, 1, "f a 1"));
	layer_index_close(layer_of_text(scratch->fd, 2, "f a 1"));
	(void)snprintf(ours, sizeof(ours), "01%062d.units", 0);
	(void)snprintf(other, sizeof(other), "02%062d.units", 0);
	assert_int_equal(renameat(scratch->fd, other, scratch->fd, ours), 0);
	assert_int_equal(layer_index_open(scratch->fd, key, &layer, &err), -1);
	assert_int_equal(err.kind, ERROR_FORMAT);
	assert_non_null(strstr(err.message, "index of something else"));
	assert_int_equal(unlinkat(scratch->fd, ours, 0), 0);
	assert_int_equal(layer_index_open(scratch->fd, key, &layer, &err), -1);
	assert_int_equal(err.kind, ERROR_NOT_FOUND);
}

/* The tree is right and the table is right, but not for each other. */
static void a_file_without_units_is_found_when_the_index_is_opened(void **state)
{
	const struct scratch *scratch = *state;
	uint8_t key[INDEX_KEY_SIZE] = {1};
	struct unit_table_header header;
	struct layer_index *layer = layer_of_text(scratch->fd, 1, "f a 10\nf b 20");
	struct unit units[2] = {{.data_off = 0, .size = 10, .blob_size = 1},
		{.data_off = 4096, .size = 19, .blob_size = 1}};
	struct error err = {0};
	char name[80];

	header = *unit_table_header(layer->units);
	layer_index_close(layer);
	layer = NULL;
	(void)snprintf(name, sizeof(name), "01%062d.units", 0);
	assert_int_equal(unit_table_write(scratch->fd, name, &header, units, 2, NULL), 0);
	assert_int_equal(layer_index_open(scratch->fd, key, &layer, &err), -1);
	assert_non_null(strstr(err.message, "not exactly those of some units"));
	units[1].size = 21;
	assert_int_equal(unit_table_write(scratch->fd, name, &header, units, 2, NULL), 0);
	assert_int_equal(layer_index_open(scratch->fd, key, &layer, &err), -1);
	assert_int_equal(unit_table_write(scratch->fd, name, &header, units, 1, NULL), 0);
	assert_int_equal(layer_index_open(scratch->fd, key, &layer, &err), -1);
	units[1].size = 20;
	assert_int_equal(unit_table_write(scratch->fd, name, &header, units, 2, NULL), 0);
	assert_int_equal(layer_index_open(scratch->fd, key, &layer, &err), 0);
	layer_index_close(layer);
}

static void a_key_depends_on_blob_format_and_table_of_contents(void **state)
{
	(void)state;
	struct digest a = {.algorithm = DIGEST_SHA256, .bytes = {1}};
	struct digest b = {.algorithm = DIGEST_SHA256, .bytes = {2}};
	const struct {
		const struct digest *blob, *toc;
		const char *format;
	} inputs[] = {
		{&a, &b, "estargz"}, {&b, &a, "estargz"}, {&a, &a, "estargz"}, {&a, &b, "zstd"}};
	enum { N = sizeof(inputs) / sizeof(inputs[0]) };
	uint8_t keys[N][INDEX_KEY_SIZE], again[INDEX_KEY_SIZE];

	for (unsigned i = 0; i < N; i++) {
		assert_int_equal(layer_index_key(inputs[i].blob, inputs[i].format, inputs[i].toc,
					 keys[i], NULL),
			0);
		for (unsigned j = 0; j < i; j++)
			assert_memory_not_equal(keys[i], keys[j], INDEX_KEY_SIZE);
	}
	assert_int_equal(layer_index_key(&a, "estargz", &b, again, NULL), 0);
	assert_memory_equal(again, keys[0], INDEX_KEY_SIZE);
}

#define IN_SCRATCH(test) cmocka_unit_test_setup_teardown(test, scratch_setup, scratch_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_SCRATCH(missing_parents_are_made_and_described_ones_are_as_described),
		IN_SCRATCH(every_type_and_attribute_is_kept),
		IN_SCRATCH(marks_of_overlayfs_and_foreign_xattrs_are_dropped),
		IN_SCRATCH(a_later_entry_replaces_an_earlier_one),
		IN_SCRATCH(symlinks_on_the_way_are_followed_inside_the_layer),
		IN_SCRATCH(the_place_of_one_entry_does_not_outlive_a_change_of_its_directory),
		IN_SCRATCH(hard_links_share_an_inode_whichever_comes_first),
		IN_SCRATCH(a_hard_link_into_a_lower_layer_stays_unresolved),
		IN_SCRATCH(whiteouts_become_what_overlayfs_reads),
		IN_SCRATCH(an_opaque_directory_has_both_marks_and_its_own_xattrs),
		IN_SCRATCH(layers_that_no_program_could_unpack_are_refused_with_the_name),
		IN_SCRATCH(chunks_that_do_not_make_the_file_are_refused),
		IN_SCRATCH(files_follow_each_other_in_the_data_space_as_in_the_blob),
		IN_SCRATCH(every_entry_keeps_its_place_whoever_replaces_it),
		IN_SCRATCH(an_index_that_is_there_is_not_written_again),
		IN_SCRATCH(a_broken_index_is_built_anew),
		IN_SCRATCH(two_halves_of_different_indexes_do_not_open),
		IN_SCRATCH(a_file_without_units_is_found_when_the_index_is_opened),
		cmocka_unit_test(a_key_depends_on_blob_format_and_table_of_contents),
	};
	return cmocka_run_group_tests_name("index/layer_index", tests, NULL, NULL);
}
