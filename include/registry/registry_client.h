/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/loop.h"
#include "base/workers.h"
#include "chunk/image_source.h"
#include "chunk/source.h"
#include "oci/descriptor.h"
#include "oci/reference.h"

struct http_client;
struct tls_settings;

/* All registries of one process: hosts.toml, credentials, tokens and cached redirect targets. */
struct registry_client;

/* What a client needs from its process. Strings are copied. */
struct registry_client_options {
	struct http_client *http; /* borrowed; its loop is the net loop */
	struct loop *loop;        /* the net loop; borrowed */
	struct workers *workers;  /* borrowed: hosts.toml, PEM files, credential helpers */
	/* The http client's, whose copy of the system's authorities is shared; or NULL. Borrowed.
	 */
	const struct tls_settings *tls;
	const char *hosts_dirs; /* colon-separated roots of hosts.toml directories; "" for none */
	bool plain_http;        /* http instead of https for hosts that hosts.toml does not name */
	const char *username;   /* explicit credentials for every registry, or NULL */
	const char *password;
	uint64_t deadline_ns; /* a control-plane call takes no longer; 0: 60 s */
	/* A host that has said nothing for so long is given up for another one; 0: 10 s. */
	uint64_t stall_timeout_ns;
};

/* Any thread that may block on a disk. */
MUST_CHECK int registry_client_new(const struct registry_client_options *options,
	struct registry_client **out, struct error *err);
/* No call and no source is active any more. Not on the net loop. */
void registry_client_free(struct registry_client *client);
void registry_client_freep(struct registry_client **client);

/* The calls below block: for threads that set things up, never a loop or a worker. When every host
 * failed the message names each host and its cause. */

/**
 * registry_resolve() - what a reference names now.
 * @digest, @media_type: of the manifest or index, from the registry's headers, or from the body
 *                       where it refuses HEAD. A reference with a digest is answered from itself
 *                       only after the registry confirmed that it has it.
 */
MUST_CHECK int registry_resolve(struct registry_client *client, const struct reference *reference,
	struct digest *digest, char media_type[128], struct error *err);

/**
 * registry_get_manifest() - a manifest or index by digest; its bytes have that digest.
 * @media_type: the Content-Type without parameters.
 * @out:        empty buffer, filled on success; at most MANIFEST_MAX_SIZE.
 */
MUST_CHECK int registry_get_manifest(struct registry_client *client,
	const struct reference *reference, const struct digest *digest, char media_type[128],
	struct buffer *out, struct error *err);

/* A whole small blob in memory; its bytes have the descriptor's digest. */
MUST_CHECK int registry_get_blob(struct registry_client *client, const struct reference *reference,
	const struct descriptor *descriptor, uint64_t max_size, struct buffer *out,
	struct error *err);

/* Bytes [off, off + size) of a blob, as the registry sent them: nothing is verified. */
MUST_CHECK int registry_get_range_unverified(struct registry_client *client,
	const struct reference *reference, const struct descriptor *descriptor, uint64_t off,
	uint64_t size, struct buffer *out, struct error *err);

/**
 * registry_get_referrers() - what refers to a manifest, as an image index.
 * @artifact_type: what is wanted; others may come all the same. NULL: all.
 * @out:           empty buffer; stays so when there is nothing. At most REFERRERS_MAX_SIZE, of all
 *                 pages together. No digest vouches for it.
 *
 * Hosts with the capability `referrers` are asked by the API. Where it is missing the tag that
 * stands in for it is read from hosts that may resolve tags.
 */
MUST_CHECK int registry_get_referrers(struct registry_client *client,
	const struct reference *reference, const struct digest *subject, const char *artifact_type,
	struct buffer *out, struct error *err);

/**
 * registry_source_new() - ranges of one blob, for the fetcher.
 * @reference: the repository; copied.
 * @out:       freed through its ops, on the net loop unless it was never used, before the client.
 *
 * Any thread.
 */
MUST_CHECK int registry_source_new(struct registry_client *client,
	const struct reference *reference, const struct descriptor *descriptor, struct source **out,
	struct error *err);

/* The image of a reference, from its registry; freed before the client. */
MUST_CHECK int registry_image_new(struct registry_client *client, const struct reference *reference,
	struct image_source **out, struct error *err);

/* What one host did for this process: for status. */
struct registry_host_stats {
	char namespace[272]; /* the registry as references name it */
	char origin[272];    /* "https://mirror.example:5000" */
	uint64_t n_requests;
	uint64_t n_errors;
	uint64_t received_bytes; /* of bodies */
	int64_t last_error_s;    /* wall clock; 0: none */
	char last_error[480];
	uint64_t round_trip_ns; /* recent, from request to the first byte of the answer; 0: unknown
				 */
	uint64_t bytes_per_s;   /* recent, of bodies that were long enough to tell; 0: unknown */
	bool ignores_range; /* answers a request for a part with the whole: ask for more at once */
};

/* Any thread: calls each() with a copy of every host that was asked so far until it returns
 * non-zero; returns that. */
int registry_each_host(struct registry_client *client,
	int (*each)(void *arg, const struct registry_host_stats *stats), void *arg);
