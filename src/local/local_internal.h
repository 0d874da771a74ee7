/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "base/bytes.h"
#include "local/local_image.h"
#include "oci/manifest.h"

/* A regular file that is open. Reference counted; any thread. */
struct local_file {
	atomic_uint refs;
	int fd;        /* owned */
	uint64_t size; /* when it was opened */
	struct timespec mtime;
	char *path; /* owned; for messages */
};

/* ERROR_NOT_FOUND, ERROR_FORMAT when it is something else than a regular file. */
MUST_CHECK int local_file_open(const char *path, struct local_file **out, struct error *err);
struct local_file *local_file_ref(struct local_file *file);
/* NULL is allowed. */
void local_file_unref(struct local_file *file);

/* [off, off + size) lies inside the file as it was. ERROR_FORMAT when it ends earlier by now. */
MUST_CHECK int local_file_read(
	const struct local_file *file, uint64_t off, void *data, size_t size, struct error *err);

/* ERROR_FORMAT when somebody wrote to the file since it was opened. */
MUST_CHECK int local_file_check_unchanged(const struct local_file *file, struct error *err);

/* A file, or a member of an archive. */
struct local_range {
	struct local_file *file; /* a reference; NULL for none */
	uint64_t off;
	uint64_t size;
	bool in_archive; /* the place is worth nothing once the file has changed */
};

void local_range_clear(struct local_range *range);

/* Bytes [off, off + size) of the range, which has them. */
MUST_CHECK int local_range_read(
	const struct local_range *range, uint64_t off, void *data, size_t size, struct error *err);

/* All of it; larger than @limit is ERROR_FORMAT. @out is empty. */
MUST_CHECK int local_range_read_all(
	const struct local_range *range, uint64_t limit, struct buffer *out, struct error *err);

/* An archive as a directory of files. Immutable. */
struct local_archive;
MUST_CHECK int local_archive_open(const char *path, struct local_archive **out, struct error *err);
/* NULL is allowed. */
void local_archive_close(struct local_archive *archive);
/* @path: clean. The errors of tar_members_find(). */
MUST_CHECK int local_archive_find(const struct local_archive *archive, const char *path,
	struct local_range *out, struct error *err);

/* A place in it that was found before. */
struct local_range local_archive_range(
	const struct local_archive *archive, uint64_t off, uint64_t size);

/* A file of an archive under its digest. */
struct local_member {
	struct digest digest;
	uint64_t off;
	uint64_t size;
};

struct local_image;

/* How names and digests are looked up. Called under the image's lock. */
struct local_place {
	/* What @tag means; documents that are in no file are added to the image. */
	int (*resolve)(
		struct local_image *image, const char *tag, struct digest *out, struct error *err);
	/* Where the bytes of this digest are; ERROR_NOT_FOUND names the digest. */
	int (*find)(struct local_image *image, const struct digest *digest, struct local_range *out,
		struct error *err);
};

/* A manifest that was made from what is there. */
struct local_document {
	struct digest digest;
	struct buffer bytes; /* owned */
};

/* An image in files. Reference counted: its blobs need it to find what was not there before. */
struct local_image {
	struct image_source base;
	atomic_uint refs;
	struct image_name name;
	const struct local_place *place;
	struct loop *loop;       /* borrowed */
	struct workers *workers; /* borrowed */
	/* Who bytes come from: the name without tag and digest. */
	char origin[IMAGE_NAME_TEXT_SIZE];

	pthread_mutex_t lock;
	struct local_document *documents; /* guarded by lock */
	size_t n_documents;               /* guarded by lock */

	/* Of archives. */
	struct local_archive *archive; /* guarded by lock; owned; NULL until it was opened */
	struct local_member *members;  /* guarded by lock; owned; of `docker save` archives */
	size_t n_members;              /* guarded by lock */
	bool has_all_members;          /* guarded by lock; of all images, not just of one */
};

/* Whether its path is an archive's. */
bool local_image_is_archive(const struct local_image *image);

struct local_image *local_image_ref(struct local_image *image);
void local_image_unref(struct local_image *image);

/* Takes the bytes, of which nothing is left then. */
MUST_CHECK int local_image_add_document(struct local_image *image, const struct digest *digest,
	struct buffer *bytes, struct error *err);

/* A blob for the fetcher. */
MUST_CHECK int local_source_new(struct local_image *image, const struct descriptor *descriptor,
	struct source **out, struct error *err);

/* A file below the image's path: of the directory, or a member of the archive. @path is relative
 * and clean. ERROR_NOT_FOUND. */
MUST_CHECK int local_open(
	struct local_image *image, const char *path, struct local_range *out, struct error *err);

/* layout.c: the index.json of an image in a layout. Called under the image's lock. */
MUST_CHECK int layout_read_index(
	struct local_image *image, struct manifest_index **out, struct error *err);
extern const struct local_place layout_place;
extern const struct local_place content_store_place;
/* docker.c */
extern const struct local_place docker_archive_place;

/* local_referrers.c: as get_referrers of struct image_source_ops. */
MUST_CHECK int local_get_referrers(struct image_source *base, const struct digest *subject,
	const char *artifact_type, struct buffer *out, struct error *err);
