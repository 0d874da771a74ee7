/* SPDX-License-Identifier: Apache-2.0 */
#include "config/toml.h"

#include "support/test.h"

#include <stdio.h>
#include <string.h>

#include "support/failing_new.h"

static const char hosts[] = "server = \"https://upstream.example.com\"\n"
			    "[host.\"https://b.example.com\"]\n"
			    "  capabilities = [\"pull\", \"resolve\"]\n"
			    "  client = [[\"c.cert\", \"c.key\"], [\"c.pem\", \"\"]]\n"
			    "  skip_verify = false\n"
			    "[host.\"https://a.example.com\"]\n"
			    "[host.\"https://b.example.com\".header]\n"
			    "  x-custom = [\"1\", \"2\"]\n"
			    "  [host.\"https://only-header.example.com\".header]\n"
			    "  authorization = \"Basic x\"\n";

static struct toml_document *parse(const char *text)
{
	struct toml_document *document = NULL;
	struct error err = {0};

	if (toml_parse(text, strlen(text), &document, &err) < 0)
		fail_msg("%s", err.message);
	return document;
}

static void assert_position(const struct toml_value *value, unsigned line, unsigned column)
{
	assert_int_equal(toml_line(value), line);
	assert_int_equal(toml_column(value), column);
}

static void values_have_types_and_positions(void **state)
{
	(void)state;
	CLEANUP(toml_freep)
	struct toml_document *document =
		parse("text = \"a\\u00e9\"\nnumber = -7\n\n  real = 1.5\nflag = true\n"
		      "when = 2024-02-29T12:00:00Z\nlist = [1, [\"x\"]]\n");
	const struct toml_value *root = toml_root(document);
	int64_t number = 0;
	double real = 0;
	bool flag = false;

	assert_string_equal(toml_string(toml_get(root, "text")), "a\xc3\xa9");
	assert_true(toml_integer(toml_get(root, "number"), &number));
	assert_int_equal(number, -7);
	assert_true(toml_float(toml_get(root, "real"), &real));
	assert_true(real == 1.5);
	assert_true(toml_bool(toml_get(root, "flag"), &flag));
	assert_true(flag);
	assert_int_equal(toml_type(toml_get(root, "when")), TOML_TYPE_DATETIME);
	assert_int_equal(toml_length(toml_get(root, "list")), 2);
	assert_string_equal(toml_string(toml_at(toml_at(toml_get(root, "list"), 1), 0)), "x");
	assert_position(toml_get(root, "number"), 2, 10);
	assert_position(toml_get(root, "real"), 4, 10);
	assert_position(toml_at(toml_at(toml_get(root, "list"), 1), 0), 7, 13);
}

static void a_wrong_type_is_refused_by_every_accessor(void **state)
{
	(void)state;
	CLEANUP(toml_freep) struct toml_document *document = parse("number = 1\ntext = \"1\"\n");
	const struct toml_value *root = toml_root(document);
	const struct toml_value *number = toml_get(root, "number");
	int64_t integer;
	double real;
	bool flag;

	assert_null(toml_get(root, "absent"));
	assert_null(toml_get(number, "text"));
	assert_null(toml_at(root, 0));
	assert_null(toml_string(number));
	assert_false(toml_float(number, &real));
	assert_false(toml_bool(number, &flag));
	assert_false(toml_integer(toml_get(root, "text"), &integer));
	assert_int_equal(toml_type(NULL), TOML_TYPE_NONE);
	assert_int_equal(toml_form(number), TOML_FORM_NONE);
	assert_null(toml_string(NULL));
	assert_int_equal(toml_length(NULL), 0);
	assert_int_equal(toml_line(NULL), 0);
}

static void headers_come_in_the_order_of_the_file(void **state)
{
	(void)state;
	CLEANUP(toml_freep) struct toml_document *document = parse(hosts);
	static const struct {
		const char *host;
		size_t n_names;
		unsigned line;
		unsigned column;
	} expected[] = {
		{"https://b.example.com", 2, 2, 1},
		{"https://a.example.com", 2, 6, 1},
		{"https://b.example.com", 3, 7, 1},
		{"https://only-header.example.com", 3, 9, 3},
	};
	size_t n_headers = 0;
	const struct toml_header *headers = toml_headers(document, &n_headers);

	assert_int_equal(n_headers, 4);
	for (size_t i = 0; i < n_headers; i++) {
		assert_int_equal(headers[i].n_names, expected[i].n_names);
		assert_string_equal(headers[i].names[0], "host");
		assert_string_equal(headers[i].names[1], expected[i].host);
		assert_int_equal(headers[i].line, expected[i].line);
		assert_int_equal(headers[i].column, expected[i].column);
		assert_false(headers[i].is_array);
	}
	assert_string_equal(headers[2].names[2], "header");
	assert_string_equal(toml_string(toml_at(toml_get(headers[2].table, "x-custom"), 1)), "2");
}

static void a_table_knows_how_it_came_to_be(void **state)
{
	(void)state;
	CLEANUP(toml_freep)
	struct toml_document *document =
		parse("dotted.inner.value = 1\ninline = {a = 1, b.c = 2, d = {}}\n"
		      "[implied.header]\nx.y = 1\n[implied.header.deeper]\n"
		      "[late.child]\n[late]\n[[arrays.of.tables]]\n[[arrays.of.tables]]\n"
		      "[arrays.of.tables.sub]\n");
	const struct toml_value *root = toml_root(document);
	const struct toml_value *header = toml_get(toml_get(root, "implied"), "header");
	const struct toml_value *of = toml_get(toml_get(root, "arrays"), "of");
	size_t n_headers = 0;

	assert_int_equal(toml_form(root), TOML_FORM_ROOT);
	assert_int_equal(toml_form(toml_get(root, "dotted")), TOML_FORM_DOTTED);
	assert_int_equal(toml_form(toml_get(toml_get(root, "dotted"), "inner")), TOML_FORM_DOTTED);
	assert_int_equal(toml_form(toml_get(root, "inline")), TOML_FORM_INLINE);
	assert_int_equal(toml_form(toml_get(toml_get(root, "inline"), "b")), TOML_FORM_DOTTED);
	assert_int_equal(toml_form(toml_get(toml_get(root, "inline"), "d")), TOML_FORM_INLINE);
	assert_int_equal(toml_form(toml_get(root, "implied")), TOML_FORM_IMPLIED);
	assert_int_equal(toml_form(header), TOML_FORM_HEADER);
	assert_int_equal(toml_form(toml_get(header, "x")), TOML_FORM_DOTTED);
	assert_int_equal(toml_form(toml_get(header, "deeper")), TOML_FORM_HEADER);
	assert_int_equal(toml_form(toml_get(root, "late")), TOML_FORM_HEADER);
	assert_position(toml_get(root, "late"), 7, 1);
	assert_int_equal(toml_form(toml_get(root, "arrays")), TOML_FORM_IMPLIED);
	assert_int_equal(toml_form(of), TOML_FORM_IMPLIED);
	assert_int_equal(toml_form(toml_at(toml_get(of, "tables"), 1)), TOML_FORM_HEADER);

	const struct toml_header *headers = toml_headers(document, &n_headers);
	assert_int_equal(n_headers, 7);
	assert_true(headers[5].is_array);
	assert_int_equal(headers[5].line, 9);
	assert_ptr_equal(headers[6].table, toml_get(toml_at(toml_get(of, "tables"), 1), "sub"));
}

struct keys {
	size_t n;
	const char *key[8];
};

static int collect_key(const char *key, const struct toml_value *value, void *arg)
{
	struct keys *keys = arg;

	(void)value;
	keys->key[keys->n++] = key;
	return keys->n == 3 ? 42 : 0;
}

static void members_are_visited_in_the_order_of_the_file_until_told_to_stop(void **state)
{
	(void)state;
	CLEANUP(toml_freep)
	struct toml_document *document = parse("zebra = 1\nape = 2\n[middle]\na = 0\n[aardvark]\n");
	struct keys keys = {0};

	assert_int_equal(toml_each(toml_root(document), collect_key, &keys), 42);
	assert_int_equal(keys.n, 3);
	assert_string_equal(keys.key[0], "zebra");
	assert_string_equal(keys.key[1], "ape");
	assert_string_equal(keys.key[2], "middle");
	assert_int_equal(toml_each(toml_get(toml_root(document), "ape"), collect_key, &keys), 0);
}

static void an_error_has_line_and_column(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		const char *where;
	} cases[] = {
		{"a = 1\nb = \n", "line 2, column 5: "},
		{"a = 1\n\n[host.x\ny = 2\n", "line 3, column 8: "},
		{"a = 1\na = 2\n", "line 2, column "},
		{"[a]\n[a]\n", "line 2, column 1: "},
		{"a = {b = 1}\n[a.c]\n", "line 2, column "},
		{"a = \"\\u0000\"\n", "line 1, column 5: U+0000 in a string"},
		{"\n\"\\u0000\" = 1\n", "line 2, column 12: U+0000 in a key"},
		{"a = \"\xff\"\n", "line 1, column "},
		{"a = 1\n  [\xc3\xa9]\n", "line 2, column 4: "},
		{"# \xc3\xa9\n[a]\n[.a]\n", "line 3, column 2: "},
		{"just words", "line 1, column "},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct toml_document *document = NULL;
		struct error err = {0};

		assert_int_equal(
			toml_parse(cases[i].text, strlen(cases[i].text), &document, &err), -1);
		assert_null(document);
		assert_int_equal(err.kind, ERROR_INVALID);
		if (strncmp(err.message, cases[i].where, strlen(cases[i].where)) != 0)
			fail_msg("\"%s\" does not begin with \"%s\"", err.message, cases[i].where);
	}
}

static void an_empty_document_is_an_empty_table(void **state)
{
	(void)state;
	struct toml_document *document = NULL;
	size_t n_headers = 1;

	assert_int_equal(toml_parse(NULL, 0, &document, NULL), 0);
	assert_int_equal(toml_type(toml_root(document)), TOML_TYPE_TABLE);
	assert_int_equal(toml_length(toml_root(document)), 0);
	(void)toml_headers(document, &n_headers);
	assert_int_equal(n_headers, 0);
	toml_free(document);
}

static void assert_refused(const char *text, size_t size, const char *why)
{
	struct toml_document *document = NULL;
	struct error err = {0};

	assert_int_equal(toml_parse(text, size, &document, &err), -1);
	assert_int_equal(err.kind, ERROR_INVALID);
	if (!strstr(err.message, why))
		fail_msg("\"%s\" does not say \"%s\"", err.message, why);
}

static char *repeated(const char *text, size_t times, size_t *size)
{
	size_t length = strlen(text);
	char *all = malloc(length * times + 1);

	assert_non_null(all);
	for (size_t i = 0; i < times; i++)
		memcpy(all + i * length, text, length);
	all[length * times] = '\0';
	*size = length * times;
	return all;
}

static void refuses_a_document_above_the_size_limit(void **state)
{
	(void)state;
	size_t size;
	CLEANUP(cleanup_free) char *text = repeated("#", TOML_LIMIT_SIZE + 1, &size);
	struct toml_document *document = NULL;

	assert_refused(text, size, "262145 bytes, more than the limit of 262144");
	assert_int_equal(toml_parse(text, size - 1, &document, NULL), 0);
	toml_free(document);
}

static void nesting_is_bounded_before_it_can_exhaust_a_stack(void **state)
{
	(void)state;
	size_t size;
	CLEANUP(cleanup_free) char *names = repeated("a.", TOML_LIMIT_SIZE / 2 - 8, &size);
	CLEANUP(cleanup_free) char *text = malloc(size + 16);

	assert_non_null(text);
	(void)snprintf(text, size + 16, "%sa=1", names);
	assert_refused(text, strlen(text), "a key of more than 16 names");
	(void)snprintf(text, size + 16, "\n[%sa]", names);
	assert_refused(text, strlen(text), "line 2, ");
	(void)snprintf(text, size + 16, "x = {%sa=1}", names);
	assert_refused(text, strlen(text), "a key of more than 16 names");
	text[0] = 'a';
	text[1] = '=';
	memset(text + 2, '[', size - 2);
	assert_refused(text, size, "line 1, column 35: ");
}

static void dots_in_strings_and_comments_are_not_names(void **state)
{
	(void)state;
#define DOTS "...................."
	CLEANUP(toml_freep)
	struct toml_document *document = parse(
		"# " DOTS "\n\"" DOTS "\" = '" DOTS "'\nquotes = \"\\\"" DOTS "\"\n"
		"multi = \"\"\"\n" DOTS "\\\"\"\"\" # '\nlong = ''''\n" DOTS "''''' # " DOTS "\n"
		"last = \"'" DOTS "\"\nfolded = \"\"\"" DOTS "\\\n\n  x\"\"\"\n");

	assert_string_equal(toml_string(toml_get(toml_root(document), DOTS)), DOTS);
	assert_string_equal(toml_string(toml_get(toml_root(document), "multi")), DOTS "\"");
	assert_string_equal(toml_string(toml_get(toml_root(document), "long")), "'\n" DOTS "''");
	assert_string_equal(toml_string(toml_get(toml_root(document), "folded")), DOTS "x");
#undef DOTS
}

static void a_failed_allocation_is_an_error_wherever_it_happens(void **state)
{
	(void)state;
	unsigned n = 0;
	int result = -1;

	while (result < 0) {
		struct toml_document *document = NULL;
		struct error err = {0};

		failing_new_arm(++n);
		result = toml_parse(hosts, strlen(hosts), &document, &err);
		failing_new_arm(0);
		if (result < 0)
			assert_int_equal(err.kind, ERROR_NO_MEMORY);
		toml_free(document);
	}
	assert_true(n > 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_have_types_and_positions),
		cmocka_unit_test(a_wrong_type_is_refused_by_every_accessor),
		cmocka_unit_test(headers_come_in_the_order_of_the_file),
		cmocka_unit_test(a_table_knows_how_it_came_to_be),
		cmocka_unit_test(members_are_visited_in_the_order_of_the_file_until_told_to_stop),
		cmocka_unit_test(an_error_has_line_and_column),
		cmocka_unit_test(an_empty_document_is_an_empty_table),
		cmocka_unit_test(refuses_a_document_above_the_size_limit),
		cmocka_unit_test(nesting_is_bounded_before_it_can_exhaust_a_stack),
		cmocka_unit_test(dots_in_strings_and_comments_are_not_names),
		cmocka_unit_test(a_failed_allocation_is_an_error_wherever_it_happens),
	};
	return cmocka_run_group_tests_name("config/toml", tests, NULL, NULL);
}
