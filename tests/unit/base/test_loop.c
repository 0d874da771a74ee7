/* SPDX-License-Identifier: Apache-2.0 */
#include "base/loop.h"

#include "support/test.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/clock.h"

struct counted_task {
	struct loop_task task;
	struct loop *loop;
	int *order;
	int *n_run;
	int number;
	bool stops;
};

static void note_order(struct loop_task *task)
{
	struct counted_task *counted = (struct counted_task *)task;

	assert_true(loop_is_current(counted->loop));
	counted->order[(*counted->n_run)++] = counted->number;
	if (counted->stops)
		loop_stop(counted->loop);
}

static void tasks_run_in_the_order_they_were_posted(void **state)
{
	(void)state;
	CLEANUP(loop_freep) struct loop *loop = NULL;
	struct counted_task tasks[100];
	int order[100];
	int n_run = 0;

	assert_int_equal(loop_new(&loop, NULL), 0);
	for (int i = 0; i < 100; i++) {
		tasks[i] = (struct counted_task){.task.run = note_order,
			.loop = loop,
			.order = order,
			.n_run = &n_run,
			.number = i,
			.stops = i == 99};
		loop_post(loop, &tasks[i].task);
	}
	assert_false(loop_is_current(loop));
	loop_run(loop);
	assert_false(loop_is_current(loop));
	assert_int_equal(n_run, 100);
	for (int i = 0; i < 100; i++)
		assert_int_equal(order[i], i);
}

static void a_stop_before_run_lets_posted_tasks_run_and_returns(void **state)
{
	(void)state;
	CLEANUP(loop_freep) struct loop *loop = NULL;
	int order[1], n_run = 0;
	struct counted_task task = {.task.run = note_order, .order = order, .n_run = &n_run};

	assert_int_equal(loop_new(&loop, NULL), 0);
	task.loop = loop;
	loop_post(loop, &task.task);
	loop_stop(loop);
	loop_run(loop);
	assert_int_equal(n_run, 1);
}

static void a_freed_loop_runs_what_was_posted(void **state)
{
	(void)state;
	struct loop *loop = NULL;
	int order[2], n_run = 0;
	struct counted_task first = {.task.run = note_order, .order = order, .n_run = &n_run};
	struct counted_task second = first;

	assert_int_equal(loop_new(&loop, NULL), 0);
	first.loop = second.loop = loop;
	second.number = 1;
	loop_post(loop, &first.task);
	loop_post(loop, &second.task);
	loop_free(loop);
	assert_int_equal(n_run, 2);
	assert_int_equal(order[1], 1);
	loop_free(NULL);
}

struct reposting_task {
	struct loop_task task;
	struct loop *loop;
	int n_left;
};

static void post_again(struct loop_task *task)
{
	struct reposting_task *self = (struct reposting_task *)task;

	if (self->n_left-- == 0)
		loop_stop(self->loop);
	else
		loop_post(self->loop, task);
}

static void a_task_may_post_itself_again_while_it_runs(void **state)
{
	(void)state;
	CLEANUP(loop_freep) struct loop *loop = NULL;
	struct reposting_task task = {.task.run = post_again, .n_left = 1000};

	assert_int_equal(loop_new(&loop, NULL), 0);
	task.loop = loop;
	loop_post(loop, &task.task);
	loop_run(loop);
	assert_int_equal(task.n_left, -1);
}

struct silent_task {
	struct loop_task task;
	struct loop *loop;
	int n_left;
	bool woken;
};

/* Whether some eventfd of this process could be read, the loop's own being the only one. */
static bool eventfd_was_raised(void)
{
	for (int fd = 0; fd < 64; fd++) {
		char path[64];
		char text[512] = "";
		FILE *file;
		char *count;

		(void)snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
		file = fopen(path, "re");
		if (!file)
			continue;
		(void)!fread(text, 1, sizeof(text) - 1, file);
		(void)fclose(file);
		count = strstr(text, "eventfd-count:");
		if (count && strtoull(count + strlen("eventfd-count:"), NULL, 16) > 0)
			return true;
	}
	return false;
}

static void post_silently(struct loop_task *task)
{
	struct silent_task *self = (struct silent_task *)task;

	if (self->n_left-- == 0) {
		loop_stop(self->loop);
		return;
	}
	loop_post(self->loop, task);
	/* In the first round it still is, from the post that began. */
	if (self->n_left < 4)
		self->woken |= eventfd_was_raised();
}

static void posting_on_the_thread_of_the_loop_makes_no_system_call(void **state)
{
	(void)state;
	CLEANUP(loop_freep) struct loop *loop = NULL;
	struct silent_task task = {.task.run = post_silently, .n_left = 5};

	assert_int_equal(loop_new(&loop, NULL), 0);
	task.loop = loop;
	loop_post(loop, &task.task);
	assert_true(eventfd_was_raised());
	loop_run(loop);
	assert_false(task.woken);
	assert_int_equal(task.n_left, -1);
}

struct endless_task {
	struct loop_task task;
	struct loop *loop;
	atomic_bool stop;
};

static void post_for_ever(struct loop_task *task)
{
	struct endless_task *self = (struct endless_task *)task;

	if (!atomic_load(&self->stop))
		loop_post(self->loop, task);
}

static void stop_endless(void *arg)
{
	struct endless_task *task = arg;

	atomic_store(&task->stop, true);
	loop_stop(task->loop);
}

static void a_task_that_never_ends_leaves_timers_their_turn(void **state)
{
	(void)state;
	CLEANUP(loop_freep) struct loop *loop = NULL;
	struct endless_task task = {.task.run = post_for_ever};
	struct loop_timer *timer = NULL;

	assert_int_equal(loop_new(&loop, NULL), 0);
	task.loop = loop;
	assert_int_equal(loop_timer_new(loop, stop_endless, &task, &timer, NULL), 0);
	loop_timer_set(timer, 5 * NS_PER_MS);
	loop_post(loop, &task.task);
	loop_run(loop);
	assert_true(atomic_load(&task.stop));
	loop_timer_free(timer);
}

enum { N_POSTERS = 8, N_POSTS = 5000 };

struct poster;

struct post {
	struct loop_task task;
	struct poster *poster;
	int number;
};

struct poster {
	pthread_t thread;
	struct loop *loop;
	int next_expected; /* loop thread, then the test after the join */
	bool in_order;
	struct post posts[N_POSTS];
};

static void check_order(struct loop_task *task)
{
	struct post *post = (struct post *)task;

	if (post->number != post->poster->next_expected)
		post->poster->in_order = false;
	post->poster->next_expected++;
}

static void *post_many(void *arg)
{
	struct poster *poster = arg;

	for (int i = 0; i < N_POSTS; i++) {
		poster->posts[i] =
			(struct post){.task.run = check_order, .poster = poster, .number = i};
		loop_post(poster->loop, &poster->posts[i].task);
	}
	return NULL;
}

static void many_threads_post_and_each_sees_its_own_order(void **state)
{
	(void)state;
	CLEANUP(loop_freep) struct loop *loop = NULL;
	CLEANUP(cleanup_free) struct poster *posters = calloc(N_POSTERS, sizeof(*posters));

	assert_non_null(posters);
	assert_int_equal(loop_new(&loop, NULL), 0);
	assert_int_equal(loop_thread_start(loop, "test-loop", NULL), 0);
	for (int i = 0; i < N_POSTERS; i++) {
		posters[i].loop = loop;
		posters[i].in_order = true;
		assert_int_equal(
			pthread_create(&posters[i].thread, NULL, post_many, &posters[i]), 0);
	}
	for (int i = 0; i < N_POSTERS; i++)
		pthread_join(posters[i].thread, NULL);
	loop_thread_stop(loop);
	for (int i = 0; i < N_POSTERS; i++) {
		assert_int_equal(posters[i].next_expected, N_POSTS);
		assert_true(posters[i].in_order);
	}
}

struct name_task {
	struct loop_task task;
	char name[16];
};

static void read_name(struct loop_task *task)
{
	prctl(PR_GET_NAME, ((struct name_task *)task)->name);
}

static void the_thread_of_a_loop_has_its_name_and_can_be_started_again(void **state)
{
	(void)state;
	CLEANUP(loop_freep) struct loop *loop = NULL;

	assert_int_equal(loop_new(&loop, NULL), 0);
	for (int i = 0; i < 3; i++) {
		struct name_task task = {.task.run = read_name};

		assert_int_equal(loop_thread_start(loop, "a-name-that-is-too-long", NULL), 0);
		loop_post(loop, &task.task);
		loop_stop(loop);
		loop_thread_stop(loop);
		assert_string_equal(task.name, "a-name-that-is-");
	}
	loop_thread_stop(loop);
}

struct timer_test {
	struct loop *loop;
	struct loop_timer *timer;
	uint64_t set_ns;
	uint64_t fired_ns;
	int n_fired;
	int n_wanted;
};

static void on_fire(void *arg)
{
	struct timer_test *test = arg;

	test->fired_ns = clock_now_ns();
	if (++test->n_fired == test->n_wanted)
		loop_stop(test->loop);
	else if (test->timer)
		loop_timer_set(test->timer, NS_PER_MS);
}

static void a_timer_fires_once_and_never_early(void **state)
{
	(void)state;
	CLEANUP(loop_freep) struct loop *loop = NULL;
	struct timer_test test = {.n_wanted = 1};

	assert_int_equal(loop_new(&loop, NULL), 0);
	test.loop = loop;
	for (int i = 1; i <= 20; i++) {
		test.n_fired = 0;
		assert_int_equal(loop_timer_new(loop, on_fire, &test, &test.timer, NULL), 0);
		test.set_ns = clock_now_ns();
		loop_timer_set(test.timer, (uint64_t)i * 100 * NS_PER_US + 1);
		loop_run(loop);
		assert_int_equal(test.n_fired, 1);
		assert_true(test.fired_ns - test.set_ns > (uint64_t)i * 100 * NS_PER_US);
		loop_timer_free(test.timer);
	}
}

static void a_timer_set_in_its_own_callback_fires_again(void **state)
{
	(void)state;
	CLEANUP(loop_freep) struct loop *loop = NULL;
	struct timer_test test = {.n_wanted = 5};

	assert_int_equal(loop_new(&loop, NULL), 0);
	test.loop = loop;
	assert_int_equal(loop_timer_new(loop, on_fire, &test, &test.timer, NULL), 0);
	loop_timer_set(test.timer, 0);
	loop_run(loop);
	assert_int_equal(test.n_fired, 5);
	loop_timer_free(test.timer);
	loop_timer_free(NULL);
}

static void a_cancelled_timer_stays_silent_and_a_far_one_waits(void **state)
{
	(void)state;
	CLEANUP(loop_freep) struct loop *loop = NULL;
	struct timer_test cancelled = {.n_wanted = 1};
	struct timer_test far = {.n_wanted = 1};
	struct timer_test last = {.n_wanted = 1};

	assert_int_equal(loop_new(&loop, NULL), 0);
	cancelled.loop = far.loop = last.loop = loop;
	assert_int_equal(loop_timer_new(loop, on_fire, &cancelled, &cancelled.timer, NULL), 0);
	assert_int_equal(loop_timer_new(loop, on_fire, &far, &far.timer, NULL), 0);
	assert_int_equal(loop_timer_new(loop, on_fire, &last, &last.timer, NULL), 0);
	loop_timer_set(cancelled.timer, NS_PER_MS);
	loop_timer_cancel(cancelled.timer);
	loop_timer_set(far.timer, UINT64_MAX);
	loop_timer_set(last.timer, 20 * NS_PER_MS);
	loop_run(loop);
	assert_int_equal(cancelled.n_fired, 0);
	assert_int_equal(far.n_fired, 0);
	assert_int_equal(last.n_fired, 1);
	loop_timer_free(cancelled.timer);
	loop_timer_free(far.timer);
	loop_timer_free(last.timer);
}

struct watch_test {
	struct loop *loop;
	struct loop_watch *watch;
	int fds[2];
	unsigned seen;
	int n_ready;
};

static void on_ready(void *arg, unsigned events)
{
	struct watch_test *test = arg;

	test->seen |= events;
	/* Level-triggered: it is reported again until the byte is taken. */
	if (++test->n_ready >= 3)
		loop_stop(test->loop);
}

static void a_watch_is_level_triggered_and_can_change_its_interest(void **state)
{
	(void)state;
	CLEANUP(loop_freep) struct loop *loop = NULL;
	struct watch_test test = {0};

	assert_int_equal(loop_new(&loop, NULL), 0);
	test.loop = loop;
	assert_int_equal(pipe(test.fds), 0);
	assert_int_equal(loop_watch_new(loop, test.fds[0], LOOP_READABLE, on_ready, &test,
				 &test.watch, NULL),
		0);
	assert_int_equal(write(test.fds[1], "x", 1), 1);
	loop_run(loop);
	assert_int_equal(test.seen, LOOP_READABLE);
	assert_true(test.n_ready >= 3);

	test.n_ready = 0;
	assert_int_equal(loop_watch_set(test.watch, 0, NULL), 0);
	loop_stop(loop);
	loop_run(loop);
	assert_int_equal(test.n_ready, 0);

	assert_int_equal(loop_watch_set(test.watch, LOOP_READABLE, NULL), 0);
	loop_run(loop);
	assert_true(test.n_ready >= 3);
	loop_watch_free(test.watch);
	loop_watch_free(NULL);
	close(test.fds[0]);

	test.seen = 0;
	test.n_ready = 0;
	assert_int_equal(pipe(test.fds), 0);
	assert_int_equal(loop_watch_new(loop, test.fds[1], LOOP_READABLE | LOOP_WRITABLE, on_ready,
				 &test, &test.watch, NULL),
		0);
	loop_run(loop);
	assert_int_equal(test.seen, LOOP_WRITABLE);
	loop_watch_free(test.watch);
	close(test.fds[0]);
	close(test.fds[1]);
}

static void a_descriptor_that_cannot_be_watched_is_an_error(void **state)
{
	(void)state;
	CLEANUP(loop_freep) struct loop *loop = NULL;
	struct loop_watch *watch = NULL;
	struct error err = {0};
	char name[] = "varve-loop-XXXXXX";
	int fd = mkstemp(name);

	assert_true(fd >= 0);
	unlink(name);
	assert_int_equal(loop_new(&loop, NULL), 0);
	assert_int_equal(loop_watch_new(loop, fd, LOOP_READABLE, on_ready, NULL, &watch, &err), -1);
	assert_null(watch);
	assert_int_equal(err.kind, ERROR_UNAUTHORIZED); /* EPERM: epoll refuses regular files */
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tasks_run_in_the_order_they_were_posted),
		cmocka_unit_test(a_stop_before_run_lets_posted_tasks_run_and_returns),
		cmocka_unit_test(a_freed_loop_runs_what_was_posted),
		cmocka_unit_test(a_task_may_post_itself_again_while_it_runs),
		cmocka_unit_test(posting_on_the_thread_of_the_loop_makes_no_system_call),
		cmocka_unit_test(a_task_that_never_ends_leaves_timers_their_turn),
		cmocka_unit_test(many_threads_post_and_each_sees_its_own_order),
		cmocka_unit_test(the_thread_of_a_loop_has_its_name_and_can_be_started_again),
		cmocka_unit_test(a_timer_fires_once_and_never_early),
		cmocka_unit_test(a_timer_set_in_its_own_callback_fires_again),
		cmocka_unit_test(a_cancelled_timer_stays_silent_and_a_far_one_waits),
		cmocka_unit_test(a_watch_is_level_triggered_and_can_change_its_interest),
		cmocka_unit_test(a_descriptor_that_cannot_be_watched_is_an_error),
	};
	return cmocka_run_group_tests_name("base/loop", tests, NULL, NULL);
}
