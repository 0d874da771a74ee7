/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* A read-only memory map of a file whose disk may fail under it. A page that cannot be read is
 * replaced by zeros and the mapping is marked as failed, instead of SIGBUS ending the process
 * (after thousands of such pages in the process, the whole mapping is replaced, good pages too):
 * who reads from it treats the bytes as hostile anyway, and asks mapping_failed() before it trusts
 * a result. A system call that is given such bytes answers EFAULT instead. */
struct mapping {
	const uint8_t *data;
	size_t size;
	struct mapping_slot *slot; /* private */
};

/* Maps all of fd, which may be closed afterwards. An empty file is ERROR_FORMAT. Installs the
 * process' SIGBUS handler at its first call; a SIGBUS that is not ours goes on to what was
 * installed before. */
MUST_CHECK int mapping_open(int fd, struct mapping *out, struct error *err);

/* Not while another thread still reads from it. A zeroed mapping is allowed. */
void mapping_close(struct mapping *mapping);

/* True from the moment a page could not be read. Any thread. */
bool mapping_failed(const struct mapping *mapping);
