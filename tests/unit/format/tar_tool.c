/* SPDX-License-Identifier: Apache-2.0 */
/* Prints what is in a tar archive, for tests that compare it with what other programs read.
 *
 * tar_tool FILE    print its table of contents in the form of tests/unit/format/dump.h */
#include <fcntl.h>
#include <stdio.h>

#include "base/bytes.h"
#include "base/fdio.h"
#include "dump.h"
#include "support/tar_archive.h"

enum { PIECE = 32 << 10 };

static int dump_file(const char *path, struct error *err)
{
	CLEANUP(buffer_free) struct buffer archive = {0};
	CLEANUP(buffer_free) struct buffer text = {0};
	CLEANUP(toc_freep) struct toc *toc = NULL;

	if (file_read(AT_FDCWD, path, 1 << 30, &archive, err) < 0 ||
		toc_of_archive(archive.data, archive.size, PIECE, UINT64_C(1) << 40, &toc, err) < 0)
		return -1;
	dump_toc(toc, &text);
	if (fwrite(text.data, 1, text.size, stdout) != text.size || fflush(stdout) != 0)
		return error_set(err, ERROR_IO, "cannot print");
	return 0;
}

int main(int argc, char **argv)
{
	struct error err = {0};

	if (argc != 2) {
		fprintf(stderr, "usage: tar_tool FILE\n");
		return 2;
	}
	if (dump_file(argv[1], &err) < 0) {
		fprintf(stderr, "tar_tool: %s: %s\n", argv[1], err.message);
		return 1;
	}
	return 0;
}
