/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "format/tar.h"
#include "format/toc.h"

/* What an entry may be, for parsers of tables of contents: each function sets its part of @entry,
 * or fails with ERROR_FORMAT and words that name the field. */

/* For messages: the end of a name, which tells more than its beginning, without control characters.
 * Returns @out. */
enum { TOC_SHOWN_SIZE = 3 + 80 + 1 };
const char *toc_entry_shown(const char *name, size_t name_size, char out[TOC_SHOWN_SIZE]);

/* "reg", "dir", "symlink", "hardlink", "char", "block" or "fifo". */
MUST_CHECK int toc_entry_set_type(
	struct toc_entry *entry, const char *type, size_t type_size, struct error *err);

/* The inverse. */
const char *toc_entry_type_name(unsigned type);

/* @name need not be clean. Only a directory may be the root. The type is set. */
MUST_CHECK int toc_entry_set_name(struct toc *toc, struct toc_entry *entry, const char *name,
	size_t name_size, struct error *err);

/* For symlinks and hard links. */
MUST_CHECK int toc_entry_set_link(struct toc *toc, struct toc_entry *entry, const char *link,
	size_t link_size, struct error *err);

/* For devices; nothing otherwise. */
MUST_CHECK int toc_entry_set_device(
	struct toc_entry *entry, uint64_t major, uint64_t minor, struct error *err);

/* All of it, from a member of a tar archive; its xattrs become the last ones of @toc. */
MUST_CHECK int toc_entry_from_tar(
	struct toc *toc, const struct tar_entry *from, struct toc_entry *out, struct error *err);

/* Puts "entry N (name): " before the message of @err; @i counts from 0. */
int toc_entry_blame(size_t i, const char *name, struct error *err);

/* ERROR_FORMAT naming the first attribute that is not the same, with both values. Chunks are not
 * looked at. */
MUST_CHECK int toc_entry_compare(const struct toc *index, const struct toc_entry *expected,
	const struct toc *archive, const struct toc_entry *actual, struct error *err);
