/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>

#include "daemon/mountinfo.h"

enum { MOUNT_USERS_TEXT_SIZE = 256 };

/**
 * mount_users() - name processes that keep a mount busy.
 * @out: "4711 (bash), 4712 (tail) and others"; "" when none was found: other users' processes can
 *       be seen by root only, and mounts in other mount namespaces by nobody.
 *
 * Looks at working and root directories, open files and maps through /proc, without touching the
 * mount. Return: out.
 */
const char *mount_users(const struct mountinfo_entry *mount, char out[MOUNT_USERS_TEXT_SIZE]);
