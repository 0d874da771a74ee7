/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"

/* Waits for a mount to be taken away by somebody else: a thread that sleeps until the kernel's
 * list of mounts changes. */
struct mount_watch;

/**
 * mount_watch_start() - tell when no mount of a file system is left in this mount namespace.
 * @major, @minor: the device number of its files.
 * @gone: called once, on the watch's thread.
 */
MUST_CHECK int mount_watch_start(unsigned major, unsigned minor, void (*gone)(void *arg), void *arg,
	struct mount_watch **out, struct error *err);

/* No call of gone() from now on. NULL is allowed; not from gone(). */
void mount_watch_free(struct mount_watch *watch);
void mount_watch_freep(struct mount_watch **watch);
