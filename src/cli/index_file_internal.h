/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "index_internal.h"

/* Whether this names a regular file, and no image. */
bool index_file_is(const char *path);

/* All of an index's file. @out is empty. */
MUST_CHECK int index_file_read(const char *path, struct buffer *out, struct error *err);
