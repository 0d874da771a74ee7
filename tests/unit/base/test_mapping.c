/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mapping.h"

#include "support/test.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fdio.h"
#include "support/sigbus.h"

enum { N_PAGES = 4, N_MANY = 600 };

static size_t page_size;

/* An unnamed file of n pages; page i is full of the byte i + 1. */
static int make_file(size_t n_pages)
{
	char name[] = "varve-mapping-XXXXXX";
	int fd = mkstemp(name);
	CLEANUP(cleanup_free) char *page = malloc(page_size);

	assert_true(fd >= 0);
	assert_non_null(page);
	unlink(name);
	for (size_t i = 0; i < n_pages; i++) {
		memset(page, (int)i + 1, page_size);
		assert_int_equal(write(fd, page, page_size), page_size);
	}
	return fd;
}

static struct mapping map_file(int fd)
{
	struct mapping mapping = {0};
	struct error err = {0};

	if (mapping_open(fd, &mapping, &err) < 0)
		fail_msg("%s", err.message);
	return mapping;
}

static void a_mapping_shows_the_file_and_outlives_its_descriptor(void **state)
{
	(void)state;
	sigbus_claim();
	int fd = make_file(N_PAGES);
	CLEANUP(mapping_close) struct mapping mapping = map_file(fd);

	close(fd);
	assert_int_equal(mapping.size, N_PAGES * page_size);
	for (size_t i = 0; i < mapping.size; i++)
		assert_int_equal(mapping.data[i], i / page_size + 1);
	assert_false(mapping_failed(&mapping));
}

static void what_cannot_be_mapped_is_an_error(void **state)
{
	(void)state;
	sigbus_claim();
	CLEANUP(cleanup_fd) int empty = make_file(0);
	struct mapping mapping = {0};
	struct error err = {0};
	int fds[2];

	assert_int_equal(mapping_open(empty, &mapping, &err), -1);
	assert_int_equal(err.kind, ERROR_FORMAT);
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(mapping_open(fds[0], &mapping, &err), -1);
	assert_int_equal(err.kind, ERROR_INVALID);
	close(fds[0]);
	close(fds[1]);
	assert_int_equal(mapping_open(-1, &mapping, &err), -1);
	assert_null(mapping.slot);
	mapping_close(&mapping);
	assert_false(mapping_failed(&mapping));
}

static void a_page_that_is_gone_reads_as_zeros_and_marks_only_its_mapping(void **state)
{
	(void)state;
	sigbus_claim();
	CLEANUP(cleanup_fd) int fd = make_file(N_PAGES);
	CLEANUP(cleanup_fd) int other_fd = make_file(N_PAGES);
	CLEANUP(mapping_close) struct mapping mapping = map_file(fd);
	CLEANUP(mapping_close) struct mapping other = map_file(other_fd);

	assert_int_equal(ftruncate(fd, (off_t)(2 * page_size)), 0);
	assert_int_equal(mapping.data[2 * page_size - 1], 2);
	assert_false(mapping_failed(&mapping));
	assert_int_equal(mapping.data[3 * page_size + 17], 0);
	assert_true(mapping_failed(&mapping));
	for (size_t i = 2 * page_size; i < mapping.size; i++)
		assert_int_equal(mapping.data[i], 0);
	for (size_t i = 0; i < 2 * page_size; i++)
		assert_int_equal(mapping.data[i], i / page_size + 1);
	assert_int_equal(other.data[3 * page_size], 4);
	assert_false(mapping_failed(&other));
}

static void an_access_across_the_end_of_the_good_pages_survives(void **state)
{
	(void)state;
	sigbus_claim();
	CLEANUP(cleanup_fd) int fd = make_file(N_PAGES);
	CLEANUP(mapping_close) struct mapping mapping = map_file(fd);
	uint64_t word;
	CLEANUP(cleanup_free) uint8_t *copy = malloc(mapping.size);

	assert_non_null(copy);
	assert_int_equal(ftruncate(fd, (off_t)page_size), 0);
	memcpy(&word, mapping.data + page_size - 4, sizeof(word));
	assert_memory_equal(&word, "\1\1\1\1\0\0\0\0", 8);
	assert_true(mapping_failed(&mapping));
	memcpy(copy, mapping.data, mapping.size);
	assert_int_equal(copy[0], 1);
	assert_int_equal(copy[mapping.size - 1], 0);
}

static void a_closed_mapping_leaves_no_mark_on_the_next_one(void **state)
{
	(void)state;
	sigbus_claim();

	for (int i = 0; i < 3; i++) {
		CLEANUP(cleanup_fd) int fd = make_file(1);
		struct mapping mapping = map_file(fd);

		assert_false(mapping_failed(&mapping));
		assert_int_equal(ftruncate(fd, 0), 0);
		assert_int_equal(mapping.data[0], 0);
		assert_true(mapping_failed(&mapping));
		mapping_close(&mapping);
		assert_null(mapping.data);
	}
}

static void any_number_of_mappings_is_told_apart(void **state)
{
	(void)state;
	sigbus_claim();
	static struct mapping mappings[N_MANY];
	CLEANUP(cleanup_fd) int good = make_file(1);
	CLEANUP(cleanup_fd) int bad = make_file(1);

	for (size_t i = 0; i < N_MANY; i++)
		mappings[i] = map_file(i % 7 == 3 ? bad : good);
	assert_int_equal(ftruncate(bad, 0), 0);
	for (size_t i = N_MANY; i-- > 0;) {
		assert_int_equal(mappings[i].data[0], i % 7 == 3 ? 0 : 1);
		assert_int_equal(mapping_failed(&mappings[i]), i % 7 == 3);
	}
	for (size_t i = 0; i < N_MANY; i++)
		mapping_close(&mappings[i]);
}

/* A mapping of which only the first page is still there, after every second page of the next
 * 2 * n_lost was read. */
static struct mapping map_with_lost_pages(size_t n_lost)
{
	CLEANUP(cleanup_fd) int fd = make_file(1);
	struct mapping mapping;

	assert_int_equal(ftruncate(fd, (off_t)((2 * n_lost + 1) * page_size)), 0);
	mapping = map_file(fd);
	assert_int_equal(ftruncate(fd, (off_t)page_size), 0);
	for (size_t i = page_size; i < mapping.size; i += 2 * page_size)
		assert_int_equal(mapping.data[i], 0);
	assert_true(mapping_failed(&mapping));
	return mapping;
}

static size_t n_maps_of_this_process(void)
{
	CLEANUP(buffer_free) struct buffer text = {0};
	size_t n = 0;

	assert_int_equal(file_read(AT_FDCWD, "/proc/self/maps", 64 << 20, &text, NULL), 0);
	for (size_t i = 0; i < text.size; i++)
		n += text.data[i] == '\n';
	return n;
}

static void a_mapping_that_loses_too_many_pages_is_given_up_whole(void **state)
{
	(void)state;
	sigbus_claim();
	const size_t n_maps = n_maps_of_this_process();
	const size_t n_most = 4096;

	for (int i = 0; i < 2; i++) {
		struct mapping many = map_with_lost_pages(n_most - 10);
		struct mapping few = map_with_lost_pages(10);
		struct mapping more = map_with_lost_pages(10);

		assert_int_equal(many.data[0], 1);
		assert_int_equal(few.data[0], 1);
		assert_int_equal(more.data[0], 0);
		mapping_close(&more);
		mapping_close(&few);
		mapping_close(&many);
	}
	/* Room is made again by closing, and hundreds of maps of our own are not left over. */
	assert_in_range(n_maps_of_this_process(), 1, n_maps + 100);
}

struct reader {
	pthread_t thread;
	const struct mapping *mapping;
	bool saw_unmarked_zero;
};

static void *read_all(void *arg)
{
	struct reader *reader = arg;

	for (size_t i = 0; i < reader->mapping->size; i += 512)
		if (reader->mapping->data[i] == 0 && !mapping_failed(reader->mapping))
			reader->saw_unmarked_zero = true;
	return NULL;
}

static void *open_and_close(void *arg)
{
	const int *fd = arg;

	for (int i = 0; i < 200; i++) {
		struct mapping mapping = {0};

		if (mapping_open(*fd, &mapping, NULL) < 0 || mapping.data[0] != 1 ||
			mapping_failed(&mapping))
			return NULL;
		mapping_close(&mapping);
	}
	return arg;
}

static void threads_may_fault_together_while_others_open_and_close(void **state)
{
	(void)state;
	sigbus_claim();
	CLEANUP(cleanup_fd) int fd = make_file(64);
	CLEANUP(cleanup_fd) int good = make_file(1);
	CLEANUP(mapping_close) struct mapping mapping = map_file(fd);
	struct reader readers[4];
	pthread_t opener;
	void *opened;

	assert_int_equal(ftruncate(fd, (off_t)page_size), 0);
	assert_int_equal(pthread_create(&opener, NULL, open_and_close, &good), 0);
	for (int i = 0; i < 4; i++) {
		readers[i] = (struct reader){.mapping = &mapping};
		assert_int_equal(
			pthread_create(&readers[i].thread, NULL, read_all, &readers[i]), 0);
	}
	for (int i = 0; i < 4; i++) {
		pthread_join(readers[i].thread, NULL);
		assert_false(readers[i].saw_unmarked_zero);
	}
	pthread_join(opener, &opened);
	assert_non_null(opened);
	assert_true(mapping_failed(&mapping));
}

/* A page beyond the end of its file that no mapping of ours knows. */
static const volatile uint8_t *foreign_bad_page(void)
{
	CLEANUP(cleanup_fd) int fd = make_file(1);
	void *page = mmap(NULL, page_size, PROT_READ, MAP_SHARED, fd, 0);

	assert_true(page != MAP_FAILED);
	assert_int_equal(ftruncate(fd, 0), 0);
	return page;
}

static atomic_int n_earlier_calls;

/* What was installed before us, in the child: ends it with a status of its own. */
static void earlier_handler(int signum, siginfo_t *info, void *context)
{
	(void)context;
	_exit(signum == SIGBUS && info->si_addr ? 42 : 43);
}

static void earlier_plain_handler(int signum)
{
	(void)signum;
	atomic_fetch_add(&n_earlier_calls, 1);
}

/* Each of these runs in a child of its own, because the handler is installed once a process. */
static void fault_elsewhere(void)
{
	(void)*foreign_bad_page();
}

static void send_the_signal(void)
{
	kill(getpid(), SIGBUS);
	_exit(atomic_load(&n_earlier_calls) == 1 ? 44 : 45);
}

static int status_of_child(const struct sigaction *earlier, void (*act)(void))
{
	const struct rlimit no_core = {0, 0};
	int status;
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0) {
		int fd = make_file(N_PAGES);
		struct mapping mapping;

		setrlimit(RLIMIT_CORE, &no_core);
		sigaction(SIGBUS, earlier, NULL);
		mapping = map_file(fd);
		if (ftruncate(fd, 0) < 0 || mapping.data[0] != 0 || !mapping_failed(&mapping))
			_exit(1);
		act();
		_exit(2);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return status;
}

static void a_fault_of_others_goes_to_the_handler_installed_before(void **state)
{
	(void)state;
	struct sigaction earlier = {.sa_sigaction = earlier_handler, .sa_flags = SA_SIGINFO};
	int status = status_of_child(&earlier, fault_elsewhere);

	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 42);
}

static void a_fault_of_others_ends_the_process_where_nothing_was_installed(void **state)
{
	(void)state;
	struct sigaction earlier = {.sa_handler = SIG_DFL};
	int status = status_of_child(&earlier, fault_elsewhere);

	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGBUS);
	earlier.sa_handler = SIG_IGN;
	status = status_of_child(&earlier, fault_elsewhere);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGBUS);
}

static void a_signal_that_was_sent_does_what_it_did_before(void **state)
{
	(void)state;
	struct sigaction earlier = {.sa_handler = SIG_DFL};
	int status = status_of_child(&earlier, send_the_signal);

	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGBUS);
	earlier.sa_handler = SIG_IGN;
	status = status_of_child(&earlier, send_the_signal);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 45);
	earlier.sa_handler = earlier_plain_handler;
	status = status_of_child(&earlier, send_the_signal);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 44);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		/* Children first: they need a process in which no handler was installed yet. */
		cmocka_unit_test(a_fault_of_others_goes_to_the_handler_installed_before),
		cmocka_unit_test(a_fault_of_others_ends_the_process_where_nothing_was_installed),
		cmocka_unit_test(a_signal_that_was_sent_does_what_it_did_before),
		cmocka_unit_test(a_mapping_shows_the_file_and_outlives_its_descriptor),
		cmocka_unit_test(what_cannot_be_mapped_is_an_error),
		cmocka_unit_test(a_page_that_is_gone_reads_as_zeros_and_marks_only_its_mapping),
		cmocka_unit_test(an_access_across_the_end_of_the_good_pages_survives),
		cmocka_unit_test(a_closed_mapping_leaves_no_mark_on_the_next_one),
		cmocka_unit_test(any_number_of_mappings_is_told_apart),
		cmocka_unit_test(a_mapping_that_loses_too_many_pages_is_given_up_whole),
		cmocka_unit_test(threads_may_fault_together_while_others_open_and_close),
	};
	page_size = (size_t)sysconf(_SC_PAGESIZE);
	return cmocka_run_group_tests_name("base/mapping", tests, NULL, NULL);
}
