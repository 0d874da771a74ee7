/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/json.h"
#include "terminal_internal.h"

/* The page about one store: a report of report_status(), within 80 columns and, whatever the
 * number of layers, about a screen. @dir: only the mount there; "" for all. */
void status_print(const struct screen *screen, const struct json *report, const char *dir);
