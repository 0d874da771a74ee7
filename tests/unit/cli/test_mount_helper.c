/* SPDX-License-Identifier: Apache-2.0 */
#include "mount_internal.h"

#include "support/test.h"

#include <stdio.h>
#include <string.h>

static char list[512];

static int apply(const char *text, bool sloppy, struct mount_arguments *out, struct error *err)
{
	(void)snprintf(list, sizeof(list), "%s", text);
	*out = (struct mount_arguments){0};
	*err = (struct error){0};
	return mount_helper_options(list, sloppy, out, err);
}

static void what_fstab_says_to_others_is_ignored(void **state)
{
	struct mount_arguments arguments, untouched = {0};
	struct error err;

	(void)state;
	assert_int_equal(apply("rw,_netdev,nofail,x-systemd.automount,x-mount.mkdir=0755,noauto,"
			       "user=joe,comment=x,defaults,relatime,nosuid,nodev,,",
				 false, &arguments, &err),
		0);
	assert_memory_equal(&arguments, &untouched, sizeof(untouched));
}

static void options_of_varve_mount_are_applied(void **state)
{
	struct mount_arguments arguments;
	struct error err;

	(void)state;
	assert_int_equal(apply("store=/srv/varve,face=fuse,suid,plain-http,quota=80%,"
			       "hosts-dir=/a:/b,upper=/srv/up",
				 false, &arguments, &err),
		0);
	assert_string_equal(arguments.common.store, "/srv/varve");
	assert_int_equal(arguments.face, FACE_FUSE);
	assert_true(arguments.suid);
	assert_false(arguments.dev);
	assert_true(arguments.plain_http);
	assert_int_equal(arguments.quota.percent, 80);
	assert_string_equal(arguments.hosts_dirs, "/a:/b");
	assert_true(arguments.rw.given);
	assert_string_equal(arguments.rw.value, "/srv/up");
}

static void a_quoted_comma_belongs_to_its_value(void **state)
{
	struct mount_arguments arguments;
	struct error err;

	(void)state;
	assert_int_equal(apply("store=\"/srv/a,b\",dev", false, &arguments, &err), 0);
	assert_string_equal(arguments.common.store, "/srv/a,b");
	assert_true(arguments.dev);
}

static void unknown_options_are_an_error_unless_mount_is_sloppy(void **state)
{
	static const char *const lists[] = {"bogus", "bogus=1", "password-stdin", "detach", "json"};
	struct mount_arguments arguments;
	struct error err;

	(void)state;
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		assert_int_equal(apply(lists[i], false, &arguments, &err), -1);
		assert_int_equal(err.kind, ERROR_INVALID);
		assert_non_null(strstr(err.message, "unknown mount option"));
		assert_int_equal(apply(lists[i], true, &arguments, &err), 0);
	}
}

static void wrong_values_and_remounting_are_errors_even_when_sloppy(void **state)
{
	struct mount_arguments arguments;
	struct error err;

	(void)state;
	assert_int_equal(apply("face=ext4", true, &arguments, &err), -1);
	assert_int_equal(apply("suid=1", true, &arguments, &err), -1);
	assert_int_equal(apply("store", true, &arguments, &err), -1);
	assert_int_equal(apply("remount,ro", true, &arguments, &err), -1);
	assert_int_equal(err.kind, ERROR_UNSUPPORTED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_fstab_says_to_others_is_ignored),
		cmocka_unit_test(options_of_varve_mount_are_applied),
		cmocka_unit_test(a_quoted_comma_belongs_to_its_value),
		cmocka_unit_test(unknown_options_are_an_error_unless_mount_is_sloppy),
		cmocka_unit_test(wrong_values_and_remounting_are_errors_even_when_sloppy),
	};

	return cmocka_run_group_tests_name("mount_helper", tests, NULL, NULL);
}
