/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/bytes.h"
#include "format/toc.h"

/* A table of contents as text, one line for each entry, xattr and chunk:
 *
 *   landmark 5120                  or "landmark none"
 *   dir usr 0755 0:0 1700000000
 *   reg usr/bin/x 0755 0:0 1700000000.5 size 70000
 *     xattr security.capability 0100
 *     chunk 0+65536 at 2048+31000 inner 0 gzip 9f86d081884c7d65
 *   symlink bin 0777 0:0 0 -> usr/bin
 *   char dev/null 0666 0:0 0 dev 1:3
 *
 * Bytes outside printable ASCII are \xNN. Aborts the test program without memory. */
void dump_toc(const struct toc *toc, struct buffer *out);
