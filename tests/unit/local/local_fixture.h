/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "support/scratch.h"

#include <pthread.h>

#include "base/bytes.h"
#include "base/loop.h"
#include "base/workers.h"
#include "chunk/image_source.h"
#include "local/local_image.h"
#include "oci/descriptor.h"

/* Larger than two pieces of what a worker reads at once. */
enum { BLOB_SIZE = (1 << 20) + 300007 };

/* Threads, and a directory that a test puts images into. */
struct local_fixture {
	struct scratch *scratch;
	struct loop *loop;
	struct workers *workers;
	uint8_t *blob; /* BLOB_SIZE bytes, no two pieces alike */
};

/* cmocka setup and teardown. */
int local_setup(void **state);
int local_teardown(void **state);

/* Writes a file below the scratch directory; directories are made. */
void put_file(struct local_fixture *fixture, const char *path, const void *data, size_t size);
void put_text(struct local_fixture *fixture, const char *path, const char *text);

/* Writes a blob of a layout below the scratch directory and describes it. */
struct descriptor put_blob(struct local_fixture *fixture, const char *layout,
	enum digest_algorithm algorithm, const void *data, size_t size);

/* A name whose "%s" is the scratch directory. */
struct image_source *open_image(struct local_fixture *fixture, const char *format);

/* Asks an image for what its name means, which fails in this way and says so. */
void assert_resolve_fails(
	struct local_fixture *fixture, const char *name, enum error_kind kind, const char *says);

/* A request that a test follows from its own thread. */
struct local_reading {
	struct source_request request;
	struct local_fixture *fixture;
	struct source *source;
	struct source_fetch *fetch; /* loop only */
	struct loop_task task;
	size_t abort_at;  /* data() says -1 once it has so many bytes; 0: never */
	size_t cancel_at; /* data() cancels the fetch then; 0: never */

	pthread_mutex_t lock;
	pthread_cond_t changed;
	/* guarded by lock */
	struct buffer body;
	bool finished;
	unsigned n_done;
	struct error err;
	char origin[512];
};

/* Reads [off, off + size); fields of *reading may be set before. */
void local_read(struct local_reading *reading, struct local_fixture *fixture, struct source *source,
	uint64_t off, uint64_t size);
void local_reading_clear(struct local_reading *reading);

/* Frees a source on the loop, as the fetcher does. */
void free_source(struct local_fixture *fixture, struct source *source);
