/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "support/fake_registry.h"
#include "support/scratch.h"

#include <pthread.h>

#include "base/bytes.h"
#include "fetch/fetcher.h"
#include "http/http_client.h"
#include "layer/image.h"
#include "registry/registry_client.h"
#include "store/store.h"

enum { MAX_OBJECTS = 64 };

/* Something that the registry has: a blob or document of a repository under its digest, or a
 * document under a tag. Digests are what the test says they are. */
struct object {
	char repository[64];
	char name[DIGEST_TEXT_SIZE]; /* digest or tag */
	char media_type[128];
	char digest[DIGEST_TEXT_SIZE];
	struct buffer bytes;
};

/* A registry with images made of the golden blobs, and what opens them. */
struct image_fixture {
	struct scratch *scratch;
	char store_dir[512];
	struct fake_registry *registry;
	char host[32];
	pthread_mutex_t lock;               /* of what the registry has, while it answers */
	struct object objects[MAX_OBJECTS]; /* guarded by lock */
	size_t n_objects;                   /* guarded by lock */

	struct loop *loop;
	struct workers *workers;
	struct tls_settings *tls;
	struct http_client *http;
	struct registry_client *client;
	struct store *store;
	struct fetcher *fetcher;
	struct tree_table *trees;
	struct image_context context;
};

/* cmocka setup and teardown. */
int image_setup(void **state);
int image_teardown(void **state);

/* Closes everything of the process, and opens it again: nothing is remembered but the store. */
void image_restart(struct image_fixture *fixture);
void image_close_context(struct image_fixture *fixture);
void image_open_context(struct image_fixture *fixture);

/* A layer of a manifest that is being written. */
struct layer_text {
	const char *blob;    /* name of a golden blob; a directory before it, unless eStargz */
	const char *claimed; /* golden blob whose digest the manifest names; NULL: the same */
	const char *toc;     /* golden blob whose table it has; NULL: the same; "": no annotation */
	const char *size;    /* as written; NULL: that of the blob */
	const char *media_type; /* NULL: that of the blob's directory */
	const char *extra;      /* more annotations: , "name": "value" */
	/* The repository has no such blob; another one does, which the descriptor's urls name. */
	const char *elsewhere;
	const char *diff_id; /* in the config; NULL: that of the decoded blob */
	const struct buffer
		*bytes; /* of the blob, when it is no golden one; then without a table */
};

/* Puts blobs and a manifest of these layers into a repository, under a tag. Returns the digest of
 * the manifest. */
struct digest image_push(struct image_fixture *fixture, const char *repository, const char *tag,
	const struct layer_text *layers, size_t n_layers);
/* Puts any document under a tag and its digest. */
struct digest image_push_document(struct image_fixture *fixture, const char *repository,
	const char *tag, const char *media_type, const char *text);
/* Puts a blob under its digest. */
void image_push_blob(
	struct image_fixture *fixture, const char *repository, const struct buffer *blob);
/* The object under this name, to be changed. */
struct object *image_object(
	struct image_fixture *fixture, const char *repository, const char *name);

/* The file NAME.SUFFIX of a golden directory; a digest without its newline. */
struct buffer golden(const char *name, const char *suffix);
void golden_digest(const char *name, struct digest *out); /* of NAME.blob */

/* Opens "REPOSITORY:TAG" or "REPOSITORY@DIGEST"; options without a reference. */
int image_try(struct image_fixture *fixture, const char *name, const struct image_options *options,
	struct image *out, struct error *err);
/* The same, failing the test unless it succeeds, or fails in this way and says so. */
struct image image_must_open(
	struct image_fixture *fixture, const char *name, const struct image_options *options);
void image_must_fail(struct image_fixture *fixture, const char *name,
	const struct image_options *options, enum error_kind kind, const char *text);

enum { LARGEST_READ = 1 << 20 }; /* of a layer, at once */

/* Reads all data of a layer of a tree; fails the test unless that succeeds. */
void image_read_layer(struct tree *tree, size_t layer, struct buffer *out);
/* A range of its data space. */
void image_read_data(
	struct tree *tree, size_t layer, uint64_t off, size_t size, struct buffer *out);
/* What a file of a tree holds. */
void image_read_file(struct tree *tree, const char *path, struct buffer *out);

unsigned image_n_requests(struct image_fixture *fixture);
/* The registry is gone for good; its port answers nobody. */
void image_registry_away(struct image_fixture *fixture);
