/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "chunk/decoded.h"

/* All memory behind @decoded: at least decoded_size() bytes and DECODED_SLACK more. */
uint8_t *decoded_base(struct decoded *decoded);
size_t decoded_capacity(const struct decoded *decoded);

/* Room behind the wanted bytes for what follows them in the same frame. */
enum { DECODED_SLACK = 16 << 10 };

/* Makes [off, off + size) of the memory the decoded bytes. Before it is shared. */
void decoded_narrow(struct decoded *decoded, size_t off, size_t size);
