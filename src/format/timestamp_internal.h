/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* "2024-02-29T23:59:60.123456789+01:30" as time since 1970. Years may have more than four digits
 * and a sign, as Go writes them for times that RFC 3339 cannot express. False when it is no such
 * time. Digits beyond nanoseconds are cut off. */
bool timestamp_parse(const char *text, size_t size, int64_t *seconds, uint32_t *nanoseconds);
