/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "draft_internal.h"
#include "erofs_format.h"
#include "index/erofs_writer.h"
#include "output_file.h"

/* Bytes of a directory's entries, "." and ".." among them, each block but the last filled up. */
uint64_t directory_encoded_size(const struct draft_inode *inode);

/* Appends exactly that many bytes. The nids of everything in it are known. */
MUST_CHECK int directory_append(
	struct output_file *file, const struct draft_inode *inode, struct error *err);

/* Whether an image can hold such an inode; ERROR_UNSUPPORTED says what it cannot. The place of a
 * regular file's bytes is not looked at. */
MUST_CHECK int inode_check(const struct draft_inode *inode, struct error *err);

/* EROFS' number of a file type. */
uint8_t dirent_type_of(uint32_t mode);
