/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

#include "layer/tree.h"

/* Node ids of the FUSE face, which are also its inode numbers: tree id << 40 | nid. The ids of tree
 * 0, the directory of all trees, have a row of their own kind in place of the nid. A mount of one
 * tree knows its root also as 1, as FUSE demands. */
enum { NODE_NID_BITS = 40 };

/* A nid is a position in an index divided by 32; an index has less than 2^45 bytes. */
#define NODE_NID_MASK ((UINT64_C(1) << NODE_NID_BITS) - 1)

/* @tree is at most TREE_ID_MAX, @nid at most NODE_NID_MASK. */
static inline uint64_t node_id(uint32_t tree, uint64_t nid)
{
	return (uint64_t)tree << NODE_NID_BITS | nid;
}

/* The parts of a node id. */
static inline uint32_t node_tree_id(uint64_t node)
{
	return (uint32_t)(node >> NODE_NID_BITS);
}
static inline uint64_t node_nid(uint64_t node)
{
	return node & NODE_NID_MASK;
}
