/* SPDX-License-Identifier: Apache-2.0 */
#include "support/fs_fixture.h"

#include <errno.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#include "base/clock.h"
#include "erofs_internal.h"
#include "fs/erofs_mount.h"
#include "fs/node.h"

/* Skips where the kernel or the process cannot. */
static void need_erofs(void)
{
	char why[480];

	if (erofs_mount_supported(why, sizeof(why)))
		return;
	print_message("skipped: %s\n", why);
	skip();
}

static void open_fixture(struct fs_fixture *fixture)
{
	need_erofs();
	fs_fixture_open(fixture, &(struct fs_fixture_options){.tree_0 = true});
	assert_int_equal(mkdir("erofs", 0755), 0);
}

static int try_mount(const struct tree *tree, struct error *err)
{
	char directory[256], data_dir[300], mountpoint[300];
	struct erofs_mount_options options = {
		.tree = (struct tree *)(uintptr_t)tree,
		.data_dir = data_dir,
		.mountpoint = mountpoint,
	};

	assert_non_null(getcwd(directory, sizeof(directory)));
	(void)snprintf(data_dir, sizeof(data_dir), "%s/mnt/data", directory);
	(void)snprintf(mountpoint, sizeof(mountpoint), "%s/erofs", directory);
	return erofs_mount(&options, err);
}

static void mount_tree(struct fs_fixture *fixture)
{
	struct error err;

	if (try_mount(fixture->tree, &err) < 0)
		fail_msg("%s", err.message);
}

static void unmount(void)
{
	struct error err;
	bool busy;

	if (mount_detach("erofs", true, &busy, &err) < 0)
		fail_msg("%s", err.message);
	assert_false(busy);
}

static void assert_big_is_right(const char *path)
{
	uint8_t *data = malloc(FIXTURE_BIG_SIZE);
	int fd = open(path, O_RDONLY);
	size_t done = 0;
	ssize_t n;

	assert_non_null(data);
	if (fd < 0)
		fail_msg("%s: %s", path, strerror(errno));
	while ((n = read(fd, data + done, FIXTURE_BIG_SIZE - done)) > 0)
		done += (size_t)n;
	assert_int_equal(done, FIXTURE_BIG_SIZE);
	for (size_t i = 0; i < done; i++) {
		if (data[i] != fixture_big_byte(i))
			fail_msg("byte %zu of %s is wrong", i, path);
	}
	close(fd);
	free(data);
}

static void both_faces_show_the_same_files(void **state)
{
	static const char *const names[] = {"", "big", "zeros", "empty", "dir", "dir/hello",
		"dir/again", "dir/link", "dir/fifo", "dir/null", "dir/gone", "dir/attributes",
		"many", "many/entry with number 04711"};
	struct fs_fixture fixture;
	char value[64];

	(void)state;
	open_fixture(&fixture);
	mount_tree(&fixture);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char path[64];
		struct stat fuse, erofs;

		(void)snprintf(path, sizeof(path), "mnt/t/ya/%s", names[i]);
		assert_int_equal(lstat(path, &fuse), 0);
		(void)snprintf(path, sizeof(path), "erofs/%s", names[i]);
		assert_int_equal(lstat(path, &erofs), 0);
		assert_int_equal(node_nid(fuse.st_ino), erofs.st_ino);
		assert_int_equal(fuse.st_mode, erofs.st_mode);
		assert_int_equal(fuse.st_nlink, erofs.st_nlink);
		assert_int_equal(fuse.st_uid, erofs.st_uid);
		assert_int_equal(fuse.st_gid, erofs.st_gid);
		assert_int_equal(fuse.st_rdev, erofs.st_rdev);
		assert_int_equal(fuse.st_size, erofs.st_size);
		assert_int_equal(fuse.st_blocks, erofs.st_blocks);
		assert_int_equal(fuse.st_blksize, erofs.st_blksize);
		assert_memory_equal(&fuse.st_mtim, &erofs.st_mtim, sizeof(fuse.st_mtim));
	}
	assert_big_is_right("erofs/big");
	assert_int_equal(getxattr("erofs/dir/attributes", "user.colour", value, sizeof(value)), 3);
	assert_int_equal(
		getxattr("erofs/dir/attributes", "system.posix_acl_access", value, sizeof(value)),
		44);
	unmount();
	fs_fixture_close(&fixture);
}

/* Of the newest EROFS mount; 0 when this process may not change it. */
static unsigned newest_read_ahead(void)
{
	unsigned kib = 0;
	char path[64];
	FILE *file;

	(void)snprintf(path, sizeof(path), "/sys/class/bdi/erofs-%lu/read_ahead_kb",
		erofs_read_ahead_last());
	file = access(path, W_OK) == 0 ? fopen(path, "r") : NULL;
	if (file) {
		assert_int_equal(fscanf(file, "%u", &kib), 1);
		(void)fclose(file);
	}
	return kib;
}

static void lazy_data_is_read_ahead_a_megabyte(void **state)
{
	struct fs_fixture fixture;
	unsigned kib = 0;

	(void)state;
	open_fixture(&fixture);
	/* Others may mount at the same moment; then nothing is raised. */
	for (unsigned i = 0; i < 20 && kib != 1024; i++) {
		mount_tree(&fixture);
		kib = newest_read_ahead();
		unmount();
	}
	if (kib != 0)
		assert_int_equal(kib, 1024);
	fs_fixture_close(&fixture);
}

static void a_complete_layer_needs_no_fuse(void **state)
{
	struct fs_fixture fixture;
	struct layer_store_stats stats;

	(void)state;
	open_fixture(&fixture);
	assert_big_is_right("mnt/t/ya/big");
	assert_int_equal(access("mnt/t/ya/zeros", F_OK), 0);
	layer_set_background(fixture.layer, true);
	do {
		usleep(1000);
		layer_store_stats(layer_store_of(fixture.layer), &stats);
	} while (!stats.complete);
	mount_tree(&fixture);
	fs_fixture_unmount(&fixture);
	assert_big_is_right("erofs/big");
	unmount();
	fs_fixture_close(&fixture);
}

static void fuse_is_busy_while_erofs_reads_through_it(void **state)
{
	struct fs_fixture fixture;
	bool busy;

	(void)state;
	open_fixture(&fixture);
	mount_tree(&fixture);
	assert_int_equal(fs_session_unmount(fixture.session, false, &busy, NULL), 0);
	assert_true(busy);
	assert_big_is_right("erofs/big");
	unmount();
	fs_fixture_close(&fixture);
}

static void a_killed_reader_is_gone_within_a_second(void **state)
{
	struct fs_fixture fixture;
	struct fs_stats stats;
	uint64_t start_ns;
	pid_t pid;

	(void)state;
	open_fixture(&fixture);
	mount_tree(&fixture);
	atomic_store(&fixture.source.stalls, true);
	pid = fork();
	if (pid == 0) {
		char byte;
		int fd = open("erofs/big", O_RDONLY);

		_exit(read(fd, &byte, 1) == 1);
	}
	do {
		usleep(1000);
		fs_session_stats(fixture.session, &stats);
	} while (stats.n_parked == 0);
	assert_int_equal(access("erofs/dir/hello", F_OK), 0);
	start_ns = clock_now_ns();
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_true(clock_now_ns() - start_ns < NS_PER_SECOND);
	atomic_store(&fixture.source.stalls, false);
	unmount();
	fs_fixture_close(&fixture);
}

static void a_tree_whose_devices_are_not_its_layers_is_refused(void **state)
{
	struct fs_fixture fixture;
	struct tree tree;
	struct error err;

	(void)state;
	open_fixture(&fixture);
	tree = *fixture.tree;
	tree.n_layers = 0;
	assert_int_equal(try_mount(&tree, &err), -1);
	assert_int_equal(err.kind, ERROR_FORMAT);
	assert_non_null(strstr(err.message, "1 devices"));
	fs_fixture_close(&fixture);
}

static void failures_name_what_the_kernel_did_not_take(void **state)
{
	struct fs_fixture fixture;
	struct tree tree;
	struct error err;
	uint32_t unknown = 4711;

	(void)state;
	open_fixture(&fixture);
	tree = *fixture.tree;
	tree.layer_ids = &unknown;
	assert_int_equal(try_mount(&tree, &err), -1);
	assert_int_equal(err.kind, ERROR_NOT_FOUND);
	tree = *fixture.tree;
	(void)strcpy(tree.index_path, "/nowhere/at.all");
	assert_int_equal(try_mount(&tree, &err), -1);
	assert_int_equal(err.kind, ERROR_NOT_FOUND);
	assert_non_null(strstr(err.message, "/nowhere/at.all"));
	assert_int_equal(rmdir("erofs"), 0);
	assert_int_equal(try_mount(fixture.tree, &err), -1);
	assert_int_equal(err.kind, ERROR_NOT_FOUND);
	fs_fixture_close(&fixture);
}

static void can_be_switched_off(void **state)
{
	char why[480];

	(void)state;
	assert_int_equal(setenv("VARVE_KERNEL_FEATURES", "-resend,-erofs", 1), 0);
	assert_false(erofs_mount_supported(why, sizeof(why)));
	assert_non_null(strstr(why, "VARVE_KERNEL_FEATURES"));
	assert_int_equal(setenv("VARVE_KERNEL_FEATURES", "-erofs2", 1), 0);
	if (!erofs_mount_supported(why, sizeof(why)))
		assert_null(strstr(why, "VARVE_KERNEL_FEATURES"));
	assert_int_equal(unsetenv("VARVE_KERNEL_FEATURES"), 0);
}

static void kernels_are_told_by_their_number(void **state)
{
	(void)state;
	assert_true(erofs_kernel_is_new_enough("6.12.0"));
	assert_true(erofs_kernel_is_new_enough("6.18.44-fc-v669"));
	assert_true(erofs_kernel_is_new_enough("7.0-rc1"));
	assert_false(erofs_kernel_is_new_enough("6.1.0-18-amd64"));
	assert_false(erofs_kernel_is_new_enough("5.19.2"));
	assert_false(erofs_kernel_is_new_enough("next"));
}

/* tmpfs has nothing that EROFS could read pages with. */
static void a_file_system_that_cannot_is_named(void **state)
{
	struct fs_fixture fixture;
	struct tree tree;
	struct error err;
	char command[700];

	(void)state;
	open_fixture(&fixture);
	if (mount("none", "erofs", "tmpfs", 0, NULL) < 0) {
		fs_fixture_close(&fixture);
		skip();
	}
	(void)snprintf(command, sizeof(command), "cp %s erofs/index", fixture.tree->index_path);
	assert_int_equal(system(command), 0);
	tree = *fixture.tree;
	(void)snprintf(
		tree.index_path, sizeof(tree.index_path), "%s/erofs/index", fixture.scratch->path);
	if (try_mount(&tree, &err) == 0)
		unmount(); /* of a kernel that can */
	else {
		assert_int_equal(err.kind, ERROR_UNSUPPORTED);
		assert_non_null(strstr(err.message, "erofs/index"));
	}
	assert_int_equal(umount2("erofs", 0), 0);
	fs_fixture_close(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(can_be_switched_off),
		cmocka_unit_test(kernels_are_told_by_their_number),
		cmocka_unit_test(both_faces_show_the_same_files),
		cmocka_unit_test(lazy_data_is_read_ahead_a_megabyte),
		cmocka_unit_test(a_complete_layer_needs_no_fuse),
		cmocka_unit_test(fuse_is_busy_while_erofs_reads_through_it),
		cmocka_unit_test(a_killed_reader_is_gone_within_a_second),
		cmocka_unit_test(a_tree_whose_devices_are_not_its_layers_is_refused),
		cmocka_unit_test(failures_name_what_the_kernel_did_not_take),
		cmocka_unit_test(a_file_system_that_cannot_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
