/* SPDX-License-Identifier: Apache-2.0 */
#include "base/workers.h"

#include "support/test.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/prctl.h>

enum { N_SUBMITTERS = 8, N_EACH = 2000, N_ITEMS = 40 };

struct gate {
	struct work work;
	sem_t entered;
	sem_t open;
};

static void wait_at_gate(struct work *work)
{
	struct gate *gate = (struct gate *)work;

	sem_post(&gate->entered);
	sem_wait(&gate->open);
}

struct item {
	struct work work;
	int number;
	int *order;
	int *n_run;
};

static void note_item(struct work *work)
{
	struct item *item = (struct item *)work;

	item->order[(*item->n_run)++] = item->number;
}

static void urgent_work_runs_first_and_equal_work_in_order(void **state)
{
	(void)state;
	struct workers *workers = NULL;
	struct gate gate = {.work = {.run = wait_at_gate, .priority = PRIORITY_BACKGROUND}};
	struct item items[N_ITEMS];
	int order[N_ITEMS];
	int n_run = 0;

	sem_init(&gate.entered, 0, 0);
	sem_init(&gate.open, 0, 0);
	assert_int_equal(workers_new(1, "test", &workers, NULL), 0);
	workers_submit(workers, &gate.work);
	sem_wait(&gate.entered);
	for (int i = 0; i < N_ITEMS; i++) {
		/* Submitted least urgent first, round robin: 3 2 1 0 3 2 1 0 ... */
		items[i] = (struct item){
			.work = {.run = note_item,
				.priority = (enum priority)(N_PRIORITIES - 1 - i % N_PRIORITIES)},
			.number = i,
			.order = order,
			.n_run = &n_run};
		workers_submit(workers, &items[i].work);
	}
	sem_post(&gate.open);
	workers_free(workers);

	assert_int_equal(n_run, N_ITEMS);
	for (int i = 1; i < N_ITEMS; i++) {
		const struct item *before = &items[order[i - 1]];
		const struct item *after = &items[order[i]];

		assert_true(before->work.priority < after->work.priority ||
			    (before->work.priority == after->work.priority &&
				    before->number < after->number));
	}
	sem_destroy(&gate.entered);
	sem_destroy(&gate.open);
}

static void raised_work_runs_behind_what_is_as_urgent(void **state)
{
	(void)state;
	static const int expected[] = {1, 4, 0, 2, 3};
	enum { N = sizeof(expected) / sizeof(expected[0]) };
	struct workers *workers = NULL;
	struct gate gate = {.work = {.run = wait_at_gate, .priority = PRIORITY_BACKGROUND}};
	struct item items[N];
	struct item never = {.work = {.run = note_item, .priority = PRIORITY_BACKGROUND}};
	int order[N + 1];
	int n_run = 0;

	sem_init(&gate.entered, 0, 0);
	sem_init(&gate.open, 0, 0);
	assert_int_equal(workers_new(1, "test", &workers, NULL), 0);
	workers_submit(workers, &gate.work);
	sem_wait(&gate.entered);
	for (int i = 0; i < N; i++) {
		items[i] = (struct item){.work = {.run = note_item, .priority = PRIORITY_PREFETCH},
			.number = i,
			.order = order,
			.n_run = &n_run};
		if (i == 1)
			items[i].work.priority = PRIORITY_READER;
		workers_submit(workers, &items[i].work);
	}
	/* The last of its queue. */
	workers_raise(workers, &items[4].work, PRIORITY_READER);
	/* No raise at all. */
	workers_raise(workers, &items[0].work, PRIORITY_BACKGROUND);
	workers_raise(workers, &items[2].work, PRIORITY_PREFETCH);
	workers_raise(workers, &never.work, PRIORITY_READER);
	workers_raise(workers, &gate.work, PRIORITY_READER);
	sem_post(&gate.open);
	workers_free(workers);

	assert_int_equal(n_run, N);
	assert_memory_equal(order, expected, sizeof(expected));
	sem_destroy(&gate.entered);
	sem_destroy(&gate.open);
}

struct shared_counter {
	struct workers *workers;
	atomic_int n_run;
};

struct counting_work {
	struct work work;
	struct shared_counter *counter;
	int n_run; /* written by one worker, read after the join */
};

static void count(struct work *work)
{
	struct counting_work *counting = (struct counting_work *)work;

	counting->n_run++;
	atomic_fetch_add(&counting->counter->n_run, 1);
}

static void *submit_many(void *arg)
{
	struct shared_counter *counter = arg;
	struct counting_work *items = calloc(N_EACH, sizeof(*items));

	for (int i = 0; items && i < N_EACH; i++) {
		items[i].work.run = count;
		items[i].work.priority = (enum priority)(i % N_PRIORITIES);
		items[i].counter = counter;
		workers_submit(counter->workers, &items[i].work);
	}
	return items;
}

static void many_threads_submit_and_everything_runs_exactly_once(void **state)
{
	(void)state;
	struct shared_counter counter = {0};
	pthread_t threads[N_SUBMITTERS];
	void *items[N_SUBMITTERS];

	assert_int_equal(workers_new(4, "test", &counter.workers, NULL), 0);
	for (int i = 0; i < N_SUBMITTERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, submit_many, &counter), 0);
	for (int i = 0; i < N_SUBMITTERS; i++)
		pthread_join(threads[i], &items[i]);
	workers_free(counter.workers);

	assert_int_equal(atomic_load(&counter.n_run), N_SUBMITTERS * N_EACH);
	for (int i = 0; i < N_SUBMITTERS; i++) {
		assert_non_null(items[i]);
		for (int k = 0; k < N_EACH; k++)
			assert_int_equal(((struct counting_work *)items[i])[k].n_run, 1);
		free(items[i]);
	}
}

struct chained_work {
	struct work work;
	struct workers *workers;
	int n_left;
};

static void submit_again(struct work *work)
{
	struct chained_work *chained = (struct chained_work *)work;

	if (chained->n_left-- > 0)
		workers_submit(chained->workers, work);
}

static void work_submitted_by_the_last_work_still_runs(void **state)
{
	(void)state;
	struct chained_work chained = {.work = {.run = submit_again}, .n_left = 500};

	assert_int_equal(workers_new(2, "test", &chained.workers, NULL), 0);
	workers_submit(chained.workers, &chained.work);
	workers_free(chained.workers);
	assert_int_equal(chained.n_left, -1);
}

struct named_work {
	struct work work;
	char name[16];
};

static void read_name(struct work *work)
{
	prctl(PR_GET_NAME, ((struct named_work *)work)->name);
}

static void threads_carry_the_name_of_the_pool(void **state)
{
	(void)state;
	struct workers *workers = NULL;
	struct named_work named = {.work = {.run = read_name}};

	assert_int_equal(workers_new(1, "decode", &workers, NULL), 0);
	workers_submit(workers, &named.work);
	workers_free(workers);
	assert_string_equal(named.name, "decode-0");
}

static void zero_threads_means_as_many_as_there_are_cores(void **state)
{
	(void)state;
	CLEANUP(workers_freep) struct workers *workers = NULL;
	struct named_work named = {.work = {.run = read_name}};

	assert_int_equal(workers_new(0, "cores", &workers, NULL), 0);
	workers_submit(workers, &named.work);
	workers_free(workers);
	workers = NULL;
	assert_memory_equal(named.name, "cores-", 6);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(urgent_work_runs_first_and_equal_work_in_order),
		cmocka_unit_test(raised_work_runs_behind_what_is_as_urgent),
		cmocka_unit_test(many_threads_submit_and_everything_runs_exactly_once),
		cmocka_unit_test(work_submitted_by_the_last_work_still_runs),
		cmocka_unit_test(threads_carry_the_name_of_the_pool),
		cmocka_unit_test(zero_threads_means_as_many_as_there_are_cores),
	};
	return cmocka_run_group_tests_name("base/workers", tests, NULL, NULL);
}
