/* SPDX-License-Identifier: Apache-2.0 */
/* Links to the next page of a list, in the headers of an answer. */
#include "link_internal.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

enum { MAX_HEADERS = 16 };

static const char *skip_spaces(const char *text)
{
	return text + strspn(text, " \t");
}

/* A token or a quoted string; *size is its length without quotes. NULL: it does not end. */
static const char *take_value(const char *text, const char **value, size_t *size)
{
	if (*text != '"') {
		*value = text;
		*size = strcspn(text, " \t;,");
		return text + *size;
	}
	*value = ++text;
	while (*text && *text != '"')
		text += *text == '\\' && text[1] ? 2 : 1;
	*size = (size_t)(text - *value);
	return *text ? text + 1 : NULL;
}

/* Whether a list of relations, separated by spaces, has this one. */
static bool has_relation(const char *list, size_t size, const char *relation)
{
	size_t wanted = strlen(relation);

	for (size_t i = 0; i + wanted <= size; i++) {
		bool begins = i == 0 || list[i - 1] == ' ';
		bool ends = i + wanted == size || list[i + wanted] == ' ';

		if (begins && ends && strncasecmp(list + i, relation, wanted) == 0)
			return true;
	}
	return false;
}

/* The parameters of one link; *is_next when its relation is that. NULL: not understood. */
static const char *take_parameters(const char *text, bool *is_next)
{
	*is_next = false;
	for (text = skip_spaces(text); *text == ';'; text = skip_spaces(text)) {
		const char *value;
		size_t name_size, size;
		const char *name = skip_spaces(text + 1);

		name_size = strcspn(name, " \t=;,");
		text = skip_spaces(name + name_size);
		if (*text != '=')
			continue;
		text = take_value(skip_spaces(text + 1), &value, &size);
		if (!text)
			return NULL;
		if (name_size == 3 && strncasecmp(name, "rel", 3) == 0)
			*is_next = has_relation(value, size, "next");
	}
	return text;
}

/* <reference>; rel="next", <another>; rel=... */
static int find_in(const char *text, char **out)
{
	for (text = skip_spaces(text); *text == '<'; text = skip_spaces(text)) {
		const char *reference = text + 1;
		size_t size = strcspn(reference, ">");
		bool is_next;

		if (!reference[size])
			return 0;
		text = take_parameters(reference + size + 1, &is_next);
		if (!text)
			return 0;
		if (is_next) {
			*out = strndup(reference, size);
			return *out ? 0 : -ENOMEM;
		}
		while (*text == ',')
			text = skip_spaces(text + 1);
	}
	return 0;
}

int link_find_next(const struct http_headers *headers, char **out)
{
	*out = NULL;
	for (size_t i = 0; i < MAX_HEADERS && !*out; i++) {
		const char *text = http_headers_at(headers, "Link", i);

		if (!text)
			return 0;
		if (find_in(text, out) < 0)
			return -ENOMEM;
	}
	return 0;
}
