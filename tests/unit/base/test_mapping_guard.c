/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mapping_guard.h"

#include "support/test.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "support/sigbus.h"

enum { N_FAULTS = 50, N_THREADS = 4 };

struct call {
	const volatile uint8_t *byte;
	struct call *inner; /* run first */
	bool inner_ended;
	bool ended;
	unsigned value;
};

static size_t page_size;

/* A page of a file that ends before it. */
static const volatile uint8_t *bad_page(void)
{
	char name[] = "varve-guard-XXXXXX";
	CLEANUP(cleanup_fd) int fd = mkstemp(name);
	void *page;

	assert_true(fd >= 0);
	unlink(name);
	page = mmap(NULL, page_size, PROT_READ, MAP_SHARED, fd, 0);
	assert_true(page != MAP_FAILED);
	return page;
}

static void read_byte(void *arg)
{
	struct call *call = arg;

	if (call->inner)
		call->inner_ended = mapping_guard_run(read_byte, call->inner);
	call->value = *call->byte;
	call->ended = true;
}

static void a_call_that_reads_good_pages_runs_to_its_end(void **state)
{
	(void)state;
	const uint8_t good = 7;
	struct call call = {.byte = &good};

	sigbus_claim();
	assert_true(mapping_guard_run(read_byte, &call));
	assert_true(call.ended);
	assert_int_equal(call.value, 7);
}

static void a_call_is_left_at_a_page_that_cannot_be_read_each_time(void **state)
{
	(void)state;
	struct call call = {.byte = bad_page()};

	sigbus_claim();
	for (int i = 0; i < N_FAULTS; i++)
		assert_false(mapping_guard_run(read_byte, &call));
	assert_false(call.ended);
	munmap((void *)call.byte, page_size);
}

static void only_the_innermost_call_is_left(void **state)
{
	(void)state;
	const uint8_t good = 7;
	struct call inner = {.byte = bad_page()};
	struct call outer = {.byte = &good, .inner = &inner, .inner_ended = true};

	sigbus_claim();
	assert_true(mapping_guard_run(read_byte, &outer));
	assert_false(outer.inner_ended);
	assert_false(inner.ended);
	assert_true(outer.ended);
	outer.byte = inner.byte;
	inner.byte = &good;
	assert_false(mapping_guard_run(read_byte, &outer));
	assert_true(outer.inner_ended);
	munmap((void *)outer.byte, page_size);
}

static void leave(void *arg)
{
	struct call *call = arg;

	mapping_guard_leave();
	call->ended = true;
}

static void a_call_may_be_left_without_a_fault(void **state)
{
	(void)state;
	struct call call = {0};

	sigbus_claim();
	assert_false(mapping_guard_run(leave, &call));
	assert_false(call.ended);
	leave(&call);
	assert_true(call.ended);
}

static void a_lost_page_of_a_mapping_of_ours_leaves_nothing(void **state)
{
	(void)state;
	char name[] = "varve-guard-XXXXXX";
	CLEANUP(cleanup_fd) int fd = mkstemp(name);
	CLEANUP(mapping_close) struct mapping mapping = {0};
	struct call call = {.value = 1};

	sigbus_claim();
	unlink(name);
	assert_int_equal(ftruncate(fd, (off_t)page_size), 0);
	assert_int_equal(mapping_open(fd, &mapping, NULL), 0);
	assert_int_equal(ftruncate(fd, 0), 0);
	call.byte = mapping.data;
	assert_true(mapping_guard_run(read_byte, &call));
	assert_int_equal(call.value, 0);
	assert_true(mapping_failed(&mapping));
}

static void *fault_often(void *arg)
{
	struct call call = {.byte = arg};

	for (int i = 0; i < N_FAULTS; i++)
		if (mapping_guard_run(read_byte, &call))
			return arg;
	return NULL;
}

static void threads_leave_calls_of_their_own(void **state)
{
	(void)state;
	const volatile uint8_t *page = bad_page();
	pthread_t threads[N_THREADS];

	sigbus_claim();
	for (int i = 0; i < N_THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, fault_often, (void *)page), 0);
	for (int i = 0; i < N_THREADS; i++) {
		void *wrong;

		assert_int_equal(pthread_join(threads[i], &wrong), 0);
		assert_null(wrong);
	}
	munmap((void *)page, page_size);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_call_that_reads_good_pages_runs_to_its_end),
		cmocka_unit_test(a_call_is_left_at_a_page_that_cannot_be_read_each_time),
		cmocka_unit_test(only_the_innermost_call_is_left),
		cmocka_unit_test(a_call_may_be_left_without_a_fault),
		cmocka_unit_test(a_lost_page_of_a_mapping_of_ours_leaves_nothing),
		cmocka_unit_test(threads_leave_calls_of_their_own),
	};
	page_size = (size_t)sysconf(_SC_PAGESIZE);
	return cmocka_run_group_tests_name("base/mapping_guard", tests, NULL, NULL);
}
