/* SPDX-License-Identifier: Apache-2.0 */
/* Reads that wait for bytes that do not come, or come late. */
#include "support/fs_fixture.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

#include "base/clock.h"

enum { PAGE = 4096 };

/* A process that reads one page and exits with 0 when it is right, otherwise with the errno. */
static pid_t reader_start(size_t off, int flags)
{
	pid_t pid = fork();
	int fd;
	ssize_t n;
	uint8_t *page;

	assert_true(pid >= 0);
	if (pid > 0)
		return pid;
	page = aligned_alloc(PAGE, PAGE);
	fd = open("mnt/big", O_RDONLY | flags);
	if (fd < 0 || !page)
		_exit(255);
	n = pread(fd, page, PAGE, (off_t)off);
	if (n < 0)
		_exit(errno);
	_exit(n == PAGE && page[7] == fixture_big_byte(off + 7) ? 0 : 254);
}

static int exit_status(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static struct fs_stats stats_of(struct fs_fixture *fixture)
{
	struct fs_stats stats;

	fs_session_stats(fixture->session, &stats);
	return stats;
}

static void assert_gone_within_a_second(pid_t pid)
{
	uint64_t start_ns = clock_now_ns();

	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(exit_status(pid), -SIGKILL);
	assert_true(clock_now_ns() - start_ns < NS_PER_SECOND);
}

static void a_killed_reader_is_gone_within_a_second(void **state)
{
	/* The kernel reads ahead for the first, and waits for the second itself. */
	static const int flags[] = {0, O_DIRECT};
	struct fs_fixture fixture;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		pid_t pid;

		fs_fixture_open(&fixture, &(struct fs_fixture_options){0});
		atomic_store(&fixture.source.stalls, true);
		pid = reader_start(0, flags[i]);
		wait_until(stats_of(&fixture).n_parked > 0);
		assert_gone_within_a_second(pid);
		if (flags[i] & O_DIRECT)
			wait_until(stats_of(&fixture).n_interrupted == 1);
		fs_fixture_close(&fixture);
	}
}

static void on_signal(int number)
{
	(void)number;
}

static pid_t start_reader_that_catches_signals(void)
{
	struct sigaction action = {.sa_handler = on_signal};
	struct sigaction before;
	pid_t pid;

	assert_int_equal(sigaction(SIGUSR1, &action, &before), 0);
	pid = reader_start(0, O_DIRECT);
	assert_int_equal(sigaction(SIGUSR1, &before, NULL), 0);
	return pid;
}

static void a_signal_with_a_handler_does_not_end_a_read(void **state)
{
	struct fs_fixture fixture;
	pid_t pid;

	(void)state;
	fs_fixture_open(&fixture, &(struct fs_fixture_options){0});
	atomic_store(&fixture.source.delay_us, 400000);
	pid = start_reader_that_catches_signals();
	wait_until(stats_of(&fixture).n_parked == 1);
	assert_int_equal(kill(pid, SIGUSR1), 0);
	assert_int_equal(exit_status(pid), 0);
	assert_int_equal(stats_of(&fixture).n_interrupted, 0);
	fs_fixture_close(&fixture);
}

static void a_reader_killed_after_such_a_signal_is_gone_within_a_second(void **state)
{
	struct fs_fixture fixture;
	pid_t pid;

	(void)state;
	fs_fixture_open(&fixture, &(struct fs_fixture_options){0});
	atomic_store(&fixture.source.stalls, true);
	pid = start_reader_that_catches_signals();
	wait_until(stats_of(&fixture).n_parked == 1);
	assert_int_equal(kill(pid, SIGUSR1), 0);
	usleep(300000);
	assert_int_equal(stats_of(&fixture).n_parked, 1);
	assert_gone_within_a_second(pid);
	assert_int_equal(stats_of(&fixture).n_interrupted, 1);
	fs_fixture_close(&fixture);
}

static void reads_beyond_the_cap_wait_their_turn_and_are_right(void **state)
{
	enum { N_READERS = 12 };
	struct fs_fixture fixture;
	pid_t pids[N_READERS];

	(void)state;
	fs_fixture_open(&fixture, &(struct fs_fixture_options){.max_parked = 2});
	/* This one is here already, and does not have to wait for the others. */
	assert_int_equal(exit_status(reader_start(0, O_DIRECT)), 0);
	/* A read leaves after its answer. */
	wait_until(stats_of(&fixture).n_parked == 0);
	atomic_store(&fixture.source.stalls, true);
	for (size_t i = 0; i < N_READERS; i++)
		pids[i] = reader_start((i + 1) * 100 * PAGE, O_DIRECT);
	wait_until(stats_of(&fixture).n_parked == N_READERS);
	assert_int_equal(exit_status(reader_start(0, O_DIRECT)), 0);
	assert_int_equal(stats_of(&fixture).n_parked, N_READERS);
	atomic_store(&fixture.source.stalls, false);
	for (size_t i = 0; i < N_READERS; i++)
		assert_int_equal(exit_status(pids[i]), 0);
	wait_until(stats_of(&fixture).n_parked == 0);
	fs_fixture_close(&fixture);
}

static void readers_beyond_the_cap_can_be_killed(void **state)
{
	enum { N_READERS = 5 };
	struct fs_fixture fixture;
	pid_t pids[N_READERS];

	(void)state;
	fs_fixture_open(&fixture, &(struct fs_fixture_options){.max_parked = 1});
	atomic_store(&fixture.source.stalls, true);
	for (size_t i = 0; i < N_READERS; i++)
		pids[i] = reader_start(i * 100 * PAGE, O_DIRECT);
	wait_until(stats_of(&fixture).n_parked == N_READERS);
	for (size_t i = N_READERS; i-- > 0;)
		assert_gone_within_a_second(pids[i]);
	wait_until(stats_of(&fixture).n_parked == 0);
	assert_int_equal(stats_of(&fixture).n_interrupted, N_READERS);
	fs_fixture_close(&fixture);
}

static void a_read_that_cannot_be_served_is_an_io_error_with_a_record(void **state)
{
	struct layer_failure failure;
	struct fs_fixture fixture;

	(void)state;
	fs_fixture_open(&fixture, &(struct fs_fixture_options){.deadline_ms = 300});
	atomic_store(&fixture.source.stalls, true);
	assert_int_equal(exit_status(reader_start(0, O_DIRECT)), EIO);
	assert_int_equal(exit_status(reader_start(1 << 20, 0)), EIO);
	assert_int_equal(layer_failures(fixture.layer, &failure, 1), 1);
	assert_int_equal(failure.kind, ERROR_TIMEOUT);
	/* Nothing is remembered by the kernel: the next one tries again. */
	atomic_store(&fixture.source.stalls, false);
	assert_int_equal(exit_status(reader_start(1 << 20, 0)), 0);
	fs_fixture_close(&fixture);
}

static void wrong_bytes_never_reach_a_reader(void **state)
{
	struct layer_failure failure;
	struct fs_fixture fixture;

	(void)state;
	fs_fixture_open(&fixture, &(struct fs_fixture_options){.deadline_ms = 2000});
	atomic_store(&fixture.source.lies, true);
	assert_int_equal(exit_status(reader_start(0, 0)), EIO);
	assert_true(layer_failures(fixture.layer, &failure, 1) > 0);
	assert_int_equal(failure.kind, ERROR_DIGEST_MISMATCH);
	fs_fixture_close(&fixture);
}

static void many_readers_at_once_get_the_right_bytes(void **state)
{
	enum { N_READERS = 40 };
	struct fs_fixture fixture;
	pid_t pids[N_READERS];

	(void)state;
	fs_fixture_open(&fixture, &(struct fs_fixture_options){0});
	atomic_store(&fixture.source.delay_us, 2000);
	for (size_t i = 0; i < N_READERS; i++)
		pids[i] = reader_start(i * 31 * PAGE, i % 2 ? O_DIRECT : 0);
	for (size_t i = 0; i < N_READERS; i++)
		assert_int_equal(exit_status(pids[i]), 0);
	fs_fixture_close(&fixture);
}

/* Signals come while reads start, wait and end. */
static void interrupts_at_any_moment_lose_no_read(void **state)
{
	enum { N_ROUNDS = 60, N_READERS = 8 };
	struct fs_fixture fixture;
	pid_t pids[N_READERS];

	(void)state;
	fs_fixture_open(&fixture, &(struct fs_fixture_options){.max_parked = 3});
	for (unsigned round = 0; round < N_ROUNDS; round++) {
		atomic_store(&fixture.source.delay_us, 100 * round);
		for (size_t i = 0; i < N_READERS; i++)
			pids[i] = reader_start((round * N_READERS + i) % 1200 * PAGE, O_DIRECT);
		usleep(50 * round);
		for (size_t i = 0; i < N_READERS; i += 2)
			assert_int_equal(kill(pids[i], SIGKILL), 0);
		for (size_t i = 0; i < N_READERS; i++) {
			int status = exit_status(pids[i]);

			if (i % 2 || status != -SIGKILL)
				assert_int_equal(status, 0);
		}
	}
	wait_until(stats_of(&fixture).n_parked == 0);
	fs_fixture_close(&fixture);
}

static void a_mount_can_go_while_reads_wait(void **state)
{
	struct fs_fixture fixture;
	uint64_t start_ns;
	pid_t pid;

	(void)state;
	fs_fixture_open(&fixture, &(struct fs_fixture_options){0});
	atomic_store(&fixture.source.stalls, true);
	pid = reader_start(0, 0);
	wait_until(stats_of(&fixture).n_parked > 0);
	assert_gone_within_a_second(pid);
	/* What the kernel wanted to read ahead is still waited for. */
	assert_true(stats_of(&fixture).n_parked > 0);
	start_ns = clock_now_ns();
	fs_fixture_unmount(&fixture);
	assert_true(clock_now_ns() - start_ns < 5 * NS_PER_SECOND);
	fs_fixture_close(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_killed_reader_is_gone_within_a_second),
		cmocka_unit_test(a_signal_with_a_handler_does_not_end_a_read),
		cmocka_unit_test(a_reader_killed_after_such_a_signal_is_gone_within_a_second),
		cmocka_unit_test(reads_beyond_the_cap_wait_their_turn_and_are_right),
		cmocka_unit_test(readers_beyond_the_cap_can_be_killed),
		cmocka_unit_test(a_read_that_cannot_be_served_is_an_io_error_with_a_record),
		cmocka_unit_test(wrong_bytes_never_reach_a_reader),
		cmocka_unit_test(many_readers_at_once_get_the_right_bytes),
		cmocka_unit_test(interrupts_at_any_moment_lose_no_read),
		cmocka_unit_test(a_mount_can_go_while_reads_wait),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
