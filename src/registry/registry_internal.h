/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>

#include "base/loop.h"
#include "base/workers.h"
#include "http/http_client.h"
#include "registry/hosts.h"
#include "registry/registry_client.h"

#include "auth_internal.h"

/* Everything below belongs to the net loop unless it says otherwise. */

/* What is remembered about a host of a namespace, whatever becomes of hosts.toml. Lives as long as
 * the client, so that its origin can be handed out. */
struct host_state {
	struct host_state *next; /* guarded by client->lock, as the list is read by any thread */
	char *origin;            /* owned */
	bool speaks_plain_http;  /* found out by the fallback from https */
	uint64_t not_before_ns;  /* it asked to be left alone until then */
	uint64_t down_until_ns;  /* it failed: others are asked first until then */
	uint64_t silent_ns;      /* how long it was down for its silence last; 0: it speaks */
	bool on_trial;           /* a request finds out whether it speaks again */
	struct registry_host_stats stats; /* guarded by client->lock */
};

/* The state of a host, made at its first use; NULL: no memory. */
struct host_state *host_state_get(
	struct registry_client *client, const char *name, const char *origin);
void host_states_free(struct host_state *state);
/* A request for a blob goes to it. While one finds out whether a host that was silent speaks again,
 * for @stall_ns at most, the others are sent elsewhere. */
void host_state_asked(struct host_state *state, uint64_t stall_ns);

struct host_set;

/* A host as one snapshot of the configuration describes it. */
struct host_entry {
	const struct host *config;
	struct host_state *state;
	struct host_set *set; /* the set it is part of */
	struct authorizer auth;
};

/* A snapshot of a namespace's hosts with what belongs to it on the net loop. */
struct host_set {
	unsigned refs;
	struct registry_client *client;
	struct hosts *hosts; /* a reference */
	size_t n_entries;
	struct host_entry entries[];
};

struct host_set *host_set_ref(struct host_set *set);
void host_set_unref(struct host_set *set);

/* Somebody who needs the hosts of a namespace. Embed it. */
struct host_wait {
	TAILQ_ENTRY(host_wait) link;
	struct registry_namespace *namespace; /* NULL when not waiting */
	uint64_t since_ns;
	/* Exactly one of @set (borrowed) and @err is set. Not called after cancel. */
	void (*done)(struct host_wait *wait, struct host_set *set, const struct error *err);
};

/**
 * host_table_get() - find the hosts of a namespace.
 * @fresh: look at the disk first; otherwise what is known is good enough, and is looked at again
 *         in the background when that is a second old.
 *
 * Calls wait->done() before it returns when nothing has to be waited for.
 */
void host_table_get(
	struct registry_client *client, const char *name, bool fresh, struct host_wait *wait);
void host_wait_cancel(struct host_wait *wait);

/* Frees all namespaces; nobody waits. */
void host_table_free(struct registry_client *client);

/* A namespace that was asked for. Lives as long as the client. */
struct registry_namespace {
	struct registry_namespace *next;
	struct registry_client *client;
	char *name;               /* owned */
	struct host_set *set;     /* a reference; the newest that could be loaded, or NULL */
	struct error err;         /* why the last look failed */
	uint64_t checked_ns;      /* when the last look began; 0: never */
	struct host_check *check; /* under way, or NULL */
	TAILQ_HEAD(, host_wait) waits;
};

struct registry_client {
	struct http_client *http; /* borrowed */
	struct loop *loop;        /* borrowed */
	struct workers *workers;  /* borrowed */
	char **hosts_roots;       /* owned */
	struct hosts_options hosts_options;
	struct credentials *credentials;        /* owned */
	struct credentials *mirror_credentials; /* owned: without what the user gave for this run */
	bool plain_http;
	uint64_t deadline_ns; /* of a call, from its start */
	uint64_t stall_timeout_ns;
	uint64_t random;

	/* Set by registry_client_free(): nothing is begun any more. Any thread. */
	atomic_bool closing;
	struct loop_task close_task;
	unsigned refs; /* the owner's and one of each job on the workers */
	struct registry_namespace *namespaces;
	struct redirect_target *targets; /* owned; most recently used first */
	size_t n_targets;

	pthread_mutex_t lock;
	struct host_state *states; /* guarded by lock */
};

/* Where the redirect of a host led for a blob; used until the target refuses. */
struct redirect_target {
	struct redirect_target *next;
	const struct host_state *state;
	char *repository; /* owned */
	char *path;       /* owned: "blobs/sha256:..." */
	char *url;        /* owned */
};

/* NULL when none is known; borrowed until the next call. */
const char *target_cache_get(struct registry_client *client, const struct host_state *state,
	const char *repository, const char *path);
/* A target that cannot be remembered for want of memory is forgotten. */
void target_cache_set(struct registry_client *client, const struct host_state *state,
	const char *repository, const char *path, const char *url);
void target_cache_forget(struct registry_client *client, const struct host_state *state,
	const char *repository, const char *path);
void target_cache_free(struct registry_client *client);

struct registry_client *registry_client_ref(struct registry_client *client);
/* Frees it when it was the last. */
void registry_client_unref(struct registry_client *client);

/* @base_ns, more or less by half of it at random, so that many nodes do not come back together. */
uint64_t registry_jitter(struct registry_client *client, uint64_t base_ns);
