/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "support/fake_source.h"
#include "support/scratch.h"

#include <pthread.h>

#include "format/toc.h"
#include "fs/fs_session.h"
#include "layer/layer.h"

/* The tree of one small layer with everything in it that a mount has to get right, its store, and
 * a source that serves its blob; mounted at "mnt" below the test's own directory, which is the
 * current one. */
struct fs_fixture {
	struct scratch *scratch;
	struct toc *toc; /* while the layer is made */
	uint8_t *blob;
	size_t blob_size;
	size_t blob_capacity;
	struct store *store;
	struct loop *loop;
	struct workers *workers;
	struct fetcher *fetcher;
	struct fake_source source;
	struct layer_index *index; /* until the layer has it */
	struct layer *layer;
	struct tree_table *trees;
	struct tree *tree; /* of the table */
	struct fs_session *session;
};

enum {
	FIXTURE_TREE_ID = 1234, /* "ya" in base 36 */
	FIXTURE_DATA_ID = 77,
	FIXTURE_BIG_SIZE = 5 * 1024 * 1024 + 123,
	FIXTURE_CHUNK_SIZE = 100000,
	FIXTURE_ZEROS_SIZE = 3 * 1024 * 1024,
	FIXTURE_MANY = 10000,
	FIXTURE_MTIME_S = 1700000000,
	FIXTURE_MTIME_NS = 123456789,
};

/* What the file /big has at this place. */
uint8_t fixture_big_byte(size_t i);

/* How a fixture differs from the usual one. */
struct fs_fixture_options {
	bool tree_0; /* mount the directory of all trees */
	bool no_mount;
	bool no_xattr; /* the session answers ENOSYS */
	unsigned max_parked;
	uint64_t deadline_ms; /* of the fetcher; default 60 s */
};

/* Skips the test, with the reason, where this process may not mount. */
void fs_fixture_open(struct fs_fixture *fixture, const struct fs_fixture_options *options);
void fs_fixture_close(struct fs_fixture *fixture);

/* Mounts again what was unmounted, as the options say. */
void fs_fixture_mount(struct fs_fixture *fixture, const struct fs_fixture_options *options);
/* Takes the mount away, which is not busy, and waits for the session's end. */
void fs_fixture_unmount(struct fs_fixture *fixture);

/* Up to 20 s for a condition that another thread or process makes true. */
#define wait_until(condition)                                                                      \
	do {                                                                                       \
		int rounds_ = 0;                                                                   \
		while (!(condition) && rounds_++ < 20000)                                          \
			usleep(1000);                                                              \
		assert_true(condition);                                                            \
	} while (0)
