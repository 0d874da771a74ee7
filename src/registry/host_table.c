/* SPDX-License-Identifier: Apache-2.0 */
/* The namespaces in use: snapshots of their hosts are made on workers and swapped on the net loop.
 */
#include <string.h>

#include "base/clock.h"
#include "base/log.h"

#include "registry_internal.h"

/* Between two looks at the disk that nobody waits for. */
#define CHECK_INTERVAL_NS NS_PER_SECOND

/* One look at the disk, on a worker. */
struct host_check {
	struct work work;
	struct loop_task task;
	struct registry_client *client; /* a reference */
	struct registry_namespace *namespace;
	uint64_t started_ns;
	struct hosts *known;  /* a reference, or NULL */
	struct hosts *loaded; /* NULL: known is still right, or err says why not */
	struct error err;
};

struct host_set *host_set_ref(struct host_set *set)
{
	set->refs++;
	return set;
}

void host_set_unref(struct host_set *set)
{
	if (!set || --set->refs > 0)
		return;
	for (size_t i = 0; i < set->n_entries; i++)
		authorizer_clear(&set->entries[i].auth);
	hosts_unref(set->hosts);
	free(set);
}

/* @hosts is owned by the set on success. */
static struct host_set *set_new(struct registry_client *client, struct hosts *hosts)
{
	size_t size = sizeof(struct host_set) + hosts->n_hosts * sizeof(struct host_entry);
	struct host_set *set = calloc(1, size);

	if (!set)
		return NULL;
	set->refs = 1;
	set->client = client;
	set->n_entries = hosts->n_hosts;
	for (size_t i = 0; i < hosts->n_hosts; i++) {
		struct host_entry *entry = &set->entries[i];

		entry->config = &hosts->hosts[i];
		entry->set = set;
		entry->state = host_state_get(client, hosts->name, entry->config->origin);
		authorizer_init(&entry->auth, entry);
		if (!entry->state) {
			set->n_entries = i;
			host_set_unref(set);
			return NULL;
		}
	}
	set->hosts = hosts;
	return set;
}

static void check_start(struct registry_namespace *namespace);

/* Serves those whose question the last look answers; another look serves the others. */
static void serve(struct registry_namespace *namespace, const struct error *err)
{
	for (;;) {
		struct host_wait *wait = TAILQ_FIRST(&namespace->waits);

		if (!wait)
			return;
		if (wait->since_ns > namespace->checked_ns) {
			check_start(namespace);
			return;
		}
		TAILQ_REMOVE(&namespace->waits, wait, link);
		wait->namespace = NULL;
		if (err)
			wait->done(wait, NULL, err);
		else
			wait->done(wait, namespace->set, NULL);
	}
}

static void swap_in(struct registry_namespace *namespace, struct host_check *check)
{
	struct host_set *set = set_new(namespace->client, check->loaded);

	if (!set) {
		(void)error_set(&check->err, ERROR_NO_MEMORY, "no memory for the hosts of %s",
			namespace->name);
		return;
	}
	check->loaded = NULL;
	if (namespace->set)
		log_info("registry %s: configuration read again%s%s", namespace->name,
			set->hosts->directory ? " from " : "",
			set->hosts->directory ? set->hosts->directory : "");
	host_set_unref(namespace->set);
	namespace->set = set;
}

/* Net loop: takes the result. */
static void check_finish(struct loop_task *task)
{
	struct host_check *check = container_of(task, struct host_check, task);
	struct registry_namespace *namespace = check->namespace;
	struct registry_client *client = check->client;

	if (!atomic_load(&client->closing)) {
		namespace->check = NULL;
		namespace->checked_ns = check->started_ns;
		if (check->loaded)
			swap_in(namespace, check);
		/* Those who only want to go on keep the last good hosts, so somebody must say it;
		 * those who wait are told. */
		if (check->err.kind != ERROR_NONE && namespace->set &&
			strcmp(check->err.message, namespace->err.message) != 0)
			log_warning("%s; what is mounted keeps the hosts read before",
				check->err.message);
		namespace->err = check->err;
		serve(namespace, check->err.kind != ERROR_NONE ? &check->err : NULL);
	}
	hosts_unref(check->known);
	hosts_unref(check->loaded);
	free(check);
	registry_client_unref(client);
}

static void check_run(struct work *work)
{
	struct host_check *check = container_of(work, struct host_check, work);

	if ((!check->known || hosts_changed(check->known)) &&
		hosts_load(&check->client->hosts_options, check->namespace->name, &check->loaded,
			&check->err) < 0 &&
		check->err.kind == ERROR_NONE)
		check->err.kind = ERROR_INTERNAL;
	check->task.run = check_finish;
	loop_post(check->client->loop, &check->task);
}

static void check_start(struct registry_namespace *namespace)
{
	struct host_check *check;
	struct error err = {0};

	if (namespace->check)
		return;
	check = calloc(1, sizeof(*check));
	if (!check) {
		(void)error_set(&err, ERROR_NO_MEMORY, "no memory to look at the hosts of %s",
			namespace->name);
		namespace->checked_ns = clock_now_ns();
		serve(namespace, &err);
		return;
	}
	check->client = registry_client_ref(namespace->client);
	check->namespace = namespace;
	check->started_ns = clock_now_ns();
	/* After a failed look everything is read again. */
	if (namespace->set && namespace->err.kind == ERROR_NONE)
		check->known = hosts_ref(namespace->set->hosts);
	check->work.priority = PRIORITY_READER;
	check->work.run = check_run;
	namespace->check = check;
	workers_submit(namespace->client->workers, &check->work);
}

static struct registry_namespace *namespace_get(struct registry_client *client, const char *name)
{
	struct registry_namespace *namespace;

	for (namespace = client->namespaces; namespace; namespace = namespace->next) {
		if (strcmp(namespace->name, name) == 0)
			return namespace;
	}
	namespace = calloc(1, sizeof(*namespace));
	if (!namespace)
		return NULL;
	namespace->name = strdup(name);
	if (!namespace->name) {
		free(namespace);
		return NULL;
	}
	namespace->client = client;
	TAILQ_INIT(&namespace->waits);
	namespace->next = client->namespaces;
	client->namespaces = namespace;
	return namespace;
}

void host_table_get(
	struct registry_client *client, const char *name, bool fresh, struct host_wait *wait)
{
	struct registry_namespace *namespace = namespace_get(client, name);
	uint64_t now = clock_now_ns();
	struct error err = {0};

	if (!namespace) {
		(void)error_set(&err, ERROR_NO_MEMORY, "no memory for the hosts of %s", name);
		wait->done(wait, NULL, &err);
		return;
	}
	if (namespace->set && !fresh) {
		if (now - namespace->checked_ns > CHECK_INTERVAL_NS)
			check_start(namespace);
		wait->done(wait, namespace->set, NULL);
		return;
	}
	wait->namespace = namespace;
	wait->since_ns = fresh ? now : 0;
	TAILQ_INSERT_TAIL(&namespace->waits, wait, link);
	check_start(namespace);
}

void host_wait_cancel(struct host_wait *wait)
{
	if (!wait->namespace)
		return;
	TAILQ_REMOVE(&wait->namespace->waits, wait, link);
	wait->namespace = NULL;
}

void host_table_free(struct registry_client *client)
{
	struct registry_namespace *namespace;

	while ((namespace = client->namespaces)) {
		client->namespaces = namespace->next;
		host_set_unref(namespace->set);
		free(namespace->name);
		free(namespace);
	}
}
