/* SPDX-License-Identifier: Apache-2.0 */
/* The program: finds the verb and runs it. */
#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>

#include "base/error_map.h"
#include "base/heap.h"
#include "cli_internal.h"

static const struct verb *const verbs[] = {
	&verb_mount,
	&verb_umount,
	&verb_status,
	&verb_why,
	&verb_images,
	&verb_index_create,
	&verb_index_show,
	&verb_index_push,
	&verb_index_pull,
	&verb_index_verify,
	&verb_cache_ls,
	&verb_cache_verify,
};

enum { N_VERBS = sizeof(verbs) / sizeof(verbs[0]) };

/* How many words of the command line name this verb; 0: another one is named. */
static int match(const struct verb *verb, int argc, char **argv)
{
	const char *space = strchr(verb->name, ' ');
	size_t size = space ? (size_t)(space - verb->name) : strlen(verb->name);

	if (argc < 1 || strlen(argv[0]) != size || strncmp(argv[0], verb->name, size) != 0)
		return 0;
	if (!space)
		return 1;
	return argc > 1 && strcmp(argv[1], space + 1) == 0 ? 2 : 0;
}

static const struct verb *find_verb(int argc, char **argv, int *n_words)
{
	for (size_t i = 0; i < N_VERBS; i++) {
		*n_words = match(verbs[i], argc, argv);
		if (*n_words > 0)
			return verbs[i];
	}
	return NULL;
}

static void print_overview(FILE *out)
{
	(void)fprintf(out,
		"varve %s: container images as file trees, fetched while they are read\n\n",
		VARVE_VERSION);
	for (size_t i = 0; i < N_VERBS; i++)
		(void)fprintf(out, "  varve %-13s %s\n", verbs[i]->name, verbs[i]->summary);
	(void)fprintf(out, "  varve %-13s %s\n\n", "help [VERB]", "this page, or that of a verb");
	(void)fprintf(
		out, "`varve VERB --help` lists the options of a verb; varve(1) has it all.\n");
}

/* Whether @word is the first of this verb's two. */
static bool is_in_group(const struct verb *verb, const char *word)
{
	const char *space = strchr(verb->name, ' ');
	size_t size = space ? (size_t)(space - verb->name) : 0;

	return size && strlen(word) == size && strncmp(word, verb->name, size) == 0;
}

static bool is_group(const char *word)
{
	for (size_t i = 0; i < N_VERBS; i++) {
		if (is_in_group(verbs[i], word))
			return true;
	}
	return false;
}

static void print_group(FILE *out, const char *word)
{
	for (size_t i = 0; i < N_VERBS; i++) {
		if (is_in_group(verbs[i], word))
			(void)fprintf(out, "  varve %-13s %s\n", verbs[i]->name, verbs[i]->summary);
	}
	(void)fprintf(out, "\n`varve %s VERB --help` lists the options of one.\n", word);
}

static int unknown(int argc, char **argv)
{
	const char *second = argc > 1 && is_group(argv[0]) ? argv[1] : "";
	const struct screen screen = screen_on(stderr);

	screen_line(&screen, "varve: there is no verb \"%s%s%s\"; `varve help` lists them", argv[0],
		second[0] ? " " : "", second);
	return EXIT_CODE_INVALID;
}

static int help(int argc, char **argv)
{
	const struct verb *verb;
	int n_words;

	if (argc == 0) {
		print_overview(stdout);
		return EXIT_CODE_SUCCESS;
	}
	if (argc == 1 && is_group(argv[0])) {
		print_group(stdout, argv[0]);
		return EXIT_CODE_SUCCESS;
	}
	verb = find_verb(argc, argv, &n_words);
	if (!verb)
		return unknown(argc, argv);
	verb_help(stdout, verb);
	return EXIT_CODE_SUCCESS;
}

static int dispatch(int argc, char **argv)
{
	const struct verb *verb;
	int n_words;

	if (argc == 0) {
		print_overview(stderr);
		return EXIT_CODE_INVALID;
	}
	if (strcmp(argv[0], "help") == 0)
		return help(argc - 1, argv + 1);
	if (strcmp(argv[0], "--help") == 0 || strcmp(argv[0], "-h") == 0)
		return help(0, NULL);
	if (strcmp(argv[0], "--version") == 0) {
		(void)printf("varve %s\n", VARVE_VERSION);
		return EXIT_CODE_SUCCESS;
	}
	if (is_group(argv[0]) && argc == 1) {
		print_group(stderr, argv[0]);
		return EXIT_CODE_INVALID;
	}
	if (is_group(argv[0]) && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0))
		return help(1, argv);
	verb = find_verb(argc, argv, &n_words);
	if (!verb)
		return unknown(argc, argv);
	return verb->run(verb, argc - n_words + 1, argv + n_words - 1);
}

static int is_mount_helper(const char *program)
{
	const char *name = strrchr(program, '/');

	return strcmp(name ? name + 1 : program, "mount.varve") == 0;
}

int main(int argc, char **argv)
{
	int code;

	if (argc < 1)
		return EXIT_CODE_INVALID;
	heap_configure();
	code = is_mount_helper(argv[0]) ? mount_helper_main(argc, argv)
					: dispatch(argc - 1, argv + 1);
	/* A full disk under `varve status > file` must not look like success. */
	if (fflush(stdout) != 0 && code == EXIT_CODE_SUCCESS) {
		(void)fprintf(stderr, "varve: write to standard output: %s\n", strerror(errno));
		code = EXIT_CODE_LOCAL;
	}
	return code;
}
