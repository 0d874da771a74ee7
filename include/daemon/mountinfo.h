/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>

#include "base/error.h"

/* The mounts of this mount namespace, as the kernel lists them: found without touching any of
 * them, so also when one hangs. Spec: proc(5), /proc/PID/mountinfo. */

/* One line. Strings are unescaped and borrowed from the table. */
struct mountinfo_entry {
	int id;
	int parent;
	unsigned major; /* of st_dev of its files */
	unsigned minor;
	const char *root; /* which directory of the file system is mounted: "/" unless bound */
	const char *dir;  /* as seen from this process' root */
	const char *type; /* "fuse.varve" */
	const char *source;
	const char *options;       /* of the mount */
	const char *super_options; /* of the file system */
};

/* Immutable once read. */
struct mountinfo {
	char *text;                      /* owned; what the strings point into */
	struct mountinfo_entry *entries; /* owned */
	size_t n_entries;
};

/* Reads /proc/self/mountinfo. mountinfo_clear() releases what was read. */
MUST_CHECK int mountinfo_read(struct mountinfo *out, struct error *err);

/* The same from text; a line that breaks the format is ERROR_FORMAT with its number. */
MUST_CHECK int mountinfo_parse(
	const void *data, size_t size, struct mountinfo *out, struct error *err);
/* A zeroed table is allowed. */
void mountinfo_clear(struct mountinfo *mounts);

/* The mount that a look-up of dir (absolute, without "." or trailing slash) ends in: the topmost
 * one there. NULL when dir is no mount point. */
const struct mountinfo_entry *mountinfo_at(const struct mountinfo *mounts, const char *dir);

/* The mount with this id (statx's stx_mnt_id), or NULL. */
const struct mountinfo_entry *mountinfo_with_id(const struct mountinfo *mounts, int id);

/* The first mount of the file system with this device number, or NULL. */
const struct mountinfo_entry *mountinfo_with_device(
	const struct mountinfo *mounts, unsigned major, unsigned minor);

/* The mount that path (absolute) lies in, by its text alone: the deepest mount point that is a
 * prefix of it. NULL when there is none. */
const struct mountinfo_entry *mountinfo_holding(const struct mountinfo *mounts, const char *path);
