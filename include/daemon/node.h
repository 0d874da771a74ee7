/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "layer/image.h"

/* The parts of one process put together: threads, registries, store, fetcher, trees. What mounts
 * and serves is built from one of these. */
struct node;

/* What a process is told; zero means the default everywhere. */
struct node_options {
	const char *store_dir;
	const char *owner;      /* what this process does, for others who want the store */
	const char *hosts_dirs; /* colon-separated; "" for none */
	bool plain_http;
	const char *username; /* or NULL */
	const char *password;
	uint64_t quota_bytes;            /* 0: no limit */
	unsigned quota_percent;          /* 0: no limit */
	uint64_t memory_limit;           /* of data in flight; 0: 256 MiB */
	uint64_t read_deadline_ns;       /* a read that took longer fails with EIO; 0: 60 s */
	uint64_t background_bytes_per_s; /* 0: no limit */
};

/* Starts threads: after fork, never before. */
MUST_CHECK int node_new(const struct node_options *options, struct node **out, struct error *err);

/* Nothing serves the trees any more. Commits the store. NULL is allowed. */
void node_free(struct node *node);
void node_freep(struct node **node);

/* What image_open() needs; borrowed from the node. */
const struct image_context *node_images(const struct node *node);
