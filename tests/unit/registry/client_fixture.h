/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "support/scratch.h"

#include <pthread.h>

#include "chunk/source.h"
#include "registry/registry_client.h"
#include "support/fake_registry.h"

enum { BLOB_SIZE = 300000 };

/* A client of its own threads, and the blob that its registries are asked for. */
struct fixture {
	struct scratch *scratch;
	struct loop *loop;
	struct workers *workers;
	struct tls_settings *tls;
	struct http_client *http;
	struct registry_client *client;
	uint8_t blob[BLOB_SIZE];
	struct descriptor descriptor; /* of blob */
	struct reference reference;   /* library/app of the registry configured last */
	unsigned n_registries;
};

/* cmocka setup and teardown. */
int fixture_setup(void **state);
int fixture_teardown(void **state);

/* Makes a new registry of these hosts: the last is its server, the others are its mirrors. */
void fixture_configure(struct fixture *fixture, struct fake_registry *const *hosts, size_t n_hosts);
/* Writes the hosts.toml of the registry configured last. */
void fixture_write_hosts(struct fixture *fixture, const char *text);

/* A request to a source that a test follows from its own thread. */
struct reading {
	struct source_request request;
	struct fixture *fixture;
	struct source *source;
	struct source_fetch *fetch; /* net loop only */
	struct loop_task task;
	const char *avoid[4];
	uint64_t abort_at;    /* data() says -1 once it has so many bytes; 0: never */
	uint64_t cancel_at;   /* data() cancels the fetch then; 0: never */
	bool from_urls;       /* of the fixture's descriptor, not from its registry */
	struct source *given; /* the test's own, used again afterwards; or NULL */

	pthread_mutex_t lock;
	pthread_cond_t changed;
	/* guarded by lock */
	struct buffer body;
	bool cancelled;
	unsigned n_done;
	struct error err;
	char origin[64];      /* of done() */
	char data_origin[64]; /* of the last data() */
};

/* Reads [off, off + size) of the blob, within 20 s; fields of *reading may be set before. */
void reading_perform(struct reading *reading, struct fixture *fixture, uint64_t off, uint64_t size);
void reading_start(struct reading *reading, struct fixture *fixture, uint64_t off, uint64_t size);
void reading_cancel(struct reading *reading);
/* Until done() was called or the fetch was cancelled. */
void reading_wait(struct reading *reading);
void reading_free(struct reading *reading);
/* Frees a source of the test's own on the loop. */
void reading_free_source(struct fixture *fixture, struct source *source);

/* Fails the test unless all bytes came, in order. */
void assert_read(const struct reading *reading);
