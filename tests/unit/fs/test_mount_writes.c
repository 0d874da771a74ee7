/* SPDX-License-Identifier: Apache-2.0 */
/* Everything that would change a mount is EROFS: because it is read-only, and, when somebody made
 * it writable, because we say so. */
#include "support/fs_fixture.h"

#include <errno.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/xattr.h>

static int setup(void **state)
{
	static struct fs_fixture fixture;

	fs_fixture_open(&fixture, &(struct fs_fixture_options){0});
	*state = &fixture;
	return 0;
}

static int teardown(void **state)
{
	fs_fixture_close(*state);
	return 0;
}

static int try_create(void)
{
	int fd = open("mnt/dir/new", O_WRONLY | O_CREAT, 0644);

	if (fd >= 0)
		close(fd);
	return fd;
}

static int try_mkdir(void)
{
	return mkdir("mnt/dir/new", 0755);
}

static int try_mknod(void)
{
	return mknod("mnt/dir/new", S_IFIFO | 0644, 0);
}

static int try_symlink(void)
{
	return symlink("target", "mnt/dir/new");
}

static int try_link(void)
{
	return link("mnt/dir/hello", "mnt/dir/new");
}

static int try_unlink(void)
{
	return unlink("mnt/dir/hello");
}

static int try_rmdir(void)
{
	return rmdir("mnt/many");
}

static int try_rename(void)
{
	return rename("mnt/dir/hello", "mnt/dir/new");
}

static int try_truncate(void)
{
	return truncate("mnt/dir/hello", 1);
}

static int try_chmod(void)
{
	return chmod("mnt/dir/hello", 0600);
}

static int try_chown(void)
{
	return chown("mnt/dir/hello", 1, 1);
}

static int try_utimes(void)
{
	return utimes("mnt/dir/hello", NULL);
}

static int try_setxattr(void)
{
	return setxattr("mnt/dir/attributes", "user.colour", "blue", 4, 0);
}

static int try_removexattr(void)
{
	return removexattr("mnt/dir/attributes", "user.colour");
}

static int with_open_file(int (*change)(int fd))
{
	int fd = open("mnt/dir/hello", O_RDWR);
	int ret, errnum;

	if (fd < 0)
		return -1;
	ret = change(fd);
	errnum = errno;
	close(fd);
	errno = errnum;
	return ret;
}

static int write_one(int fd)
{
	return (int)write(fd, "x", 1);
}

static int allocate(int fd)
{
	return fallocate(fd, 0, 0, 100);
}

static int try_write(void)
{
	return with_open_file(write_one);
}

static int try_fallocate(void)
{
	return with_open_file(allocate);
}

static const struct {
	const char *name;
	int (*try)(void);
} changes[] = {
	{"create", try_create},
	{"mkdir", try_mkdir},
	{"mknod", try_mknod},
	{"symlink", try_symlink},
	{"link", try_link},
	{"unlink", try_unlink},
	{"rmdir", try_rmdir},
	{"rename", try_rename},
	{"truncate", try_truncate},
	{"chmod", try_chmod},
	{"chown", try_chown},
	{"utimes", try_utimes},
	{"setxattr", try_setxattr},
	{"removexattr", try_removexattr},
	{"write", try_write},
	{"fallocate", try_fallocate},
};

static void assert_all_refused(void)
{
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		if (changes[i].try() >= 0)
			fail_msg("%s succeeded", changes[i].name);
		if (errno != EROFS)
			fail_msg("%s: %s", changes[i].name, strerror(errno));
	}
}

static void every_change_is_refused(void **state)
{
	(void)state;
	assert_all_refused();
	assert_int_equal(access("mnt/dir/hello", W_OK), -1);
	assert_int_equal(errno, EROFS);
}

static void every_change_is_refused_on_a_mount_made_writable(void **state)
{
	(void)state;
	if (mount(NULL, "mnt", NULL, MS_REMOUNT, NULL) < 0) {
		print_message("skipped: remount: %s\n", strerror(errno));
		skip();
	}
	assert_int_equal(access("mnt/dir/hello", W_OK), 0);
	assert_all_refused();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_change_is_refused),
		cmocka_unit_test(every_change_is_refused_on_a_mount_made_writable),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
