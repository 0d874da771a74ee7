/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A registry over plain HTTP whose every answer, right or wrong, a test decides. */
struct fake_registry;

/* One request; valid while its answer is being made. */
struct fake_request {
	struct fake_registry *registry;
	int fd;
	unsigned number; /* of this registry, from 0 */
	char method[8];
	char path[1024]; /* with its query */
	char headers[4096];
	char body[2048];
	bool has_range; /* "bytes=first-last" */
	uint64_t first;
	uint64_t last;
	bool close; /* set it: the connection ends with this answer */
};

/* Runs on a thread per connection, for one request at a time of all connections unless it calls
 * fake_hang(). */
typedef void (*fake_answer)(struct fake_request *request, void *arg);

struct fake_registry *fake_registry_start(fake_answer answer, void *arg);
/* Ends all connections and frees. NULL is allowed. */
void fake_registry_stop(struct fake_registry *registry);
void fake_registry_stopp(struct fake_registry **registry);

/* "127.0.0.1:PORT" */
const char *fake_registry_host(const struct fake_registry *registry);
unsigned fake_registry_n_requests(struct fake_registry *registry);

/* A whole answer; HEAD gets no body. headers: lines that end in "\r\n", or "". */
void fake_reply(struct fake_request *request, int status, const char *headers, const void *body,
	size_t size);
/* Only its beginning: length as announced, then what the test sends. */
void fake_reply_head(
	struct fake_request *request, int status, const char *headers, uint64_t length);
void fake_send(struct fake_request *request, const void *data, size_t size);

/* What a registry without faults answers to a request for all or part of this blob. */
void fake_reply_blob(struct fake_request *request, const void *blob, size_t size);

/* Returns when the client has gone or the registry is stopped. */
void fake_hang(struct fake_request *request);

/* Copies the value of a header; false when there is none. */
bool fake_header(const struct fake_request *request, const char *name, char *out, size_t out_size);
