/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/bytes.h"
#include "base/error.h"

/* What a tar reader finds, as text, one line for each member; only what is not 0 is there:
 *
 *   0 name 1500 [0+1500 at 512] mode 644 owner 1:2 mtime 5.000000001 xattr user.a=6162
 *   0 sparse 5000 [512+100 at 1024] [4000+1000 at 1124]
 *   1 hard link -> target
 *   3 null dev 1:3
 *
 * Fails the test program unless it reads as expected in whatever pieces it comes, and when payloads
 * are skipped. */
void assert_lists(const struct buffer *archive, const char *expected);

/* Refused with these words in the message, in whatever pieces it comes; empties the archive. */
void assert_refused(struct buffer *archive, enum error_kind kind, const char *words);
