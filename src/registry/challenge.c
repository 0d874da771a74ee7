/* SPDX-License-Identifier: Apache-2.0 */
/* Reads WWW-Authenticate headers. */
#include "registry/challenge.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

static bool is_token(char c)
{
	return isalnum((unsigned char)c) || (c && strchr("!#$%&'*+-.^_`|~", c));
}

static const char *skip_token(const char *p)
{
	while (is_token(*p))
		p++;
	return p;
}

static const char *skip_space(const char *p)
{
	return p + strspn(p, " \t\r\n");
}

/* Commas separate challenges as well as parameters, and empty list elements are allowed. */
static const char *skip_separators(const char *p)
{
	return p + strspn(p, " \t\r\n,");
}

static void challenge_clear(struct challenge *challenge)
{
	for (size_t i = 0; i < challenge->n_parameters; i++) {
		free(challenge->parameters[i].name);
		free(challenge->parameters[i].value);
	}
	free(challenge->parameters);
	*challenge = (struct challenge){0};
}

void challenge_list_clear(struct challenge_list *list)
{
	for (size_t i = 0; i < list->n_items; i++)
		challenge_clear(&list->items[i]);
	free(list->items);
	*list = (struct challenge_list){0};
}

/* Reads a quoted string, *p being at the quote. *out is NULL when the quote never ends; then the
 * rest of the header means nothing. */
static int read_quoted(const char **p, char **out)
{
	char *text = malloc(strlen(*p));
	size_t size = 0;
	const char *q;

	*out = NULL;
	if (!text)
		return -1;
	for (q = *p + 1; *q && *q != '"'; q++) {
		if (*q == '\\' && q[1])
			q++;
		text[size++] = *q;
	}
	if (*q != '"') {
		free(text);
		*p = q;
		return 0;
	}
	text[size] = 0;
	*out = text;
	*p = q + 1;
	return 0;
}

/* Reads the value after '='. Unquoted ones may have more characters than a token: servers that
 * forget quotes around a URL exist. */
static int read_value(const char **p, char **out)
{
	size_t size;

	if (**p == '"')
		return read_quoted(p, out);
	size = strcspn(*p, " \t\r\n,");
	*out = strndup(*p, size);
	*p += size;
	return *out ? 0 : -1;
}

static int add_parameter(
	struct challenge *challenge, const char *name, size_t name_size, char *value)
{
	struct challenge_parameter *parameters;
	char *copy;

	if (challenge->n_parameters == CHALLENGE_MAX_PARAMETERS) {
		free(value);
		return 0;
	}
	copy = strndup(name, name_size);
	parameters = reallocarray(
		challenge->parameters, challenge->n_parameters + 1, sizeof(*challenge->parameters));
	if (parameters)
		challenge->parameters = parameters;
	if (!copy || !parameters) {
		free(copy);
		free(value);
		return -1;
	}
	for (char *c = copy; *c; c++)
		*c = (char)tolower((unsigned char)*c);
	parameters[challenge->n_parameters++] = (struct challenge_parameter){copy, value};
	return 0;
}

/* Reads parameters up to what is none: the next scheme, or the end. */
static int read_parameters(const char **p, struct challenge *challenge)
{
	for (;;) {
		const char *name = skip_separators(*p);
		const char *end = skip_token(name);
		const char *equals = skip_space(end);
		char *value;

		*p = name;
		if (end == name || *equals != '=')
			return 0;
		*p = skip_space(equals + 1);
		if (read_value(p, &value) < 0)
			return -1;
		if (!value)
			return 0;
		if (add_parameter(challenge, name, (size_t)(end - name), value) < 0)
			return -1;
	}
}

/* 0 for one that is not known. */
static int scheme_of(const char *name, size_t size)
{
	static const struct {
		const char *name;
		enum challenge_scheme scheme;
	} known[] = {{"basic", CHALLENGE_BASIC}, {"digest", CHALLENGE_DIGEST},
		{"bearer", CHALLENGE_BEARER}};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (strlen(known[i].name) == size && strncasecmp(name, known[i].name, size) == 0)
			return known[i].scheme;
	}
	return 0;
}

/* Owned by the list, or cleared. Equal schemes stay in the order they came. */
static int insert(struct challenge_list *list, struct challenge *challenge)
{
	struct challenge *items;
	size_t i = list->n_items;

	if (!challenge->scheme || list->n_items == CHALLENGE_MAX_COUNT) {
		challenge_clear(challenge);
		return 0;
	}
	items = reallocarray(list->items, list->n_items + 1, sizeof(*items));
	if (!items) {
		challenge_clear(challenge);
		return -1;
	}
	for (; i > 0 && items[i - 1].scheme < challenge->scheme; i--)
		items[i] = items[i - 1];
	items[i] = *challenge;
	list->items = items;
	list->n_items++;
	return 0;
}

static int parse_header(const char *p, struct challenge_list *list)
{
	for (p = skip_separators(p); *p; p = skip_separators(p)) {
		struct challenge challenge = {0};
		const char *end = skip_token(p);

		/* What follows an unknown scheme may be no list of parameters ("Negotiate a/b=").
		 */
		if (end == p || (*end && !strchr(" \t\r\n,", *end))) {
			p += strcspn(p, " \t\r\n,");
			continue;
		}
		challenge.scheme = scheme_of(p, (size_t)(end - p));
		p = end;
		if (read_parameters(&p, &challenge) < 0) {
			challenge_clear(&challenge);
			return -1;
		}
		if (insert(list, &challenge) < 0)
			return -1;
	}
	return 0;
}

int challenge_list_parse(
	const char *const *headers, size_t n_headers, struct challenge_list *out, struct error *err)
{
	struct challenge_list list = {0};

	for (size_t i = 0; i < n_headers; i++) {
		if (parse_header(headers[i], &list) < 0) {
			challenge_list_clear(&list);
			return error_set(err, ERROR_NO_MEMORY, "no memory for a challenge");
		}
	}
	*out = list;
	return 0;
}

const char *challenge_parameter(const struct challenge *challenge, const char *name)
{
	for (size_t i = challenge->n_parameters; i > 0; i--) {
		if (strcmp(challenge->parameters[i - 1].name, name) == 0)
			return challenge->parameters[i - 1].value;
	}
	return NULL;
}
