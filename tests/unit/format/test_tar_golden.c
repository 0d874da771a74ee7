/* SPDX-License-Identifier: Apache-2.0 */
/* Archives of many programs; tests/golden/tar/generate.py says how they came about, and Python what
 * is in them. */
#include "support/test.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fdio.h"
#include "dump.h"
#include "support/tar_archive.h"

static const char *directory_of(const char *variable)
{
	const char *directory = getenv(variable);

	if (!directory)
		fail_msg("%s is not set", variable);
	return directory;
}

static struct buffer read_file(const char *variable, const char *name, const char *suffix)
{
	struct buffer contents = {0};
	struct error err = {0};
	char path[4096];

	snprintf(path, sizeof(path), "%s/%s%s", directory_of(variable), name, suffix);
	if (file_read(AT_FDCWD, path, 1 << 20, &contents, &err) < 0)
		fail_msg("%s", err.message);
	assert_int_equal(buffer_append(&contents, "", 0), 0);
	return contents;
}

static void check(const char *name)
{
	static const size_t pieces[] = {SIZE_MAX, 1, 1000};
	struct buffer archive = read_file("VARVE_CORPUS_TAR", name, "");
	struct buffer expected = read_file("VARVE_GOLDEN", name, ".dump");

	for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		struct buffer actual = {0};
		struct toc *toc = NULL;
		struct error err = {0};

		if (toc_of_archive(archive.data, archive.size, pieces[i], UINT64_C(1) << 40, &toc,
			    &err) < 0)
			fail_msg("%s: %s", name, err.message);
		dump_toc(toc, &actual);
		if (strcmp((char *)actual.data, (char *)expected.data) != 0)
			fail_msg("%s reads as:\n%s", name, (char *)actual.data);
		buffer_free(&actual);
		toc_free(toc);
	}
	buffer_free(&archive);
	buffer_free(&expected);
}

static void every_archive_reads_as_python_reads_it(void **state)
{
	(void)state;
	DIR *directory = opendir(directory_of("VARVE_GOLDEN"));
	struct dirent *entry;
	int n = 0;

	assert_non_null(directory);
	while ((entry = readdir(directory))) {
		char *suffix = strstr(entry->d_name, ".dump");

		if (!suffix)
			continue;
		*suffix = '\0';
		check(entry->d_name);
		n++;
	}
	closedir(directory);
	assert_true(n >= 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_archive_reads_as_python_reads_it),
	};
	return cmocka_run_group_tests_name("format/tar_golden", tests, NULL, NULL);
}
