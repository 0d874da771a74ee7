/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

#define NS_PER_SECOND UINT64_C(1000000000)
#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_US UINT64_C(1000)

/* CLOCK_MONOTONIC, in nanoseconds. All deadlines are on this clock. */
uint64_t clock_now_ns(void);

/* CLOCK_REALTIME, in seconds since 1970: for records that people read and for expiry on disk. */
int64_t clock_wall_s(void);
