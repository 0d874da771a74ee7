/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "format/toc.h"
#include "index/layer_index.h"

/* Layers and trees as text, so that a test is what goes in and what comes out.
 *
 * A table of contents has a line per entry: type, name, and what the type needs, by spaces:
 *   d usr          f usr/x 100       l lib usr/lib     h y usr/x
 *   c null 1:3     b disk 8:0        p pipe
 * then attributes in any order: mode=1777 uid=5 gid=6 mtime=7 xattr=user.a:value. A file's number
 * is its size; its bytes are one chunk, or several with chunk=SIZE, behind those of the file
 * before. "d ." is the root.
 *
 * A tree has a line per name, in order, directories before what is below them:
 *   d usr          f usr/x 100       l lib -> usr/lib       c null 1:3
 * d? is an implicit directory, d! an opaque one, w a whiteout, h a hard link that is unresolved;
 * x2 are two names. Attributes follow as above, unless they are the defaults (directories 755,
 * others 644, 0) or overlayfs' marks of an opaque directory. */
struct toc *toc_of_text(const char *text);

/* malloc()ed. */
char *text_of_tree(const struct erofs_reader *reader);

/* Builds and opens the index of a layer; its key begins with this byte. */
struct layer_index *layer_of_text(int dir_fd, uint8_t key, const char *text);
