/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"

#include "support/test.h"

#include <dlfcn.h>
#include <math.h>
#include <string.h>

static struct json *parsed(const char *text)
{
	struct json *document = NULL;
	struct error err = {0};

	if (json_parse(text, strlen(text), &document, &err) < 0)
		fail_msg("%s: %s", text, err.message);
	return document;
}

static void values_are_found_by_key_and_index_and_keep_their_type(void **state)
{
	(void)state;
	CLEANUP(json_freep)
	struct json *document =
		parsed("{\"text\": \"a\\u00e4\\n\", \"list\": [1, -2.5, true, null, {\"k\": []}], "
		       "\"big\": 9223372036854775807, \"small\": -9223372036854775808}");
	const struct json *list = json_get(document, "list");
	int64_t integer = 0;
	double real = 0;
	bool boolean = false;

	assert_true(json_is_object(document));
	assert_int_equal(json_length(document), 4);
	assert_string_equal(json_string(json_get(document, "text")), "a\xc3\xa4\n");
	assert_true(json_is_array(list));
	assert_int_equal(json_length(list), 5);
	assert_true(json_i64(json_at(list, 0), &integer));
	assert_int_equal(integer, 1);
	assert_true(json_f64(json_at(list, 1), &real));
	assert_true(real == -2.5);
	assert_true(json_f64(json_at(list, 0), &real));
	assert_true(real == 1);
	assert_true(json_bool(json_at(list, 2), &boolean));
	assert_true(boolean);
	assert_true(json_is_null(json_at(list, 3)));
	assert_int_equal(json_length(json_get(json_at(list, 4), "k")), 0);
	assert_true(json_i64(json_get(document, "big"), &integer));
	assert_true(integer == INT64_MAX);
	assert_true(json_i64(json_get(document, "small"), &integer));
	assert_true(integer == INT64_MIN);
}

static void absent_values_and_other_types_are_told_by_the_result(void **state)
{
	(void)state;
	CLEANUP(json_freep)
	struct json *document = parsed("{\"s\": \"1\", \"f\": 1.0, \"n\": null}");
	int64_t integer = 7;
	double real = 7;
	bool boolean = true;

	assert_null(json_get(document, "absent"));
	assert_null(json_get(NULL, "s"));
	assert_null(json_get(json_get(document, "s"), "s"));
	assert_null(json_at(document, 0));
	assert_null(json_at(NULL, 0));
	assert_int_equal(json_length(NULL), 0);
	assert_int_equal(json_length(json_get(document, "s")), 0);
	assert_null(json_string(NULL));
	assert_null(json_string(json_get(document, "n")));
	assert_false(json_i64(json_get(document, "f"), &integer));
	assert_false(json_i64(json_get(document, "s"), &integer));
	assert_false(json_i64(NULL, &integer));
	assert_false(json_f64(json_get(document, "s"), &real));
	assert_false(json_bool(json_get(document, "n"), &boolean));
	assert_false(json_is_null(NULL));
	assert_false(json_is_object(NULL));
	assert_false(json_is_array(document));
	assert_int_equal(integer, 7);
	assert_true(boolean);
}

static void a_string_with_an_embedded_nul_is_no_c_string(void **state)
{
	(void)state;
	CLEANUP(json_freep) struct json *document = parsed("{\"a\": \"x\\u0000y\", \"b\": \"\"}");
	CLEANUP(buffer_free) struct buffer out = {0};

	assert_null(json_string(json_get(document, "a")));
	assert_string_equal(json_string(json_get(document, "b")), "");
	assert_int_equal(json_write(document, false, &out, NULL), 0);
	assert_string_equal((char *)out.data, "{\"a\":\"x\\u0000y\",\"b\":\"\"}");
}

#define DEEP_8 "[[[[[[[["
#define DEEP_64 DEEP_8 DEEP_8 DEEP_8 DEEP_8 DEEP_8 DEEP_8 DEEP_8 DEEP_8
#define SHALLOW_8 "]]]]]]]]"
#define SHALLOW_64 SHALLOW_8 SHALLOW_8 SHALLOW_8 SHALLOW_8 SHALLOW_8 SHALLOW_8 SHALLOW_8 SHALLOW_8

static const struct {
	const char *text;
	const char *expected; /* start of the message */
} refused_rows[] = {
	{"{\"a\": 1,\n \"a\": 2}", "JSON line 2 column 4: duplicate object key"},
	{"{} {}", "JSON line 1 column 4: end of file expected"},
	{"{}x", "JSON line 1 column 3: end of file expected"},
	{"[1,]", "JSON line 1 column 4: "},
	{"[1", "JSON line 1 column 2: "},
	{"\n\n  nope", "JSON line 3 column 6: "},
	{" ", "JSON line 1 column 1: "},
	{"[\"a\nb\"]", "JSON line 1 column 3: "},
	{"[\"\xff\"]", "JSON line 1 column "},
	{"[\"\xed\xa0\x80\"]", "JSON line 1 column "},
	{"[\"\\ud800\"]", "JSON line 1 column "},
	{"{\"a\\u0000\": 1}", "JSON line 1 column "},
	{"[9223372036854775808]", "JSON line 1 column "},
	{"[1e400]", "JSON line 1 column "},
	{"[01]", "JSON line 1 column "},
	{"[NaN]", "JSON line 1 column "},
	{"\xef\xbb\xbf{}", "JSON line 1 column "},
	{"[\"\\", "JSON line 1 column "},
	{"]]]]", "JSON line 1 column 1: "},
	{"\n" DEEP_64 "[]" SHALLOW_64, "JSON line 2 column 65: nested deeper than 64"},
	{"{\"a\":" DEEP_64 SHALLOW_64 "}", "JSON line 1 column 69: nested deeper than 64"},
};

static void what_breaks_the_specification_is_refused_with_its_place(void **state)
{
	(void)state;

	for (size_t i = 0; i < sizeof(refused_rows) / sizeof(refused_rows[0]); i++) {
		const char *text = refused_rows[i].text;
		const char *expected = refused_rows[i].expected;
		struct json *document = NULL;
		struct error err = {0};

		assert_int_equal(json_parse(text, strlen(text), &document, &err), -1);
		assert_null(document);
		assert_int_equal(err.kind, ERROR_FORMAT);
		if (strncmp(err.message, expected, strlen(expected)) != 0)
			fail_msg("'%s' gives '%s', not '%s'", text, err.message, expected);
	}
}

static void an_empty_document_and_bytes_after_the_end_are_refused(void **state)
{
	(void)state;
	struct json *document = NULL;
	struct error err = {0};

	assert_int_equal(json_parse(NULL, 0, &document, &err), -1);
	assert_int_equal(err.kind, ERROR_FORMAT);
	assert_int_equal(json_parse("{}\0", 3, &document, &err), -1);
	assert_int_equal(err.kind, ERROR_FORMAT);
	assert_int_equal(json_parse("{\0}", 3, &document, &err), -1);
	assert_int_equal(err.kind, ERROR_FORMAT);
	assert_null(document);
}

static void depth_within_the_limit_and_brackets_in_strings_are_fine(void **state)
{
	(void)state;
	CLEANUP(json_freep) struct json *deep = parsed(DEEP_64 SHALLOW_64);
	CLEANUP(json_freep) struct json *text = parsed("[\"" DEEP_64 DEEP_8 "\\\"[\", \"{\"]");
	CLEANUP(json_freep)
	struct json *wide = parsed("[" DEEP_8 SHALLOW_8 "," DEEP_8 SHALLOW_8 "]");

	assert_int_equal(json_length(deep), 1);
	assert_int_equal(json_length(text), 2);
	assert_int_equal(json_length(wide), 2);
}

static void a_document_of_countless_values_is_refused_before_it_takes_memory(void **state)
{
	(void)state;
	const size_t size = 2 * (size_t)JSON_MAX_VALUES + 3;
	CLEANUP(cleanup_free) char *text = malloc(size);
	struct json *document = NULL;
	struct error err = {0};

	assert_non_null(text);
	for (size_t i = 0; i < size; i++)
		text[i] = i % 2 ? '0' : ',';
	text[0] = '[';
	text[size - 1] = ']';
	assert_int_equal(json_parse(text, size, &document, &err), -1);
	assert_int_equal(err.kind, ERROR_FORMAT);
	assert_non_null(strstr(err.message, "more values than 1048576"));
}

struct seen {
	char keys[64];
	int stop_at;
	int n;
};

static int note_key(const char *key, const struct json *value, void *arg)
{
	struct seen *seen = arg;

	assert_non_null(value);
	strcat(seen->keys, key);
	return ++seen->n == seen->stop_at ? 42 : 0;
}

static void members_are_visited_in_document_order_until_told_to_stop(void **state)
{
	(void)state;
	CLEANUP(json_freep)
	struct json *document =
		parsed("{\"z\": 1, \"a\": 2, \"m\": 3, \"b\": 4, \"y\": 5, \"c\": 6, \"x\": 7}");
	struct seen all = {0};
	struct seen some = {.stop_at = 3};

	assert_int_equal(json_each(document, note_key, &all), 0);
	assert_string_equal(all.keys, "zambycx");
	assert_int_equal(json_each(document, note_key, &some), 42);
	assert_string_equal(some.keys, "zam");
	assert_int_equal(json_each(NULL, note_key, &all), 0);
}

static struct json *built(void)
{
	struct json *root = json_new_object();
	struct json *list = json_new_array();

	json_set(root, "name", json_new_string("a\"\\\n\x01\x7f\xc2\x9b\xc3\xa4"));
	json_set(root, "list", list);
	json_append(list, json_new_i64(INT64_MIN));
	json_append(list, json_new_f64(0.1));
	json_append(list, json_new_f64(3));
	json_append(list, json_new_bool(false));
	json_append(list, json_new_f64(INFINITY));
	json_append(list, json_new_string(NULL));
	json_set(root, "empty", json_new_object());
	json_set(root, "none", json_new_array());
	return root;
}

static void a_built_document_is_written_compactly_for_machines(void **state)
{
	(void)state;
	CLEANUP(json_freep) struct json *root = built();
	CLEANUP(buffer_free) struct buffer out = {0};

	assert_int_equal(buffer_append(&out, "> ", 2), 0);
	assert_int_equal(json_write(root, false, &out, NULL), 0);
	assert_string_equal((char *)out.data,
		"> {\"name\":\"a\\\"\\\\\\n\\u0001\\u007f\\u009b\xc3\xa4\","
		"\"list\":[-9223372036854775808,0.1,3.0,false,null,null],"
		"\"empty\":{},\"none\":[]}");
}

static void a_built_document_is_indented_by_two_for_people(void **state)
{
	(void)state;
	CLEANUP(json_freep) struct json *root = built();
	CLEANUP(buffer_free) struct buffer out = {0};

	json_set(root, "name", json_new_string("x"));
	assert_int_equal(json_write(root, true, &out, NULL), 0);
	assert_string_equal((char *)out.data,
		"{\n  \"name\": \"x\",\n  \"list\": [\n    -9223372036854775808,\n    0.1,\n"
		"    3.0,\n    false,\n    null,\n    null\n  ],\n  \"empty\": {},\n"
		"  \"none\": []\n}");
}

static void what_is_written_reads_back_the_same(void **state)
{
	(void)state;
	CLEANUP(json_freep) struct json *root = built();
	CLEANUP(buffer_free) struct buffer first = {0};
	CLEANUP(buffer_free) struct buffer second = {0};
	struct json *again = NULL;

	assert_int_equal(json_write(root, true, &first, NULL), 0);
	again = parsed((char *)first.data);
	assert_int_equal(json_write(again, true, &second, NULL), 0);
	assert_string_equal((char *)first.data, (char *)second.data);
	json_free(again);
}

static void bytes_that_are_not_utf8_become_replacement_characters(void **state)
{
	(void)state;
	CLEANUP(json_freep) struct json *root = json_new_object();
	CLEANUP(buffer_free) struct buffer out = {0};

	json_set(root, "k\xff", json_new_string("a\x80\xe2\x82|\xf0\x9f\x98\x80"));
	assert_int_equal(json_write(root, false, &out, NULL), 0);
	assert_string_equal((char *)out.data,
		"{\"k\xef\xbf\xbd\":\"a\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd|\xf0\x9f\x98\x80\"}");
}

static void a_key_set_again_keeps_its_place_and_takes_the_new_value(void **state)
{
	(void)state;
	CLEANUP(json_freep) struct json *root = json_new_object();
	CLEANUP(buffer_free) struct buffer out = {0};

	json_set(root, "a", json_new_i64(1));
	json_set(root, "b", json_new_i64(2));
	json_set(root, "a", json_new_string("new"));
	assert_int_equal(json_write(root, false, &out, NULL), 0);
	assert_string_equal((char *)out.data, "{\"a\":\"new\",\"b\":2}");
}

static void a_failed_allocation_anywhere_is_reported_when_writing(void **state)
{
	(void)state;
	CLEANUP(json_freep) struct json *root = json_new_object();
	CLEANUP(buffer_free) struct buffer out = {0};
	struct json *list = json_new_array();
	struct error err = {0};

	assert_int_equal(buffer_append(&out, "kept", 4), 0);
	json_set(root, "list", list);
	assert_int_equal(json_write(NULL, false, &out, &err), -1);
	assert_int_equal(err.kind, ERROR_NO_MEMORY);

	/* What json_new_... returns without memory. */
	json_append(list, NULL);
	json_append(list, json_new_i64(1));
	err.kind = ERROR_NONE;
	assert_int_equal(json_write(root, false, &out, &err), -1);
	assert_int_equal(err.kind, ERROR_NO_MEMORY);
	assert_string_equal((char *)out.data, "kept");
	assert_int_equal(out.size, 4);

	/* Values meant for a container that could not be made are released. */
	json_set(NULL, "k", json_new_string("v"));
	json_append(NULL, json_new_string("v"));
}

static void the_parser_library_does_not_see_our_json_string(void **state)
{
	(void)state;
	void *seen = dlsym(RTLD_DEFAULT, "json_string");
	const char *(*ours)(const struct json *value) = json_string;
	void *ours_as_object;

	memcpy(&ours_as_object, &ours, sizeof(ours_as_object));
	assert_ptr_not_equal(seen, ours_as_object);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_are_found_by_key_and_index_and_keep_their_type),
		cmocka_unit_test(absent_values_and_other_types_are_told_by_the_result),
		cmocka_unit_test(a_string_with_an_embedded_nul_is_no_c_string),
		cmocka_unit_test(what_breaks_the_specification_is_refused_with_its_place),
		cmocka_unit_test(an_empty_document_and_bytes_after_the_end_are_refused),
		cmocka_unit_test(depth_within_the_limit_and_brackets_in_strings_are_fine),
		cmocka_unit_test(a_document_of_countless_values_is_refused_before_it_takes_memory),
		cmocka_unit_test(members_are_visited_in_document_order_until_told_to_stop),
		cmocka_unit_test(a_built_document_is_written_compactly_for_machines),
		cmocka_unit_test(a_built_document_is_indented_by_two_for_people),
		cmocka_unit_test(what_is_written_reads_back_the_same),
		cmocka_unit_test(bytes_that_are_not_utf8_become_replacement_characters),
		cmocka_unit_test(a_key_set_again_keeps_its_place_and_takes_the_new_value),
		cmocka_unit_test(a_failed_allocation_anywhere_is_reported_when_writing),
		cmocka_unit_test(the_parser_library_does_not_see_our_json_string),
	};
	return cmocka_run_group_tests_name("base/json", tests, NULL, NULL);
}
