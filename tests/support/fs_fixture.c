/* SPDX-License-Identifier: Apache-2.0 */
#include "support/fs_fixture.h"

#include <sys/stat.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "index/layer_index.h"
#include "oci/digest.h"

uint8_t fixture_big_byte(size_t i)
{
	return (uint8_t)(i * 2654435761u >> 24 ^ i >> 16);
}

static void add_blob(struct fs_fixture *fixture, const uint8_t *data, size_t size)
{
	if (fixture->blob_size + size > fixture->blob_capacity) {
		fixture->blob_capacity = 2 * fixture->blob_capacity + size;
		fixture->blob = realloc(fixture->blob, fixture->blob_capacity);
		assert_non_null(fixture->blob);
	}
	memcpy(fixture->blob + fixture->blob_size, data, size);
	fixture->blob_size += size;
}

static void add_chunks(struct fs_fixture *fixture, const uint8_t *data, size_t size)
{
	for (size_t off = 0; off < size;) {
		size_t n = size - off < FIXTURE_CHUNK_SIZE ? size - off : FIXTURE_CHUNK_SIZE;
		struct toc_chunk chunk = {
			.file_off = off,
			.size = n,
			.blob_off = fixture->blob_size,
			.blob_size = n,
			.codec = CODEC_NONE,
		};
		struct digest digest;

		assert_int_equal(digest_compute(DIGEST_SHA256, data + off, n, &digest, NULL), 0);
		memcpy(chunk.digest, digest.bytes, sizeof(chunk.digest));
		assert_int_equal(toc_add_chunk(fixture->toc, &chunk, NULL), 0);
		add_blob(fixture, data + off, n);
		off += n;
	}
}

static struct toc_entry entry_of(
	struct fs_fixture *fixture, const char *name, enum toc_type type, uint32_t mode)
{
	return (struct toc_entry){
		.name = toc_intern(fixture->toc, name, strlen(name)),
		.type = (uint8_t)type,
		.mode = mode,
		.uid = 1000,
		.gid = 2000,
		.mtime_s = FIXTURE_MTIME_S,
		.mtime_ns = FIXTURE_MTIME_NS,
		.first_chunk = fixture->toc->n_chunks,
		.first_xattr = (uint32_t)fixture->toc->n_xattrs,
	};
}

static void add_entry(struct fs_fixture *fixture, const char *name, enum toc_type type,
	uint32_t mode, const char *link_name)
{
	struct toc_entry entry = entry_of(fixture, name, type, mode);

	if (link_name)
		entry.link_name = toc_intern(fixture->toc, link_name, strlen(link_name));
	if (type == TOC_CHARACTER) {
		entry.dev_major = 1;
		entry.dev_minor = 3;
	}
	assert_int_equal(toc_add_entry(fixture->toc, &entry, NULL), 0);
}

static void add_file(struct fs_fixture *fixture, const char *name, uint32_t mode,
	const uint8_t *data, size_t size)
{
	struct toc_entry entry = entry_of(fixture, name, TOC_REGULAR, mode);

	add_chunks(fixture, data, size);
	entry.size = size;
	entry.n_chunks = fixture->toc->n_chunks - entry.first_chunk;
	assert_int_equal(toc_add_entry(fixture->toc, &entry, NULL), 0);
}

/* user.colour, a capability, and an ACL: user::rw- user:1001:--- group::r-- mask::r-- other::r-- */
static void add_xattr_file(struct fs_fixture *fixture)
{
	static const uint8_t capability[20] = {1, 0, 0, 2, 0, 4};
	static const uint8_t acl[44] = {2, 0, 0, 0, 1, 0, 6, 0, 255, 255, 255, 255, 2, 0, 0, 0,
		0xe9, 3, 0, 0, 4, 0, 4, 0, 255, 255, 255, 255, 16, 0, 4, 0, 255, 255, 255, 255, 32,
		0, 4, 0, 255, 255, 255, 255};
	static const uint8_t hello[] = "attributes\n";
	struct toc_entry entry = entry_of(fixture, "dir/attributes", TOC_REGULAR, 0644);

	assert_int_equal(toc_add_xattr(fixture->toc, "user.colour", "red", 3, NULL), 0);
	assert_int_equal(toc_add_xattr(fixture->toc, "security.capability", capability,
				 sizeof(capability), NULL),
		0);
	assert_int_equal(
		toc_add_xattr(fixture->toc, "system.posix_acl_access", acl, sizeof(acl), NULL), 0);
	entry.n_xattrs = 3;
	add_chunks(fixture, hello, sizeof(hello) - 1);
	entry.size = sizeof(hello) - 1;
	entry.n_chunks = 1;
	assert_int_equal(toc_add_entry(fixture->toc, &entry, NULL), 0);
}

static void make_toc(struct fs_fixture *fixture)
{
	static const uint8_t hello[] = "hello\n";
	uint8_t *big = malloc(FIXTURE_BIG_SIZE);
	uint8_t *zeros = calloc(1, FIXTURE_ZEROS_SIZE);

	assert_int_equal(toc_new(&fixture->toc, NULL), 0);
	assert_non_null(big);
	assert_non_null(zeros);
	for (size_t i = 0; i < FIXTURE_BIG_SIZE; i++)
		big[i] = fixture_big_byte(i);
	add_entry(fixture, "dir", TOC_DIRECTORY, 0755, NULL);
	add_file(fixture, "dir/hello", 04755, hello, sizeof(hello) - 1);
	add_entry(fixture, "dir/again", TOC_HARDLINK, 0, "dir/hello");
	add_entry(fixture, "dir/link", TOC_SYMLINK, 0777, "hello");
	add_entry(fixture, "dir/fifo", TOC_FIFO, 0600, NULL);
	add_entry(fixture, "dir/null", TOC_CHARACTER, 0666, NULL);
	add_file(fixture, "dir/.wh.gone", 0644, NULL, 0);
	add_xattr_file(fixture);
	add_file(fixture, "big", 0644, big, FIXTURE_BIG_SIZE);
	add_file(fixture, "zeros", 0644, zeros, FIXTURE_ZEROS_SIZE);
	add_file(fixture, "empty", 0644, NULL, 0);
	add_entry(fixture, "many", TOC_DIRECTORY, 0755, NULL);
	for (unsigned i = 0; i < FIXTURE_MANY; i++) {
		char name[64];

		(void)snprintf(name, sizeof(name), "many/entry with number %05u", i);
		add_file(fixture, name, 0644, NULL, 0);
	}
	free(big);
	free(zeros);
}

static void make_index(struct fs_fixture *fixture, struct digest *blob)
{
	struct layer_index_build_options options = {0};
	uint8_t key[INDEX_KEY_SIZE] = {1};
	struct error err = {0};

	make_toc(fixture);
	assert_int_equal(
		digest_compute(DIGEST_SHA256, fixture->blob, fixture->blob_size, blob, NULL), 0);
	options.key = key;
	options.blob = blob;
	options.blob_size = fixture->blob_size;
	if (layer_index_build(store_layers_fd(fixture->store), fixture->toc, &options, &err) < 0 ||
		layer_index_open(store_layers_fd(fixture->store), key, &fixture->index, &err) < 0)
		fail_msg("%s", err.message);
	toc_free(fixture->toc);
}

static void make_layer(struct fs_fixture *fixture, const struct fs_fixture_options *options)
{
	struct source *source = &fixture->source.base;
	struct descriptor descriptor = {0};
	struct fetcher_options fetcher = {
		.deadline_ns = (options->deadline_ms ? options->deadline_ms : 60000) * NS_PER_MS,
	};
	struct layer_options layer = {
		.sources = &source, .n_sources = 1, .descriptor = &descriptor};
	struct error err = {0};

	make_index(fixture, &descriptor.digest);
	descriptor.media_type = (char[]){"application/vnd.oci.image.layer.v1.tar+gzip"};
	descriptor.size = fixture->blob_size;
	fetcher.store = layer.store = fixture->store;
	fetcher.loop = layer.loop = fixture->loop;
	fetcher.workers = layer.workers = fixture->workers;
	fake_source_init(&fixture->source, fixture->loop, fixture->blob, fixture->blob_size,
		"https://registry.example.com");
	assert_int_equal(fetcher_new(&fetcher, &fixture->fetcher, &err), 0);
	layer.fetcher = fixture->fetcher;
	layer.index = TAKE_PTR(fixture->index);
	if (layer_open(&layer, &fixture->layer, &err) < 0)
		fail_msg("%s", err.message);
}

static void make_tree(struct fs_fixture *fixture)
{
	struct tree *tree = calloc(1, sizeof(*tree));
	char hex[INDEX_KEY_HEX];
	char name[INDEX_KEY_HEX + 8];
	struct error err = {0};

	assert_non_null(tree);
	tree->id = FIXTURE_TREE_ID;
	tree->kind = TREE_IMAGE;
	(void)snprintf(tree->name, sizeof(tree->name), "sha256:of-an-image");
	hex_encode(layer_index_of(fixture->layer)->key, INDEX_KEY_SIZE, hex);
	(void)snprintf(name, sizeof(name), "%s.erofs", hex);
	(void)snprintf(tree->index_path, sizeof(tree->index_path), "%s/store/layers/%s",
		fixture->scratch->path, name);
	if (erofs_open(store_layers_fd(fixture->store), name, &tree->reader, &err) < 0)
		fail_msg("%s", err.message);
	tree->layers = calloc(1, sizeof(struct layer *));
	tree->layer_ids = calloc(1, sizeof(uint32_t));
	assert_non_null(tree->layers);
	assert_non_null(tree->layer_ids);
	tree->layers[0] = layer_ref(fixture->layer);
	tree->layer_ids[0] = FIXTURE_DATA_ID;
	tree->n_layers = 1;
	assert_int_equal(tree_table_add(fixture->trees, tree, NULL), 0);
	assert_int_equal(
		tree_table_add_data(fixture->trees, FIXTURE_DATA_ID, fixture->layer, NULL), 0);
	fixture->tree = tree;
}

void fs_fixture_mount(struct fs_fixture *fixture, const struct fs_fixture_options *options)
{
	struct fs_session_options session = {
		.trees = fixture->trees,
		.mountpoint = "mnt",
		.tree_id = options->tree_0 ? 0 : FIXTURE_TREE_ID,
		.source = "registry.example.com/a/b:1,2",
		.allow_other = geteuid() == 0,
		.suid = geteuid() == 0,
		.dev = geteuid() == 0,
		.answer_xattr = !options->no_xattr,
		.max_parked = options->max_parked,
	};
	struct error err = {0};

	if (fs_session_start(&session, &fixture->session, &err) == 0)
		return;
	if (access("/dev/fuse", F_OK) == 0 && geteuid() == 0)
		fail_msg("%s", err.message);
	print_message("skipped: %s\n", err.message);
	fs_fixture_close(fixture);
	skip();
}

void fs_fixture_unmount(struct fs_fixture *fixture)
{
	struct error err = {0};
	bool busy;

	if (fs_session_unmount(fixture->session, true, &busy, &err) < 0)
		fail_msg("%s", err.message);
	wait_until(fs_session_ended(fixture->session));
	assert_false(busy);
	fs_session_free(TAKE_PTR(fixture->session));
}

void fs_fixture_open(struct fs_fixture *fixture, const struct fs_fixture_options *options)
{
	struct store_options store = {.dir = "store", .owner = "a test", .chunk_memory = 1 << 20};

	memset(fixture, 0, sizeof(*fixture));
	assert_int_equal(scratch_setup((void **)&fixture->scratch), 0);
	assert_int_equal(chdir(fixture->scratch->path), 0);
	assert_int_equal(chmod(".", 0755), 0);
	assert_int_equal(mkdir("mnt", 0755), 0);
	assert_int_equal(store_open(&store, &fixture->store, NULL), 0);
	assert_int_equal(loop_new(&fixture->loop, NULL), 0);
	assert_int_equal(loop_thread_start(fixture->loop, "net", NULL), 0);
	assert_int_equal(workers_new(2, "worker", &fixture->workers, NULL), 0);
	assert_int_equal(tree_table_new(&fixture->trees, NULL), 0);
	make_layer(fixture, options);
	make_tree(fixture);
	if (!options->no_mount)
		fs_fixture_mount(fixture, options);
}

void fs_fixture_close(struct fs_fixture *fixture)
{
	if (fixture->session)
		fs_fixture_unmount(fixture);
	layer_unref(fixture->layer);
	tree_table_free(fixture->trees);
	fetcher_free(fixture->fetcher);
	loop_thread_stop(fixture->loop);
	workers_free(fixture->workers);
	loop_free(fixture->loop);
	store_close(fixture->store);
	free(fixture->blob);
	assert_int_equal(chdir("/"), 0);
	assert_int_equal(scratch_teardown((void **)&fixture->scratch), 0);
}
