/* SPDX-License-Identifier: Apache-2.0 */
/* The report behind `varve status`. */
#include "report_internal.h"

#include <unistd.h>

#include "fs/fs_session.h"

enum { MAX_FAILURES = 10 };

static struct json *layer_to_json(struct layer *layer)
{
	const struct descriptor *descriptor = layer_descriptor(layer);
	struct json *json = json_new_object();
	struct layer_stats stats;

	layer_stats(layer, &stats);
	set_digest(json, "digest", &descriptor->digest);
	set_text(json, "media_type", descriptor->media_type);
	set_number(json, "blob_size", descriptor->size);
	set_number(json, "units", stats.store.n_units);
	set_number(json, "units_present", stats.store.n_present);
	set_number(json, "size", stats.store.size);
	set_number(json, "present", stats.store.present);
	set_number(json, "allocated", stats.store.allocated);
	set_bool(json, "complete", stats.store.complete);
	set_access(json, layer);
	report_trust(layer, json);
	set_bool(json, "background", stats.fetch.background);
	set_number(json, "fetched_bytes", stats.fetch.fetched_bytes);
	set_number(json, "copied_bytes", stats.fetch.copied_bytes);
	set_number(json, "requests", stats.fetch.n_requests);
	set_number(json, "waiting", stats.fetch.n_waiting);
	set_number(json, "bytes_per_s", stats.fetch.bytes_per_s);
	set_number(json, "round_trip_us", stats.fetch.round_trip_ns / 1000);
	set_number(json, "wrong_units", stats.fetch.n_wrong);
	set_number(json, "reads", stats.n_reads);
	set_number(json, "read_bytes", stats.read_bytes);
	set_number(json, "failed_reads", stats.n_failed);
	return json;
}

static struct json *session_to_json(struct fs_session *session)
{
	struct json *json = json_new_object();
	struct fs_stats stats;

	fs_session_stats(session, &stats);
	set_number(json, "requests", stats.n_requests);
	set_number(json, "reads", stats.n_reads);
	set_number(json, "parked", stats.n_parked);
	set_number(json, "interrupted", stats.n_interrupted);
	return json;
}

static struct json *mount_to_json(const struct report_mount *mount)
{
	const struct image *image = mount->image;
	struct json *json = json_new_object();
	struct json *layers = json_new_array();
	char platform[100];

	set_text(json, "dir", mount->dir);
	set_text(json, "reference", image->reference);
	set_text(json, "source", image_place_name(image->place));
	set_digest(json, "manifest", &image->manifest);
	set_text(json, "platform", platform_format(&image->platform, platform));
	set_text(json, "layer", mount->layer_only ? image->tree->name : "");
	set_text(json, "face", mount->face);
	set_text(json, "face_why", mount->face_why);
	set_text(json, "upper", mount->upper);
	set_text(json, "log", mount->log);
	set_number(json, "started_s", (uint64_t)mount->started_s);
	set_number(json, "tag_resolved_s", (uint64_t)image->resolved_s);
	set_bool(json, "unverified", image->unverified);
	set_bool(json, "detached", mount->detached);
	set_number(json, "tree", image->tree->id);
	set_number(json, "inodes", erofs_n_inodes(image->tree->reader));
	for (size_t i = 0; i < image->tree->n_layers; i++)
		json_append(layers, layer_to_json(image->tree->layers[i]));
	json_set(json, "layers", layers);
	if (mount->session)
		json_set(json, "fuse", session_to_json(mount->session));
	return json;
}

int report_status(const struct report_context *context, struct json **out, struct error *err)
{
	const struct failure_filter all = {.all = true};
	CLEANUP(json_freep) struct json *json = json_new_object();
	struct json *store = json_new_object();
	struct json *mounts = json_new_array();
	struct json *failures = json_new_array();

	set_text(json, "version", VARVE_VERSION);
	set_number(json, "pid", (uint64_t)getpid());
	set_text(json, "phase", context->phase);
	json_set(json, "store", store);
	json_set(json, "mounts", mounts);
	json_set(json, "hosts", report_hosts(context, NULL));
	json_set(json, "failures", failures);
	if (set_store(store, context->store, err) < 0)
		return -1;
	for (size_t i = 0; i < context->n_mounts; i++) {
		json_append(mounts, mount_to_json(&context->mounts[i]));
		report_failures(&context->mounts[i], &all, MAX_FAILURES, failures);
	}
	*out = TAKE_PTR(json);
	return 0;
}
