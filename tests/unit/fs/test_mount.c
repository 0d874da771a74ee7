/* SPDX-License-Identifier: Apache-2.0 */
#include "support/fs_fixture.h"

#include <dirent.h>
#include <errno.h>
#include <grp.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#include "fs/node.h"

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

static void stat_of(const char *path, struct stat *out)
{
	if (lstat(path, out) < 0)
		fail_msg("%s: %s", path, strerror(errno));
}

static void files_have_the_attributes_of_the_index(void **state)
{
	struct stat hello, again;

	(void)state;
	stat_of("mnt/dir/hello", &hello);
	assert_int_equal(hello.st_mode, S_IFREG | 04755);
	assert_int_equal(hello.st_uid, 1000);
	assert_int_equal(hello.st_gid, 2000);
	assert_int_equal(hello.st_size, 6);
	assert_int_equal(hello.st_blocks, 8);
	assert_int_equal(hello.st_blksize, 4096);
	assert_int_equal(hello.st_nlink, 2);
	assert_int_equal(hello.st_mtim.tv_sec, FIXTURE_MTIME_S);
	assert_int_equal(hello.st_mtim.tv_nsec, FIXTURE_MTIME_NS);
	assert_int_equal(node_tree_id(hello.st_ino), FIXTURE_TREE_ID);
	stat_of("mnt/dir/again", &again);
	assert_int_equal(again.st_ino, hello.st_ino);
}

static void every_type_of_file_is_there(void **state)
{
	char target[16];
	struct stat stat;

	(void)state;
	stat_of("mnt", &stat);
	assert_int_equal(stat.st_mode & S_IFMT, S_IFDIR);
	assert_int_equal(node_tree_id(stat.st_ino), FIXTURE_TREE_ID);
	stat_of("mnt/dir/fifo", &stat);
	assert_int_equal(stat.st_mode, S_IFIFO | 0600);
	stat_of("mnt/dir/null", &stat);
	assert_int_equal(stat.st_mode, S_IFCHR | 0666);
	assert_int_equal(stat.st_rdev, makedev(1, 3));
	stat_of("mnt/dir/gone", &stat);
	assert_int_equal(stat.st_mode & S_IFMT, S_IFCHR);
	assert_int_equal(stat.st_rdev, makedev(0, 0));
	stat_of("mnt/dir/link", &stat);
	assert_int_equal(stat.st_mode & S_IFMT, S_IFLNK);
	assert_int_equal(readlink("mnt/dir/link", target, sizeof(target)), 5);
	assert_memory_equal(target, "hello", 5);
	stat_of("mnt/empty", &stat);
	assert_int_equal(stat.st_size, 0);
	assert_int_equal(stat.st_blocks, 0);
	assert_int_equal(lstat("mnt/dir/nothing", &stat), -1);
	assert_int_equal(errno, ENOENT);
	assert_int_equal(lstat("mnt/dir/hello/nothing", &stat), -1);
	assert_int_equal(errno, ENOTDIR);
}

static void assert_big(const uint8_t *data, size_t size, size_t off)
{
	for (size_t i = 0; i < size; i++) {
		if (data[i] != fixture_big_byte(off + i))
			fail_msg("byte %zu is wrong", off + i);
	}
}

static void cold_reads_bring_the_right_bytes(void **state)
{
	static const size_t places[] = {4095, FIXTURE_BIG_SIZE - 5, 0, 99999, 1 << 20, 3333333};
	uint8_t data[10000];
	int fd = open("mnt/big", O_RDONLY);

	(void)state;
	assert_true(fd >= 0);
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		size_t left = FIXTURE_BIG_SIZE - places[i];
		size_t expected = left < sizeof(data) ? left : sizeof(data);

		assert_int_equal(pread(fd, data, sizeof(data), (off_t)places[i]), expected);
		assert_big(data, expected, places[i]);
	}
	assert_int_equal(pread(fd, data, sizeof(data), FIXTURE_BIG_SIZE), 0);
	close(fd);
}

static void a_whole_file_is_right_by_read_and_by_map(void **state)
{
	uint8_t *data = malloc(FIXTURE_BIG_SIZE + 1);
	int fd = open("mnt/big", O_RDONLY);
	size_t done = 0;
	ssize_t n;
	uint8_t *map;

	(void)state;
	assert_non_null(data);
	while ((n = read(fd, data + done, FIXTURE_BIG_SIZE + 1 - done)) > 0)
		done += (size_t)n;
	assert_int_equal(n, 0);
	assert_int_equal(done, FIXTURE_BIG_SIZE);
	assert_big(data, done, 0);
	map = mmap(NULL, FIXTURE_BIG_SIZE, PROT_READ, MAP_PRIVATE, fd, 0);
	assert_true(map != MAP_FAILED);
	assert_memory_equal(map, data, FIXTURE_BIG_SIZE);
	assert_int_equal(munmap(map, FIXTURE_BIG_SIZE), 0);
	close(fd);
	free(data);
}

static void reads_around_the_page_cache_are_right(void **state)
{
	size_t size = 1 << 20;
	uint8_t *data = aligned_alloc(4096, size);
	int fd = open("mnt/big", O_RDONLY | O_DIRECT);

	(void)state;
	assert_non_null(data);
	assert_true(fd >= 0);
	assert_int_equal(pread(fd, data, size, 4096), size);
	assert_big(data, size, 4096);
	assert_int_equal(pread(fd, data, 4096, 5 << 20), 123);
	assert_big(data, 123, 5 << 20);
	close(fd);
	free(data);
}

static void a_file_of_zeros_reads_as_such_and_seeks_as_data(void **state)
{
	uint8_t *data = malloc(FIXTURE_ZEROS_SIZE);
	int fd = open("mnt/zeros", O_RDONLY);
	size_t done = 0;
	ssize_t n;

	(void)state;
	assert_non_null(data);
	while ((n = read(fd, data + done, FIXTURE_ZEROS_SIZE - done)) > 0)
		done += (size_t)n;
	assert_int_equal(done, FIXTURE_ZEROS_SIZE);
	for (size_t i = 0; i < done; i++)
		assert_int_equal(data[i], 0);
	assert_int_equal(lseek(fd, 0, SEEK_DATA), 0);
	assert_int_equal(lseek(fd, 0, SEEK_HOLE), FIXTURE_ZEROS_SIZE);
	close(fd);
	free(data);
}

static void a_directory_of_ten_thousand_entries_is_listed_once_each(void **state)
{
	bool *seen = calloc(FIXTURE_MANY, sizeof(*seen));
	DIR *directory = opendir("mnt/many");
	struct dirent *entry;
	unsigned n = 0, i;

	(void)state;
	assert_non_null(seen);
	assert_non_null(directory);
	while ((entry = readdir(directory))) {
		if (entry->d_name[0] == '.')
			continue;
		assert_int_equal(sscanf(entry->d_name, "entry with number %u", &i), 1);
		assert_int_equal(entry->d_type, DT_REG);
		assert_false(seen[i]);
		seen[i] = true;
		n++;
	}
	assert_int_equal(n, FIXTURE_MANY);
	closedir(directory);
	free(seen);
}

static void a_listing_goes_on_where_it_was_told_to(void **state)
{
	DIR *directory = opendir("mnt/many");
	struct dirent *entry;
	char name[256];
	long place = 0;

	(void)state;
	for (unsigned i = 0; i < 5000; i++) {
		assert_non_null(readdir(directory));
		place = telldir(directory);
	}
	entry = readdir(directory);
	(void)snprintf(name, sizeof(name), "%s", entry->d_name);
	rewinddir(directory);
	assert_non_null(readdir(directory));
	seekdir(directory, place);
	assert_string_equal(readdir(directory)->d_name, name);
	closedir(directory);
}

static void xattrs_are_as_stored(void **state)
{
	char value[64];
	char names[256];
	ssize_t n;

	(void)state;
	assert_int_equal(getxattr("mnt/dir/attributes", "user.colour", value, sizeof(value)), 3);
	assert_memory_equal(value, "red", 3);
	assert_int_equal(getxattr("mnt/dir/attributes", "user.colour", NULL, 0), 3);
	assert_int_equal(getxattr("mnt/dir/attributes", "user.colour", value, 2), -1);
	assert_int_equal(errno, ERANGE);
	assert_int_equal(getxattr("mnt/dir/attributes", "user.sound", value, sizeof(value)), -1);
	assert_int_equal(errno, ENODATA);
	assert_int_equal(getxattr("mnt/dir/hello", "user.colour", value, sizeof(value)), -1);
	assert_int_equal(errno, ENODATA);
	assert_int_equal(
		getxattr("mnt/dir/attributes", "system.posix_acl_access", value, sizeof(value)),
		44);
	assert_int_equal(
		getxattr("mnt/dir/attributes", "security.capability", value, sizeof(value)), 20);
	n = listxattr("mnt/dir/attributes", names, sizeof(names));
	assert_true(n > 0);
	assert_non_null(memmem(names, (size_t)n, "user.colour", 12));
	assert_non_null(memmem(names, (size_t)n, "security.capability", 20));
	assert_int_equal(listxattr("mnt/dir/attributes", names, 5), -1);
	assert_int_equal(errno, ERANGE);
	assert_int_equal(listxattr("mnt/dir/hello", names, sizeof(names)), 0);
}

/* As user 1001, whom the ACL excludes, or as another one. */
static int open_errno_as(uid_t uid)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		if (setgroups(0, NULL) < 0 || setresgid(uid, uid, uid) < 0 ||
			setresuid(uid, uid, uid) < 0)
			_exit(255);
		_exit(open("mnt/dir/attributes", O_RDONLY) < 0 ? errno : 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void acls_are_enforced(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(open_errno_as(1002), 0);
	assert_int_equal(open_errno_as(1001), EACCES);
}

static void df_is_sane(void **state)
{
	struct statvfs stat;

	(void)state;
	assert_int_equal(statvfs("mnt", &stat), 0);
	assert_int_equal(stat.f_bsize, 4096);
	assert_true(stat.f_blocks * 4096 >= FIXTURE_BIG_SIZE + FIXTURE_ZEROS_SIZE);
	assert_true(stat.f_blocks * 4096 < 2 * (FIXTURE_BIG_SIZE + FIXTURE_ZEROS_SIZE));
	assert_int_equal(stat.f_bfree, 0);
	assert_true(stat.f_files > FIXTURE_MANY);
	assert_int_equal(stat.f_namemax, 255);
	assert_true(stat.f_flag & ST_RDONLY);
}

static void large_files_are_read_ahead_a_megabyte(void **state)
{
	struct stat stat;
	unsigned kib = 0;
	char path[64];
	FILE *file;

	(void)state;
	stat_of("mnt", &stat);
	(void)snprintf(path, sizeof(path), "/sys/class/bdi/%u:%u/read_ahead_kb", major(stat.st_dev),
		minor(stat.st_dev));
	if (access(path, W_OK) < 0) {
		print_message("skipped: may not write %s\n", path);
		skip();
	}
	file = fopen(path, "r");
	assert_non_null(file);
	assert_int_equal(fscanf(file, "%u", &kib), 1);
	(void)fclose(file);
	assert_int_equal(kib, 1024);
}

static void the_mount_names_its_source(void **state)
{
	FILE *mounts = fopen("/proc/self/mounts", "r");
	char line[1024];
	bool found = false;

	(void)state;
	assert_non_null(mounts);
	while (fgets(line, sizeof(line), mounts)) {
		if (strncmp(line, "registry.example.com/a/b:1,2 /", 30) == 0)
			found = strstr(line, " fuse.varve ro,") != NULL;
	}
	(void)fclose(mounts);
	assert_true(found);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_have_the_attributes_of_the_index),
		cmocka_unit_test(every_type_of_file_is_there),
		cmocka_unit_test(cold_reads_bring_the_right_bytes),
		cmocka_unit_test(a_whole_file_is_right_by_read_and_by_map),
		cmocka_unit_test(reads_around_the_page_cache_are_right),
		cmocka_unit_test(a_file_of_zeros_reads_as_such_and_seeks_as_data),
		cmocka_unit_test(a_directory_of_ten_thousand_entries_is_listed_once_each),
		cmocka_unit_test(a_listing_goes_on_where_it_was_told_to),
		cmocka_unit_test(xattrs_are_as_stored),
		cmocka_unit_test(acls_are_enforced),
		cmocka_unit_test(df_is_sane),
		cmocka_unit_test(large_files_are_read_ahead_a_megabyte),
		cmocka_unit_test(the_mount_names_its_source),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
