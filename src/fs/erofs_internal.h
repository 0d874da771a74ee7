/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

/* What the kernel is asked to mount. */
struct erofs_image {
	const char *index_path;
	const char *const *devices; /* paths, in the order of the image's devices */
	size_t n_devices;
	unsigned read_ahead_kib;
	bool suid;
	bool dev;
};

/* erofs_fsmount.c: a context of fsopen(2). ERROR_UNAUTHORIZED without the right to mount,
 * ERROR_UNSUPPORTED where the kernel has no EROFS. */
MUST_CHECK int erofs_open_context(int *out, struct error *err);

/* A mount that is attached nowhere; *fd is of its root. Errors as above,
 * and ERROR_UNSUPPORTED where the kernel wants block devices. Blocks on whoever serves the files.
 */
MUST_CHECK int erofs_fsmount(const struct erofs_image *image, int *fd, struct error *err);

/* erofs_support.c: by its name ("6.1.0-18-amd64"), a kernel that mounts EROFS on files. */
bool erofs_kernel_is_new_enough(const char *release);

/* erofs_read_ahead.c: the newest EROFS mount of the kernel, and what to give the one that came
 * after it. */
unsigned long erofs_read_ahead_last(void);
void erofs_read_ahead_set(unsigned long last_before, unsigned kib);
