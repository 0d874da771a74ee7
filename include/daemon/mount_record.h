/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/json.h"

/* What a process says about the mount it serves, so that status, why and umount find it, and so
 * that somebody can clean up if it dies: <run_dir>/mounts/<pid>.json. The process holds a lock on
 * the file as long as it lives, whatever becomes of its pid. */

/* Strings are never NULL; "" where there is none. */
struct mount_record {
	pid_t pid;
	const char *dir;
	const char *reference; /* full form */
	const char *layer;     /* digest, when one layer alone is mounted */
	const char *platform;
	const char *manifest; /* digest; "" until the mount is usable */
	const char *face;     /* "erofs", "fuse"; "" until the mount is usable */
	const char *store;
	const char *control; /* path of the socket that answers for it */
	const char *log;     /* file, when it does not log to a terminal */
	const char *upper;   /* of a writable mount */
	unsigned major;      /* device of the mount at dir; 0:0 until it is usable */
	unsigned minor;
	int64_t started_s; /* wall clock */

	bool alive;            /* when read: somebody holds the lock */
	struct json *document; /* when read: owned, what the strings point into */
};

/**
 * mount_record_write() - make a record, or replace it.
 * @lock: -1, or what an earlier call gave; the descriptor to keep open while the process lives.
 *
 * Readers see the old record or the new one, and at any time one that is locked.
 */
MUST_CHECK int mount_record_write(
	const char *run_dir, const struct mount_record *record, int *lock, struct error *err);

/* Removes the record of a process. Absent is fine. */
void mount_record_remove(const char *run_dir, pid_t pid);

/* All records of a run directory, dead ones included. */
struct mount_records {
	struct mount_record *records; /* owned */
	size_t n_records;
};

/* A directory that does not exist has none. A record that cannot be read is left out, with a
 * warning. mount_records_clear() releases them. */
MUST_CHECK int mount_records_read(
	const char *run_dir, struct mount_records *out, struct error *err);
/* A zeroed set is allowed. */
void mount_records_clear(struct mount_records *records);

/* The record of the mount with this device, living ones first, or NULL. */
const struct mount_record *mount_records_with_device(
	const struct mount_records *records, unsigned major, unsigned minor);

/* Reads one record from JSON; ERROR_FORMAT names what is wrong. Owns document on success. */
MUST_CHECK int mount_record_parse(
	struct json *document, struct mount_record *out, struct error *err);
