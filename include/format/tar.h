/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* Reads tar archives (V7, USTAR, GNU, PAX) that arrive in pieces of any size. Spec: POSIX.1-2017,
 * pax, "pax Interchange Format"; GNU tar manual, "Basic Tar Format". */
struct tar_reader;

/* One member of an archive. */
struct tar_entry {
	const char *name; /* as stored, of the PAX or GNU extension where there is one; borrowed */
	uint64_t size;    /* bytes of the payload */
	uint64_t payload_off; /* of the payload in the archive */
	char type;            /* type flag; '0' for every kind of regular file */
};

/* Called for each member when its headers are complete; its strings live until it returns. 0 goes
 * on, 1 has seen enough, -1 with @err set aborts. */
typedef int tar_entry_fn(void *arg, const struct tar_entry *entry, struct error *err);

/* @each is called with @arg. */
MUST_CHECK int tar_reader_new(
	tar_entry_fn *each, void *arg, struct tar_reader **out, struct error *err);
void tar_reader_free(struct tar_reader *reader);
void tar_reader_freep(struct tar_reader **reader);

/**
 * tar_reader_feed() - the next bytes of the archive.
 * @err: ERROR_FORMAT with the offset of the header that is wrong; ERROR_UNSUPPORTED for GNU sparse
 *       files in their old form.
 *
 * Bytes behind the end of the archive are ignored.
 *
 * Return: 0 go on, 1 each() has seen enough (then, and after a failure, the reader can only be
 * freed), -1 with @err set.
 */
MUST_CHECK int tar_reader_feed(
	struct tar_reader *reader, const void *data, size_t size, struct error *err);
