/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a TOML document, every value of which is then visited. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "config/toml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int visit_member(const char *key, const struct toml_value *value, void *arg);

static void visit(const struct toml_value *value)
{
	const char *text = toml_string(value);

	if (toml_line(value) == 0 || (text && strlen(text) > TOML_LIMIT_SIZE))
		__builtin_trap();
	if ((toml_type(value) == TOML_TYPE_TABLE) != (toml_form(value) != TOML_FORM_NONE))
		__builtin_trap();
	for (size_t i = 0; i < toml_length(value); i++) {
		if (toml_at(value, i))
			visit(toml_at(value, i));
	}
	(void)toml_each(value, visit_member, NULL);
}

static int visit_member(const char *key, const struct toml_value *value, void *arg)
{
	(void)arg;
	if (strlen(key) > TOML_LIMIT_SIZE)
		__builtin_trap();
	visit(value);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct toml_document *document;
	const struct toml_header *headers;
	size_t n_headers;

	if (toml_parse(data, size, &document, NULL) < 0)
		return 0;
	visit(toml_root(document));
	headers = toml_headers(document, &n_headers);
	for (size_t i = 0; i < n_headers; i++) {
		if (headers[i].n_names == 0 || toml_form(headers[i].table) != TOML_FORM_HEADER ||
			(i > 0 && headers[i].line <= headers[i - 1].line))
			__builtin_trap();
	}
	toml_free(document);
	return 0;
}
