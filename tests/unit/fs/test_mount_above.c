/* SPDX-License-Identifier: Apache-2.0 */
/* What others mount of, or on top of, a mount of ours. */
#include "support/fs_fixture.h"

#include <errno.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/fdio.h"

/* A user namespace whose user 0 is 50000 here; -1 where there are none. */
static int open_user_namespace(void)
{
	static const char map[] = "0 50000 10000\n";
	char path[64];
	int ready[2];
	int fd = -1;
	char byte;
	pid_t pid;

	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		byte = unshare(CLONE_NEWUSER) == 0;
		(void)!write(ready[1], &byte, 1);
		(void)pause();
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	for (unsigned i = 0; byte && i < 2; i++) {
		(void)snprintf(path, sizeof(path), "/proc/%d/%cid_map", pid, "ug"[i]);
		fd = open(path, O_WRONLY | O_CLOEXEC);
		assert_true(fd >= 0);
		assert_int_equal(write(fd, map, sizeof(map) - 1), sizeof(map) - 1);
		close(fd);
	}
	(void)snprintf(path, sizeof(path), "/proc/%d/ns/user", pid);
	fd = byte ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	close(ready[0]);
	close(ready[1]);
	return fd;
}

static void its_owners_can_be_mapped(void **state)
{
	struct mount_attr attr = {.attr_set = MOUNT_ATTR_IDMAP};
	struct fs_fixture fixture;
	struct stat stat;
	int namespace, tree;
	const char *problem = NULL;

	(void)state;
	fs_fixture_open(&fixture, &(struct fs_fixture_options){0});
	namespace = geteuid() == 0 ? open_user_namespace() : -1;
	tree = open_tree(AT_FDCWD, "mnt", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	attr.userns_fd = (uint64_t) namespace;
	if (namespace < 0 || tree < 0)
		problem = "no user namespaces, or not root";
	else if (mount_setattr(tree, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
		/* Before 6.12. */
		problem = strerror(errno);
	if (!problem) {
		assert_int_equal(fstatat(tree, "dir/hello", &stat, 0), 0);
		assert_int_equal(stat.st_uid, 51000);
		assert_int_equal(stat.st_gid, 52000);
	}
	if (tree >= 0)
		close(tree);
	if (namespace >= 0)
		close(namespace);
	fs_fixture_close(&fixture);
	if (problem) {
		print_message("skipped: %s\n", problem);
		skip();
	}
}

static void write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0644);

	if (fd < 0)
		fail_msg("%s: %s", path, strerror(errno));
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static void assert_file(const char *path, const char *expected)
{
	CLEANUP(buffer_free) struct buffer text = {0};

	assert_int_equal(file_read(AT_FDCWD, path, 1 << 20, &text, NULL), 0);
	assert_string_equal((const char *)text.data, expected);
}

static void an_overlay_on_it_can_be_written_to(void **state)
{
	struct fs_fixture fixture;
	struct stat stat;

	(void)state;
	fs_fixture_open(&fixture, &(struct fs_fixture_options){0});
	assert_int_equal(mkdir("upper", 0755), 0);
	assert_int_equal(mkdir("work", 0755), 0);
	assert_int_equal(mkdir("merged", 0755), 0);
	if (mount("overlay", "merged", "overlay", 0, "lowerdir=mnt,upperdir=upper,workdir=work") <
		0) {
		print_message("skipped: mount overlay: %s\n", strerror(errno));
		fs_fixture_close(&fixture);
		skip();
	}
	assert_file("merged/dir/hello", "hello\n");
	/* The character device 0:0 of the layer hides what is below it: nothing. */
	assert_int_equal(lstat("merged/dir/gone", &stat), -1);
	write_text("merged/dir/hello", "more\n");
	assert_file("merged/dir/hello", "hello\nmore\n");
	assert_file("mnt/dir/hello", "hello\n");
	assert_int_equal(rename("merged/many", "merged/few"), -1);
	assert_int_equal(errno, EXDEV);
	assert_int_equal(unlink("merged/dir/attributes"), 0);
	assert_int_equal(access("mnt/dir/attributes", F_OK), 0);
	assert_int_equal(umount2("merged", 0), 0);
	fs_fixture_close(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(its_owners_can_be_mapped),
		cmocka_unit_test(an_overlay_on_it_can_be_written_to),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
