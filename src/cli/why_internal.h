/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/json.h"
#include "terminal_internal.h"

/* The page about one file: a report of report_why(), or {"mount", "reference", "upper"} for a file
 * that lies on top of the image. */
void why_print(const struct screen *screen, const struct json *report);
