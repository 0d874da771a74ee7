/* SPDX-License-Identifier: Apache-2.0 */
/* Feeds every file of a corpus directory to one fuzz target, so that what fuzzing once found stays
 * tested by compilers without libFuzzer. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int fail(const char *what, const char *path)
{
	fprintf(stderr, "%s %s: %s\n", what, path, strerror(errno));
	return -1;
}

/* A heap copy of exactly the file's size lets AddressSanitizer see one byte read too many. */
static int run_file(const char *path)
{
	CLEANUP(cleanup_fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
	CLEANUP(cleanup_free) uint8_t *data = NULL;
	struct stat st;
	size_t size;

	if (fd < 0)
		return fail("open", path);
	if (fstat(fd, &st) < 0)
		return fail("stat", path);
	size = (size_t)st.st_size;
	data = malloc(size);
	if (!data && size > 0)
		return fail("allocate for", path);
	if (read(fd, data, size) != (ssize_t)size)
		return fail("read", path);

	/* Printed before it runs: after a crash it is the last line. */
	printf("%s: %zu bytes\n", path, size);
	fflush(stdout);
	LLVMFuzzerTestOneInput(data, size);
	return 0;
}

static int is_visible(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static int run_directory(const char *directory, int *n_files)
{
	struct dirent **entries = NULL;
	int n_entries = scandir(directory, &entries, is_visible, alphasort);
	int result = 0;

	if (n_entries < 0)
		return fail("list", directory);
	for (int i = 0; i < n_entries; i++) {
		char path[4096];

		snprintf(path, sizeof(path), "%s/%s", directory, entries[i]->d_name);
		if (run_file(path) < 0)
			result = -1;
		free(entries[i]);
	}
	free(entries);
	*n_files = n_entries;
	return result;
}

int main(int argc, char **argv)
{
	int n_files;

	if (argc != 2) {
		fprintf(stderr, "usage: %s CORPUS_DIRECTORY\n", argv[0]);
		return 2;
	}
	if (run_directory(argv[1], &n_files) < 0)
		return 1;
	if (n_files == 0) {
		fprintf(stderr, "%s is empty: nothing was tested\n", argv[1]);
		return 1;
	}
	printf("%d files\n", n_files);
	return 0;
}
