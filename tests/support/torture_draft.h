/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "index/erofs_writer.h"

/* A tree of everything that is hard about trees, over two devices. Files' bytes are whatever the
 * devices hold at their places. */
enum { TORTURE_DEVICES = 2, TORTURE_MANY = 10000 };

/* Finished; *devices are filled in. Fails the test (or aborts) on any error. */
struct draft *torture_draft_new(struct erofs_device devices[TORTURE_DEVICES]);

extern const uint8_t torture_key[32];

/* Small pieces of trees, for tests that build their own. */
struct draft_inode *torture_add(
	struct draft *draft, struct draft_inode *parent, const char *name, uint32_t mode);
struct draft_inode *torture_add_symlink(
	struct draft *draft, struct draft_inode *parent, const char *name, const char *target);
struct draft_inode *torture_add_file(struct draft *draft, struct draft_inode *parent,
	const char *name, unsigned device, uint64_t data_off, uint64_t size);
void torture_add_xattr(struct draft *draft, struct draft_inode *inode, const char *name,
	const char *value, size_t size);
