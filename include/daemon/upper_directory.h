/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <limits.h>
#include <stdbool.h>

#include "base/error.h"
#include "index/erofs_reader.h"

/* The directory that takes what is written to a writable mount. */
struct upper_directory {
	char parent[PATH_MAX];
	char upper[PATH_MAX]; /* parent/upper: the changed files, in overlayfs' form */
	char work[PATH_MAX];  /* parent/work: overlayfs' own, on the same file system */
	bool temporary;       /* chosen by us: removed again when nothing was written */
};

/**
 * upper_directory_make() - make it, or take what is there.
 * @store_dir: without @chosen it is a new one below rw/ of the store.
 * @chosen:    NULL, or a directory of the user's: made when absent, kept for ever.
 * @root:      the image's root directory, whose owner and mode a new one takes over: overlayfs
 *             shows those of the upper directory.
 * @manifest:  digest of what lies below; a directory that was used with another image gives a
 *             warning, because its changes were made to other files.
 */
MUST_CHECK int upper_directory_make(const char *store_dir, const char *chosen,
	const struct erofs_attr *root, const char *manifest, struct upper_directory *out,
	struct error *err);

/* After unmounting: removes an empty temporary one, else says where the changes are. */
void upper_directory_finish(const struct upper_directory *directory);
