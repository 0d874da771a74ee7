/* SPDX-License-Identifier: Apache-2.0 */
/* Raises how far the kernel reads ahead on an EROFS mount. It starts with 128 KiB, and says nowhere
 * which of the numbered entries in /sys/class/bdi belongs to which mount: ours is the one that
 * appeared while it was made, if exactly one did. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/log.h"
#include "erofs_internal.h"

static const char class_dir[] = "/sys/class/bdi";

/* The number of an entry "erofs-123"; 0 for others. The kernel counts upwards. */
static unsigned long number_of(const char *name)
{
	static const char prefix[] = "erofs-";
	char *end;
	unsigned long number;

	if (strncmp(name, prefix, sizeof(prefix) - 1) != 0)
		return 0;
	number = strtoul(name + sizeof(prefix) - 1, &end, 10);
	return *end == '\0' ? number : 0;
}

/* How many entries come after this one, and the last of them. */
static unsigned count_after(unsigned long after, unsigned long *last)
{
	DIR *directory = opendir(class_dir);
	struct dirent *entry;
	unsigned n = 0;

	*last = after;
	while (directory && (entry = readdir(directory))) {
		unsigned long number = number_of(entry->d_name);

		if (number <= after)
			continue;
		n++;
		if (number > *last)
			*last = number;
	}
	if (directory)
		(void)closedir(directory);
	return n;
}

unsigned long erofs_read_ahead_last(void)
{
	unsigned long last;

	(void)count_after(0, &last);
	return last;
}

void erofs_read_ahead_set(unsigned long last_before, unsigned kib)
{
	CLEANUP(cleanup_fd) int fd = -1;
	unsigned long last;
	char path[64];
	char text[16];
	int ret, size;

	if (count_after(last_before, &last) != 1) {
		log_debug("read-ahead of EROFS stays as the kernel set it: several mounts at once");
		return;
	}
	(void)snprintf(path, sizeof(path), "%s/erofs-%lu/read_ahead_kb", class_dir, last);
	size = snprintf(text, sizeof(text), "%u\n", kib);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	ret = fd < 0 ? -errno : fd_write_all(fd, text, (size_t)size);
	if (ret < 0)
		log_debug("read-ahead of EROFS stays as the kernel set it: write %s: %s", path,
			strerror(-ret));
}
