/* SPDX-License-Identifier: Apache-2.0 */
#include "credentials_fixture.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "credentials_internal.h"

struct answer {
	int result;
	bool found;
	bool installed;
	struct credential credential;
	struct error err;
};

static void answer_clear(struct answer *answer)
{
	credential_clear(&answer->credential);
}

static struct answer ask(const char *registry, uint64_t timeout_ns)
{
	struct answer answer = {0};

	answer.result = credentials_helper_get("test", registry, timeout_ns, &answer.credential,
		&answer.found, &answer.installed, &answer.err);
	return answer;
}

static struct answer ask_script(struct scratch *scratch, const char *commands)
{
	fixture_install_helper(scratch, "test", commands);
	return ask("r.example.com", 5 * NS_PER_SECOND);
}

static void assert_failed(const struct answer *answer, enum error_kind kind, const char *why)
{
	assert_int_equal(answer->result, -1);
	if (answer->err.kind != kind || !strstr(answer->err.message, why))
		fail_msg("%d: %s", answer->err.kind, answer->err.message);
	assert_non_null(strstr(answer->err.message, "docker-credential-test get for "));
}

static void a_helper_is_asked_for_the_registry_and_answers(void **state)
{
	CLEANUP(answer_clear)
	struct answer answer =
		ask_script(*state, "read -r server; printf "
				   "'{\"ServerURL\":\"x\",\"Username\":\"%s\",\"Secret\":\"%s\"}' "
				   "\"$1 $#\" \"$server\"");

	assert_int_equal(answer.result, 0);
	assert_true(answer.installed);
	assert_true(answer.found);
	assert_string_equal(answer.credential.username, "get 1");
	assert_string_equal(answer.credential.secret, "r.example.com");
	assert_false(answer.credential.is_identity_token);
}

static void dockers_own_registry_is_asked_for_by_the_address_docker_stores(void **state)
{
	fixture_install_helper(*state, "test",
		"read -r server; echo '{\"Username\":\"u\",\"Secret\":\"'\"$server\"'\"}'");
	CLEANUP(answer_clear) struct answer answer = ask("docker.io", 5 * NS_PER_SECOND);

	assert_int_equal(answer.result, 0);
	assert_string_equal(answer.credential.secret, "https://index.docker.io/v1/");
}

static void a_token_user_means_an_identity_token(void **state)
{
	CLEANUP(answer_clear)
	struct answer answer =
		ask_script(*state, "echo '{\"Username\":\"<token>\",\"Secret\":\"t\"}'");

	assert_int_equal(answer.result, 0);
	assert_true(answer.credential.is_identity_token);
	assert_string_equal(answer.credential.secret, "t");
}

static void not_found_is_no_error(void **state)
{
	static const char *const scripts[] = {
		"echo 'credentials not found in native keychain'; exit 1",
		"echo 'error: credentials not found in x' >&2; exit 3",
		"echo '{\"ServerURL\":\"\",\"Username\":\"\",\"Secret\":\"\"}'"};

	for (size_t i = 0; i < 3; i++) {
		CLEANUP(answer_clear) struct answer answer = ask_script(*state, scripts[i]);

		assert_int_equal(answer.result, 0);
		assert_true(answer.installed);
		assert_false(answer.found);
		assert_null(answer.credential.secret);
	}
}

static void a_helper_that_is_not_installed_is_told_apart(void **state)
{
	CLEANUP(answer_clear) struct answer absent = ask("r.example.com", NS_PER_SECOND);

	assert_int_equal(absent.result, 0);
	assert_false(absent.installed);
	assert_false(absent.found);

	fixture_write(*state, "bin/docker-credential-test", "no program", 0644);
	CLEANUP(answer_clear) struct answer not_executable = ask("r.example.com", NS_PER_SECOND);
	assert_int_equal(not_executable.result, 0);
	assert_false(not_executable.installed);
}

static void a_failure_repeats_what_the_helper_said(void **state)
{
	CLEANUP(answer_clear)
	struct answer said =
		ask_script(*state, "echo; echo 'no keyring'; echo 'second line'; exit 7");
	CLEANUP(answer_clear)
	struct answer complained = ask_script(*state, "echo oops >&2; exit 1");
	CLEANUP(answer_clear) struct answer killed = ask_script(*state, "kill -TERM $$");

	assert_failed(&said, ERROR_UNAUTHORIZED, "it failed with status 7: no keyring");
	assert_null(strstr(said.err.message, "second line"));
	assert_failed(&complained, ERROR_UNAUTHORIZED, "it failed with status 1: oops");
	assert_failed(&killed, ERROR_UNAUTHORIZED, "it was ended by signal 15");
}

static void a_secret_is_not_repeated_even_when_the_helper_failed(void **state)
{
	CLEANUP(answer_clear)
	struct answer answer =
		ask_script(*state, "echo '{\"Username\":\"u\",\"Secret\":\"s3cret\"}'; exit 1");

	assert_failed(&answer, ERROR_UNAUTHORIZED, "it failed with status 1");
	assert_null(strstr(answer.err.message, "s3cret"));
}

static void an_answer_that_is_none_is_refused(void **state)
{
	static const char *const scripts[] = {"echo hello", "echo '[]'", "true",
		"echo '{\"Username\":\"u\"}'", "echo '{\"Username\":1,\"Secret\":\"s\"}'"};

	for (size_t i = 0; i < sizeof(scripts) / sizeof(scripts[0]); i++) {
		CLEANUP(answer_clear) struct answer answer = ask_script(*state, scripts[i]);

		assert_failed(&answer, ERROR_UNAUTHORIZED, "its answer: ");
	}
}

static void endless_output_is_cut_off(void **state)
{
	CLEANUP(answer_clear)
	struct answer out =
		ask_script(*state, "while :; do echo yyyyyyyyyyyyyyyyyyyyyyyyyyyyy; done");
	CLEANUP(answer_clear)
	struct answer complaint = ask_script(*state,
		"i=0; while [ $i -lt 20000 ]; do echo yyyyyyyyyyyyyyyy; i=$((i+1)); done >&2; "
		"echo '{\"Username\":\"u\",\"Secret\":\"s\"}'");

	assert_failed(&out, ERROR_UNAUTHORIZED, "more than the limit of 65536 bytes");
	assert_int_equal(complaint.result, 0);
	assert_true(complaint.found);
}

/* True as soon as the process with the number in the file is gone. */
static bool is_gone(struct scratch *scratch, const char *path)
{
	CLEANUP(buffer_free) struct buffer text = {0};
	pid_t pid;

	assert_int_equal(file_read(scratch->fd, path, 64, &text, NULL), 0);
	pid = (pid_t)strtol((const char *)text.data, NULL, 10);
	assert_true(pid > 1);
	for (int i = 0; i < 200; i++) {
		char name[64];
		char state[256] = "";
		FILE *file;

		if (kill(pid, 0) < 0 && errno == ESRCH)
			return true;
		/* A zombie waits only for its parent, which may be anybody by now. */
		(void)snprintf(name, sizeof(name), "/proc/%d/stat", (int)pid);
		file = fopen(name, "re");
		if (file) {
			if (fgets(state, sizeof(state), file) && strstr(state, ") Z "))
				i = 200;
			fclose(file);
		}
		if (i == 200)
			return true;
		usleep(10000);
	}
	return false;
}

static void a_helper_that_hangs_is_killed_with_all_it_started(void **state)
{
	struct scratch *scratch = *state;
	uint64_t start_ns = clock_now_ns();
	char script[900];

	(void)snprintf(script, sizeof(script),
		"echo $$ >%s/self; sleep 600 & echo $! >%s/child; wait", scratch->path,
		scratch->path);
	fixture_install_helper(scratch, "test", script);
	CLEANUP(answer_clear) struct answer answer = ask("r.example.com", NS_PER_SECOND);

	assert_failed(&answer, ERROR_TIMEOUT, "no answer after 1.0 s");
	assert_true(clock_now_ns() - start_ns < 20 * NS_PER_SECOND);
	assert_true(is_gone(scratch, "self"));
	assert_true(is_gone(scratch, "child"));
}

static void a_process_that_the_helper_leaves_behind_is_not_waited_for(void **state)
{
	struct scratch *scratch = *state;
	uint64_t start_ns = clock_now_ns();
	char script[900];

	(void)snprintf(script, sizeof(script),
		"sleep 30 & echo $! >%s/child; echo '{\"Username\":\"u\",\"Secret\":\"s\"}'",
		scratch->path);
	fixture_install_helper(scratch, "test", script);
	CLEANUP(answer_clear) struct answer answer = ask("r.example.com", 20 * NS_PER_SECOND);
	CLEANUP(buffer_free) struct buffer child = {0};

	assert_int_equal(answer.result, 0);
	assert_true(answer.found);
	assert_true(clock_now_ns() - start_ns < 15 * NS_PER_SECOND);
	assert_int_equal(file_read(scratch->fd, "child", 64, &child, NULL), 0);
	(void)kill((pid_t)strtol((const char *)child.data, NULL, 10), SIGKILL);
}

static void a_helper_starts_with_the_signals_programs_expect(void **state)
{
	sigset_t blocked;
	sigset_t before;

	/* Who starts us in the background may have us ignore these, and it is inherited. */
	(void)signal(SIGHUP, SIG_DFL);
	(void)signal(SIGINT, SIG_DFL);
	(void)signal(SIGQUIT, SIG_DFL);
	(void)sigfillset(&blocked);
	assert_int_equal(pthread_sigmask(SIG_SETMASK, &blocked, &before), 0);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGQUIT, SIG_IGN);
	CLEANUP(answer_clear)
	struct answer answer = ask_script(*state,
		"s=$(grep -E '^Sig(Blk|Ign)' /proc/self/status | tr -d '\\n\\t'); "
		"echo '{\"Username\":\"u\",\"Secret\":\"'\"$s\"'\"}'");
	(void)signal(SIGPIPE, SIG_DFL);
	(void)signal(SIGQUIT, SIG_DFL);
	assert_int_equal(pthread_sigmask(SIG_SETMASK, &before, NULL), 0);

	/* The C library ignores two signals of its own; these are the first sixteen. */
	const char *ignored;

	assert_int_equal(answer.result, 0);
	ignored = strstr(answer.credential.secret, "SigIgn:");
	assert_non_null(ignored);
	assert_memory_equal(answer.credential.secret, "SigBlk:0000000000000000", 23);
	assert_string_equal(ignored + strlen(ignored) - 4, "0000");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, scratch_teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_helper_is_asked_for_the_registry_and_answers),
		TEST(dockers_own_registry_is_asked_for_by_the_address_docker_stores),
		TEST(a_token_user_means_an_identity_token),
		TEST(not_found_is_no_error),
		TEST(a_helper_that_is_not_installed_is_told_apart),
		TEST(a_failure_repeats_what_the_helper_said),
		TEST(a_secret_is_not_repeated_even_when_the_helper_failed),
		TEST(an_answer_that_is_none_is_refused),
		TEST(endless_output_is_cut_off),
		TEST(a_helper_that_hangs_is_killed_with_all_it_started),
		TEST(a_process_that_the_helper_leaves_behind_is_not_waited_for),
		TEST(a_helper_starts_with_the_signals_programs_expect),
	};
	return cmocka_run_group_tests_name("registry/credentials_helper", tests, NULL, NULL);
}
