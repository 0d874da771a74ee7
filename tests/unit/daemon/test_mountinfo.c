/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/mountinfo.h"

#include "support/test.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#define ROOT "27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard\n"

static void parse(const char *text, struct mountinfo *out)
{
	struct error err = {0};

	if (mountinfo_parse(text, strlen(text), out, &err) < 0)
		fail_msg("%s", err.message);
}

static void reads_every_field(void **state)
{
	struct mountinfo mounts;
	const struct mountinfo_entry *entry;

	(void)state;
	parse("36 35 98:5 /sub /mnt rw,noatime shared:1 master:2 - fuse.varve example.com/a:1 "
	      "ro,user_id=0\n",
		&mounts);
	assert_int_equal(mounts.n_entries, 1);
	entry = &mounts.entries[0];
	assert_int_equal(entry->id, 36);
	assert_int_equal(entry->parent, 35);
	assert_int_equal(entry->major, 98);
	assert_int_equal(entry->minor, 5);
	assert_string_equal(entry->root, "/sub");
	assert_string_equal(entry->dir, "/mnt");
	assert_string_equal(entry->options, "rw,noatime");
	assert_string_equal(entry->type, "fuse.varve");
	assert_string_equal(entry->source, "example.com/a:1");
	assert_string_equal(entry->super_options, "ro,user_id=0");
	mountinfo_clear(&mounts);
}

static void undoes_the_escapes_of_hostile_paths(void **state)
{
	static const struct {
		const char *written;
		const char *path;
	} rows[] = {
		{"/a\\040b", "/a b"},
		{"/a\\011b\\012c", "/a\tb\nc"},
		{"/a\\134040", "/a\\040"},
		{"/a\\377", "/a\377"},
		{"/a\\400", "/a\\400"},
		{"/a\\04", "/a\\04"},
		{"/a\\", "/a\\"},
		{"/-", "/-"},
		{"/a\\040-\\040ext4\\040x", "/a - ext4 x"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct mountinfo mounts;
		char text[256];

		(void)snprintf(
			text, sizeof(text), "1 2 0:3 / %s rw - tmpfs none rw\n", rows[i].written);
		parse(text, &mounts);
		assert_string_equal(mounts.entries[0].dir, rows[i].path);
		assert_string_equal(mounts.entries[0].type, "tmpfs");
		mountinfo_clear(&mounts);
	}
}

static void accepts_an_empty_source(void **state)
{
	struct mountinfo mounts;

	(void)state;
	parse("1 2 0:3 / /mnt rw - tmpfs  rw,size=4k\n", &mounts);
	assert_string_equal(mounts.entries[0].source, "");
	assert_string_equal(mounts.entries[0].super_options, "rw,size=4k");
	mountinfo_clear(&mounts);
}

static void refuses_lines_that_break_the_format_and_names_them(void **state)
{
	static const char *const lines[] = {
		"\n",
		"x 2 0:3 / /mnt rw - tmpfs none rw\n",
		"99999999999 2 0:3 / /mnt rw - tmpfs none rw\n",
		"1 2 03 / /mnt rw - tmpfs none rw\n",
		"1 2 0: / /mnt rw - tmpfs none rw\n",
		"1 2 0:3 / /mnt rw tmpfs none rw\n",
		"1 2 0:3 / /mnt rw -\n",
		"1 2 0:3 / /mnt rw - tmpfs\n",
		"1 2 0:3 / /mnt rw - tmpfs none\n",
		"1 2 0:3 /\n",
		"1 2 0:3 / /mnt rw - tmpfs none rw",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		struct mountinfo mounts;
		struct error err = {0};
		char text[256];

		(void)snprintf(text, sizeof(text), ROOT "%s", lines[i]);
		assert_int_equal(mountinfo_parse(text, strlen(text), &mounts, &err), -1);
		assert_int_equal(err.kind, ERROR_FORMAT);
		assert_non_null(strstr(err.message, "line 2"));
	}
}

static void refuses_a_nul_byte(void **state)
{
	static const char text[] = "1 2 0:3 / /mnt\0rw - tmpfs none rw\n";
	struct mountinfo mounts;
	struct error err = {0};

	(void)state;
	assert_int_equal(mountinfo_parse(text, sizeof(text) - 1, &mounts, &err), -1);
	assert_int_equal(err.kind, ERROR_FORMAT);
}

static void finds_the_topmost_mount_of_a_directory_in_any_order(void **state)
{
	struct mountinfo mounts;

	(void)state;
	parse(ROOT "41 40 0:41 / /mnt rw - tmpfs top rw\n"
		   "40 27 0:40 / /mnt rw - tmpfs bottom rw\n"
		   "42 27 0:42 / /mnt2 rw - tmpfs other rw\n",
		&mounts);
	assert_string_equal(mountinfo_at(&mounts, "/mnt")->source, "top");
	assert_string_equal(mountinfo_at(&mounts, "/mnt2")->source, "other");
	assert_null(mountinfo_at(&mounts, "/mn"));
	assert_null(mountinfo_at(&mounts, "/mnt/x"));
	mountinfo_clear(&mounts);
}

static void finds_the_mount_that_holds_a_path(void **state)
{
	struct mountinfo mounts;

	(void)state;
	parse(ROOT "40 27 0:40 / /mnt rw - tmpfs outer rw\n"
		   "41 40 0:41 / /mnt/a rw - tmpfs inner rw\n",
		&mounts);
	assert_string_equal(mountinfo_holding(&mounts, "/mnt/a/b")->source, "inner");
	assert_string_equal(mountinfo_holding(&mounts, "/mnt/a")->source, "inner");
	assert_string_equal(mountinfo_holding(&mounts, "/mnt/ab")->source, "outer");
	assert_string_equal(mountinfo_holding(&mounts, "/mn")->source, "/dev/vda");
	mountinfo_clear(&mounts);
}

static void finds_mounts_by_id_and_by_device(void **state)
{
	struct mountinfo mounts;

	(void)state;
	parse(ROOT "40 27 0:40 / /mnt rw - tmpfs a rw\n", &mounts);
	assert_string_equal(mountinfo_with_id(&mounts, 40)->source, "a");
	assert_null(mountinfo_with_id(&mounts, 41));
	assert_string_equal(mountinfo_with_device(&mounts, 0, 40)->source, "a");
	assert_null(mountinfo_with_device(&mounts, 1, 40));
	mountinfo_clear(&mounts);
}

static void agrees_with_stat_about_proc(void **state)
{
	struct mountinfo mounts;
	const struct mountinfo_entry *entry;
	struct error err = {0};
	struct stat status;

	(void)state;
	if (mountinfo_read(&mounts, &err) < 0)
		fail_msg("%s", err.message);
	entry = mountinfo_at(&mounts, "/proc");
	assert_non_null(entry);
	assert_string_equal(entry->type, "proc");
	assert_int_equal(stat("/proc", &status), 0);
	assert_int_equal(entry->major, major(status.st_dev));
	assert_int_equal(entry->minor, minor(status.st_dev));
	mountinfo_clear(&mounts);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_every_field),
		cmocka_unit_test(undoes_the_escapes_of_hostile_paths),
		cmocka_unit_test(accepts_an_empty_source),
		cmocka_unit_test(refuses_lines_that_break_the_format_and_names_them),
		cmocka_unit_test(refuses_a_nul_byte),
		cmocka_unit_test(finds_the_topmost_mount_of_a_directory_in_any_order),
		cmocka_unit_test(finds_the_mount_that_holds_a_path),
		cmocka_unit_test(finds_mounts_by_id_and_by_device),
		cmocka_unit_test(agrees_with_stat_about_proc),
	};

	return cmocka_run_group_tests_name("mountinfo", tests, NULL, NULL);
}
