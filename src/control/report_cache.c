/* SPDX-License-Identifier: Apache-2.0 */
/* The reports behind `varve images` and `varve cache ls`. */
#include "report_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "store/store_cache.h"

/* The database's records of layers, copied. */
struct layer_list {
	struct cache_layer *layers; /* owned */
	size_t n;
	bool no_memory;
};

static void layer_list_clear(struct layer_list *list)
{
	free(list->layers);
}

static int add_layer(void *arg, const struct cache_layer *layer)
{
	struct layer_list *list = arg;
	struct cache_layer *more = reallocarray(list->layers, list->n + 1, sizeof(*more));

	if (!more) {
		list->no_memory = true;
		return 1;
	}
	list->layers = more;
	more[list->n++] = *layer;
	return 0;
}

static int read_layers(
	const struct report_context *context, struct layer_list *out, struct error *err)
{
	if (cache_each_layer(context->store, add_layer, out, err) < 0)
		return -1;
	if (out->no_memory)
		return error_set(err, ERROR_NO_MEMORY, "no memory for the list of layers");
	return 0;
}

static int by_age(const void *a, const void *b)
{
	const struct cache_layer *x = a, *y = b;

	return x->used_s < y->used_s ? -1 : x->used_s > y->used_s;
}

static struct json *layer_to_json(const struct cache_layer *layer)
{
	struct json *json = json_new_object();
	char hex[2 * 32 + 1];

	hex_encode(layer->key, 32, hex);
	set_text(json, "key", hex);
	set_digest(json, "blob", &layer->blob);
	set_number(json, "blob_size", layer->blob_size);
	set_number(json, "units", layer->n_units);
	set_number(json, "units_present", layer->n_present);
	set_number(json, "size", layer->size);
	set_number(json, "present", layer->present);
	set_number(json, "allocated", layer->allocated);
	set_number(json, "used_s", (uint64_t)layer->used_s);
	set_bool(json, "open", layer->open);
	return json;
}

int report_cache(const struct report_context *context, struct json **out, struct error *err)
{
	CLEANUP(layer_list_clear) struct layer_list list = {0};
	CLEANUP(json_freep) struct json *json = json_new_object();
	struct json *layers = json_new_array();
	struct json *store = json_new_object();

	json_set(json, "store", store);
	json_set(json, "layers", layers);
	if (set_store(store, context->store, err) < 0 || read_layers(context, &list, err) < 0)
		return -1;
	if (list.n > 1)
		qsort(list.layers, list.n, sizeof(*list.layers), by_age);
	for (size_t i = 0; i < list.n; i++)
		json_append(layers, layer_to_json(&list.layers[i]));
	*out = TAKE_PTR(json);
	return 0;
}

struct image_walk {
	const struct report_context *context;
	const struct layer_list *layers;
	struct json *array;
};

static const struct cache_layer *find_layer(const struct layer_list *list, const uint8_t key[32])
{
	for (size_t i = 0; i < list->n; i++) {
		if (memcmp(list->layers[i].key, key, 32) == 0)
			return &list->layers[i];
	}
	return NULL;
}

static struct json *mounted_on(
	const struct report_context *context, const struct store_image *image)
{
	struct json *array = json_new_array();

	for (size_t i = 0; i < context->n_mounts; i++) {
		const struct report_mount *mount = &context->mounts[i];

		if (digest_equal(&mount->image->manifest, &image->manifest) &&
			strcmp(mount->image->reference, image->reference) == 0)
			json_append(array, json_new_string(mount->dir));
	}
	return array;
}

static int add_image(void *arg, const struct store_image *image)
{
	struct image_walk *walk = arg;
	struct json *json = json_new_object();
	uint64_t blob_size = 0, size = 0, present = 0, allocated = 0;
	size_t n_known = 0;

	for (size_t i = 0; i < image->n_layers; i++) {
		const struct cache_layer *layer = find_layer(walk->layers, image->layers[i]);

		if (!layer)
			continue;
		n_known++;
		blob_size += layer->blob_size;
		size += layer->size;
		present += layer->present;
		allocated += layer->allocated;
	}
	set_text(json, "reference", image->reference);
	set_digest(json, "manifest", &image->manifest);
	set_number(json, "used_s", (uint64_t)image->used_s);
	set_number(json, "layers", image->n_layers);
	set_number(json, "layers_known", n_known);
	set_number(json, "blob_size", blob_size);
	set_number(json, "size", size);
	set_number(json, "present", present);
	set_number(json, "allocated", allocated);
	set_bool(json, "complete", n_known == image->n_layers && present == size);
	json_set(json, "mounted", mounted_on(walk->context, image));
	json_append(walk->array, json);
	return 0;
}

int report_images(const struct report_context *context, struct json **out, struct error *err)
{
	CLEANUP(layer_list_clear) struct layer_list list = {0};
	CLEANUP(json_freep) struct json *json = json_new_object();
	struct image_walk walk = {context, &list, json_new_array()};

	json_set(json, "dir", json_new_string(store_dir(context->store)));
	json_set(json, "images", walk.array);
	if (read_layers(context, &list, err) < 0 ||
		store_image_each(context->store, add_image, &walk, err) < 0)
		return -1;
	*out = TAKE_PTR(json);
	return 0;
}
