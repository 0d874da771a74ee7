/* SPDX-License-Identifier: Apache-2.0 */
/* Parses the command line of a verb by its table of options. */
#include "options_internal.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "quantity_internal.h"

enum { MAX_OPTIONS = 48, LONG_BASE = 256, HELP_VALUE = 1 };

/* The list in the form of getopt_long(3). */
struct getopt_table {
	struct option longs[MAX_OPTIONS + 2];
	char shorts[2 * MAX_OPTIONS + 8];
};

static bool takes_value(const struct option_spec *option)
{
	return option->kind != OPTION_FLAG && option->kind != OPTION_TEXT_OPTIONAL;
}

static void make_table(const struct option_spec *options, struct getopt_table *out)
{
	char *shorts = out->shorts;
	size_t i;

	*out = (struct getopt_table){0};
	*shorts++ = ':'; /* a missing value is told from an unknown option */
	*shorts++ = 'h';
	for (i = 0; options[i].name && i < MAX_OPTIONS; i++) {
		out->longs[i] = (struct option){
			.name = options[i].name,
			.has_arg = takes_value(&options[i])         ? required_argument
				   : options[i].kind == OPTION_FLAG ? no_argument
								    : optional_argument,
			.val = LONG_BASE + (int)i,
		};
		if (options[i].letter) {
			*shorts++ = options[i].letter;
			if (takes_value(&options[i]))
				*shorts++ = ':';
		}
	}
	out->longs[i] = (struct option){.name = "help", .val = HELP_VALUE};
}

static const struct option_spec *spec_of(const struct option_spec *options, int value)
{
	if (value >= LONG_BASE)
		return &options[value - LONG_BASE];
	for (; options->name; options++) {
		if (value && options->letter == value)
			return options;
	}
	return NULL;
}

const struct option_spec *option_find(const struct option_spec *options, const char *name)
{
	for (; options->name; options++) {
		if (strcmp(options->name, name) == 0)
			return options;
	}
	return NULL;
}

/* Levenshtein distance of two short names; at most 31 letters count. */
static unsigned distance(const char *a, const char *b)
{
	enum { MAX = 31 };
	size_t a_size = strnlen(a, MAX), b_size = strnlen(b, MAX);
	unsigned row[MAX + 1];

	for (size_t j = 0; j <= b_size; j++)
		row[j] = (unsigned)j;
	for (size_t i = 1; i <= a_size; i++) {
		unsigned diagonal = row[0];

		row[0] = (unsigned)i;
		for (size_t j = 1; j <= b_size; j++) {
			unsigned best = diagonal + (a[i - 1] != b[j - 1]);

			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			diagonal = row[j];
			row[j] = best;
		}
	}
	return row[b_size];
}

const char *option_nearest(const struct option_spec *options, const char *text)
{
	const char *nearest = NULL;
	unsigned best = 4; /* further away is no slip of the finger */

	for (; options->name; options++) {
		unsigned n = distance(options->name, text);

		if (n < best) {
			best = n;
			nearest = options->name;
		}
	}
	return nearest;
}

static int bad_value(const struct option_spec *option, const char *value, const char *expected,
	struct error *err)
{
	return error_set(err, ERROR_INVALID, "--%s=%s: expected %s", option->name, value, expected);
}

static int set_choice(
	const struct option_spec *option, const char *value, int *out, struct error *err)
{
	char list[256] = "";

	for (int i = 0; option->choices[i]; i++) {
		size_t used = strlen(list);

		if (strcmp(option->choices[i], value) == 0) {
			*out = i;
			return 0;
		}
		(void)snprintf(list + used, sizeof(list) - used, "%s%s", i ? ", " : "one of ",
			option->choices[i]);
	}
	return bad_value(option, value, list, err);
}

static int set_quantity(
	const struct option_spec *option, const char *value, void *field, struct error *err)
{
	struct option_quota *quota = field;

	switch (option->kind) {
	case OPTION_SIZE:
		if (size_parse(value, field) < 0)
			return bad_value(option, value, "a size like 512M or 20G", err);
		return 0;
	case OPTION_RATE:
		if (rate_parse(value, field) < 0)
			return bad_value(option, value, "bytes a second, like 20M/s", err);
		return 0;
	case OPTION_DURATION:
		if (duration_parse(value, field) < 0)
			return bad_value(option, value, "a time like 500ms, 30s or 2m", err);
		return 0;
	default:
		if (quota_parse(value, &quota->bytes, &quota->percent) < 0)
			return bad_value(option, value, "a size like 20G, or 1% to 100%", err);
		return 0;
	}
}

int option_set(const struct option_spec *option, const char *value, void *args, struct error *err)
{
	void *field = (char *)args + option->off;

	if (!value && takes_value(option))
		return error_set(err, ERROR_INVALID, "--%s needs a value: --%s=%s", option->name,
			option->name, option->value);
	if (value && option->kind == OPTION_FLAG)
		return error_set(err, ERROR_INVALID, "--%s takes no value", option->name);

	switch (option->kind) {
	case OPTION_FLAG:
		*(bool *)field = true;
		return 0;
	case OPTION_TEXT:
		if (!*value)
			return error_set(
				err, ERROR_INVALID, "--%s: the value is empty", option->name);
		*(const char **)field = value;
		return 0;
	case OPTION_TEXT_OPTIONAL:
		*(struct option_text *)field = (struct option_text){true, value};
		return 0;
	case OPTION_CHOICE:
		return set_choice(option, value, field, err);
	default:
		return set_quantity(option, value, field, err);
	}
}

/* What getopt_long() could not read: the word itself is in argv, or the letter in optopt. */
static int refuse(const struct verb *verb, char **argv, int found, struct error *err)
{
	const char *word = optind > 0 ? argv[optind - 1] : "";
	const struct option_spec *option = spec_of(verb->options, optopt);
	const char *nearest = NULL;
	char name[64];

	if (found == ':' && option)
		return option_set(option, NULL, NULL, err);
	if (optopt > 0 && optopt < LONG_BASE && optopt != HELP_VALUE)
		return error_set(err, ERROR_INVALID,
			"unknown option -%c: `varve %s --help` lists the options", optopt,
			verb->name);
	if (optopt)
		return error_set(err, ERROR_INVALID, "%s: this option takes no value", word);

	(void)snprintf(name, sizeof(name), "%.*s", (int)strcspn(word + 2, "="), word + 2);
	nearest = option_nearest(verb->options, name);
	return error_set(err, ERROR_INVALID,
		"unknown option %s:%s%s%s `varve %s --help` lists the options", word,
		nearest ? " did you mean --" : "", nearest ? nearest : "", nearest ? "?" : "",
		verb->name);
}

static int check_operands(const struct verb *verb, int n, char **operands, struct error *err)
{
	if (n < (int)verb->min_operands)
		return error_set(err, ERROR_INVALID, "usage: varve %s [OPTIONS] %s", verb->name,
			verb->operands);
	if (n > (int)verb->max_operands)
		return error_set(err, ERROR_INVALID,
			"\"%s\" is one word too many; usage: varve %s [OPTIONS] %s",
			operands[verb->max_operands], verb->name, verb->operands);
	for (int i = 0; i < n; i++) {
		if (!operands[i][0])
			return error_set(err, ERROR_INVALID,
				"operand %d is empty; usage: varve %s [OPTIONS] %s", i + 1,
				verb->name, verb->operands);
	}
	return 0;
}

int verb_parse(const struct verb *verb, int argc, char **argv, void *args, char ***operands,
	bool *help, struct error *err)
{
	struct getopt_table table;
	int found;

	make_table(verb->options, &table);
	*help = false;
	opterr = 0;
	optind = 0; /* glibc: start afresh */
	while ((found = getopt_long(argc, argv, table.shorts, table.longs, NULL)) != -1) {
		const struct option_spec *option;

		if (found == HELP_VALUE || found == 'h') {
			*help = true;
			return 0;
		}
		if (found == '?' || found == ':')
			return refuse(verb, argv, found, err);
		option = spec_of(verb->options, found);
		if (option_set(option, optarg, args, err) < 0)
			return -1;
	}
	*operands = argv + optind;
	return check_operands(verb, argc - optind, *operands, err);
}
