/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* CRC-32C as EROFS uses it: the seed is all ones, and nothing is inverted at the end. Feed the
 * result of one call to the next to go on. */
enum { CRC32C_SEED = -1 };

uint32_t crc32c(uint32_t crc, const void *data, size_t size);

/* The same without the processor's instruction for it: what crc32c() does where there is none. */
uint32_t crc32c_portable(uint32_t crc, const void *data, size_t size);
