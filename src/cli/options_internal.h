/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/error.h"

/* Command lines from tables: a verb lists its options once, and parsing, help and mount(8)'s
 * -o come from that list. */

/* What an option sets in the verb's structure of arguments. */
enum option_kind {
	OPTION_FLAG,          /* bool: true */
	OPTION_TEXT,          /* const char *; borrowed from argv */
	OPTION_TEXT_OPTIONAL, /* struct option_text */
	OPTION_CHOICE,        /* int: which of the choices */
	OPTION_SIZE,          /* uint64_t, bytes */
	OPTION_RATE,          /* uint64_t, bytes a second */
	OPTION_DURATION,      /* uint64_t, nanoseconds */
	OPTION_QUOTA,         /* struct option_quota */
};

/* Of an option that may come without a value. */
struct option_text {
	bool given;
	const char *value; /* or NULL */
};

/* One of both, the other is 0. */
struct option_quota {
	uint64_t bytes;
	unsigned percent;
};

/* One option. A list ends with a row whose name is NULL. */
struct option_spec {
	const char *name; /* without "--" */
	char letter;      /* of the short form, or 0 */
	enum option_kind kind;
	size_t off;                 /* of what it sets */
	const char *value;          /* what help calls its value: "DIR"; NULL for flags */
	const char *const *choices; /* OPTION_CHOICE: NULL-terminated */
	const char *help;           /* one sentence without its full stop */
	const char *fallback;       /* what holds without it, for help; or NULL */
};

/* A verb of the program: `varve NAME OPERANDS`. */
struct verb {
	const char *name;     /* "cache verify" for a verb of two words */
	const char *operands; /* "REF DIR"; "" for none */
	const char *summary;  /* one line of `varve help` */
	const char *text;     /* paragraph of its own help; lines end within 80 columns */
	const struct option_spec *options;
	unsigned min_operands;
	unsigned max_operands;
	/* Returns an exit code. @args: parsed into the verb's structure by verb_parse(). */
	int (*run)(const struct verb *verb, int argc, char **argv);
};

/**
 * verb_parse() - read a verb's command line.
 * @argv:     argv[0] is ignored; borrowed. Reordered: operands come last.
 * @args:     the verb's structure, filled with its defaults; options are set in it.
 * @operands: set to the first operand; NULL-terminated.
 * @help:     set when --help was asked for; nothing else counts then.
 * @err:      ERROR_INVALID: what is wrong, and where to look.
 */
MUST_CHECK int verb_parse(const struct verb *verb, int argc, char **argv, void *args,
	char ***operands, bool *help, struct error *err);

/* Sets one option from its text; value NULL when there is none. As verb_parse(). */
MUST_CHECK int option_set(
	const struct option_spec *option, const char *value, void *args, struct error *err);

/* The option with this name, or NULL. */
const struct option_spec *option_find(const struct option_spec *options, const char *name);

/* The name in the list that text was probably meant to be, or NULL. */
const char *option_nearest(const struct option_spec *options, const char *text);

/* The page that `varve VERB --help` prints. */
void verb_help(FILE *out, const struct verb *verb);
