/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include "support/test.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"

static int pipe_fds[2];

static int open_pipe(void **state)
{
	(void)state;
	if (pipe2(pipe_fds, O_CLOEXEC) < 0 || fcntl(pipe_fds[0], F_SETFL, O_NONBLOCK) < 0)
		return -1;
	log_setup(LOG_LEVEL_INFO, pipe_fds[1], true);
	return 0;
}

static int close_pipe(void **state)
{
	(void)state;
	log_setup(LOG_LEVEL_INFO, STDERR_FILENO, true);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
	return 0;
}

/* What the log has written since the last call; an empty string when nothing. */
static const char *written(void)
{
	static char text[8192];
	ssize_t n = read(pipe_fds[0], text, sizeof(text) - 1);

	text[n > 0 ? n : 0] = '\0';
	return text;
}

static void a_line_has_its_level_and_ends_in_a_newline(void **state)
{
	(void)state;

	log_warning("%d of %d", 1, 2);
	assert_string_equal(written(), "warning: 1 of 2\n");
	log_error("bad");
	log_info("good");
	assert_string_equal(written(), "error: bad\ninfo: good\n");
}

static void less_important_lines_than_asked_for_are_not_written(void **state)
{
	(void)state;

	log_debug("%s", "hidden");
	assert_string_equal(written(), "");
	assert_false(log_enabled(LOG_LEVEL_DEBUG));
	log_setup(LOG_LEVEL_DEBUG, pipe_fds[1], true);
	assert_true(log_enabled(LOG_LEVEL_DEBUG));
	log_debug("shown");
	assert_string_equal(written(), "debug: shown\n");
	log_setup(LOG_LEVEL_ERROR, pipe_fds[1], true);
	log_warning("hidden");
	assert_string_equal(written(), "");
}

static void a_hostile_name_cannot_forge_a_line_or_drive_a_terminal(void **state)
{
	(void)state;

	log_info("%s", "a\nerror: forged\r\t\x1b[2J\x7f");
	assert_string_equal(written(), "info: a\\nerror: forged\\r\\t\\x1b[2J\\x7f\n");
	/* U+009B is CSI to a terminal; text in other scripts passes as it is. */
	log_info("%s", "\xc2\x9b\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80");
	assert_string_equal(written(), "info: \\xc2\\x9b\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\n");
	/* Not UTF-8: a stray continuation, overlong, a surrogate, beyond Unicode, cut short. */
	log_info("%s", "\x80|\xc0\xaf|\xe0\x9f\xbf|\xed\xa0\x80|\xf4\x90\x80\x80|\xe2\x82");
	assert_string_equal(written(), "info: \\x80|\\xc0\\xaf|\\xe0\\x9f\\xbf|\\xed\\xa0\\x80|"
				       "\\xf4\\x90\\x80\\x80|\\xe2\\x82\n");
}

static void a_log_file_has_a_utc_time_stamp_in_front(void **state)
{
	(void)state;
	static const char shape[] = "0000-00-00T00:00:00.000Z error: x\n";
	const char *line;

	log_setup(LOG_LEVEL_INFO, pipe_fds[1], false);
	log_error("x");
	line = written();
	assert_int_equal(strlen(line), strlen(shape));
	for (size_t i = 0; shape[i]; i++) {
		if (shape[i] == '0')
			assert_in_range(line[i], '0', '9');
		else
			assert_int_equal(line[i], shape[i]);
	}
	assert_memory_equal(line, "20", 2);
}

static void an_endless_text_is_cut_and_says_so(void **state)
{
	(void)state;
	char text[5000];
	const char *line;

	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	log_info("%s", text);
	line = written();
	assert_true(strlen(line) < 4096);
	assert_string_equal(line + strlen(line) - 5, "x...\n");

	/* Four bytes for each of these. */
	memset(text, '\x01', sizeof(text) - 1);
	log_info("%s", text);
	line = written();
	assert_in_range(strlen(line), 4000, 4096);
	assert_string_equal(line + strlen(line) - 8, "\\x01...\n");
}

static void logging_leaves_errno_alone_and_survives_a_dead_log(void **state)
{
	(void)state;

	log_setup(LOG_LEVEL_INFO, -1, true);
	errno = ENOENT;
	log_info("nowhere");
	assert_int_equal(errno, ENOENT);

	log_setup(LOG_LEVEL_INFO, pipe_fds[1], false);
	log_info("%m");
	assert_non_null(strstr(written(), "No such file or directory"));
}

enum { N_LOGGERS = 4, N_LINES = 20, LINE_LENGTH = 40 };

static void *log_lines(void *arg)
{
	for (int i = 0; i < N_LINES; i++)
		log_info("%-33s", (const char *)arg);
	return NULL;
}

static void lines_of_many_threads_do_not_mix(void **state)
{
	(void)state;
	pthread_t threads[N_LOGGERS];
	static char names[N_LOGGERS][2] = {"a", "b", "c", "d"};
	const char *text;

	for (int i = 0; i < N_LOGGERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, log_lines, names[i]), 0);
	for (int i = 0; i < N_LOGGERS; i++)
		pthread_join(threads[i], NULL);
	text = written();
	assert_int_equal(strlen(text), N_LOGGERS * N_LINES * LINE_LENGTH);
	for (size_t i = 0; text[i]; i += LINE_LENGTH) {
		assert_memory_equal(text + i, "info: ", 6);
		assert_in_range(text[i + 6], 'a', 'd');
		assert_int_equal(text[i + LINE_LENGTH - 1], '\n');
	}
}

#define log_test(f) cmocka_unit_test_setup_teardown(f, open_pipe, close_pipe)

int main(void)
{
	const struct CMUnitTest tests[] = {
		log_test(a_line_has_its_level_and_ends_in_a_newline),
		log_test(less_important_lines_than_asked_for_are_not_written),
		log_test(a_hostile_name_cannot_forge_a_line_or_drive_a_terminal),
		log_test(a_log_file_has_a_utc_time_stamp_in_front),
		log_test(an_endless_text_is_cut_and_says_so),
		log_test(logging_leaves_errno_alone_and_survives_a_dead_log),
		log_test(lines_of_many_threads_do_not_mix),
	};
	return cmocka_run_group_tests_name("base/log", tests, NULL, NULL);
}
