/* SPDX-License-Identifier: Apache-2.0 */
#include "support/test.h"

#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fs_park.h"

/* Masks of one signal each; 0: none. */
struct signals {
	int own;
	int shared;
	int blocked;
	int ignored;
	int caught;
};

static unsigned long long mask(int number)
{
	return number ? 1ULL << (number - 1) : 0;
}

static bool is_dying(const struct signals *signals)
{
	char status[512];

	(void)snprintf(status, sizeof(status),
		"Name:\tcat\nSigQ:\t0/15000\nSigPnd:\t%016llx\nShdPnd:\t%016llx\n"
		"SigBlk:\t%016llx\nSigIgn:\t%016llx\nSigCgt:\t%016llx\nCapInh:\t0\n",
		mask(signals->own), mask(signals->shared), mask(signals->blocked),
		mask(signals->ignored), mask(signals->caught));
	return reader_status_is_dying(status);
}

static void a_reader_without_signals_goes_on(void **state)
{
	(void)state;
	assert_false(is_dying(&(struct signals){0}));
	assert_false(reader_is_dying(getpid()));
}

static void a_deadly_signal_ends_it(void **state)
{
	(void)state;
	assert_true(is_dying(&(struct signals){.own = SIGKILL}));
	assert_true(is_dying(&(struct signals){.shared = SIGTERM}));
	assert_true(is_dying(&(struct signals){.own = SIGQUIT, .caught = SIGTERM}));
	assert_true(is_dying(&(struct signals){.own = SIGRTMIN}));
}

static void a_signal_with_a_handler_does_not(void **state)
{
	(void)state;
	assert_false(is_dying(&(struct signals){.shared = SIGALRM, .caught = SIGALRM}));
	assert_false(is_dying(&(struct signals){.own = SIGTERM, .ignored = SIGTERM}));
	assert_false(is_dying(&(struct signals){.own = SIGTERM, .blocked = SIGTERM}));
}

static void nor_does_one_that_does_nothing_or_stops(void **state)
{
	(void)state;
	assert_false(is_dying(&(struct signals){.shared = SIGCHLD}));
	assert_false(is_dying(&(struct signals){.own = SIGURG}));
	assert_false(is_dying(&(struct signals){.own = SIGTSTP}));
}

static void what_cannot_be_told_counts_as_dying(void **state)
{
	pid_t pid = fork();

	(void)state;
	if (pid == 0)
		_exit(0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_true(reader_is_dying(pid));
	assert_true(reader_is_dying(0));
	assert_true(reader_status_is_dying("Name:\tcat\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_reader_without_signals_goes_on),
		cmocka_unit_test(a_deadly_signal_ends_it),
		cmocka_unit_test(a_signal_with_a_handler_does_not),
		cmocka_unit_test(nor_does_one_that_does_nothing_or_stops),
		cmocka_unit_test(what_cannot_be_told_counts_as_dying),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
