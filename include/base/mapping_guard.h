/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>

/* For libraries that map files themselves, where a mapping of ours cannot stand in: a call that can
 * be left at the page that its disk does not give. */

/**
 * mapping_guard_run() - run call(arg), which may read from maps of files whose disk may fail.
 *
 * Nothing that the call did is undone when it is left, and cleanups of its frames do not run: what
 * it held (memory, locks) is held for ever. So it is the library's function and little else, and
 * what the library worked on is abandoned. Calls may be nested; the innermost one is left. A page
 * of a mapping of base/mapping.h is replaced as ever, and leaves nothing. Any thread.
 *
 * Return: false when it was left.
 */
bool mapping_guard_run(void (*call)(void *arg), void *arg);

/* Leaves the innermost call of this thread, for libraries that tell of a failure by a function that
 * must not return. Returns only when there is none. */
void mapping_guard_leave(void);
