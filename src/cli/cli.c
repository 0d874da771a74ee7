/* SPDX-License-Identifier: Apache-2.0 */
/* What the verbs share: beginnings, endings, paths and members of reports. */
#include "cli_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/error_map.h"
#include "quantity_internal.h"

int cli_fail(const char *verb, bool json, const struct error *err)
{
	const struct screen screen = screen_on(stderr);
	struct json *document;

	if (json) {
		document = report_error(err);
		(void)cli_print_json(verb, document);
		json_free(document);
	} else {
		screen_put(&screen, STYLE_PLAIN, "varve %s: %s", verb, err->message);
		screen_end(&screen);
	}
	return error_exit_code(err->kind);
}

int cli_print_json(const char *verb, const struct json *document)
{
	CLEANUP(buffer_free) struct buffer text = {0};
	struct error err;

	if (json_write(document, true, &text, &err) < 0)
		return cli_fail(verb, false, &err);
	if (fwrite(text.data, 1, text.size, stdout) != text.size || putchar('\n') == EOF ||
		fflush(stdout) != 0) {
		(void)error_set_errno(&err, errno, "write to standard output");
		return cli_fail(verb, false, &err);
	}
	return EXIT_CODE_SUCCESS;
}

/* A command line that cannot be read may still have asked for JSON. */
static bool wants_json(int argc, char **argv)
{
	for (int i = 1; i < argc && argv[i]; i++) {
		if (strcmp(argv[i], "--json") == 0)
			return true;
	}
	return false;
}

bool cli_begin(const struct verb *verb, int argc, char **argv, struct common_arguments *args,
	char ***operands, int *code)
{
	struct error err;
	bool help;

	if (verb_parse(verb, argc, argv, args, operands, &help, &err) < 0) {
		*code = cli_fail(verb->name, wants_json(argc, argv), &err);
		return false;
	}
	if (help) {
		verb_help(stdout, verb);
		*code = EXIT_CODE_SUCCESS;
		return false;
	}
	return true;
}

int cli_absolute(const char *path, char out[PATH_MAX], struct error *err)
{
	char here[PATH_MAX] = "";
	int length;

	if (path[0] != '/' && !getcwd(here, sizeof(here)))
		return error_set_errno(err, errno, "the working directory");
	length = snprintf(out, PATH_MAX, "%s%s%s", path[0] == '/' ? "" : here,
		path[0] == '/' || strcmp(here, "/") == 0 ? "" : "/", path);
	if (length >= PATH_MAX)
		return error_set(err, ERROR_INVALID, "the path is too long: %.200s...", path);
	while (length > 1 && out[length - 1] == '/')
		out[--length] = 0;
	return 0;
}

static int store_path(const char *given, char out[PATH_MAX], struct error *err)
{
	const char *cache = getenv("XDG_CACHE_HOME");
	const char *home = getenv("HOME");
	char path[PATH_MAX];

	if (given)
		return cli_absolute(given, out, err);
	if (geteuid() == 0)
		return cli_absolute("/var/lib/varve", out, err);
	if (cache && cache[0] == '/')
		(void)snprintf(path, sizeof(path), "%s/varve", cache);
	else if (home && home[0] == '/')
		(void)snprintf(path, sizeof(path), "%s/.cache/varve", home);
	else
		return error_set(err, ERROR_INVALID,
			"neither XDG_CACHE_HOME nor HOME is set: name the store with --store=DIR");
	return cli_absolute(path, out, err);
}

int cli_store_dir(const char *given, char out[PATH_MAX], struct error *err)
{
	char real[PATH_MAX];

	if (store_path(given, out, err) < 0)
		return -1;
	/* One name for one store: records and reports compare names. */
	if (realpath(out, real))
		memcpy(out, real, strlen(real) + 1);
	return 0;
}

const char *text_in(const struct json *object, const char *name)
{
	const char *text = json_string(json_get(object, name));

	return text ? text : "";
}

uint64_t number_in(const struct json *object, const char *name)
{
	int64_t number;

	return json_i64(json_get(object, name), &number) && number > 0 ? (uint64_t)number : 0;
}

bool flag_in(const struct json *object, const char *name)
{
	bool flag;

	return json_bool(json_get(object, name), &flag) && flag;
}

const char *ago_format(int64_t when_s, char text[40])
{
	char duration[QUANTITY_TEXT_SIZE];

	if (when_s <= 0)
		(void)snprintf(text, 40, "never");
	else
		(void)snprintf(
			text, 40, "%s ago", duration_format(clock_wall_s() - when_s, duration));
	return text;
}

void put_store(const struct screen *screen, const struct json *store)
{
	char allocated[QUANTITY_TEXT_SIZE], quota[QUANTITY_TEXT_SIZE], left[QUANTITY_TEXT_SIZE];
	uint64_t limit = number_in(store, "quota");

	screen_put(screen, STYLE_BOLD, "store %s", text_in(store, "dir"));
	screen_end(screen);
	screen_line(screen, "  %s used, %s%s, %s free on its file system",
		size_format(number_in(store, "allocated"), allocated),
		limit ? "quota " : "no quota", limit ? size_format(limit, quota) : "",
		size_format(number_in(store, "file_system_free"), left));
	if (!flag_in(store, "caching")) {
		screen_put(screen, STYLE_WARNING, "  nothing new is kept: %s",
			text_in(store, "caching_why"));
		screen_end(screen);
	}
}

/* Today's by the clock, older ones by date. */
static void put_time(const struct screen *screen, int64_t when_s)
{
	time_t when = (time_t)when_s;
	char text[40] = "";
	struct tm local;

	if (localtime_r(&when, &local))
		(void)strftime(text, sizeof(text),
			clock_wall_s() - when_s < 20 * 3600 ? "%H:%M:%S" : "%Y-%m-%d", &local);
	screen_put(screen, STYLE_DIM, "  %-10s ", text);
}

static void put_failure(const struct screen *screen, const struct json *failure)
{
	enum { COLUMN = 13 };
	const char *path = text_in(failure, "path");
	const char *origin = text_in(failure, "origin");
	uint64_t times = number_in(failure, "times");
	char repeated[32] = "";
	char digest[16];
	char where[128];
	char *text;

	put_time(screen, (int64_t)number_in(failure, "when_s"));
	(void)snprintf(where, sizeof(where), "layer %s, unit %ju",
		digest_short(text_in(failure, "layer"), digest),
		(uintmax_t)number_in(failure, "unit"));
	if (times > 1)
		(void)snprintf(repeated, sizeof(repeated), " (%ju times)", (uintmax_t)times);
	if (asprintf(&text, "%s%s%s%s%s%s%s: %s", path, path[0] ? " (" : "", where,
		    path[0] ? ")" : "", origin[0] ? " from " : "", origin, repeated,
		    text_in(failure, "message")) < 0)
		return;
	screen_wrap(screen, COLUMN, STYLE_PLAIN, text);
	free(text);
}

const char *trust_format(const struct json *layer, char text[TRUST_TEXT_SIZE])
{
	const char *trust = text_in(layer, "trust");
	const char *by = strcmp(text_in(layer, "index_by"), "soci") == 0 ? "SOCI" : "varve index";
	char digest[16];

	if (strcmp(trust, "repository-trusted") == 0)
		(void)snprintf(text, TRUST_TEXT_SIZE,
			"its index is repository-trusted (%s %s) until the whole layer is here", by,
			digest_short(text_in(layer, "index"), digest));
	else if (strcmp(trust, "contradicted") == 0)
		(void)snprintf(text, TRUST_TEXT_SIZE, "its reads fail: %.600s",
			text_in(layer, "contradiction"));
	else
		(void)snprintf(text, TRUST_TEXT_SIZE, "its index is %.100s", trust);
	return text;
}

void put_failures(const struct screen *screen, const struct json *failures)
{
	const char *told = "";

	for (size_t i = 0; i < json_length(failures); i++) {
		const struct json *failure = json_at(failures, i);
		const char *advice = text_in(failure, "advice");

		put_failure(screen, failure);
		if (!advice[0] || strcmp(advice, told) == 0)
			continue;
		told = advice;
		screen_put(screen, STYLE_PLAIN, "%13s", "");
		screen_wrap(screen, 13, STYLE_BOLD, advice);
	}
}
