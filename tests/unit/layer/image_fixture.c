/* SPDX-License-Identifier: Apache-2.0 */
#include "image_fixture.h"

#include "base/clock.h"
#include "base/fdio.h"
#include "chunk/codec.h"

#define MANIFEST_TYPE "application/vnd.oci.image.manifest.v1+json"
#define GZIP_TYPE "application/vnd.oci.image.layer.v1.tar+gzip"
#define ZSTD_TYPE "application/vnd.oci.image.layer.v1.tar+zstd"

static void require(int result, const struct error *err)
{
	if (result < 0)
		fail_msg("%s", err->message);
}

struct buffer golden(const char *name, const char *suffix)
{
	const char *directory = getenv("VARVE_GOLDEN");
	struct buffer contents = {0};
	struct error err = {0};
	char path[4096];

	if (!directory)
		fail_msg("VARVE_GOLDEN is not set");
	(void)snprintf(path, sizeof(path), "%s/%s%s.%s", directory,
		strchr(name, '/') ? "" : "estargz/", name, suffix);
	require(file_read(AT_FDCWD, path, 1 << 20, &contents, &err), &err);
	if (strcmp(suffix, "digest") == 0)
		contents.data[strcspn((char *)contents.data, "\n")] = '\0';
	return contents;
}

void golden_digest(const char *name, struct digest *out)
{
	CLEANUP(buffer_free) struct buffer blob = golden(name, "blob");

	assert_int_equal(digest_compute(DIGEST_SHA256, blob.data, blob.size, out, NULL), 0);
}

struct object *image_object(struct image_fixture *fixture, const char *repository, const char *name)
{
	for (size_t i = 0; i < fixture->n_objects; i++) {
		struct object *object = &fixture->objects[i];

		if (strcmp(object->repository, repository) == 0 && strcmp(object->name, name) == 0)
			return object;
	}
	return NULL;
}

static void put(struct image_fixture *fixture, const char *repository, const char *name,
	const char *media_type, const struct digest *digest, const void *data, size_t size)
{
	struct object *object;

	pthread_mutex_lock(&fixture->lock);
	object = image_object(fixture, repository, name);
	if (!object) {
		assert_true(fixture->n_objects < MAX_OBJECTS);
		object = &fixture->objects[fixture->n_objects++];
	}
	buffer_free(&object->bytes);
	(void)snprintf(object->repository, sizeof(object->repository), "%s", repository);
	(void)snprintf(object->name, sizeof(object->name), "%s", name);
	(void)snprintf(object->media_type, sizeof(object->media_type), "%s", media_type);
	(void)digest_format(digest, object->digest);
	assert_int_equal(buffer_append(&object->bytes, data, size), 0);
	pthread_mutex_unlock(&fixture->lock);
}

/* "/v2/REPOSITORY/manifests/NAME" or ".../blobs/NAME" */
static void answer_locked(struct fake_request *request, struct image_fixture *fixture)
{
	char *name = strrchr(request->path, '/');
	const struct object *object = NULL;
	char headers[512];
	char *kind;

	if (strncmp(request->path, "/v2/", 4) == 0 && name) {
		*name++ = '\0';
		kind = strrchr(request->path, '/');
		if (kind > request->path + 4) {
			*kind++ = '\0';
			object = image_object(fixture, request->path + 4, name);
		}
	}
	if (!object) {
		fake_reply(request, 404, "", "{}", 2);
		return;
	}
	if (object->media_type[0] == '\0') {
		if (request->has_range && request->last >= object->bytes.size)
			fake_reply(request, 416, "", "", 0);
		else
			fake_reply_blob(request, object->bytes.data, object->bytes.size);
		return;
	}
	(void)snprintf(headers, sizeof(headers),
		"Content-Type: %s\r\nDocker-Content-Digest: %s\r\n", object->media_type,
		object->digest);
	fake_reply(request, 200, headers, object->bytes.data, object->bytes.size);
}

static void answer(struct fake_request *request, void *arg)
{
	struct image_fixture *fixture = arg;

	pthread_mutex_lock(&fixture->lock);
	answer_locked(request, fixture);
	pthread_mutex_unlock(&fixture->lock);
}

static void open_network(struct image_fixture *fixture)
{
	const struct tls_settings_options tls = {0};
	struct http_client_options http = {0};
	struct registry_client_options client = {
		.deadline_ns = 20 * NS_PER_SECOND, .plain_http = true, .hosts_dirs = ""};
	struct error err = {0};

	require(loop_new(&fixture->loop, &err), &err);
	require(loop_thread_start(fixture->loop, "net", &err), &err);
	require(workers_new(2, "worker", &fixture->workers, &err), &err);
	require(tls_settings_load(&tls, &fixture->tls, &err), &err);
	http.tls = fixture->tls;
	require(http_client_new(fixture->loop, &http, &fixture->http, &err), &err);
	client.http = fixture->http;
	client.loop = fixture->loop;
	client.workers = fixture->workers;
	client.tls = fixture->tls;
	require(registry_client_new(&client, &fixture->client, &err), &err);
}

void image_open_context(struct image_fixture *fixture)
{
	struct store_options store = {
		.dir = fixture->store_dir, .owner = "a test", .chunk_memory = 1 << 20};
	struct fetcher_options fetcher = {.deadline_ns = 10 * NS_PER_SECOND};
	struct error err = {0};

	open_network(fixture);
	require(store_open(&store, &fixture->store, &err), &err);
	fetcher.loop = fixture->loop;
	fetcher.workers = fixture->workers;
	fetcher.store = fixture->store;
	require(fetcher_new(&fetcher, &fixture->fetcher, &err), &err);
	require(tree_table_new(&fixture->trees, &err), &err);
	fixture->context = (struct image_context){
		.store = fixture->store,
		.fetcher = fixture->fetcher,
		.registry = fixture->client,
		.loop = fixture->loop,
		.workers = fixture->workers,
		.trees = fixture->trees,
	};
}

void image_close_context(struct image_fixture *fixture)
{
	tree_table_free(TAKE_PTR(fixture->trees));
	fetcher_free(TAKE_PTR(fixture->fetcher));
	registry_client_free(TAKE_PTR(fixture->client));
	loop_thread_stop(fixture->loop);
	http_client_free(TAKE_PTR(fixture->http));
	tls_settings_unref(TAKE_PTR(fixture->tls));
	workers_free(TAKE_PTR(fixture->workers));
	loop_free(TAKE_PTR(fixture->loop));
	store_close(TAKE_PTR(fixture->store));
}

void image_restart(struct image_fixture *fixture)
{
	image_close_context(fixture);
	image_open_context(fixture);
}

int image_setup(void **state)
{
	struct image_fixture *fixture = calloc(1, sizeof(*fixture));

	assert_non_null(fixture);
	(void)pthread_mutex_init(&fixture->lock, NULL);
	assert_int_equal(scratch_setup((void **)&fixture->scratch), 0);
	/* The credentials of whoever runs the tests are none of their business. */
	setenv("DOCKER_CONFIG", fixture->scratch->path, 1);
	setenv("REGISTRY_AUTH_FILE", "/nonexistent/auth.json", 1);
	(void)snprintf(
		fixture->store_dir, sizeof(fixture->store_dir), "%s/store", fixture->scratch->path);
	fixture->registry = fake_registry_start(answer, fixture);
	(void)snprintf(
		fixture->host, sizeof(fixture->host), "%s", fake_registry_host(fixture->registry));
	image_open_context(fixture);
	*state = fixture;
	return 0;
}

int image_teardown(void **state)
{
	struct image_fixture *fixture = *state;

	image_close_context(fixture);
	fake_registry_stop(fixture->registry);
	for (size_t i = 0; i < fixture->n_objects; i++)
		buffer_free(&fixture->objects[i].bytes);
	(void)scratch_teardown((void **)&fixture->scratch);
	(void)pthread_mutex_destroy(&fixture->lock);
	free(fixture);
	return 0;
}

struct digest image_push_document(struct image_fixture *fixture, const char *repository,
	const char *tag, const char *media_type, const char *text)
{
	char name[DIGEST_TEXT_SIZE];
	struct digest digest;

	assert_int_equal(digest_compute(DIGEST_SHA256, text, strlen(text), &digest, NULL), 0);
	put(fixture, repository, tag, media_type, &digest, text, strlen(text));
	put(fixture, repository, digest_format(&digest, name), media_type, &digest, text,
		strlen(text));
	return digest;
}

void image_push_blob(
	struct image_fixture *fixture, const char *repository, const struct buffer *blob)
{
	char name[DIGEST_TEXT_SIZE];
	struct digest digest;

	assert_int_equal(digest_compute(DIGEST_SHA256, blob->data, blob->size, &digest, NULL), 0);
	put(fixture, repository, digest_format(&digest, name), "", &digest, blob->data, blob->size);
}

static bool is_zstd(const char *golden_name)
{
	return strncmp(golden_name, "zstd", 4) == 0;
}

static void print_annotation(struct buffer *manifest, const char *key, const char *value)
{
	assert_int_equal(buffer_printf(manifest, ", \"%s\": \"%s\"", key, value), 0);
}

/* Those that the table of a golden blob has: one digest, or a file with several. */
static void print_annotations(struct buffer *manifest, const char *name)
{
	CLEANUP(buffer_free) struct buffer text = {0};
	char *save = NULL;

	if (*name == '\0')
		return;
	if (!is_zstd(name)) {
		text = golden(name, "digest");
		print_annotation(
			manifest, "containerd.io/snapshot/stargz/toc.digest", (char *)text.data);
		return;
	}
	text = golden(name, "annotations");
	for (char *line = strtok_r((char *)text.data, "\n", &save); line;
		line = strtok_r(NULL, "\n", &save)) {
		char *value = strchr(line, ' ');

		*value++ = '\0';
		print_annotation(manifest, line, value);
	}
}

static enum codec codec_of(const struct buffer *blob)
{
	if (blob->size >= 2 && le16_load(blob->data) == 0x8b1f)
		return CODEC_GZIP;
	if (blob->size >= 4 && le32_load(blob->data) == UINT32_C(0xfd2fb528))
		return CODEC_ZSTD;
	return CODEC_NONE;
}

/* Of what the blob decodes to; of nothing when it does not. */
static void print_diff_id(
	struct buffer *config, const struct layer_text *layer, const struct buffer *blob)
{
	CLEANUP(buffer_free) struct buffer decoded = {0};
	char text[DIGEST_TEXT_SIZE];
	struct digest digest;

	if (codec_decode_all(codec_of(blob), blob->data, blob->size, 64 << 20, &decoded, NULL) < 0)
		buffer_free(&decoded);
	assert_int_equal(
		digest_compute(DIGEST_SHA256, decoded.data, decoded.size, &digest, NULL), 0);
	assert_int_equal(
		buffer_printf(config, "%s\"%s\"", config->data[config->size - 1] == '[' ? "" : ", ",
			layer->diff_id ? layer->diff_id : digest_format(&digest, text)),
		0);
}

static struct buffer layer_bytes(const struct layer_text *layer)
{
	struct buffer blob = {0};

	if (!layer->bytes)
		return golden(layer->blob, "blob");
	assert_int_equal(buffer_append(&blob, layer->bytes->data, layer->bytes->size), 0);
	return blob;
}

static void push_layer(struct image_fixture *fixture, const char *repository,
	const struct layer_text *layer, struct buffer *manifest, struct buffer *config)
{
	CLEANUP(buffer_free) struct buffer blob = layer_bytes(layer);
	const char *toc = layer->bytes ? "" : layer->toc ? layer->toc : layer->blob;
	const char *type = layer->blob && is_zstd(layer->blob) ? ZSTD_TYPE : GZIP_TYPE;
	char text[DIGEST_TEXT_SIZE];
	struct digest digest;

	print_diff_id(config, layer, &blob);
	if (layer->claimed || !layer->bytes)
		golden_digest(layer->claimed ? layer->claimed : layer->blob, &digest);
	else
		assert_int_equal(
			digest_compute(DIGEST_SHA256, blob.data, blob.size, &digest, NULL), 0);
	put(fixture, layer->elsewhere ? layer->elsewhere : repository, digest_format(&digest, text),
		"", &digest, blob.data, blob.size);
	assert_int_equal(buffer_printf(manifest, "{\"mediaType\": \"%s\", \"digest\": \"%s\", ",
				 layer->media_type ? layer->media_type : type, text),
		0);
	if (layer->size)
		assert_int_equal(buffer_printf(manifest, "\"size\": %s", layer->size), 0);
	else
		assert_int_equal(buffer_printf(manifest, "\"size\": %zu", blob.size), 0);
	assert_int_equal(buffer_printf(manifest, ", \"annotations\": {\"a\": \"b\"%s",
				 layer->extra ? layer->extra : ""),
		0);
	print_annotations(manifest, toc);
	assert_int_equal(buffer_printf(manifest, "}"), 0);
	if (layer->elsewhere)
		assert_int_equal(
			buffer_printf(manifest, ", \"urls\": [\"http://%s/v2/%s/blobs/%s\"]",
				fixture->host, layer->elsewhere, text),
			0);
	assert_int_equal(buffer_printf(manifest, "}"), 0);
}

struct digest image_push(struct image_fixture *fixture, const char *repository, const char *tag,
	const struct layer_text *layers, size_t n_layers)
{
	CLEANUP(buffer_free) struct buffer manifest = {0};
	CLEANUP(buffer_free) struct buffer described = {0};
	CLEANUP(buffer_free) struct buffer config = {0};
	char text[DIGEST_TEXT_SIZE];
	struct digest digest;

	assert_int_equal(
		buffer_printf(&config, "{\"rootfs\": {\"type\": \"layers\", \"diff_ids\": ["), 0);
	for (size_t i = 0; i < n_layers; i++) {
		if (i > 0)
			assert_int_equal(buffer_printf(&described, ", "), 0);
		push_layer(fixture, repository, &layers[i], &described, &config);
	}
	assert_int_equal(buffer_printf(&config, "]}}"), 0);
	image_push_blob(fixture, repository, &config);
	assert_int_equal(digest_compute(DIGEST_SHA256, config.data, config.size, &digest, NULL), 0);
	assert_int_equal(buffer_printf(&manifest,
				 "{\"schemaVersion\": 2, \"mediaType\": \"" MANIFEST_TYPE
				 "\", \"config\": {\"mediaType\": "
				 "\"application/vnd.oci.image.config.v1+json\", "
				 "\"digest\": \"%s\", \"size\": %zu}, \"layers\": [%s]}",
				 digest_format(&digest, text), config.size,
				 n_layers > 0 ? (const char *)described.data : ""),
		0);
	return image_push_document(
		fixture, repository, tag, MANIFEST_TYPE, (const char *)manifest.data);
}

int image_try(struct image_fixture *fixture, const char *name, const struct image_options *options,
	struct image *out, struct error *err)
{
	struct image_options all = *options;
	struct image_name parsed;
	char text[512];

	(void)snprintf(text, sizeof(text), "%s/%s", fixture->host, name);
	require(image_name_parse(text, &parsed, err), err);
	all.name = &parsed;
	return image_open(&fixture->context, &all, out, err);
}

struct image image_must_open(
	struct image_fixture *fixture, const char *name, const struct image_options *options)
{
	struct error err = {0};
	struct image image;

	require(image_try(fixture, name, options, &image, &err), &err);
	return image;
}

void image_must_fail(struct image_fixture *fixture, const char *name,
	const struct image_options *options, enum error_kind kind, const char *text)
{
	struct error err = {0};
	struct image image;

	if (image_try(fixture, name, options, &image, &err) == 0)
		fail_msg("%s was opened", name);
	if (err.kind != kind || !strstr(err.message, text))
		fail_msg("kind %d instead of %d, or no \"%s\" in: %s", (int)err.kind, (int)kind,
			text, err.message);
}

/* A read that this thread waits for. */
struct reading {
	struct layer_read read;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool done;
	struct stored_range *range;
	struct error err;
};

static void on_read(struct layer_read *read, struct stored_range *range, const struct error *err)
{
	struct reading *reading = container_of(read, struct reading, read);

	pthread_mutex_lock(&reading->lock);
	reading->range = range;
	if (err)
		reading->err = *err;
	reading->done = true;
	pthread_cond_signal(&reading->changed);
	pthread_mutex_unlock(&reading->lock);
}

static void read_range(struct layer *layer, uint64_t off, size_t size, struct buffer *out)
{
	struct reading reading = {.lock = PTHREAD_MUTEX_INITIALIZER,
		.changed = PTHREAD_COND_INITIALIZER,
		.read = {.layer = layer, .off = off, .size = size, .done = on_read}};

	layer_read_start(&reading.read);
	pthread_mutex_lock(&reading.lock);
	while (!reading.done)
		pthread_cond_wait(&reading.changed, &reading.lock);
	pthread_mutex_unlock(&reading.lock);
	if (!reading.range)
		fail_msg("%s", reading.err.message);
	assert_false(buffer_append(
		out, stored_range_data(reading.range), stored_range_size(reading.range)));
	stored_range_free(reading.range);
}

void image_read_data(struct tree *tree, size_t layer, uint64_t off, size_t size, struct buffer *out)
{
	read_range(tree->layers[layer], off, size, out);
}

void image_read_layer(struct tree *tree, size_t i, struct buffer *out)
{
	uint64_t size = unit_table_header(layer_index_of(tree->layers[i])->units)->data_size;

	assert_true(size > 0 && size <= LARGEST_READ);
	read_range(tree->layers[i], 0, size, out);
}

void image_read_file(struct tree *tree, const char *path, struct buffer *out)
{
	uint64_t nid = erofs_root(tree->reader);
	struct erofs_extent extent;
	struct erofs_attr attr;
	struct error err = {0};

	while (*path) {
		size_t size = strcspn(path, "/");
		bool found;

		require(erofs_lookup(tree->reader, nid, path, size, &found, &nid, &err), &err);
		if (!found)
			fail_msg("no %s", path);
		path += size + (path[size] == '/');
	}
	require(erofs_getattr(tree->reader, nid, &attr, &err), &err);
	require(erofs_extent(tree->reader, nid, &extent, &err), &err);
	assert_true(!extent.hole && extent.device < tree->n_layers);
	for (uint64_t off = 0, left = attr.size; left > 0; off += LARGEST_READ) {
		size_t size = left < LARGEST_READ ? (size_t)left : LARGEST_READ;

		read_range(tree->layers[extent.device], extent.data_off + off, size, out);
		left -= size;
	}
}

unsigned image_n_requests(struct image_fixture *fixture)
{
	return fake_registry_n_requests(fixture->registry);
}

void image_registry_away(struct image_fixture *fixture)
{
	fake_registry_stop(TAKE_PTR(fixture->registry));
}
