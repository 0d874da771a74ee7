/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

#include "base/cleanup.h"

/* Quantities as people type and read them. The parsers are leaf functions: 0, -EINVAL for what is
 * no such quantity, -ERANGE for what does not fit. */

/* "4096", "64K", "1.5G": powers of 1024 (also "KiB"); "64KB": powers of 1000. Bytes. */
MUST_CHECK int size_parse(const char *text, uint64_t *out);

/* A size a second, with or without "/s": "20M", "2.5MB/s". */
MUST_CHECK int rate_parse(const char *text, uint64_t *bytes_per_s);

/* "500ms", "30s", "2m", "1h"; without a unit seconds. Nanoseconds, never 0. */
MUST_CHECK int duration_parse(const char *text, uint64_t *out_ns);

/* A size, or a part of the file system as "80%" (1 to 100): one of both is set, the other 0. */
MUST_CHECK int quota_parse(const char *text, uint64_t *bytes, unsigned *percent);

enum { QUANTITY_TEXT_SIZE = 24 };

/* "0 B", "999 B", "1.0 KB", "12.3 MB": powers of 1000, as registries count. Return text. */
const char *size_format(uint64_t bytes, char text[QUANTITY_TEXT_SIZE]);

/* "4 s", "3 min", "5 h", "2 days". Returns text. */
const char *duration_format(int64_t seconds, char text[QUANTITY_TEXT_SIZE]);

/* The ending of a noun: "" for one, "s" for any other number. */
const char *plural(uint64_t n);

/* 0 to 100; 100 only when all of it is there, 0 only when nothing is. Of nothing: 100. */
unsigned percent_of(uint64_t part, uint64_t whole);
