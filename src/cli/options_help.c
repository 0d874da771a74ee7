/* SPDX-License-Identifier: Apache-2.0 */
/* The help page of a verb, from its table of options. */
#include "options_internal.h"

#include <string.h>

enum { WIDTH = 79, LABEL_WIDTH = 26 };

/* Words of text from column LABEL_WIDTH on, broken before WIDTH. */
static void put_wrapped(FILE *out, const char *text, size_t *column)
{
	while (*text) {
		size_t size = strcspn(text, " ");

		if (*column > LABEL_WIDTH && *column + 1 + size > WIDTH) {
			(void)fprintf(out, "\n%*s", LABEL_WIDTH, "");
			*column = LABEL_WIDTH;
		} else if (*column > LABEL_WIDTH) {
			(void)fputc(' ', out);
			(*column)++;
		}
		(void)fprintf(out, "%.*s", (int)size, text);
		*column += size;
		text += size;
		text += strspn(text, " ");
	}
}

/* "  -v, --verbose", "      --face=auto|erofs|fuse" */
static void make_label(const struct option_spec *option, char *out, size_t size)
{
	char value[128] = "";

	if (option->kind == OPTION_CHOICE) {
		for (int i = 0; option->choices[i]; i++) {
			size_t used = strlen(value);

			(void)snprintf(value + used, sizeof(value) - used, "%s%s", i ? "|" : "=",
				option->choices[i]);
		}
	} else if (option->kind == OPTION_TEXT_OPTIONAL) {
		(void)snprintf(value, sizeof(value), "[=%s]", option->value);
	} else if (option->value) {
		(void)snprintf(value, sizeof(value), "=%s", option->value);
	}
	(void)snprintf(out, size, "  %c%c%s--%s%s", option->letter ? '-' : ' ',
		option->letter ? option->letter : ' ', option->letter ? ", " : "  ", option->name,
		value);
}

static void put_option(FILE *out, const struct option_spec *option)
{
	size_t column = LABEL_WIDTH;
	char fallback[128];
	char label[160];

	make_label(option, label, sizeof(label));
	if (strlen(label) >= LABEL_WIDTH)
		(void)fprintf(out, "%s\n%*s", label, LABEL_WIDTH, "");
	else
		(void)fprintf(out, "%-*s", LABEL_WIDTH, label);
	put_wrapped(out, option->help, &column);
	if (option->fallback) {
		(void)snprintf(fallback, sizeof(fallback), "(default: %s)", option->fallback);
		put_wrapped(out, fallback, &column);
	}
	(void)fputc('\n', out);
}

void verb_help(FILE *out, const struct verb *verb)
{
	static const struct option_spec help = {
		.name = "help",
		.letter = 'h',
		.help = "print this page",
	};

	(void)fprintf(out, "usage: varve %s [OPTIONS]%s%s\n\n%s\n\nOptions:\n", verb->name,
		verb->operands[0] ? " " : "", verb->operands, verb->text);
	for (const struct option_spec *option = verb->options; option->name; option++)
		put_option(out, option);
	put_option(out, &help);
}
