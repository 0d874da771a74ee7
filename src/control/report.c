/* SPDX-License-Identifier: Apache-2.0 */
/* What all reports share: small values, hosts, errors and advice. */
#include "report_internal.h"

#include <stdio.h>
#include <string.h>

#include "base/error_map.h"
#include "registry/registry_client.h"
#include "store/store_cache.h"

void set_text(struct json *object, const char *name, const char *text)
{
	json_set(object, name, json_new_string(text));
}

void set_number(struct json *object, const char *name, uint64_t value)
{
	json_set(object, name, json_new_i64(value > INT64_MAX ? INT64_MAX : (int64_t)value));
}

void set_bool(struct json *object, const char *name, bool value)
{
	json_set(object, name, json_new_bool(value));
}

void set_digest(struct json *object, const char *name, const struct digest *digest)
{
	char text[DIGEST_TEXT_SIZE];

	set_text(object, name, digest_format(digest, text));
}

const char *report_codec_name(enum codec codec)
{
	return codec == CODEC_GZIP ? "gzip" : codec == CODEC_ZSTD ? "zstd" : "none";
}

void set_access(struct json *object, const struct layer *layer)
{
	const struct unit_table *units = layer_index_of(layer)->units;
	const struct unit_table_header *header = unit_table_header(units);
	struct unit unit = {0};

	/* All units of a layer are encoded alike; of an empty one nothing is. */
	if (header->n_units > 0 && unit_table_get(units, 0, &unit, NULL) < 0)
		unit.codec = CODEC_NONE;
	set_text(object, "access",
		header->n_spans == 0   ? "units"
		: header->n_spans == 1 ? "whole"
				       : "spans");
	set_text(object, "codec", report_codec_name(unit.codec));
	set_number(object, "spans", header->n_spans);
}

void report_trust(struct layer *layer, struct json *object)
{
	struct layer_trust_state state;

	layer_trust_state(layer, &state);
	set_text(object, "trust", layer_trust_name(state.trust));
	set_text(object, "index_by", layer_claimant_name(state.by));
	if (state.by != LAYER_CLAIMED_BY_NOBODY)
		set_digest(object, "index", &state.document);
	else
		set_text(object, "index", "");
	set_text(object, "contradiction", state.contradiction);
}

int set_store(struct json *object, struct store *store, struct error *err)
{
	struct cache_usage usage;
	char why[256] = "";

	if (cache_usage(store, &usage, err) < 0)
		return -1;
	set_text(object, "dir", store_dir(store));
	set_number(object, "allocated", usage.allocated);
	set_number(object, "quota", usage.quota);
	set_number(object, "file_system_free", usage.file_system_free);
	set_number(object, "evicted_layers", usage.evicted_layers);
	set_number(object, "evicted_bytes", usage.evicted_bytes);
	set_bool(object, "caching", store_caching(store, why, sizeof(why)));
	set_text(object, "caching_why", why);
	return 0;
}

struct host_list {
	const char *registry;
	struct json *array;
};

static int add_host(void *arg, const struct registry_host_stats *stats)
{
	struct host_list *list = arg;
	struct json *host;

	if (list->registry && strcmp(list->registry, stats->namespace) != 0)
		return 0;
	host = json_new_object();
	set_text(host, "registry", stats->namespace);
	set_text(host, "origin", stats->origin);
	set_number(host, "requests", stats->n_requests);
	set_number(host, "errors", stats->n_errors);
	set_number(host, "received_bytes", stats->received_bytes);
	if (stats->last_error_s) {
		set_number(host, "last_error_s", (uint64_t)stats->last_error_s);
		set_text(host, "last_error", stats->last_error);
	}
	json_append(list->array, host);
	return 0;
}

struct json *report_hosts(const struct report_context *context, const char *registry)
{
	struct host_list list = {registry, json_new_array()};

	if (context->registry)
		(void)registry_each_host(context->registry, add_host, &list);
	return list.array;
}

struct json *report_error(const struct error *err)
{
	struct json *document = json_new_object();
	struct json *error = json_new_object();

	set_text(error, "kind", error_kind_name(err->kind));
	set_text(error, "message", err->message);
	json_set(document, "error", error);
	return document;
}

bool report_error_read(const struct json *document, struct error *out)
{
	const struct json *error = json_get(document, "error");
	const char *kind = json_string(json_get(error, "kind"));
	const char *message = json_string(json_get(error, "message"));

	if (!kind || !message)
		return false;
	out->kind = ERROR_INTERNAL;
	for (int i = ERROR_NOT_FOUND; i < ERROR_INTERNAL; i++) {
		if (strcmp(error_kind_name((enum error_kind)i), kind) == 0)
			out->kind = (enum error_kind)i;
	}
	(void)snprintf(out->message, sizeof(out->message), "%s", message);
	return true;
}

/* About an image that is in files. */
static const char *local_advice(enum error_kind kind)
{
	switch (kind) {
	case ERROR_NOT_FOUND:
		return "The layer is no longer where the image is: put it back, or mount the image "
		       "from where it is now.";
	case ERROR_UNAUTHORIZED:
		return "This process may not read the files of the image: see their permissions.";
	case ERROR_UNAVAILABLE:
	case ERROR_TIMEOUT:
		return "The disk or file server that the image is on does not answer; the next "
		       "read tries again.";
	case ERROR_DIGEST_MISMATCH:
	case ERROR_FORMAT:
		return "The files of the image are not what it names, or were changed: restore "
		       "them, and mount it again. No reader saw wrong bytes.";
	case ERROR_IO:
		return "A local disk failed, that of the image or that of the store: see dmesg.";
	default:
		return report_advice(kind, IMAGE_IN_REGISTRY);
	}
}

const char *report_advice(enum error_kind kind, enum image_place place)
{
	if (place != IMAGE_IN_REGISTRY)
		return local_advice(kind);
	switch (kind) {
	case ERROR_NOT_FOUND:
		return "The registry no longer has this layer: push the image again, or mount its "
		       "present tag.";
	case ERROR_UNAUTHORIZED:
		return "Check credentials and client certificates for this registry; files changed "
		       "on disk are read again by themselves.";
	case ERROR_UNAVAILABLE:
	case ERROR_TIMEOUT:
		return "Check that this machine reaches the registry; the next read tries again.";
	case ERROR_RATE_LIMITED:
		return "The registry limits requests: log in, or wait; the next read tries again.";
	case ERROR_DIGEST_MISMATCH:
	case ERROR_FORMAT:
		return "The source delivers other bytes than the image names: repair the blob "
		       "there, or name another host in hosts.toml. No reader saw them.";
	case ERROR_NO_SPACE:
		return "Make room on the file system of the store.";
	case ERROR_IO:
		return "A local disk failed: see dmesg, then `varve cache verify --repair`.";
	case ERROR_NO_MEMORY:
		return "Raise --memory-limit, or free memory on this machine.";
	default:
		return "";
	}
}
