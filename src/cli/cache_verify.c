/* SPDX-License-Identifier: Apache-2.0 */
/* `varve cache verify`: is everything in the store what it claims to be? */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/error_map.h"
#include "cli_internal.h"
#include "control/control_client.h"
#include "control/verify_job.h"
#include "quantity_internal.h"
#include "store/store.h"

struct verify_arguments {
	struct common_arguments common; /* first */
	bool repair;
};

/* A verification under way, here or in the process that owns the store. */
struct verification {
	const struct verify_arguments *arguments;
	char store_dir[PATH_MAX];
	char socket[PATH_MAX];  /* of the owner; "" when it runs here */
	struct store *store;    /* owned; when it runs here */
	struct verify_job *job; /* owned; when it runs here */
	bool terminal;          /* progress is drawn */
};

static void verification_end(struct verification *verification)
{
	verify_job_free(verification->job);
	store_close(verification->store);
}

static int ask_owner(struct verification *verification, const char *method, const char *target,
	struct json **out, struct error *err)
{
	bool served;

	if (control_request(
		    verification->socket, method, target, ASK_TIMEOUT_NS, &served, out, err) < 0)
		return -1;
	if (!served)
		return error_set(err, ERROR_UNAVAILABLE,
			"the process that owned %s ended meanwhile: start again",
			verification->store_dir);
	return 0;
}

static int start_here(struct verification *verification, struct error *err)
{
	verification->socket[0] = 0;
	if (!store_exists(verification->store_dir))
		return error_set(
			err, ERROR_NOT_FOUND, "there is no store at %s", verification->store_dir);
	if (ask_open_store(verification->store_dir, "cache verify", &verification->store, err) < 0)
		return -1;
	return verify_job_start(
		verification->store, verification->arguments->repair, &verification->job, err);
}

static int start(struct verification *verification, struct error *err)
{
	const char *target =
		verification->arguments->repair ? "/v1/cache/verify?repair=1" : "/v1/cache/verify";
	struct json *answer;
	bool owned;

	if (cli_store_dir(verification->arguments->common.store, verification->store_dir, err) < 0)
		return -1;
	if (ask_socket(verification->store_dir, &owned, verification->socket, err) < 0)
		return error_prefix(err, "store %s", verification->store_dir);
	if (!owned)
		return start_here(verification, err);
	if (ask_owner(verification, "POST", target, &answer, err) < 0)
		return -1;
	json_free(answer);
	return 0;
}

static int poll_report(struct verification *verification, struct json **out, struct error *err)
{
	if (verification->socket[0])
		return ask_owner(verification, "GET", "/v1/cache/verify", out, err);
	*out = verify_job_report(verification->job);
	return 0;
}

/* Stops it; where it ends with this process anyway there is nothing to tell anybody. */
static void cancel(struct verification *verification)
{
	struct json *answer;
	struct error err;

	if (verification->job)
		verify_job_cancel(verification->job);
	else if (ask_owner(verification, "DELETE", "/v1/cache/verify", &answer, &err) == 0)
		json_free(answer);
}

static void draw(const struct verification *verification, const struct json *report)
{
	enum { BAR = 30 };
	uint64_t total = number_in(report, "total_bytes");
	uint64_t checked = number_in(report, "progress_bytes");
	unsigned percent = total ? percent_of(checked, total) : 0;
	char texts[2][QUANTITY_TEXT_SIZE];
	char bar[BAR + 1];

	if (!verification->terminal)
		return;
	for (unsigned i = 0; i < BAR; i++)
		bar[i] = i < percent * BAR / 100 ? '#' : '.';
	bar[BAR] = 0;
	(void)fprintf(stderr, "\rverifying [%s] %u%%, %s of %s\033[K", bar, percent,
		size_format(checked, texts[0]), size_format(total, texts[1]));
	(void)fflush(stderr);
}

/* Until it has ended; a signal stops it. */
static int follow(struct verification *verification, struct json **out, struct error *err)
{
	const struct timespec pause = {.tv_nsec = 150 * 1000 * 1000};
	struct json *report;
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGTERM);
	for (;;) {
		if (poll_report(verification, &report, err) < 0)
			return -1;
		if (strcmp(text_in(report, "state"), "running") != 0)
			break;
		draw(verification, report);
		json_free(report);
		if (sigtimedwait(&set, NULL, &pause) > 0)
			cancel(verification);
	}
	if (verification->terminal)
		(void)fputs("\r\033[K", stderr);
	*out = report;
	return 0;
}

static int exit_code_of(const struct json *report)
{
	uint64_t wrong = number_in(report, "wrong_units");
	uint64_t broken = number_in(report, "broken_indexes");

	if (strcmp(text_in(report, "state"), "cancelled") == 0)
		return EXIT_CODE_CANCELLED;
	if (strcmp(text_in(report, "state"), "done") != 0)
		return EXIT_CODE_LOCAL;
	if (flag_in(report, "repair") && number_in(report, "repaired_units") == wrong)
		return EXIT_CODE_SUCCESS;
	return wrong || broken ? EXIT_CODE_BAD_DATA : EXIT_CODE_SUCCESS;
}

static void print_findings(const struct screen *screen, const struct json *findings)
{
	for (size_t i = 0; i < json_length(findings); i++) {
		const struct json *finding = json_at(findings, i);
		char digest[16], part[40] = "its index";

		if (json_get(finding, "unit"))
			(void)snprintf(part, sizeof(part), "unit %ju",
				(uintmax_t)number_in(finding, "unit"));
		screen_put(screen, STYLE_BAD, "layer %s, %s: %s",
			digest_short(text_in(finding, "blob"), digest), part,
			text_in(finding, "what"));
		screen_end(screen);
	}
}

static void print_result(const struct json *report)
{
	const struct screen screen = screen_on(stdout);
	uint64_t wrong = number_in(report, "wrong_units");
	uint64_t broken = number_in(report, "broken_indexes");
	char size[QUANTITY_TEXT_SIZE];

	print_findings(&screen, json_get(report, "findings"));
	if (number_in(report, "findings_omitted"))
		screen_line(
			&screen, "and %ju more", (uintmax_t)number_in(report, "findings_omitted"));
	screen_line(&screen, "checked %ju unit%s, %s, of %ju layer%s",
		(uintmax_t)number_in(report, "checked_units"),
		plural(number_in(report, "checked_units")),
		size_format(number_in(report, "checked_bytes"), size),
		(uintmax_t)number_in(report, "layers"), plural(number_in(report, "layers")));
	if (text_in(report, "error")[0])
		screen_line(&screen, "stopped: %s", text_in(report, "error"));
	if (strcmp(text_in(report, "state"), "cancelled") == 0)
		screen_line(&screen, "stopped before the end");
	if (wrong)
		screen_line(&screen, "%ju units are wrong, %ju of them forgotten%s",
			(uintmax_t)wrong, (uintmax_t)number_in(report, "repaired_units"),
			flag_in(report, "repair") ? ": they are fetched again when read"
						  : "; --repair forgets them");
	if (broken)
		screen_line(&screen, "%ju layers have an index that cannot be opened",
			(uintmax_t)broken);
}

static int verify(struct verification *verification)
{
	bool json = verification->arguments->common.json;
	CLEANUP(json_freep) struct json *report = NULL;
	struct error err;
	int code;

	if (start(verification, &err) < 0 || follow(verification, &report, &err) < 0)
		return cli_fail("cache verify", json, &err);
	code = exit_code_of(report);
	if (json)
		(void)cli_print_json("cache verify", report);
	else if (!verification->arguments->common.quiet || code != EXIT_CODE_SUCCESS)
		print_result(report);
	return code;
}

static int run(const struct verb *verb, int argc, char **argv)
{
	struct verify_arguments arguments = {0};
	struct verification verification = {.arguments = &arguments};
	char **operands;
	sigset_t set;
	int code;

	if (!cli_begin(verb, argc, argv, &arguments.common, &operands, &code))
		return code;
	/* Before threads start: follow() waits for these. */
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGTERM);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	verification.terminal =
		screen_on(stderr).redraws && !arguments.common.quiet && !arguments.common.json;
	code = verify(&verification);
	verification_end(&verification);
	return code;
}

static const struct option_spec options[] = {
	{"repair", 0, OPTION_FLAG, offsetof(struct verify_arguments, repair), NULL, NULL,
		"forget what is wrong, so that it is fetched again", NULL},
	OPTION_STORE,
	OPTION_QUIET,
	OPTION_JSON,
	{.name = NULL},
};

const struct verb verb_cache_verify = {
	.name = "cache verify",
	.operands = "",
	.summary = "read and hash everything in the store",
	.text = "Reads everything the store claims to have and compares it with the digests it\n"
		"was stored under, also while images are mounted. Exits with 6 when something is\n"
		"wrong, with 0 when all is right or was repaired.",
	.options = options,
	.run = run,
};
