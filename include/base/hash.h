/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Of anything, for tables in memory: never stored, and no proof of anything. Names come from
 * outside: a seed that nobody can know keeps them from being chosen to collide. */
uint64_t hash_bytes(uint64_t seed, const void *data, size_t size);
