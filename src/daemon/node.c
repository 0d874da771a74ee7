/* SPDX-License-Identifier: Apache-2.0 */
/* Puts the parts of a process together, and takes them apart in the opposite order. */
#include "daemon/node.h"

#include <stdlib.h>

#include "fetch/fetcher.h"
#include "http/http_client.h"
#include "http/tls.h"
#include "registry/registry_client.h"
#include "store/store.h"

#define CHUNK_MEMORY (UINT64_C(64) << 20)

struct node {
	struct loop *loop; /* the net loop */
	bool loop_runs;
	struct workers *workers;
	struct tls_settings *tls; /* the system's authorities */
	struct http_client *http;
	struct registry_client *registry;
	struct store *store;
	struct fetcher *fetcher;
	struct tree_table *trees;
	struct image_context images;
};

static int start_network(struct node *node, const struct node_options *options, struct error *err)
{
	struct tls_settings_options tls = {0};
	struct http_client_options http = {0};
	struct registry_client_options registry = {
		.hosts_dirs = options->hosts_dirs,
		.plain_http = options->plain_http,
		.username = options->username,
		.password = options->password,
	};

	if (loop_new(&node->loop, err) < 0 || workers_new(0, "worker", &node->workers, err) < 0)
		return -1;
	if (tls_settings_load(&tls, &node->tls, err) < 0)
		return error_prefix(err, "the system's certificate authorities");
	http.tls = node->tls;
	if (http_client_new(node->loop, &http, &node->http, err) < 0)
		return -1;
	registry.http = node->http;
	registry.tls = node->tls;
	registry.loop = node->loop;
	registry.workers = node->workers;
	if (loop_thread_start(node->loop, "net", err) < 0)
		return -1;
	node->loop_runs = true;
	return registry_client_new(&registry, &node->registry, err);
}

static int open_store(struct node *node, const struct node_options *options, struct error *err)
{
	struct store_options store = {
		.dir = options->store_dir,
		.owner = options->owner,
		.quota_bytes = options->quota_bytes,
		.quota_percent = options->quota_percent,
		.chunk_memory = CHUNK_MEMORY,
	};
	struct fetcher_options fetcher = {
		.loop = node->loop,
		.workers = node->workers,
		.memory_limit = options->memory_limit,
		.deadline_ns = options->read_deadline_ns,
		.background_bytes_per_s = options->background_bytes_per_s,
	};

	if (store_open(&store, &node->store, err) < 0)
		return -1;
	fetcher.store = node->store;
	if (fetcher_new(&fetcher, &node->fetcher, err) < 0)
		return -1;
	return tree_table_new(&node->trees, err);
}

int node_new(const struct node_options *options, struct node **out, struct error *err)
{
	CLEANUP(node_freep) struct node *node = calloc(1, sizeof(*node));

	if (!node)
		return error_set(err, ERROR_NO_MEMORY, "no memory for a node");
	if (start_network(node, options, err) < 0 || open_store(node, options, err) < 0)
		return -1;
	node->images = (struct image_context){
		.store = node->store,
		.fetcher = node->fetcher,
		.registry = node->registry,
		.loop = node->loop,
		.workers = node->workers,
		.trees = node->trees,
	};
	*out = TAKE_PTR(node);
	return 0;
}

void node_free(struct node *node)
{
	if (!node)
		return;
	tree_table_free(node->trees);
	fetcher_free(node->fetcher);
	registry_client_free(node->registry);
	if (node->loop_runs)
		loop_thread_stop(node->loop);
	http_client_free(node->http);
	tls_settings_unref(node->tls);
	workers_free(node->workers);
	loop_free(node->loop);
	store_close(node->store);
	free(node);
}

void node_freep(struct node **node)
{
	node_free(*node);
}

const struct image_context *node_images(const struct node *node)
{
	return &node->images;
}
