/* SPDX-License-Identifier: Apache-2.0 */
#include "options_internal.h"

#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct arguments {
	bool flag;
	const char *text;
	struct option_text optional;
	int choice;
	uint64_t size;
	uint64_t rate;
	uint64_t ns;
	struct option_quota quota;
};

static const char *const choices[] = {"auto", "on", "off", NULL};

#define AT(member) offsetof(struct arguments, member)

static const struct option_spec options[] = {
	{"flag", 'f', OPTION_FLAG, AT(flag), NULL, NULL, "set a flag", NULL},
	{"text", 't', OPTION_TEXT, AT(text), "TEXT", NULL, "say something", "nothing"},
	{"optional", 0, OPTION_TEXT_OPTIONAL, AT(optional), "TEXT", NULL, "may be said", NULL},
	{"choice", 0, OPTION_CHOICE, AT(choice), NULL, choices, "choose", "auto"},
	{"size", 0, OPTION_SIZE, AT(size), "SIZE", NULL, "how large", NULL},
	{"rate", 0, OPTION_RATE, AT(rate), "RATE", NULL, "how fast", NULL},
	{"timeout", 0, OPTION_DURATION, AT(ns), "TIME", NULL, "how long", NULL},
	{"quota", 0, OPTION_QUOTA, AT(quota), "SIZE", NULL,
		"how much of a file system that is shared with others may be taken at the very "
		"most",
		NULL},
	{.name = NULL},
};

static const struct verb verb = {
	.name = "try",
	.operands = "A [B]",
	.summary = "for tests",
	.text = "A text.",
	.options = options,
	.min_operands = 1,
	.max_operands = 2,
};

enum { MAX_WORDS = 16 };

/* Parses words, which end with NULL, after the verb's name. */
static int parse(const char *const *words, struct arguments *arguments, char ***operands,
	bool *help, struct error *err)
{
	static char storage[MAX_WORDS][64];
	static char *argv[MAX_WORDS + 1];
	int argc = 1;

	argv[0] = storage[0];
	for (; words[argc - 1]; argc++) {
		(void)snprintf(storage[argc], sizeof(storage[argc]), "%s", words[argc - 1]);
		argv[argc] = storage[argc];
	}
	argv[argc] = NULL;
	*arguments = (struct arguments){0};
	*err = (struct error){0};
	return verb_parse(&verb, argc, argv, arguments, operands, help, err);
}

#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void every_kind_of_option_is_set(void **state)
{
	struct arguments arguments;
	struct error err;
	char **operands;
	bool help;

	(void)state;
	assert_int_equal(
		parse(WORDS("--flag", "--text=a=b", "--optional", "--choice", "off", "--size=2K",
			      "--rate=1M/s", "--timeout=2s", "--quota=50%", "one"),
			&arguments, &operands, &help, &err),
		0);
	assert_true(arguments.flag);
	assert_string_equal(arguments.text, "a=b");
	assert_true(arguments.optional.given);
	assert_null(arguments.optional.value);
	assert_int_equal(arguments.choice, 2);
	assert_int_equal(arguments.size, 2048);
	assert_int_equal(arguments.rate, 1 << 20);
	assert_int_equal(arguments.ns, UINT64_C(2000000000));
	assert_int_equal(arguments.quota.percent, 50);
	assert_string_equal(operands[0], "one");
	assert_null(operands[1]);
}

static void options_may_follow_operands_and_have_short_forms(void **state)
{
	struct arguments arguments;
	struct error err;
	char **operands;
	bool help;

	(void)state;
	assert_int_equal(parse(WORDS("one", "-ft", "text", "two", "--optional=x"), &arguments,
				 &operands, &help, &err),
		0);
	assert_true(arguments.flag);
	assert_string_equal(arguments.text, "text");
	assert_string_equal(arguments.optional.value, "x");
	assert_string_equal(operands[0], "one");
	assert_string_equal(operands[1], "two");
}

static void after_two_hyphens_everything_is_an_operand(void **state)
{
	struct arguments arguments;
	struct error err;
	char **operands;
	bool help;

	(void)state;
	assert_int_equal(parse(WORDS("--", "--flag"), &arguments, &operands, &help, &err), 0);
	assert_false(arguments.flag);
	assert_string_equal(operands[0], "--flag");
}

static void help_wins_over_mistakes_that_follow(void **state)
{
	struct arguments arguments;
	struct error err;
	char **operands;
	bool help;

	(void)state;
	assert_int_equal(
		parse(WORDS("--help", "--nonsense"), &arguments, &operands, &help, &err), 0);
	assert_true(help);
	assert_int_equal(parse(WORDS("-h"), &arguments, &operands, &help, &err), 0);
	assert_true(help);
}

static void mistakes_are_explained(void **state)
{
	static const struct {
		const char *words[4];
		const char *told; /* part of the message */
	} rows[] = {
		{{"--flga", "one"}, "did you mean --flag?"},
		{{"--zzzzzzzzzz", "one"}, "unknown option --zzzzzzzzzz: `varve try --help`"},
		{{"-z", "one"}, "unknown option -z"},
		{{"one", "--text"}, "--text needs a value: --text=TEXT"},
		{{"one", "-t"}, "--text needs a value: --text=TEXT"},
		{{"--text=", "one"}, "--text: the value is empty"},
		{{"--flag=1", "one"}, "--flag=1: this option takes no value"},
		{{"--choice=maybe", "one"}, "--choice=maybe: expected one of auto, on, off"},
		{{"--size=big", "one"}, "--size=big: expected a size"},
		{{"--rate=fast", "one"}, "--rate=fast: expected bytes a second"},
		{{"--timeout=0", "one"}, "--timeout=0: expected a time"},
		{{"--quota=200%", "one"}, "--quota=200%: expected a size like 20G, or 1% to 100%"},
		{{NULL}, "usage: varve try [OPTIONS] A [B]"},
		{{"a", "b", "c"}, "\"c\" is one word too many"},
		{{"a", ""}, "operand 2 is empty"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct arguments arguments;
		struct error err;
		char **operands;
		bool help;

		assert_int_equal(parse(rows[i].words, &arguments, &operands, &help, &err), -1);
		assert_int_equal(err.kind, ERROR_INVALID);
		if (!strstr(err.message, rows[i].told))
			fail_msg("\"%s\" does not contain \"%s\"", err.message, rows[i].told);
	}
}

static void a_unique_beginning_of_a_long_option_is_enough(void **state)
{
	struct arguments arguments;
	struct error err;
	char **operands;
	bool help;

	(void)state;
	assert_int_equal(parse(WORDS("--ch=on", "one"), &arguments, &operands, &help, &err), 0);
	assert_int_equal(arguments.choice, 1);
	assert_int_equal(parse(WORDS("--t=on", "one"), &arguments, &operands, &help, &err), -1);
}

static void the_nearest_option_is_near(void **state)
{
	(void)state;
	assert_string_equal(option_nearest(options, "chioce"), "choice");
	assert_string_equal(option_nearest(options, "siz"), "size");
	assert_null(option_nearest(options, "entirely-different"));
	assert_null(option_nearest(options, "a-very-long-name-of-more-than-thirty-one-letters"));
}

static void help_shows_every_option_and_default_within_80_columns(void **state)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	(void)state;
	assert_non_null(out);
	verb_help(out, &verb);
	assert_int_equal(fclose(out), 0);
	for (const struct option_spec *option = options; option->name; option++) {
		char name[64];

		(void)snprintf(name, sizeof(name), "--%s", option->name);
		assert_non_null(strstr(text, name));
	}
	assert_non_null(strstr(text, "--choice=auto|on|off"));
	assert_non_null(strstr(text, "--optional[=TEXT]"));
	assert_non_null(strstr(text, "-f, --flag"));
	assert_non_null(strstr(text, "(default: nothing)"));
	assert_non_null(strstr(text, "-h, --help"));
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
		assert_true(strlen(line) < 80);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_kind_of_option_is_set),
		cmocka_unit_test(options_may_follow_operands_and_have_short_forms),
		cmocka_unit_test(after_two_hyphens_everything_is_an_operand),
		cmocka_unit_test(help_wins_over_mistakes_that_follow),
		cmocka_unit_test(mistakes_are_explained),
		cmocka_unit_test(a_unique_beginning_of_a_long_option_is_enough),
		cmocka_unit_test(the_nearest_option_is_near),
		cmocka_unit_test(help_shows_every_option_and_default_within_80_columns),
	};

	return cmocka_run_group_tests_name("options", tests, NULL, NULL);
}
