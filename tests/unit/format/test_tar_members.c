/* SPDX-License-Identifier: Apache-2.0 */
#include "format/tar_members.h"

#include "support/tar_archive.h"
#include "support/test.h"

#include <stdio.h>
#include <string.h>

/* Reads only what is wanted, so many bytes at a time; counts them when @n_read is not NULL. */
static int read_table(const struct buffer *archive, size_t window, struct tar_members **out,
	size_t *n_read, struct error *err)
{
	CLEANUP(tar_members_freep) struct tar_members *members = NULL;

	if (tar_members_new(archive->size, &members, err) < 0)
		return -1;
	while (tar_members_want(members) < archive->size) {
		uint64_t off = tar_members_want(members);
		size_t size = archive->size - off < window ? archive->size - off : window;

		if (tar_members_feed(members, archive->data + off, size, err) < 0)
			return -1;
		if (n_read)
			*n_read += size;
	}
	if (tar_members_finish(members, err) < 0)
		return -1;
	*out = TAKE_PTR(members);
	return 0;
}

static struct tar_members *table_of(const struct buffer *archive)
{
	struct tar_members *members;
	struct error err = {0};

	if (read_table(archive, 4096, &members, NULL, &err) < 0)
		fail_msg("%s", err.message);
	return members;
}

static void assert_refused(const struct buffer *archive, enum error_kind kind, const char *says)
{
	struct tar_members *members;
	struct error err = {0};

	assert_int_equal(read_table(archive, 4096, &members, NULL, &err), -1);
	if (err.kind != kind || !strstr(err.message, says))
		fail_msg("kind %d, or no \"%s\" in: %s", (int)err.kind, says, err.message);
}

static void assert_holds(const struct tar_members *members, const struct buffer *archive,
	const char *path, const char *text)
{
	struct tar_member_place place;
	struct error err = {0};

	if (tar_members_find(members, path, &place, &err) < 0)
		fail_msg("%s", err.message);
	assert_int_equal(place.size, strlen(text));
	assert_memory_equal(archive->data + place.off, text, place.size);
}

static void assert_lacks(const struct tar_members *members, const char *path, enum error_kind kind)
{
	struct tar_member_place place;
	struct error err = {0};

	assert_int_equal(tar_members_find(members, path, &place, &err), -1);
	assert_int_equal(err.kind, kind);
	assert_non_null(strstr(err.message, path));
}

static void put_link(struct buffer *archive, char type, const char *name, const char *target)
{
	archive_put(
		archive, &(struct tar_member){
				 .type = type, .name = name, .link_name = target, .mode = 0777});
}

static void files_are_found_by_their_clean_names(void **state)
{
	(void)state;
	CLEANUP(buffer_free) struct buffer archive = {0};
	CLEANUP(tar_members_freep) struct tar_members *members = NULL;

	archive_put(&archive, &(struct tar_member){.type = '5', .name = "blobs/", .mode = 0755});
	archive_put_file(&archive, "./index.json", "{}");
	archive_put_file(&archive, "blobs//sha256/a", "first");
	archive_put_file(&archive, "/z", "");
	archive_put_file(&archive, "index.json", "{ }");
	archive_put_end(&archive);
	members = table_of(&archive);
	assert_holds(members, &archive, "index.json", "{ }");
	assert_holds(members, &archive, "blobs/sha256/a", "first");
	assert_holds(members, &archive, "z", "");
	assert_lacks(members, "blobs", ERROR_NOT_FOUND);
	assert_lacks(members, "a", ERROR_NOT_FOUND);
}

static void payloads_are_not_read(void **state)
{
	(void)state;
	CLEANUP(buffer_free) struct buffer archive = {0};
	CLEANUP(tar_members_freep) struct tar_members *members = NULL;
	static const uint8_t large[1 << 20];
	struct error err = {0};
	size_t n_read = 0;

	archive_put(&archive,
		&(struct tar_member){.type = '0', .name = "large", .size = sizeof(large)});
	archive_put_payload(&archive, large, sizeof(large));
	archive_put_file(&archive, "small", "text");
	archive_put_end(&archive);
	/* Nor is what is behind the end. */
	assert_int_equal(buffer_append(&archive, large, sizeof(large)), 0);
	assert_int_equal(read_table(&archive, 2048, &members, &n_read, &err), 0);
	assert_holds(members, &archive, "small", "text");
	assert_true(n_read <= 3 * 2048);
}

static void any_window_gives_the_same_table(void **state)
{
	(void)state;
	CLEANUP(buffer_free) struct buffer archive = {0};
	static const size_t windows[] = {1, 511, 512, 513, 1 << 20};

	for (unsigned i = 0; i < 20; i++) {
		char name[16], text[16];

		(void)snprintf(name, sizeof(name), "file-%u", i);
		(void)snprintf(text, sizeof(text), "text %u", i);
		archive_put_pax(&archive, "mtime", "1.5", NULL);
		archive_put_file(&archive, name, text);
	}
	for (size_t i = 0; i < sizeof(windows) / sizeof(windows[0]); i++) {
		CLEANUP(tar_members_freep) struct tar_members *members = NULL;
		struct error err;

		assert_int_equal(read_table(&archive, windows[i], &members, NULL, &err), 0);
		assert_holds(members, &archive, "file-0", "text 0");
		assert_holds(members, &archive, "file-19", "text 19");
	}
}

static void links_are_followed_inside_the_archive(void **state)
{
	(void)state;
	CLEANUP(buffer_free) struct buffer archive = {0};
	CLEANUP(tar_members_freep) struct tar_members *members = NULL;

	put_link(&archive, '2', "image/layer.tar", "../shared.tar");
	put_link(&archive, '2', "out", "../../../shared.tar");
	put_link(&archive, '2', "absolute/link", "/shared.tar");
	put_link(&archive, '1', "deep/er/hard", "shared.tar");
	put_link(&archive, '2', "twice", "image/layer.tar");
	put_link(&archive, '2', "nowhere", "absent");
	put_link(&archive, '2', "round", "about");
	put_link(&archive, '2', "about", "round");
	archive_put_file(&archive, "shared.tar", "layer");
	archive_put_end(&archive);
	members = table_of(&archive);
	assert_holds(members, &archive, "image/layer.tar", "layer");
	assert_holds(members, &archive, "out", "layer");
	assert_holds(members, &archive, "absolute/link", "layer");
	assert_holds(members, &archive, "deep/er/hard", "layer");
	assert_holds(members, &archive, "twice", "layer");
	assert_lacks(members, "nowhere", ERROR_FORMAT);
	assert_lacks(members, "round", ERROR_FORMAT);
}

static void a_file_with_holes_is_no_range(void **state)
{
	(void)state;
	CLEANUP(buffer_free) struct buffer archive = {0};
	CLEANUP(tar_members_freep) struct tar_members *members = NULL;

	archive_put_pax(&archive, "GNU.sparse.major", "0", "GNU.sparse.minor", "1",
		"GNU.sparse.size", "1000", "GNU.sparse.numblocks", "1", "GNU.sparse.map", "500,4",
		NULL);
	archive_put_file(&archive, "sparse", "data");
	archive_put_end(&archive);
	members = table_of(&archive);
	assert_lacks(members, "sparse", ERROR_UNSUPPORTED);
}

static void compressed_archives_are_told_from_broken_ones(void **state)
{
	(void)state;
	static const struct {
		const char *bytes;
		size_t size;
		enum error_kind kind;
		const char *says;
	} cases[] = {
		{"\x1f\x8b\x08\x00", 4, ERROR_UNSUPPORTED, "compressed with gzip"},
		{"\x28\xb5\x2f\xfd", 4, ERROR_UNSUPPORTED, "(zstd -d)"},
		{"\xfd"
		 "7zXZ\x00",
			6, ERROR_UNSUPPORTED, "xz"},
		{"BZh91AY", 7, ERROR_UNSUPPORTED, "bzip2"},
		{"{}", 2, ERROR_FORMAT, "ends"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CLEANUP(buffer_free) struct buffer archive = {0};

		assert_int_equal(buffer_append(&archive, cases[i].bytes, cases[i].size), 0);
		assert_refused(&archive, cases[i].kind, cases[i].says);
	}
}

static void a_member_may_be_called_like_the_magic_of_a_compressor(void **state)
{
	(void)state;
	CLEANUP(buffer_free) struct buffer archive = {0};
	CLEANUP(tar_members_freep) struct tar_members *members = NULL;

	archive_put_file(&archive, "BZh", "text");
	members = table_of(&archive);
	assert_holds(members, &archive, "BZh", "text");
}

static void an_archive_that_is_cut_is_refused(void **state)
{
	(void)state;
	CLEANUP(buffer_free) struct buffer archive = {0};

	archive_put_file(&archive, "a", "0123456789");
	archive_put(&archive, &(struct tar_member){.type = '0', .name = "b", .size = 100000});
	assert_refused(&archive, ERROR_FORMAT, "before the end of its member b");
	archive.size -= 100;
	assert_refused(&archive, ERROR_FORMAT, "inside a header");
}

static void an_empty_file_is_an_empty_archive(void **state)
{
	(void)state;
	CLEANUP(tar_members_freep) struct tar_members *members = NULL;
	const struct buffer archive = {0};
	struct error err;

	assert_int_equal(read_table(&archive, 512, &members, NULL, &err), 0);
	assert_lacks(members, "a", ERROR_NOT_FOUND);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_are_found_by_their_clean_names),
		cmocka_unit_test(payloads_are_not_read),
		cmocka_unit_test(any_window_gives_the_same_table),
		cmocka_unit_test(links_are_followed_inside_the_archive),
		cmocka_unit_test(a_file_with_holes_is_no_range),
		cmocka_unit_test(compressed_archives_are_told_from_broken_ones),
		cmocka_unit_test(a_member_may_be_called_like_the_magic_of_a_compressor),
		cmocka_unit_test(an_archive_that_is_cut_is_refused),
		cmocka_unit_test(an_empty_file_is_an_empty_archive),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
