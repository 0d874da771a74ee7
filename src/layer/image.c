/* SPDX-License-Identifier: Apache-2.0 */
/* From a name to a tree in the table: manifest, layer indexes, merged index, layers. */
#include "image_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fdio.h"
#include "base/log.h"
#include "check_internal.h"
#include "index/image_index.h"
#include "store/store.h"

/* What is being put together; cleared unless it became a tree. */
struct assembly {
	struct image_opening opening; /* its source is owned */
	struct image_manifest image;
	const struct descriptor *descriptors; /* of the chosen layers, lowest first */
	size_t n_layers;
	struct indexed_layer *indexed; /* owned until their layer is open */
	struct layer **layers;         /* a reference each */
	uint32_t *layer_ids;
	struct layer_checks *checks; /* a reference */
	bool unverified;             /* some layer is */
};

static void assembly_clear(struct assembly *assembly)
{
	for (size_t i = 0; i < assembly->n_layers; i++) {
		if (assembly->indexed)
			indexed_layer_clear(&assembly->indexed[i]);
		if (assembly->layers)
			layer_unref(assembly->layers[i]);
	}
	free(assembly->indexed);
	free(assembly->layers);
	free(assembly->layer_ids);
	image_manifest_clear(&assembly->image);
	image_artifacts_free(assembly->opening.artifacts);
	image_soci_free(assembly->opening.soci);
	layer_checks_unref(assembly->checks);
	image_source_free(assembly->opening.source);
}

static void report(const struct assembly *assembly, enum image_step step, size_t n)
{
	if (assembly->opening.options->progress)
		assembly->opening.options->progress(
			assembly->opening.options->arg, step, n, assembly->n_layers);
}

static int choose_layers(struct assembly *assembly, struct error *err)
{
	const struct manifest *manifest = assembly->image.manifest;
	const struct digest *wanted = assembly->opening.options->layer;
	char text[DIGEST_TEXT_SIZE];

	assembly->descriptors = manifest->layers;
	assembly->n_layers = manifest->n_layers;
	if (!wanted)
		return 0;
	for (size_t i = 0; i < manifest->n_layers; i++) {
		if (!digest_equal(&manifest->layers[i].digest, wanted))
			continue;
		assembly->descriptors = &manifest->layers[i];
		assembly->n_layers = 1;
		return 0;
	}
	assembly->n_layers = 0;
	return error_set(err, ERROR_NOT_FOUND, "the image has no layer %s (it has %zu layers)",
		digest_format(wanted, text), manifest->n_layers);
}

static int index_path(const struct assembly *assembly, const char *folder,
	const uint8_t key[INDEX_KEY_SIZE], char *out, size_t size, struct error *err)
{
	const char *dir = store_dir(assembly->opening.context->store);
	char hex[INDEX_KEY_HEX];
	int length;

	hex_encode(key, INDEX_KEY_SIZE, hex);
	length = snprintf(out, size, "%s/%s/%s.erofs", dir, folder, hex);
	if (length < 0 || (size_t)length >= size)
		return error_set(err, ERROR_INVALID,
			"the path of the store is too long, choose another: %.100s...", dir);
	return 0;
}

/* A tree id belongs to one exact index file: its content decides. */
static int tree_id_of_file(
	const struct assembly *assembly, const char *path, uint32_t *id, struct error *err)
{
	CLEANUP(digest_hasher_freep) struct digest_hasher *hasher = NULL;
	CLEANUP(cleanup_free) uint8_t *piece = malloc(1 << 18);
	CLEANUP(cleanup_fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct digest digest;

	if (!piece)
		return error_set(err, ERROR_NO_MEMORY, "no memory to hash an index");
	if (fd < 0)
		return error_set_errno(err, errno, "open %s", path);
	if (digest_hasher_new(DIGEST_SHA256, &hasher, err) < 0)
		return -1;
	for (;;) {
		ssize_t n = read(fd, piece, 1 << 18);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_set_errno(err, errno, "read %s", path);
		if (n == 0)
			break;
		if (digest_hasher_update(hasher, piece, (size_t)n, err) < 0)
			return -1;
	}
	if (digest_hasher_final(hasher, &digest, err) < 0)
		return -1;
	return store_tree_id(assembly->opening.context->store, digest.bytes, id, err);
}

static int open_new_layer(struct assembly *assembly, size_t i, struct error *err)
{
	const struct image_context *context = assembly->opening.context;
	struct source *sources[LAYER_MAX_SOURCES];
	struct layer_options options = {
		.store = context->store,
		.fetcher = context->fetcher,
		.loop = context->loop,
		.workers = context->workers,
		.index = assembly->indexed[i].index,
		.trust = assembly->indexed[i].trust,
		.claim = assembly->indexed[i].claim,
		.checks = assembly->checks,
		.descriptor = &assembly->descriptors[i],
		.sources = sources,
		.prefetch = assembly->opening.options->prefetch,
		.background = assembly->opening.options->background,
	};

	if (layer_blob_sources(&assembly->opening, &assembly->descriptors[i], sources,
		    &options.n_sources, err) == 0 &&
		layer_open(&options, &assembly->layers[i], err) == 0) {
		assembly->indexed[i] = (struct indexed_layer){0};
		return 0;
	}
	for (size_t j = 0; j < options.n_sources; j++)
		sources[j]->ops->free(sources[j]);
	return -1;
}

/* An image may name a layer twice, and other images have it too. */
static struct layer *find_open_layer(const struct assembly *assembly, size_t i)
{
	for (size_t j = 0; j < i; j++) {
		if (assembly->layer_ids[j] == assembly->layer_ids[i])
			return assembly->layers[j];
	}
	return tree_table_get_data(assembly->opening.context->trees, assembly->layer_ids[i]);
}

/* One layer of this process is one object, however many images and places in an image use it. */
static int open_layer(struct assembly *assembly, size_t i, struct error *err)
{
	struct layer *known;
	char text[DIGEST_TEXT_SIZE];
	char path[512];

	if (index_path(assembly, "layers", assembly->indexed[i].index->key, path, sizeof(path),
		    err) < 0 ||
		tree_id_of_file(assembly, path, &assembly->layer_ids[i], err) < 0)
		return -1;
	known = find_open_layer(assembly, i);
	if (known) {
		assembly->layers[i] = layer_ref(known);
		return 0;
	}
	if (open_new_layer(assembly, i, err) < 0)
		return error_prefix(
			err, "layer %s", digest_format(&assembly->descriptors[i].digest, text));
	return 0;
}

static int open_reader(struct assembly *assembly, struct tree *tree, struct error *err)
{
	const struct layer_index **indexes;
	uint8_t key[INDEX_KEY_SIZE];
	int images = store_images_fd(assembly->opening.context->store);
	int result;

	indexes = calloc(assembly->n_layers + 1, sizeof(*indexes));
	if (!indexes)
		return error_set(err, ERROR_NO_MEMORY, "no memory for an image index");
	for (size_t i = 0; i < assembly->n_layers; i++)
		indexes[i] = layer_index_of(assembly->layers[i]);

	result = image_index_key(indexes, assembly->n_layers, key, err);
	if (result == 0 && image_index_open(images, indexes, assembly->n_layers, key, &tree->reader,
				   err) < 0) {
		result = image_index_build(images, indexes, assembly->n_layers, key, err);
		if (result == 0)
			result = image_index_open(
				images, indexes, assembly->n_layers, key, &tree->reader, err);
	}
	free(indexes);
	if (result < 0)
		return -1;
	return index_path(assembly, "images", key, tree->index_path, sizeof(tree->index_path), err);
}

/* The tree of one layer is the layer's own index, opened once more: it lives as long as the tree.
 */
static int open_layer_reader(struct assembly *assembly, struct tree *tree, struct error *err)
{
	const struct layer_index *index = layer_index_of(assembly->layers[0]);
	char hex[INDEX_KEY_HEX];
	char name[INDEX_KEY_HEX + 8];

	if (index->has_unresolved_links)
		return error_set(err, ERROR_UNSUPPORTED,
			"this layer has hard links to files of lower layers, so it has no tree of "
			"its "
			"own: mount the image without --layer");
	hex_encode(index->key, INDEX_KEY_SIZE, hex);
	(void)snprintf(name, sizeof(name), "%s.erofs", hex);
	if (index_path(assembly, "layers", index->key, tree->index_path, sizeof(tree->index_path),
		    err) < 0)
		return -1;
	return erofs_open(
		store_layers_fd(assembly->opening.context->store), name, &tree->reader, err);
}

/* Moves layers into the tree. */
static int make_tree(struct assembly *assembly, struct tree **out, struct error *err)
{
	CLEANUP(tree_freep) struct tree *tree = calloc(1, sizeof(*tree));
	char text[DIGEST_TEXT_SIZE];
	int result;

	if (!tree)
		return error_set(err, ERROR_NO_MEMORY, "no memory for a tree");
	if (assembly->opening.options->layer) {
		tree->kind = TREE_LAYER;
		(void)digest_format(assembly->opening.options->layer, text);
		result = open_layer_reader(assembly, tree, err);
	} else {
		tree->kind = TREE_IMAGE;
		(void)digest_format(&assembly->image.digest, text);
		result = open_reader(assembly, tree, err);
	}
	if (result < 0 || tree_id_of_file(assembly, tree->index_path, &tree->id, err) < 0)
		return -1;
	(void)snprintf(tree->name, sizeof(tree->name), "%s", text);
	tree->layers = TAKE_PTR(assembly->layers);
	tree->layer_ids = TAKE_PTR(assembly->layer_ids);
	tree->n_layers = assembly->n_layers;
	*out = TAKE_PTR(tree);
	return 0;
}

/* Only of a tree that will be there: what stays in the table goes on being fetched. Whoever was
 * faster with the same layer has the one object of it. */
static int share_layers(const struct assembly *assembly, struct tree *tree, struct error *err)
{
	struct tree_table *trees = assembly->opening.context->trees;

	for (size_t i = 0; i < tree->n_layers; i++) {
		struct layer *shared;

		if (tree_table_add_data(trees, tree->layer_ids[i], tree->layers[i], err) < 0)
			return -1;
		shared = tree_table_get_data(trees, tree->layer_ids[i]);
		if (shared == tree->layers[i])
			continue;
		layer_unref(tree->layers[i]);
		tree->layers[i] = layer_ref(shared);
	}
	return 0;
}

static int add_tree(struct assembly *assembly, struct tree **out, struct error *err)
{
	CLEANUP(tree_freep) struct tree *tree = NULL;
	struct error taken = {0};
	struct tree *known;

	report(assembly, IMAGE_MERGING, 0);
	if (make_tree(assembly, &tree, err) < 0)
		return -1;
	known = tree_table_get(assembly->opening.context->trees, tree->id);
	if (known) {
		*out = known;
		return 0;
	}
	if (share_layers(assembly, tree, err) < 0)
		return -1;
	if (tree_table_add(assembly->opening.context->trees, tree, &taken) == 0) {
		*out = TAKE_PTR(tree);
		return 0;
	}
	*out = tree_table_get(assembly->opening.context->trees, tree->id);
	return *out ? 0 : error_set(err, taken.kind, "%s", taken.message);
}

/* For `varve images`. A store that cannot remember it still serves it. */
static void remember(
	const struct assembly *assembly, const struct tree *tree, const char *reference)
{
	struct store_image record = {
		.reference = reference,
		.manifest = assembly->image.digest,
		.used_s = clock_wall_s(),
		.n_layers = tree->n_layers,
	};
	struct error err;

	record.layers = calloc(tree->n_layers + 1, sizeof(*record.layers));
	if (!record.layers)
		return;
	for (size_t i = 0; i < tree->n_layers; i++)
		memcpy(record.layers[i], layer_index_of(tree->layers[i])->key, INDEX_KEY_SIZE);
	if (store_image_put(assembly->opening.context->store, &record, &err) < 0)
		log_warning("%s is not remembered: %s", reference, err.message);
	free(record.layers);
}

static int assemble(struct assembly *assembly, struct tree **tree, struct error *err)
{
	report(assembly, IMAGE_RESOLVING, 0);
	if (image_open_source(&assembly->opening, &assembly->opening.source, err) < 0 ||
		image_artifacts_new(&assembly->opening.artifacts, err) < 0 ||
		image_soci_new(&assembly->opening.soci, err) < 0 ||
		layer_checks_new(&assembly->checks, err) < 0 ||
		image_manifest_find(&assembly->opening, &assembly->image, err) < 0 ||
		choose_layers(assembly, err) < 0)
		return -1;

	assembly->opening.image = &assembly->image;
	assembly->indexed = calloc(assembly->n_layers + 1, sizeof(struct indexed_layer));
	assembly->layers = calloc(assembly->n_layers + 1, sizeof(struct layer *));
	assembly->layer_ids = calloc(assembly->n_layers + 1, sizeof(uint32_t));
	if (!assembly->indexed || !assembly->layers || !assembly->layer_ids)
		return error_set(err, ERROR_NO_MEMORY, "no memory for the layers of an image");
	if (image_layer_indexes(&assembly->opening, assembly->image.manifest, assembly->descriptors,
		    assembly->n_layers, assembly->indexed, err) < 0)
		return -1;
	for (size_t i = 0; i < assembly->n_layers; i++)
		assembly->unverified |= assembly->indexed[i].trust == LAYER_UNVERIFIED;
	for (size_t i = 0; i < assembly->n_layers; i++) {
		if (open_layer(assembly, i, err) < 0)
			return -1;
	}
	return add_tree(assembly, tree, err);
}

/* Layers that do not fit together although each looks like one: is that because of a claim? */
static bool is_worth_a_pass(const struct assembly *assembly, const struct error *err)
{
	if (err->kind != ERROR_FORMAT || !assembly->layers)
		return false;
	for (size_t i = 0; i < assembly->n_layers; i++)
		if (assembly->layers[i] &&
			layer_trust(assembly->layers[i]) == LAYER_REPOSITORY_TRUSTED)
			return true;
	return false;
}

static int assemble_any_way(struct assembly *assembly, struct image_options *believing_nobody,
	struct tree **tree, struct error *err)
{
	const struct image_opening opening = assembly->opening;
	char name[IMAGE_NAME_TEXT_SIZE];
	struct error why;

	if (assemble(assembly, tree, &why) == 0)
		return 0;
	if (!is_worth_a_pass(assembly, &why)) {
		if (err)
			*err = why;
		return -1;
	}
	log_warning("image %s: layers are read as a whole, as what is claimed of them makes no "
		    "image: %s",
		image_name_format(opening.options->name, name), why.message);
	assembly_clear(assembly);
	*believing_nobody = *opening.options;
	believing_nobody->trust_indexes = false;
	*assembly = (struct assembly){
		.opening = {.context = opening.context, .options = believing_nobody}};
	return assemble(assembly, tree, err);
}

int image_open(const struct image_context *context, const struct image_options *options,
	struct image *out, struct error *err)
{
	struct image_options believing_nobody;
	CLEANUP(assembly_clear)
	struct assembly assembly = {.opening = {.context = context, .options = options}};
	struct image image = {0};
	int result;

	image.place = options->name->place;
	(void)image_name_format(options->name, image.reference);
	store_hold_indexes(context->store);
	result = assemble_any_way(&assembly, &believing_nobody, &image.tree, err);
	store_release_indexes(context->store);
	if (result < 0)
		return error_prefix(err, "image %s", image.reference);

	image.manifest = assembly.image.digest;
	image.platform = assembly.image.platform;
	image.n_layers = assembly.n_layers;
	for (size_t i = 0; i < assembly.n_layers; i++)
		image.layers_size += assembly.descriptors[i].size;
	image.unverified = assembly.unverified;
	image.resolved_s = assembly.image.resolved_s;
	if (!options->layer)
		remember(&assembly, image.tree, image.reference);
	report(&assembly, IMAGE_READY, assembly.n_layers);
	*out = image;
	return 0;
}
