/* SPDX-License-Identifier: Apache-2.0 */
/* Indexes in files that the user names. */
#include "index_file_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "format/span_index_file.h"

bool index_file_is(const char *path)
{
	struct stat status;

	return stat(path, &status) == 0 && S_ISREG(status.st_mode);
}

int index_file_read(const char *path, struct buffer *out, struct error *err)
{
	CLEANUP(cleanup_fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return error_set_errno(err, errno, "open");
	do {
		if (out->size > SPAN_INDEX_FILE_MAX_SIZE)
			return error_set(err, ERROR_FORMAT, "larger than any index, %d MiB",
				(int)(SPAN_INDEX_FILE_MAX_SIZE >> 20));
		if (buffer_reserve(out, 1 << 16) < 0)
			return error_set(err, ERROR_NO_MEMORY, "no memory for an index");
		n = read(fd, out->data + out->size, 1 << 16);
		if (n < 0 && errno != EINTR)
			return error_set_errno(err, errno, "read");
		out->size += n > 0 ? (size_t)n : 0;
	} while (n != 0);
	return 0;
}
