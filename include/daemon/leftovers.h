/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"
#include "daemon/mount_record.h"

/* What processes leave that did not end by themselves: mounts that nobody serves any more. */

/* Takes away every mount of one dead record, detaching what is still in use, and then the record.
 * Logs what it removed. */
void leftovers_remove(const char *run_dir, const struct mount_record *record);

/* Detaches what is mounted in the directory of a process, and removes that directory. */
void leftovers_remove_private(const char *run_dir, pid_t pid);

/* leftovers_remove() for all dead records of a run directory, and removes directories without a
 * record. */
MUST_CHECK int leftovers_clean(const char *run_dir, struct error *err);
