/* SPDX-License-Identifier: Apache-2.0 */
/* Indexes of layers, for people and as JSON. */
#include <stdio.h>
#include <string.h>

#include "format/span_index_file.h"
#include "index_internal.h"
#include "quantity_internal.h"

static const char *codec_name(enum codec codec)
{
	if (codec == CODEC_NONE)
		return "tar";
	return codec == CODEC_ZSTD ? "zstd" : "gzip";
}

int index_facts_read(const void *data, size_t size, struct index_facts *out, struct error *err)
{
	CLEANUP(span_index_freep) struct span_index *index = NULL;

	if (span_index_parse(data, size, &index, err) < 0)
		return -1;
	*out = (struct index_facts){
		.blob = index->blob,
		.blob_size = index->blob_size,
		.diff_id = index->diff_id,
		.archive_size = index->archive_size,
		.codec = codec_name(index->codec),
		.n_entries = index->toc->n_entries,
		.n_spans = index->n_spans,
		.size = size,
	};
	return 0;
}

static struct json *new_digest(const struct digest *digest)
{
	char text[DIGEST_TEXT_SIZE];

	return json_new_string(digest->algorithm ? digest_format(digest, text) : "");
}

struct json *index_facts_json(const struct index_facts *facts)
{
	struct json *json = json_new_object();

	json_set(json, "layer", new_digest(&facts->blob));
	json_set(json, "layer_size", json_new_i64((int64_t)facts->blob_size));
	json_set(json, "format", json_new_string(facts->codec));
	json_set(json, "diff_id", new_digest(&facts->diff_id));
	json_set(json, "decoded_size", json_new_i64((int64_t)facts->archive_size));
	json_set(json, "entries", json_new_i64((int64_t)facts->n_entries));
	json_set(json, "spans", json_new_i64((int64_t)facts->n_spans));
	json_set(json, "size", json_new_i64((int64_t)facts->size));
	json_set(json, "ratio",
		json_new_f64(
			facts->blob_size ? (double)facts->size / (double)facts->blob_size : 0));
	return json;
}

struct json *index_layer_json(const struct image_index *layer)
{
	struct json *json = json_new_object();
	struct index_facts facts;

	json_set(json, "digest", new_digest(&layer->layer->digest));
	json_set(json, "size", json_new_i64((int64_t)layer->layer->size));
	json_set(json, "format", json_new_string(layer->format));
	json_set(json, "state", json_new_string(image_index_state_name(layer->state)));
	json_set(json, "made", json_new_bool(layer->made));
	if (layer->file.size == 0)
		return json;
	json_set(json, "index_digest", new_digest(&layer->document));
	/* A ztoc is an index, too, and no file of ours. */
	if (index_facts_read(layer->file.data, layer->file.size, &facts, NULL) == 0)
		json_set(json, "index", index_facts_json(&facts));
	return json;
}

void index_layer_print(const struct screen *screen, const struct json *layer)
{
	const struct json *index = json_get(layer, "index");
	const char *state = text_in(layer, "state");
	char digest[16], size[QUANTITY_TEXT_SIZE], index_size[QUANTITY_TEXT_SIZE];
	double ratio = 0;

	(void)json_f64(json_get(index, "ratio"), &ratio);
	screen_put(screen, STYLE_PLAIN, "layer %s  %-12s %9s  ",
		digest_short(text_in(layer, "digest"), digest), text_in(layer, "format"),
		size_format(number_in(layer, "size"), size));
	if (strcmp(state, "not needed") == 0)
		screen_put(screen, STYLE_DIM, "needs no index: it has a table of contents");
	else if (!index)
		screen_put(screen, STYLE_WARNING, "%s",
			strcmp(state, "missing") == 0 ? "no index here" : state);
	else
		screen_put(screen, STYLE_PLAIN, "index %s (%.2f %%), %ju span%s, %s%s",
			size_format(number_in(index, "size"), index_size), 100 * ratio,
			(uintmax_t)number_in(index, "spans"), plural(number_in(index, "spans")),
			state, flag_in(layer, "made") ? ", new" : "");
	screen_end(screen);
}

struct json *index_session_json(const struct index_session *session)
{
	const struct image_indexes *indexes = session->indexes;
	struct json *json = json_new_object();
	struct json *layers = json_new_array();
	char platform[100];

	for (size_t i = 0; i < indexes->n_layers; i++)
		json_append(layers, index_layer_json(&indexes->layers[i]));
	json_set(json, "image", json_new_string(indexes->reference));
	json_set(json, "manifest", new_digest(&indexes->manifest));
	json_set(json, "platform", json_new_string(platform_format(&indexes->platform, platform)));
	json_set(json, "store", json_new_string(session->store_dir));
	json_set(json, "layers", layers);
	return json;
}
