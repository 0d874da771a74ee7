/* SPDX-License-Identifier: Apache-2.0 */
/* TOML documents as C values: toml++ parses, the result is copied into a plain tree in the order of
 * the file, and no exception leaves. */
#include "config/toml.h"

#include <algorithm>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <vector>

/* Errors come as values; the only exceptions left are std::bad_alloc. */
#define TOML_EXCEPTIONS 0
#define TOML_HEADER_ONLY 1
#define TOML_ENABLE_FORMATTERS 0
#define TOML_MAX_NESTED_VALUES 32
#include <toml++/toml.h>

static_assert(TOML_MAX_NESTED_VALUES == TOML_LIMIT_NESTING, "the header names the limit");

struct toml_value {
	enum toml_type type = TOML_TYPE_NONE;
	enum toml_form form = TOML_FORM_NONE;
	unsigned line = 0;
	unsigned column = 0;
	std::string key; /* in the table that holds it */
	std::string string;
	int64_t integer = 0;
	double real = 0;
	bool boolean = false;
	std::vector<std::unique_ptr<toml_value>>
		children; /* of a table (by position) or an array */
};

struct toml_document {
	std::unique_ptr<toml_value> root;
	std::vector<toml_header> headers;
	std::vector<std::vector<const char *>> header_names; /* what headers[].names point into */
};

namespace
{

/* The index just behind the string that opens at text[i]; a broken one ends with its line. */
size_t skip_string(std::string_view text, size_t i, unsigned &line)
{
	const char quote = text[i];
	const std::string_view triple = quote == '"' ? "\"\"\"" : "'''";
	const bool multi_line = text.substr(i, 3) == triple;

	for (i += multi_line ? 3 : 1; i < text.size(); i++) {
		if (text[i] == '\\' && quote == '"' && text.substr(i + 1, 1) != "\n") {
			i++;
		} else if (text[i] == '\n') {
			if (!multi_line)
				return i;
			line++;
		} else if (multi_line && text.substr(i, 3) == triple) {
			/* Up to two quotes before the closing three are content. */
			for (i += 3; text.substr(i, 1) == triple.substr(0, 1); i++)
				;
			return i;
		} else if (!multi_line && text[i] == quote) {
			return i + 1;
		}
	}
	return text.size();
}

/* The line of the first dotted key with too many names; 0 if there is none. toml++ recurses once
 * per name without a limit of its own, so this has to be known before it sees the text. */
unsigned line_of_overlong_key(std::string_view text)
{
	unsigned line = 1;
	int n_names = 1;

	for (size_t i = 0; i < text.size();) {
		const char c = text[i];

		if (c == '"' || c == '\'') {
			i = skip_string(text, i, line);
			continue;
		}
		if (c == '#')
			i = std::min(text.find('\n', i), text.size()) - 1;
		else if (c == '.' && ++n_names > TOML_LIMIT_KEY_NAMES)
			return line;
		else if (c == '\n')
			line++;
		if (c == '\n' || std::string_view("=,[]{}").find(c) != std::string_view::npos)
			n_names = 1;
		i++;
	}
	return 0;
}

bool starts_at(const toml::node &node, toml::source_position position)
{
	return node.source().begin == position;
}

/* toml++ keeps no record of it, but places a table at its own header, at the header that implied
 * it, or at the dotted key that did. */
enum toml_form form_of(const toml::table &table, const toml::key *key)
{
	const toml::source_position begin = table.source().begin;

	if (table.is_inline())
		return TOML_FORM_INLINE;
	if (key && key->source().begin == begin)
		return TOML_FORM_DOTTED;
	for (auto &&[name, child] : table) {
		(void)name;
		if (!child.is_value() && starts_at(child, begin))
			return TOML_FORM_IMPLIED;
	}
	return TOML_FORM_HEADER;
}

class converter
{
      public:
	converter(toml_document &target, struct error *err_out) : document(target), err(err_out)
	{
	}

	bool convert_root(const toml::table &table)
	{
		auto root = std::make_unique<toml_value>();

		root->form = TOML_FORM_ROOT;
		root->line = root->column = 1;
		if (!convert_table(table, *root))
			return false;
		document.root = std::move(root);
		finish_headers();
		return true;
	}

      private:
	toml_document &document;
	struct error *err;
	std::vector<const char *> path; /* names of the tables around the current value */

	bool refuse_zero(const toml_value &value, const char *what)
	{
		error_set(err, ERROR_INVALID, "line %u, column %u: U+0000 in a %s", value.line,
			value.column, what);
		return false;
	}

	bool convert_table(const toml::table &table, toml_value &out)
	{
		out.type = TOML_TYPE_TABLE;
		for (auto &&[key, child] : table) {
			if (!convert_child(child, &key, out))
				return false;
		}
		std::stable_sort(
			out.children.begin(), out.children.end(), [](const auto &a, const auto &b) {
				return a->line != b->line ? a->line < b->line
							  : a->column < b->column;
			});
		return true;
	}

	bool convert_array(const toml::array &array, toml_value &out)
	{
		out.type = TOML_TYPE_ARRAY;
		for (auto &&child : array) {
			if (!convert_child(child, nullptr, out))
				return false;
		}
		return true;
	}

	bool convert_child(const toml::node &node, const toml::key *key, toml_value &parent)
	{
		auto value = std::make_unique<toml_value>();
		const toml::source_position begin = node.source().begin;

		value->line = begin.line;
		value->column = begin.column;
		if (key) {
			value->key = key->str();
			if (value->key.find('\0') != std::string::npos)
				return refuse_zero(*value, "key");
			path.push_back(value->key.c_str());
		}
		if (const toml::table *table = node.as_table()) {
			value->form = form_of(*table, key);
			if (value->form == TOML_FORM_HEADER)
				add_header(*value, !key);
			if (!convert_table(*table, *value))
				return false;
		} else if (const toml::array *array = node.as_array()) {
			if (!convert_array(*array, *value))
				return false;
		} else if (!convert_scalar(node, *value)) {
			return false;
		}
		if (key)
			path.pop_back();
		parent.children.push_back(std::move(value));
		return true;
	}

	bool convert_scalar(const toml::node &node, toml_value &out)
	{
		if (auto string = node.as_string()) {
			out.type = TOML_TYPE_STRING;
			out.string = string->get();
			if (out.string.find('\0') != std::string::npos)
				return refuse_zero(out, "string");
		} else if (auto integer = node.as_integer()) {
			out.type = TOML_TYPE_INTEGER;
			out.integer = integer->get();
		} else if (auto real = node.as_floating_point()) {
			out.type = TOML_TYPE_FLOAT;
			out.real = real->get();
		} else if (auto boolean = node.as_boolean()) {
			out.type = TOML_TYPE_BOOL;
			out.boolean = boolean->get();
		} else {
			out.type = TOML_TYPE_DATETIME;
		}
		return true;
	}

	void add_header(const toml_value &table, bool is_array)
	{
		toml_header header = {};

		header.n_names = path.size();
		header.is_array = is_array;
		header.line = table.line;
		header.column = table.column;
		header.table = &table;
		document.header_names.push_back(path);
		header.names = document.header_names.back().data();
		document.headers.push_back(header);
	}

	void finish_headers()
	{
		std::sort(document.headers.begin(), document.headers.end(),
			[](const toml_header &a, const toml_header &b) { return a.line < b.line; });
	}
};

int parse(std::string_view text, struct toml_document **out, struct error *err)
{
	if (const unsigned line = line_of_overlong_key(text); line > 0)
		return error_set(err, ERROR_INVALID,
			"line %u, column 1: a key of more than %d names", line,
			TOML_LIMIT_KEY_NAMES);

	const toml::parse_result result = toml::parse(text);

	if (!result) {
		const toml::parse_error &failure = result.error();
		const std::string_view why = failure.description();

		return error_set(err, ERROR_INVALID, "line %u, column %u: %.*s",
			unsigned(failure.source().begin.line),
			unsigned(failure.source().begin.column),
			int(std::min(why.size(), size_t(300))), why.data());
	}

	auto document = std::make_unique<toml_document>();

	if (!converter(*document, err).convert_root(result.table()))
		return -1;
	*out = document.release();
	return 0;
}

} // namespace

int toml_parse(const void *data, size_t size, struct toml_document **out, struct error *err)
{
	if (size > TOML_LIMIT_SIZE)
		return error_set(err, ERROR_INVALID,
			"line 1, column 1: %zu bytes, more than the limit of %d", size,
			TOML_LIMIT_SIZE);
	try {
		return parse({static_cast<const char *>(data), size}, out, err);
	} catch (const std::bad_alloc &) {
		return error_set(err, ERROR_NO_MEMORY, "no memory for %zu bytes of TOML", size);
	}
}

void toml_free(struct toml_document *document)
{
	delete document;
}

void toml_freep(struct toml_document **document)
{
	toml_free(*document);
}

const struct toml_value *toml_root(const struct toml_document *document)
{
	return document->root.get();
}

const struct toml_header *toml_headers(const struct toml_document *document, size_t *n_headers)
{
	*n_headers = document->headers.size();
	return document->headers.data();
}

enum toml_type toml_type(const struct toml_value *value)
{
	return value ? value->type : TOML_TYPE_NONE;
}

enum toml_form toml_form(const struct toml_value *value)
{
	return value ? value->form : TOML_FORM_NONE;
}

const struct toml_value *toml_get(const struct toml_value *table, const char *key)
{
	if (toml_type(table) != TOML_TYPE_TABLE)
		return nullptr;
	for (const auto &child : table->children) {
		if (child->key == key)
			return child.get();
	}
	return nullptr;
}

const struct toml_value *toml_at(const struct toml_value *array, size_t i)
{
	if (toml_type(array) != TOML_TYPE_ARRAY || i >= array->children.size())
		return nullptr;
	return array->children[i].get();
}

size_t toml_length(const struct toml_value *table_or_array)
{
	return table_or_array ? table_or_array->children.size() : 0;
}

const char *toml_string(const struct toml_value *value)
{
	return toml_type(value) == TOML_TYPE_STRING ? value->string.c_str() : nullptr;
}

bool toml_integer(const struct toml_value *value, int64_t *out)
{
	if (toml_type(value) != TOML_TYPE_INTEGER)
		return false;
	*out = value->integer;
	return true;
}

bool toml_float(const struct toml_value *value, double *out)
{
	if (toml_type(value) != TOML_TYPE_FLOAT)
		return false;
	*out = value->real;
	return true;
}

bool toml_bool(const struct toml_value *value, bool *out)
{
	if (toml_type(value) != TOML_TYPE_BOOL)
		return false;
	*out = value->boolean;
	return true;
}

unsigned toml_line(const struct toml_value *value)
{
	return value ? value->line : 0;
}

unsigned toml_column(const struct toml_value *value)
{
	return value ? value->column : 0;
}

int toml_each(const struct toml_value *table,
	int (*each)(const char *key, const struct toml_value *value, void *arg), void *arg)
{
	if (toml_type(table) != TOML_TYPE_TABLE)
		return 0;
	for (const auto &child : table->children) {
		const int result = each(child->key.c_str(), child.get(), arg);

		if (result != 0)
			return result;
	}
	return 0;
}

const char *toml_type_name(enum toml_type type)
{
	switch (type) {
	case TOML_TYPE_NONE:
		return "nothing";
	case TOML_TYPE_TABLE:
		return "table";
	case TOML_TYPE_ARRAY:
		return "array";
	case TOML_TYPE_STRING:
		return "string";
	case TOML_TYPE_INTEGER:
		return "integer";
	case TOML_TYPE_FLOAT:
		return "float";
	case TOML_TYPE_BOOL:
		return "boolean";
	case TOML_TYPE_DATETIME:
		return "date or time";
	}
	return "nothing";
}
