/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* "a, b, c, ..." for a message. Zero-initialise. */
struct name_list {
	char text[240];
	size_t used;
	bool full;
};

/* Each name once; NULL and "" are none. */
void name_list_add(struct name_list *list, const char *name);
