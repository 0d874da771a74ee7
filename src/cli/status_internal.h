/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/json.h"
#include "terminal_internal.h"

/* A layer of any report, in a few words: what is fetched with a byte of it. Returns text. */
enum { ACCESS_TEXT_SIZE = 80 };
const char *access_format(const struct json *layer, char text[ACCESS_TEXT_SIZE]);

/* The page about one store: a report of report_status(), within 80 columns and, whatever the
 * number of layers, about a screen. @dir: only the mount there; "" for all. */
void status_print(const struct screen *screen, const struct json *report, const char *dir);
