/* SPDX-License-Identifier: Apache-2.0 */
#include "format/toc.h"

#include "support/test.h"

#include <stdio.h>
#include <string.h>

#include "dump.h"

static void names_become_paths_below_the_root(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		const char *clean;
	} cases[] = {
		{"", ""},
		{"/", ""},
		{".", ""},
		{"./", ""},
		{"..", ""},
		{"../..", ""},
		{"a", "a"},
		{"/a", "a"},
		{"./a", "a"},
		{"../a", "a"},
		{"a/", "a"},
		{"a//b", "a/b"},
		{"a/./b/", "a/b"},
		{"a/../b", "b"},
		{"a/b/../../../c", "c"},
		{"a/..", ""},
		{"a/b/..", "a"},
		{".a/..b/...", ".a/..b/..."},
		{"\xff\n", "\xff\n"},
	};
	char out[TOC_MAX_NAME + 1];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct error err = {0};

		assert_int_equal(
			toc_clean_name(cases[i].name, strlen(cases[i].name), out, &err), 0);
		assert_string_equal(out, cases[i].clean);
	}
}

static void impossible_names_are_refused(void **state)
{
	(void)state;
	static char name[TOC_MAX_NAME + 1], out[TOC_MAX_NAME + 1];
	struct error err = {0};

	assert_int_equal(toc_clean_name("a\0b", 3, out, &err), -1);
	assert_int_equal(err.kind, ERROR_FORMAT);

	memset(name, 'x', sizeof(name));
	assert_int_equal(toc_clean_name(name, 255, out, &err), 0);
	assert_int_equal(strlen(out), 255);
	assert_int_equal(toc_clean_name(name, 256, out, &err), -1);
	assert_int_equal(err.kind, ERROR_FORMAT);

	for (size_t i = 0; i < TOC_MAX_NAME; i += 2)
		name[i] = '/';
	assert_int_equal(toc_clean_name(name, TOC_MAX_NAME, out, &err), 0);
	assert_int_equal(strlen(out), TOC_MAX_NAME - 1);
	assert_int_equal(toc_clean_name(name, TOC_MAX_NAME + 1, out, &err), -1);
	assert_int_equal(err.kind, ERROR_FORMAT);
}

static void what_was_added_stays_where_it_is(void **state)
{
	(void)state;
	enum { N = 5000 };
	struct buffer text = {0};
	struct error err = {0};
	struct toc *toc;
	const char *long_name, *first;
	char long_source[100000];

	assert_int_equal(toc_new(&toc, &err), 0);
	first = toc_intern(toc, "first", 5);
	memset(long_source, 'y', sizeof(long_source));
	long_name = toc_intern(toc, long_source, sizeof(long_source));
	assert_ptr_equal(toc_intern(toc, "next", 4), first + 6);
	for (int i = 0; i < N; i++) {
		struct toc_entry entry = {.type = TOC_REGULAR, .n_chunks = 1, .n_xattrs = 1};
		struct toc_chunk chunk = {.size = (uint64_t)i + 1};
		char name[32];

		snprintf(name, sizeof(name), "file%d", i);
		entry.name = toc_intern(toc, name, strlen(name));
		entry.first_chunk = toc->n_chunks;
		entry.first_xattr = (uint32_t)toc->n_xattrs;
		assert_non_null(entry.name);
		assert_int_equal(toc_add_entry(toc, &entry, &err), 0);
		assert_int_equal(toc_add_chunk(toc, &chunk, &err), 0);
		assert_int_equal(toc_add_xattr(toc, "user.i", &i, sizeof(i), &err), 0);
	}
	assert_int_equal(toc->n_entries, N);
	for (int i = 0; i < N; i++) {
		const struct toc_entry *entry = &toc->entries[i];
		char name[32];

		snprintf(name, sizeof(name), "file%d", i);
		assert_string_equal(entry->name, name);
		assert_int_equal(toc->chunks[entry->first_chunk].size, i + 1);
		assert_string_equal(toc->xattrs[entry->first_xattr].name, "user.i");
		assert_memory_equal(toc->xattrs[entry->first_xattr].value, &i, sizeof(i));
	}
	assert_string_equal(first, "first");
	assert_int_equal(strlen(long_name), sizeof(long_source));
	dump_toc(toc, &text);
	assert_non_null(strstr((const char *)text.data, "reg file4999 "));
	buffer_free(&text);
	toc_freep(&toc);
	assert_null(toc);
}

static void xattrs_are_bounded_as_in_the_kernel(void **state)
{
	(void)state;
	static char name[257], value[65536];
	struct error err = {0};
	struct toc *toc;

	memset(name, 'n', 256);
	assert_int_equal(toc_new(&toc, &err), 0);
	assert_int_equal(toc_add_xattr(toc, name, "", 0, &err), -1);
	assert_int_equal(err.kind, ERROR_FORMAT);
	assert_int_equal(toc_add_xattr(toc, "", "", 0, &err), -1);
	assert_int_equal(err.kind, ERROR_FORMAT);
	name[255] = '\0';
	assert_int_equal(toc_add_xattr(toc, name, value, 65535, &err), 0);
	assert_int_equal(toc_add_xattr(toc, name, NULL, 0, &err), 0);
	assert_int_equal(toc_add_xattr(toc, name, value, 65536, &err), -1);
	assert_int_equal(err.kind, ERROR_FORMAT);
	assert_int_equal(toc->n_xattrs, 2);
	toc_free(toc);
	toc_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_become_paths_below_the_root),
		cmocka_unit_test(impossible_names_are_refused),
		cmocka_unit_test(what_was_added_stays_where_it_is),
		cmocka_unit_test(xattrs_are_bounded_as_in_the_kernel),
	};
	return cmocka_run_group_tests_name("format/toc", tests, NULL, NULL);
}
