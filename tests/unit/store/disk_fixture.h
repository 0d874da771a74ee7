/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "store_fixture.h"

enum { MIB = 1 << 20, DISK_SIZE = 24 * MIB };

enum disk_kind { DISK_EXT4, DISK_TMPFS, DISK_XFS };

/* A small file system in a mount namespace of this process, with the directory of a store that is
 * not open. */
struct disk {
	enum disk_kind kind;
	char image[64]; /* empty: there is none */
	char path[64];
	struct fixture *fixture;
};

/* Skips the test, saying why, where such a thing cannot be made. */
struct disk *disk_make(enum disk_kind kind);
void disk_remove(struct disk *disk);
void disk_remount(struct disk *disk, bool read_only);

/* For work on the image. */
void disk_unmount(struct disk *disk);
void disk_mount(struct disk *disk);

/* The exit status of a shell command. */
int disk_run(const char *command);
