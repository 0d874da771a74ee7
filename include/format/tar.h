/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "format/toc.h"

/* Reads tar archives (V7, USTAR, GNU, PAX, and the sparse files of GNU in all four forms) that
 * arrive in pieces of any size. Payloads are never copied. Spec: POSIX.1-2017, pax, "pax
 * Interchange Format"; GNU tar manual, "Tar Internals". Where programs disagree about an archive
 * that is out of the ordinary, it is read as Go's archive/tar does, through which every container
 * runtime sees it, unless a comment at the place says otherwise. */
struct tar_reader;

/* A run of a file's bytes that are in the archive. What no segment has is a hole: zeros. */
struct tar_segment {
	uint64_t file_off;
	uint64_t payload_off; /* in the archive */
	uint64_t size;        /* at least 1 */
};

/* One member of an archive. Everything it points to is the reader's, and lives until the last byte
 * of the member's payload was taken: for a member without payload, until the call returns. */
struct tar_entry {
	const char *name;      /* as stored, of the PAX or GNU extension where there is one */
	const char *link_name; /* as stored; NULL unless the type is '1' or '2' */
	uint64_t header_off;   /* of its first header in the archive, extensions included */
	uint64_t payload_off;  /* in the archive; behind the map of a sparse file */
	uint64_t payload_size; /* the segments together; 0 unless the type is '0' */
	uint64_t size;         /* of the file, with holes; 0 unless the type is '0' */
	const struct tar_segment *segments; /* ascending, without gaps in the archive */
	size_t n_segments;
	const struct toc_xattr *xattrs; /* where a name occurs twice, the later one counts */
	size_t n_xattrs;
	int64_t mtime_s;
	uint32_t mtime_ns;
	uint32_t mode; /* 07777 only */
	uint32_t uid;
	uint32_t gid;
	uint64_t dev_major; /* 0 unless the type is '3' or '4' */
	uint64_t dev_minor;
	/* '0' every kind of regular file and, as in GNU tar, whatever is unknown; '1' hard link,
	 * '2' symlink, '3' character device, '4' block device, '5' directory, '6' FIFO */
	char type;
};

/* Called for each member when its headers are complete. 0 goes on, 1 has seen enough, -1 with @err
 * set aborts. */
typedef int tar_entry_fn(void *arg, const struct tar_entry *entry, struct error *err);

/* Called with the next bytes of a member's payload, in order, in the caller's own memory, as often
 * as it takes to cover all segments. Each call stays inside one segment: @file_off is the place of
 * data[0] in the file, tar_reader_off() that in the archive. Returns as tar_entry_fn. */
typedef int tar_payload_fn(void *arg, const struct tar_entry *entry, uint64_t file_off,
	const void *data, size_t size, struct error *err);

/* Only headers are wanted. @each is called with @arg. */
MUST_CHECK int tar_reader_new(
	tar_entry_fn *each, void *arg, struct tar_reader **out, struct error *err);

/* Payloads, too; both are called with @arg. */
MUST_CHECK int tar_reader_new_with_payload(tar_entry_fn *each, tar_payload_fn *payload, void *arg,
	struct tar_reader **out, struct error *err);
void tar_reader_free(struct tar_reader *reader);
void tar_reader_freep(struct tar_reader **reader);

/**
 * tar_reader_feed() - the next bytes of the archive.
 * @err: ERROR_FORMAT with the offset of the header that is wrong; ERROR_UNSUPPORTED for what needs
 *       more than this archive, or is no format of GNU or POSIX.
 *
 * Bytes behind the end of the archive are ignored.
 *
 * Return: 0 go on, 1 a callback has seen enough (then, and after a failure, the reader can only be
 * freed), -1 with @err set.
 */
MUST_CHECK int tar_reader_feed(
	struct tar_reader *reader, const void *data, size_t size, struct error *err);

/* The place in the archive of the next byte to be fed; in a tar_payload_fn, of its data. */
uint64_t tar_reader_off(const struct tar_reader *reader);

/* For callers that can seek: takes up to @most bytes of payload and padding, or of what is behind
 * the end of the archive, as if they had been fed (no callback is called), and returns how many,
 * which is 0 wherever headers are to come. @most is what the file still has. */
uint64_t tar_reader_skip(struct tar_reader *reader, uint64_t most);

/* Whether the archive could end here: ERROR_FORMAT inside a header or payload. Missing padding and
 * trailing zeros are no errors. */
MUST_CHECK int tar_reader_finish(const struct tar_reader *reader, struct error *err);
