/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>

#include "base/error.h"

/* The file that says who owns a store: locked by the owner (an open file description lock, so that
 * asking who has it never takes it), holding its pid and a line about it. On a read-only file
 * system the lock is shared by all who only read. */
struct lock_file {
	int fd; /* owned */
	bool read_only;
	bool unclean; /* the last owner went without lock_file_release() */
};

MUST_CHECK int lock_file_take(
	int dir_fd, const char *dir, const char *owner, struct lock_file *out, struct error *err);
MUST_CHECK int lock_file_describe(
	struct lock_file *lock, const char *dir, const char *owner, struct error *err);
/* @clean: everything was written; the next owner need not check. */
void lock_file_release(struct lock_file *lock, bool clean);
