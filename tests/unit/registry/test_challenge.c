/* SPDX-License-Identifier: Apache-2.0 */
#include "registry/challenge.h"

#include "support/test.h"

#include <stdio.h>
#include <string.h>

#include "base/bytes.h"

static void list_cleanup(struct challenge_list *list)
{
	challenge_list_clear(list);
}

static char *describe(const struct challenge_list *list)
{
	static const char *const names[] = {"", "basic", "digest", "bearer"};
	struct buffer out = {0};

	for (size_t i = 0; i < list->n_items; i++) {
		const struct challenge *challenge = &list->items[i];

		assert_int_equal(buffer_printf(&out, "%s", names[challenge->scheme]), 0);
		for (size_t j = 0; j < challenge->n_parameters; j++)
			assert_int_equal(
				buffer_printf(&out, " %s=[%s]", challenge->parameters[j].name,
					challenge->parameters[j].value),
				0);
		assert_int_equal(buffer_printf(&out, "\n"), 0);
	}
	assert_int_equal(buffer_printf(&out, "%s", ""), 0);
	return (char *)out.data;
}

struct challenge_case {
	const char *headers[3];
	const char *expected;
};

static const struct challenge_case cases[] = {
	{{"Bearer realm=\"https://auth.example/token\",service=\"registry.example\","
	  "scope=\"repository:a/b:pull,push\""},
		"bearer realm=[https://auth.example/token] service=[registry.example]"
		" scope=[repository:a/b:pull,push]\n"},
	/* Row 34: empty parameters stay, the best scheme comes first. */
	{{"Bearer realm=\"r\",empty=\"\",scope=\"a:b:c,d e:f:g\""},
		"bearer realm=[r] empty=[] scope=[a:b:c,d e:f:g]\n"},
	{{"Basic realm=\"b\"", "Digest realm=\"d\"", "Bearer realm=\"t\""},
		"bearer realm=[t]\ndigest realm=[d]\nbasic realm=[b]\n"},
	{{"Basic realm=\"b\", Bearer realm=\"t\", scope=\"x,y\", Digest realm=\"d\", nonce=n"},
		"bearer realm=[t] scope=[x,y]\ndigest realm=[d] nonce=[n]\nbasic realm=[b]\n"},
	{{"Bearer realm=\"1\"", "bearer realm=\"2\""}, "bearer realm=[1]\nbearer realm=[2]\n"},
	{{"bAsIc REALM=plain"}, "basic realm=[plain]\n"},
	{{"Basic"}, "basic\n"},
	{{"Basic, Bearer"}, "bearer\nbasic\n"},
	{{"Bearer realm = \"spaced\" ,\tservice= x"}, "bearer realm=[spaced] service=[x]\n"},
	{{"Bearer realm=\"a \\\"quoted\\\" \\\\ one\""}, "bearer realm=[a \"quoted\" \\ one]\n"},
	{{"Bearer realm=https://auth.example/token,service=s"},
		"bearer realm=[https://auth.example/token] service=[s]\n"},
	{{",, ,Bearer ,, realm=\"r\",,service=\"s\",,"}, "bearer realm=[r] service=[s]\n"},

	/* Schemes that nobody here speaks. */
	{{"Negotiate, Basic realm=\"b\""}, "basic realm=[b]\n"},
	{{"Negotiate YII/ab+cd==, Basic realm=\"b\""}, "basic realm=[b]\n"},
	{{"Negotiate YIIab==, Basic realm=\"b\""}, "basic realm=[b]\n"},
	{{"NTLM", "Custom realm=\"x\", Bearer realm=\"b\""}, "bearer realm=[b]\n"},

	/* Broken ones. */
	{{""}, ""},
	{{"=,=\"\""}, ""},
	{{"\"Bearer\" realm=\"x\""}, ""},
	{{"Bearer realm=\"never ends", "Basic realm=\"b\""}, "bearer\nbasic realm=[b]\n"},
	{{"Bearer realm=\"ends in a backslash\\"}, "bearer\n"},
	{{"Bearer realm="}, "bearer realm=[]\n"},
	{{"Bearer realm=\"a\"junk=\"b\""}, "bearer realm=[a] junk=[b]\n"},
};

static void headers_are_taken_apart(void **state)
{
	(void)state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CLEANUP(list_cleanup) struct challenge_list list = {0};
		CLEANUP(cleanup_free) char *actual = NULL;
		struct error err = {0};
		size_t n = 0;

		while (n < 3 && cases[i].headers[n])
			n++;
		assert_int_equal(challenge_list_parse(cases[i].headers, n, &list, &err), 0);
		actual = describe(&list);
		if (strcmp(actual, cases[i].expected) != 0)
			fail_msg("case %zu:\n%sinstead of\n%s", i, actual, cases[i].expected);
	}
}

static void the_last_of_equal_parameters_counts(void **state)
{
	(void)state;
	static const char *const header[] = {"Bearer realm=\"a\", Realm=\"b\""};
	CLEANUP(list_cleanup) struct challenge_list list = {0};
	struct error err = {0};

	assert_int_equal(challenge_list_parse(header, 1, &list, &err), 0);
	assert_string_equal(challenge_parameter(&list.items[0], "realm"), "b");
	assert_null(challenge_parameter(&list.items[0], "scope"));
}

static void counts_are_bounded(void **state)
{
	(void)state;
	CLEANUP(buffer_free) struct buffer text = {0};
	CLEANUP(list_cleanup) struct challenge_list list = {0};
	struct error err = {0};
	const char *header;

	for (int i = 0; i < 2 * CHALLENGE_MAX_COUNT; i++)
		assert_int_equal(buffer_printf(&text, "Basic,"), 0);
	assert_int_equal(buffer_printf(&text, "Bearer "), 0);
	for (int i = 0; i < 2 * CHALLENGE_MAX_PARAMETERS; i++)
		assert_int_equal(buffer_printf(&text, "a%d=b,", i), 0);
	header = (const char *)text.data;
	assert_int_equal(challenge_list_parse(&header, 1, &list, &err), 0);
	assert_int_equal(list.n_items, CHALLENGE_MAX_COUNT);

	challenge_list_clear(&list);
	header = strstr(header, "Bearer");
	assert_int_equal(challenge_list_parse(&header, 1, &list, &err), 0);
	assert_int_equal(list.items[0].n_parameters, CHALLENGE_MAX_PARAMETERS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(headers_are_taken_apart),
		cmocka_unit_test(the_last_of_equal_parameters_counts),
		cmocka_unit_test(counts_are_bounded),
	};
	return cmocka_run_group_tests_name("registry/challenge", tests, NULL, NULL);
}
