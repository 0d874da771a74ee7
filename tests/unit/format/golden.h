/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>

#include "base/bytes.h"
#include "format/toc.h"

/* Files of the directory that the environment variable VARVE_GOLDEN names; whatever goes wrong
 * fails the test. */

/* The file NAME.SUFFIX; empty when there is none. */
struct buffer golden_read(const char *name, const char *suffix);

/* The same of one line, without its newline. */
struct buffer golden_read_line(const char *name, const char *suffix);

/* Calls each() with the name of every blob whose name begins with "should-fail-", or does not. */
void golden_each(bool should_fail, void (*each)(const char *name));

/* The same for the files NAME.SUFFIX. */
void golden_each_file(const char *suffix, bool should_fail, void (*each)(const char *name));

/* Compares with NAME.dump, decodes and verifies every chunk. */
void golden_check_toc(const char *name, const struct buffer *blob, const struct toc *toc);

/* NAME.blob is read as golden_check_toc() wants it; or it is refused as golden_check_error() wants
 * it, and there is no table. */
void golden_check_good(const char *name, int (*parse)(const char *name, const struct buffer *blob,
						 struct toc **toc, struct error *err));
void golden_check_bad(const char *name, int (*parse)(const char *name, const struct buffer *blob,
						struct toc **toc, struct error *err));

/* The message must have NAME.error in it. */
void golden_check_error(const char *name, const struct error *err);
