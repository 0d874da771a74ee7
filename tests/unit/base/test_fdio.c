/* SPDX-License-Identifier: Apache-2.0 */
#include "base/fdio.h"

#include "support/test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static char directory[] = "varve-fdio-XXXXXX";
static int dir_fd = -1;

static int make_directory(void **state)
{
	(void)state;
	memcpy(strrchr(directory, '-') + 1, "XXXXXX", 6);
	if (!mkdtemp(directory))
		return -1;
	dir_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return dir_fd < 0 ? -1 : 0;
}

static int remove_directory(void **state)
{
	(void)state;
	char command[64];

	close(dir_fd);
	(void)snprintf(command, sizeof(command), "rm -rf ./%s", directory);
	return system(command);
}

static size_t n_entries(void)
{
	DIR *stream = fdopendir(openat(dir_fd, ".", O_RDONLY | O_DIRECTORY));
	size_t n = 0;

	assert_non_null(stream);
	for (struct dirent *entry; (entry = readdir(stream));)
		n += entry->d_name[0] != '.' || strlen(entry->d_name) > 2;
	closedir(stream);
	return n;
}

static void put(const char *name, const void *data, size_t size)
{
	struct error err = {0};

	if (file_replace(dir_fd, name, data, size, 0600, &err) < 0)
		fail_msg("%s", err.message);
}

static void what_was_written_is_read_back_and_the_end_is_an_error(void **state)
{
	(void)state;
	CLEANUP(cleanup_fd) int fd = openat(dir_fd, "x", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	char bytes[8];

	assert_true(fd >= 0);
	assert_int_equal(fd_write_all(fd, "abcdef", 6), 0);
	assert_int_equal(fd_pwrite_all(fd, "XY", 2, 5), 0);
	assert_int_equal(fd_pread_exact(fd, bytes, 7, 0), 0);
	assert_memory_equal(bytes, "abcdeXY", 7);
	assert_int_equal(fd_pread_exact(fd, bytes, 3, 5), -ENODATA);
	assert_int_equal(fd_pread_exact(fd, bytes, 0, 100), 0);
	assert_int_equal(lseek(fd, 5, SEEK_SET), 5);
	assert_int_equal(fd_read_exact(fd, bytes, 2), 0);
	assert_memory_equal(bytes, "XY", 2);
	assert_int_equal(fd_read_exact(fd, bytes, 1), -ENODATA);
}

static void offsets_beyond_off_t_and_dead_descriptors_are_errors(void **state)
{
	(void)state;
	char bytes[4] = {0};

	assert_int_equal(fd_pread_exact(dir_fd, bytes, 4, UINT64_MAX - 1), -EOVERFLOW);
	assert_int_equal(fd_pwrite_all(dir_fd, bytes, 4, INT64_MAX), -EOVERFLOW);
	assert_int_equal(fd_read_exact(-1, bytes, 4), -EBADF);
	assert_int_equal(fd_write_all(-1, bytes, 4), -EBADF);
	assert_int_equal(fd_pread_exact(-1, bytes, 4, 0), -EBADF);
	assert_int_equal(fd_pwrite_all(-1, bytes, 4, 0), -EBADF);
}

enum { STREAM_SIZE = 1 << 20 };

static void *write_stream(void *arg)
{
	int fd = *(int *)arg;
	CLEANUP(cleanup_free) uint8_t *bytes = malloc(STREAM_SIZE);

	for (size_t i = 0; bytes && i < STREAM_SIZE; i++)
		bytes[i] = (uint8_t)(i % 251);
	return bytes && fd_write_all(fd, bytes, STREAM_SIZE) == 0 ? arg : NULL;
}

static void transfers_through_a_pipe_go_on_after_short_ones(void **state)
{
	(void)state;
	CLEANUP(cleanup_free) uint8_t *bytes = malloc(STREAM_SIZE);
	pthread_t thread;
	void *result;
	int fds[2];

	assert_non_null(bytes);
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(pthread_create(&thread, NULL, write_stream, &fds[1]), 0);
	assert_int_equal(fd_read_exact(fds[0], bytes, STREAM_SIZE), 0);
	pthread_join(thread, &result);
	assert_non_null(result);
	for (size_t i = 0; i < STREAM_SIZE; i++)
		assert_int_equal(bytes[i], i % 251);
	close(fds[0]);
	close(fds[1]);
}

static void a_file_up_to_the_limit_is_read_whole(void **state)
{
	(void)state;
	CLEANUP(buffer_free) struct buffer out = {0};
	CLEANUP(cleanup_free) char *big = calloc(1, 100000);
	struct error err = {0};

	assert_non_null(big);
	put("big", big, 100000);
	assert_int_equal(file_read(dir_fd, "big", 100000, &out, &err), 0);
	assert_int_equal(out.size, 100000);
	buffer_free(&out);
	assert_int_equal(file_read(dir_fd, "big", 99999, &out, &err), -1);
	assert_int_equal(err.kind, ERROR_FORMAT);
	assert_non_null(strstr(err.message, "big"));
	assert_non_null(strstr(err.message, "99999"));
	assert_null(out.data);

	put("empty", NULL, 0);
	assert_int_equal(file_read(dir_fd, "empty", 0, &out, &err), 0);
	assert_int_equal(out.size, 0);
	assert_string_equal((char *)out.data, "");
}

static void a_file_without_a_size_is_read_to_its_end_and_still_limited(void **state)
{
	(void)state;
	CLEANUP(buffer_free) struct buffer out = {0};
	struct error err = {0};

	assert_int_equal(file_read(AT_FDCWD, "/proc/self/status", 65536, &out, &err), 0);
	assert_memory_equal(out.data, "Name:", 5);
	buffer_free(&out);
	assert_int_equal(file_read(AT_FDCWD, "/proc/self/status", 20, &out, &err), -1);
	assert_int_equal(err.kind, ERROR_FORMAT);
}

static void what_is_no_regular_file_is_refused_without_waiting(void **state)
{
	(void)state;
	CLEANUP(buffer_free) struct buffer out = {0};
	struct error err = {0};

	assert_int_equal(mkfifoat(dir_fd, "fifo", 0600), 0);
	assert_int_equal(file_read(dir_fd, "fifo", 10, &out, &err), -1);
	assert_int_equal(err.kind, ERROR_INVALID);
	assert_int_equal(file_read(dir_fd, ".", 10, &out, &err), -1);
	assert_int_equal(err.kind, ERROR_INVALID);
	assert_int_equal(file_read(dir_fd, "absent", 10, &out, &err), -1);
	assert_int_equal(err.kind, ERROR_NOT_FOUND);
	assert_string_equal(err.message, "open absent: No such file or directory");
}

static void replacing_leaves_one_file_with_the_new_bytes_and_mode(void **state)
{
	(void)state;
	CLEANUP(buffer_free) struct buffer out = {0};
	mode_t mask = umask(077);
	struct stat status;

	put("file", "old", 3);
	assert_int_equal(file_replace(dir_fd, "file", "newer", 5, 0644, NULL), 0);
	umask(mask);
	assert_int_equal(file_read(dir_fd, "file", 100, &out, NULL), 0);
	assert_string_equal((char *)out.data, "newer");
	assert_int_equal(fstatat(dir_fd, "file", &status, 0), 0);
	assert_int_equal(status.st_mode & 07777, 0644);
	assert_int_equal(n_entries(), 1);
}

static void a_name_may_have_directories_in_front(void **state)
{
	(void)state;
	CLEANUP(buffer_free) struct buffer out = {0};
	char path[64];

	assert_int_equal(mkdirat(dir_fd, "sub", 0700), 0);
	put("sub/file", "x", 1);
	(void)snprintf(path, sizeof(path), "%s/sub/file", directory);
	assert_int_equal(file_replace(AT_FDCWD, path, "yz", 2, 0600, NULL), 0);
	assert_int_equal(file_read(dir_fd, "sub/file", 100, &out, NULL), 0);
	assert_string_equal((char *)out.data, "yz");
}

static void a_failed_replacement_leaves_the_old_file_and_nothing_else(void **state)
{
	(void)state;
	CLEANUP(buffer_free) struct buffer out = {0};
	struct rlimit before, tiny;
	struct error err = {0};
	int ret;

	put("file", "old", 3);
	assert_int_equal(mkdirat(dir_fd, "dir", 0700), 0);
	assert_int_equal(file_replace(dir_fd, "dir", "x", 1, 0600, &err), -1);
	assert_non_null(strstr(err.message, "dir"));
	assert_int_equal(file_replace(dir_fd, "sub/", "x", 1, 0600, &err), -1);
	assert_int_equal(err.kind, ERROR_INVALID);
	assert_int_equal(file_replace(dir_fd, "absent/file", "x", 1, 0600, &err), -1);
	assert_int_equal(err.kind, ERROR_NOT_FOUND);
	assert_int_equal(n_entries(), 2);

	/* The write itself fails, after some of it has succeeded. */
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	tiny = (struct rlimit){.rlim_cur = 4, .rlim_max = before.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &tiny), 0);
	ret = file_replace(dir_fd, "file", "too long", 8, 0600, &err);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_int_equal(ret, -1);
	assert_int_equal(err.kind, ERROR_NO_SPACE);
	assert_int_equal(n_entries(), 2);
	assert_int_equal(file_read(dir_fd, "file", 100, &out, NULL), 0);
	assert_string_equal((char *)out.data, "old");
}

static void directories_are_made_as_deep_as_needed_and_kept_as_they_are(void **state)
{
	(void)state;
	struct error err = {0};
	struct stat status;
	char path[128];

	(void)snprintf(path, sizeof(path), "%s//a/b/", directory);
	assert_int_equal(directory_make(path, 0700, &err), 0);
	assert_int_equal(fchmodat(dir_fd, "a", 0750, 0), 0);
	(void)snprintf(path, sizeof(path), "%s/a/b/c", directory);
	assert_int_equal(directory_make(path, 0700, &err), 0);
	assert_int_equal(directory_make(path, 0700, &err), 0);
	assert_int_equal(fstatat(dir_fd, "a", &status, 0), 0);
	assert_int_equal(status.st_mode & 07777, 0750);
	assert_int_equal(fstatat(dir_fd, "a/b/c", &status, 0), 0);
	assert_int_equal(status.st_mode, S_IFDIR | 0700);
	assert_int_equal(directory_make("/", 0700, &err), 0);
	assert_int_equal(directory_make("", 0700, &err), -1);
}

static void a_file_in_the_way_of_a_directory_is_named(void **state)
{
	(void)state;
	struct error err = {0};
	char path[128];
	char expected[160];

	put("file", "", 0);
	(void)snprintf(path, sizeof(path), "%s/file/below", directory);
	(void)snprintf(
		expected, sizeof(expected), "make directory %s/file: Not a directory", directory);
	assert_int_equal(directory_make(path, 0700, &err), -1);
	assert_int_equal(err.kind, ERROR_INVALID);
	assert_string_equal(err.message, expected);
}

#define fdio_test(f) cmocka_unit_test_setup_teardown(f, make_directory, remove_directory)

int main(void)
{
	const struct CMUnitTest tests[] = {
		fdio_test(what_was_written_is_read_back_and_the_end_is_an_error),
		fdio_test(offsets_beyond_off_t_and_dead_descriptors_are_errors),
		fdio_test(transfers_through_a_pipe_go_on_after_short_ones),
		fdio_test(a_file_up_to_the_limit_is_read_whole),
		fdio_test(a_file_without_a_size_is_read_to_its_end_and_still_limited),
		fdio_test(what_is_no_regular_file_is_refused_without_waiting),
		fdio_test(replacing_leaves_one_file_with_the_new_bytes_and_mode),
		fdio_test(a_name_may_have_directories_in_front),
		fdio_test(a_failed_replacement_leaves_the_old_file_and_nothing_else),
		fdio_test(directories_are_made_as_deep_as_needed_and_kept_as_they_are),
		fdio_test(a_file_in_the_way_of_a_directory_is_named),
	};
	return cmocka_run_group_tests_name("base/fdio", tests, NULL, NULL);
}
