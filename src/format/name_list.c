/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of names for messages: what there is, as far as there is room. */
#include "name_list_internal.h"

#include <stdio.h>
#include <string.h>

/* Whether @name stands in the list already. */
static bool is_listed(const struct name_list *list, const char *name)
{
	size_t size = strlen(name);

	for (const char *at = list->text; (at = strstr(at, name)); at++) {
		bool begins = at == list->text || (at >= list->text + 2 && at[-2] == ',');

		if (begins && (at[size] == ',' || !at[size]))
			return true;
	}
	return false;
}

void name_list_add(struct name_list *list, const char *name)
{
	size_t room = sizeof(list->text) - list->used;

	if (list->full || !name || !name[0] || is_listed(list, name))
		return;
	if (strlen(name) + sizeof(", , ...") > room) {
		list->full = true;
		(void)snprintf(list->text + list->used, room, "%s...", list->used ? ", " : "");
		return;
	}
	list->used += (size_t)snprintf(
		list->text + list->used, room, "%s%s", list->used ? ", " : "", name);
}
