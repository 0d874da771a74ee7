/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* How the C library keeps freed memory. A node that was busy once must not look busy for ever. */

/* For a process with a few threads that allocate little and a few large things now and then: at the
 * start, before the first thread. */
void heap_configure(void);

/* Gives back to the system what the C library keeps of freed memory. Takes a few milliseconds: not
 * on a loop. */
void heap_trim(void);
