/* SPDX-License-Identifier: Apache-2.0 */
/* The registries of one process. */
#include "registry/registry_client.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "oci/manifest.h"
#include "registry/credentials.h"

#include "call_internal.h"

#define DEFAULT_DEADLINE_NS (60 * NS_PER_SECOND)
#define DEFAULT_STALL_TIMEOUT_NS (10 * NS_PER_SECOND)

static void client_destroy(struct registry_client *client)
{
	host_table_free(client);
	target_cache_free(client);
	host_states_free(client->states);
	credentials_free(client->credentials);
	credentials_free(client->mirror_credentials);
	free(client->hosts_roots);
	pthread_mutex_destroy(&client->lock);
	free(client);
}

struct registry_client *registry_client_ref(struct registry_client *client)
{
	client->refs++;
	return client;
}

void registry_client_unref(struct registry_client *client)
{
	if (--client->refs == 0)
		client_destroy(client);
}

static int set_credentials(const struct registry_client_options *options,
	struct registry_client *client, struct error *err)
{
	const struct credentials_options given = {options->username, options->password, NULL};
	const struct credentials_options none = {0};

	if (credentials_new(&given, &client->credentials, err) < 0)
		return -1;
	return credentials_new(&none, &client->mirror_credentials, err);
}

static void destroy_unfinished(struct registry_client **client)
{
	if (*client)
		client_destroy(*client);
}

int registry_client_new(const struct registry_client_options *options, struct registry_client **out,
	struct error *err)
{
	CLEANUP(destroy_unfinished)
	struct registry_client *client = calloc(1, sizeof(*client));
	size_t n_roots = 0;

	if (!client)
		return error_set(err, ERROR_NO_MEMORY, "no memory for a registry client");
	pthread_mutex_init(&client->lock, NULL);
	client->refs = 1;
	client->http = options->http;
	client->loop = options->loop;
	client->workers = options->workers;
	client->plain_http = options->plain_http;
	client->deadline_ns = options->deadline_ns ? options->deadline_ns : DEFAULT_DEADLINE_NS;
	client->stall_timeout_ns =
		options->stall_timeout_ns ? options->stall_timeout_ns : DEFAULT_STALL_TIMEOUT_NS;
	if (getrandom(&client->random, sizeof(client->random), 0) < 0 || client->random == 0)
		client->random = clock_now_ns() | 1;
	if (hosts_split_roots(options->hosts_dirs ? options->hosts_dirs : "", &client->hosts_roots,
		    &n_roots, err) < 0)
		return -1;
	client->hosts_options = (struct hosts_options){
		.roots = (const char *const *)client->hosts_roots,
		.n_roots = n_roots,
		.plain_http = options->plain_http,
		.system_from = options->tls,
	};
	if (set_credentials(options, client, err) < 0)
		return -1;
	*out = TAKE_PTR(client);
	return 0;
}

static void close_run(struct loop_task *task)
{
	struct registry_client *client = container_of(task, struct registry_client, close_task);

	registry_client_unref(client);
}

void registry_client_free(struct registry_client *client)
{
	if (!client)
		return;
	assert(!loop_is_current(client->loop));
	atomic_store(&client->closing, true);
	client->close_task.run = close_run;
	loop_post(client->loop, &client->close_task);
}

void registry_client_freep(struct registry_client **client)
{
	registry_client_free(*client);
}

/* xorshift64*: nobody's safety depends on it. */
uint64_t registry_jitter(struct registry_client *client, uint64_t base_ns)
{
	uint64_t x = client->random;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	client->random = x;
	x *= UINT64_C(2685821657736338717);
	return base_ns / 2 + (base_ns ? x % base_ns : 0);
}

/* "docker.io/library/app:1.2@sha256:...", as far as a message has room for it. */
static int name_call(const struct registry_call *call, const char *verb, struct error *err)
{
	char text[REFERENCE_TEXT_SIZE];
	struct reference reference = *call->reference;

	if (call->digest) {
		reference.has_digest = true;
		reference.digest = *call->digest;
		reference.tag[0] = 0;
	}
	return error_prefix(err, "%s %s", verb, reference_format(&reference, text));
}

int registry_resolve(struct registry_client *client, const struct reference *reference,
	struct digest *digest, char media_type[128], struct error *err)
{
	struct registry_call call = {
		.client = client,
		.kind = CALL_RESOLVE,
		.reference = reference,
		.digest = reference->has_digest ? &reference->digest : NULL,
		.max_size = MANIFEST_MAX_SIZE,
	};
	int result = registry_call_perform(&call, err);

	buffer_free(&call.body);
	if (result < 0)
		return name_call(&call, "resolve", err);
	*digest = call.found;
	memcpy(media_type, call.media_type, sizeof(call.media_type));
	return 0;
}

int registry_get_manifest(struct registry_client *client, const struct reference *reference,
	const struct digest *digest, char media_type[128], struct buffer *out, struct error *err)
{
	struct registry_call call = {
		.client = client,
		.kind = CALL_MANIFEST,
		.reference = reference,
		.digest = digest,
		.max_size = MANIFEST_MAX_SIZE,
	};

	if (registry_call_perform(&call, err) < 0) {
		buffer_free(&call.body);
		return name_call(&call, "manifest", err);
	}
	memcpy(media_type, call.media_type, sizeof(call.media_type));
	*out = call.body;
	return 0;
}

int registry_get_blob(struct registry_client *client, const struct reference *reference,
	const struct descriptor *descriptor, uint64_t max_size, struct buffer *out,
	struct error *err)
{
	struct registry_call call = {
		.client = client,
		.kind = CALL_BLOB,
		.reference = reference,
		.digest = &descriptor->digest,
		.max_size = descriptor->size,
	};

	if (descriptor->size > max_size)
		return error_set(err, ERROR_FORMAT,
			"blob of %ju bytes is larger than the limit of %ju",
			(uintmax_t)descriptor->size, (uintmax_t)max_size);
	if (registry_call_perform(&call, err) < 0) {
		buffer_free(&call.body);
		return name_call(&call, "blob", err);
	}
	*out = call.body;
	return 0;
}
