/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "chunk/unit.h"

/* What every layer format is turned into: the entries of a tar archive in order, and for regular
 * files where their bytes come from. Order matters: a later entry of a name replaces an earlier
 * one. Implicit parents, replaced entries, whiteouts and hard-link chains are the index builder's;
 * a format's own bookkeeping entries (landmarks) are taken out by its parser. */
enum toc_type {
	TOC_DIRECTORY,
	TOC_REGULAR,
	TOC_SYMLINK,
	TOC_HARDLINK,
	TOC_CHARACTER,
	TOC_BLOCK,
	TOC_FIFO,
};

enum {
	TOC_MAX_NAME = 4096, /* bytes of a path; a component is at most 255 */
	TOC_MAX_ENTRIES = 16 << 20,
	TOC_MAX_XATTRS = 1024, /* of one entry; value at most 65535 bytes, name at most 255 */
};

/* One extended attribute of an entry. Where a name occurs twice, the later one counts. */
struct toc_xattr {
	const char *name; /* full: "security.capability" */
	const uint8_t *value;
	uint32_t value_size;
};

/* One unit of a regular file. */
struct toc_chunk {
	uint64_t file_off; /* chunks of a file are contiguous and ascending from 0 */
	uint64_t size;
	uint64_t blob_off;
	uint64_t blob_size;
	uint64_t inner_off;
	uint8_t digest[32];
	uint8_t codec; /* enum codec */
	uint8_t flags; /* UNIT_ZEROS, UNIT_UNVERIFIED */
};

/* One name of the layer. */
struct toc_entry {
	const char
		*name; /* clean: no leading or trailing slash, no empty, "." or ".."; "" is root */
	const char *link_name; /* symlink: as stored; hard link: clean name; otherwise NULL */
	uint64_t size;         /* of a regular file: the sum of its chunks */
	int64_t mtime_s;
	uint32_t mtime_ns;
	uint32_t mode; /* 07777 only */
	uint32_t uid;
	uint32_t gid;
	uint32_t dev_major;
	uint32_t dev_minor;
	uint32_t first_xattr; /* index into toc.xattrs */
	uint32_t n_xattrs;
	uint64_t first_chunk; /* index into toc.chunks */
	uint64_t n_chunks;
	uint8_t type; /* enum toc_type */
};

/* All of a layer. */
struct toc {
	struct toc_entry *entries;
	size_t n_entries;
	struct toc_chunk *chunks;
	size_t n_chunks;
	struct toc_xattr *xattrs;
	size_t n_xattrs;

	/* Blob bytes [0, prefetch_size) are wanted at once (eStargz' landmark). has_landmark with
	 * size 0 asks for none. */
	bool has_landmark;
	uint64_t prefetch_size;

	struct toc_arena *arena; /* private: memory of every string above */
};

/* An empty one. */
MUST_CHECK int toc_new(struct toc **out, struct error *err);
void toc_free(struct toc *toc);
void toc_freep(struct toc **toc);

/* Growing. The entry, chunk or xattr is copied; strings are to come from toc_intern(). */
MUST_CHECK int toc_add_entry(struct toc *toc, const struct toc_entry *entry, struct error *err);
MUST_CHECK int toc_add_chunk(struct toc *toc, const struct toc_chunk *chunk, struct error *err);
MUST_CHECK int toc_add_xattr(
	struct toc *toc, const char *name, const void *value, size_t value_size, struct error *err);

/* A copy of the bytes with a NUL behind them, living as long as the toc; NULL without memory. */
const char *toc_intern(struct toc *toc, const void *data, size_t size);

/**
 * toc_clean_name() - the name of an entry as a path below the root.
 * @out: TOC_MAX_NAME + 1 bytes; "" for the root.
 *
 * Leading "/" and "./", empty and "." components vanish, ".." goes up but never above the root.
 * ERROR_FORMAT: NUL inside, longer than TOC_MAX_NAME, a component longer than 255.
 */
MUST_CHECK int toc_clean_name(const char *name, size_t name_size, char *out, struct error *err);
