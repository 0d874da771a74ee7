/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "oci/digest.h"

/* One directory that holds everything a node keeps: index.mdb (LMDB), layers/, images/, lock,
 * control.sock. One process owns it at a time. Any thread, unless said otherwise. */
struct store;

/* Where the store is and how much it may take. */
struct store_options {
	const char
		*dir; /* made with mode 0700 when absent; its parents must exist or be makeable */
	const char *owner; /* one line for others to read: what this process does, e.g. its mount */
	uint64_t quota_bytes;   /* allocated bytes of everything in dir; 0: no limit in bytes */
	unsigned quota_percent; /* of the file system; 0: no limit in percent */
	uint64_t chunk_memory;  /* bytes of chunks kept while nothing can be cached; 0: 64 MiB */
};

/**
 * store_open() - own a store.
 * @err: ERROR_BUSY names the owner's pid and what it does, and says what to do instead.
 *
 * A directory on a read-only file system opens (store_caching() is false) when it holds a store;
 * those who only read share it. A database of a newer version is ERROR_UNSUPPORTED; one that is
 * damaged is set aside beside the new one, with a warning, and never deleted: nothing is claimed
 * then, and tree ids go on behind those given before. When the last owner did not close the store
 * the database is walked through first, in a child process. Call it after fork().
 */
MUST_CHECK int store_open(
	const struct store_options *options, struct store **out, struct error *err);

/* Commits what was written and gives up ownership. No layer is open and every stored_range was
 * freed. NULL is allowed. */
void store_close(struct store *store);
void store_closep(struct store **store);

/* Who owns the store in dir: *owned false when nobody does. text gets "pid 123: owner line". */
MUST_CHECK int store_owner(
	const char *dir, bool *owned, char *text, size_t text_size, struct error *err);

/* Changes the owner line. */
MUST_CHECK int store_set_owner(struct store *store, const char *owner, struct error *err);

/* Descriptors of layers/ and images/, for the index folder; the store's. The directory's path. */
int store_layers_fd(const struct store *store);
int store_images_fd(const struct store *store);
const char *store_dir(const struct store *store);

/* Index files are evicted with their layers. Between the two calls none is: for who finds one by
 * its name before the layer is open. May wait for an eviction. The image's own index stays while
 * all of its layers are open. */
void store_hold_indexes(struct store *store);
void store_release_indexes(struct store *store);

/* False while the store only reads: read-only file system, or full. @why says which. */
bool store_caching(struct store *store, char *why, size_t why_size);

/* Frees the buffers that are kept for the next reads; for a quiet moment. Any thread. */
void store_trim(struct store *store);

/* The id of the tree with this index content, bound durably before this returns and never given
 * to another tree; 1 to 2^24 - 1. @content: SHA-256 of the index file. Where it cannot be recorded
 * (the disk is read-only, full or failing) the id follows from the content, above 2^23: another
 * process gets the same for it unless two contents collide, and this one never gives it twice. */
MUST_CHECK int store_tree_id(
	struct store *store, const uint8_t content[32], uint32_t *id, struct error *err);

/* Manifests, configs and the like, by digest; at most 4 MiB. put checks the digest; get checks it
 * again (*found false when absent or damaged). @data: malloc()ed, the caller's. This and the
 * records below are durable when put returns; a disk that takes nothing is ERROR_READ_ONLY or
 * _NO_SPACE. */
MUST_CHECK int store_document_put(struct store *store, const struct digest *digest,
	const char *media_type, const void *data, size_t size, struct error *err);
MUST_CHECK int store_document_get(struct store *store, const struct digest *digest, bool *found,
	char media_type[128], uint8_t **data, size_t *size, struct error *err);

/* What a tag was when it was last resolved. */
struct store_ref {
	struct digest digest; /* of the manifest or index the tag named */
	int64_t resolved_s;   /* wall clock */
};
MUST_CHECK int store_ref_put(
	struct store *store, const char *reference, const struct store_ref *ref, struct error *err);
MUST_CHECK int store_ref_get(struct store *store, const char *reference, bool *found,
	struct store_ref *out, struct error *err);

/* Success when there is none. */
MUST_CHECK int store_ref_remove(struct store *store, const char *reference, struct error *err);

/* An image that was mounted here: for `varve images`. */
struct store_image {
	const char *reference;  /* full form */
	struct digest manifest; /* of the platform manifest */
	int64_t used_s;
	uint8_t (*layers)[32]; /* keys, lowest first */
	size_t n_layers;
};
MUST_CHECK int store_image_put(
	struct store *store, const struct store_image *image, struct error *err);
/* Calls each() with a borrowed record until it returns non-zero. */
MUST_CHECK int store_image_each(struct store *store,
	int (*each)(void *arg, const struct store_image *image), void *arg, struct error *err);
