/* SPDX-License-Identifier: Apache-2.0 */
/* Containers of flights: the table that makes them single, queues, and links to who waits. */
#include "fetch_internal.h"

#include <stdlib.h>

enum { FIRST_SHIFT = 6, LAST_SHIFT = 20 };

int flight_table_init(struct flight_table *table, struct error *err)
{
	table->shift = FIRST_SHIFT;
	table->buckets = calloc((size_t)1 << table->shift, sizeof(struct flight *));
	if (!table->buckets)
		return error_set(err, ERROR_NO_MEMORY, "no memory for a table of flights");
	return 0;
}

void flight_table_destroy(struct flight_table *table)
{
	free(table->buckets);
}

static struct flight **bucket_of(const struct flight_table *table, uint64_t first_rank)
{
	return &table->buckets[(first_rank * UINT64_C(0x9e3779b97f4a7c15)) >> (64 - table->shift)];
}

struct flight *flight_table_find(const struct flight_table *table, uint64_t first_rank)
{
	struct flight *flight = *bucket_of(table, first_rank);

	while (flight && flight->first_rank != first_rank)
		flight = flight->hash_next;
	return flight;
}

static void push(struct flight_table *table, struct flight *flight)
{
	struct flight **bucket = bucket_of(table, flight->first_rank);

	flight->hash_next = *bucket;
	*bucket = flight;
}

/* Without memory the chains only become longer. */
static void grow(struct flight_table *table)
{
	struct flight_table larger = {.shift = table->shift + 2};

	larger.buckets = calloc((size_t)1 << larger.shift, sizeof(struct flight *));
	if (!larger.buckets)
		return;
	for (size_t i = 0; i < (size_t)1 << table->shift; i++) {
		struct flight *following;

		for (struct flight *flight = table->buckets[i]; flight; flight = following) {
			following = flight->hash_next;
			push(&larger, flight);
		}
	}
	free(table->buckets);
	table->buckets = larger.buckets;
	table->shift = larger.shift;
}

void flight_table_add(struct flight_table *table, struct flight *flight)
{
	if (table->n >= (size_t)2 << table->shift && table->shift < LAST_SHIFT)
		grow(table);
	push(table, flight);
	table->n++;
}

void flight_table_remove(struct flight_table *table, struct flight *flight)
{
	struct flight **link = bucket_of(table, flight->first_rank);

	while (*link != flight)
		link = &(*link)->hash_next;
	*link = flight->hash_next;
	table->n--;
}

void queue_push(struct flight_queue *queue, struct flight *flight)
{
	flight->next = NULL;
	flight->prev = queue->tail;
	if (queue->tail)
		queue->tail->next = flight;
	else
		queue->head = flight;
	queue->tail = flight;
}

void queue_remove(struct flight_queue *queue, struct flight *flight)
{
	if (flight->prev)
		flight->prev->next = flight->next;
	else
		queue->head = flight->next;
	if (flight->next)
		flight->next->prev = flight->prev;
	else
		queue->tail = flight->prev;
	flight->prev = NULL;
	flight->next = NULL;
}

int wait_link_add(struct fetch_wait *wait, struct flight *flight, struct error *err)
{
	struct wait_link *link = calloc(1, sizeof(*link));

	if (!link)
		return error_set(err, ERROR_NO_MEMORY, "no memory for a waiting read");
	link->wait = wait;
	link->flight = flight;
	link->next_of_wait = wait->fetcher.links;
	if (link->next_of_wait)
		link->next_of_wait->prev_of_wait = link;
	wait->fetcher.links = link;
	link->next_of_flight = flight->waits;
	if (link->next_of_flight)
		link->next_of_flight->prev_of_flight = link;
	flight->waits = link;
	return 0;
}

void wait_link_remove(struct wait_link *link)
{
	if (link->prev_of_wait)
		link->prev_of_wait->next_of_wait = link->next_of_wait;
	else
		link->wait->fetcher.links = link->next_of_wait;
	if (link->next_of_wait)
		link->next_of_wait->prev_of_wait = link->prev_of_wait;
	if (link->prev_of_flight)
		link->prev_of_flight->next_of_flight = link->next_of_flight;
	else
		link->flight->waits = link->next_of_flight;
	if (link->next_of_flight)
		link->next_of_flight->prev_of_flight = link->prev_of_flight;
	free(link);
}
