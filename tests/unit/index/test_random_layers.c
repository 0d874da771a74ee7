/* SPDX-License-Identifier: Apache-2.0 */
/* Layers that nobody thought of: whatever the builder accepts, the checker has to accept, too. */
#include "index/image_index.h"

#include "support/test.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/bytes.h"
#include "base/fdio.h"
#include "support/scratch.h"

enum { N_ROUNDS = 60, N_LAYERS = 3, MAX_ENTRIES = 12 };

/* xorshift: the same rounds on every machine. */
static unsigned pick(uint64_t *random, unsigned n)
{
	*random ^= *random << 13;
	*random ^= *random >> 7;
	*random ^= *random << 17;
	return (unsigned)(*random >> 33) % n;
}

static const char *pick_path(uint64_t *random, struct toc *toc)
{
	static const char *const components[] = {"a", "a", "b", "b", "c", "d", "longer name",
		".wh.a", ".wh.b", ".wh.d", ".wh..wh..opq", ".wh..wh.x", ".wh."};
	unsigned n = 1 + pick(random, 3);
	char path[128] = "";

	for (unsigned i = 0; i < n; i++) {
		/* Whiteouts are last components, mostly. */
		unsigned n_usual = i + 1 < n && pick(random, 20) > 0 ? 7 : 13;

		if (i > 0)
			strcat(path, "/");
		strcat(path, components[pick(random, n_usual)]);
	}
	return toc_intern(toc, path, strlen(path));
}

static const char *pick_target(uint64_t *random)
{
	static const char *const targets[] = {
		"a", "b", "../a", "/b/c", "..", ".", "/", "d/../c", "c/d/a", "a/b/c"};

	return targets[pick(random, sizeof(targets) / sizeof(targets[0]))];
}

static void add_chunk(
	uint64_t *random, struct toc *toc, struct toc_entry *entry, uint64_t *blob_off)
{
	struct toc_chunk chunk = {.blob_off = *blob_off, .blob_size = 100};

	entry->size = pick(random, 10000);
	entry->first_chunk = toc->n_chunks;
	if (entry->size == 0)
		return;
	entry->n_chunks = 1;
	chunk.size = entry->size;
	*blob_off += chunk.blob_size;
	assert_int_equal(toc_add_chunk(toc, &chunk, NULL), 0);
}

static struct toc *random_toc(uint64_t *random)
{
	unsigned n = 1 + pick(random, MAX_ENTRIES);
	struct toc *toc = NULL;
	uint64_t blob_off = 0;

	assert_int_equal(toc_new(&toc, NULL), 0);
	for (unsigned i = 0; i < n; i++) {
		struct toc_entry entry = {.mode = pick(random, 010000), .uid = pick(random, 3)};
		static const uint8_t types[] = {TOC_DIRECTORY, TOC_DIRECTORY, TOC_REGULAR,
			TOC_REGULAR, TOC_REGULAR, TOC_SYMLINK, TOC_HARDLINK, TOC_CHARACTER,
			TOC_FIFO};

		entry.name = pick_path(random, toc);
		entry.type = types[pick(random, sizeof(types))];
		if (entry.type == TOC_SYMLINK)
			entry.link_name = pick_target(random);
		if (entry.type == TOC_HARDLINK)
			entry.link_name = pick_path(random, toc);
		if (entry.type == TOC_CHARACTER)
			entry.dev_major = 1 + pick(random, 2);
		if (entry.type == TOC_REGULAR)
			add_chunk(random, toc, &entry, &blob_off);
		assert_int_equal(toc_add_entry(toc, &entry, NULL), 0);
	}
	return toc;
}

static void same_bytes(const struct scratch *scratch, const char *one, const char *other)
{
	CLEANUP(buffer_free) struct buffer first = {0};
	CLEANUP(buffer_free) struct buffer second = {0};

	assert_int_equal(file_read(scratch->fd, one, 1 << 20, &first, NULL), 0);
	assert_int_equal(file_read(scratch->fd, other, 1 << 20, &second, NULL), 0);
	assert_int_equal(first.size, second.size);
	assert_memory_equal(first.data, second.data, first.size);
}

/* NULL: refused, for a reason in the layer. */
static struct layer_index *build_layer(
	const struct scratch *scratch, const struct toc *toc, unsigned number)
{
	struct digest blob = {.algorithm = DIGEST_SHA256};
	uint8_t key[INDEX_KEY_SIZE] = {(uint8_t)number, (uint8_t)(number >> 8)};
	struct layer_index_build_options options = {
		.key = key, .blob = &blob, .blob_size = 1 << 20};
	struct layer_index *layer = NULL;
	struct error err = {0};
	char hex[INDEX_KEY_HEX], name[80], again[96];

	if (layer_index_build(scratch->fd, toc, &options, &err) < 0) {
		assert_int_equal(err.kind, ERROR_FORMAT);
		return NULL;
	}
	if (layer_index_open(scratch->fd, key, &layer, &err) < 0)
		fail_msg("layer %u: %s", number, err.message);

	/* Hash seeds differ, bytes must not. */
	hex_encode(key, sizeof(key), hex);
	(void)snprintf(name, sizeof(name), "%s.erofs", hex);
	(void)snprintf(again, sizeof(again), "%s.first", hex);
	assert_int_equal(renameat(scratch->fd, name, scratch->fd, again), 0);
	assert_int_equal(layer_index_build(scratch->fd, toc, &options, &err), 0);
	same_bytes(scratch, name, again);
	return layer;
}

static int refuse_leftovers(void *arg, const struct erofs_dirent *entry)
{
	const struct erofs_reader *reader = arg;
	struct erofs_attr attr;

	assert_false(entry->name_size >= 4 && memcmp(entry->name, ".wh.", 4) == 0);
	assert_int_equal(erofs_getattr(reader, entry->nid, &attr, NULL), 0);
	assert_false(S_ISCHR(attr.mode) && attr.rdev_major == 0);
	assert_false(attr.flags & (EROFS_HARDLINK | EROFS_OPAQUE));
	return 0;
}

static bool merge(const struct scratch *scratch, struct layer_index **layers, size_t n)
{
	CLEANUP(erofs_closep) struct erofs_reader *reader = NULL;
	const struct layer_index *const *lowest = (const struct layer_index *const *)layers;
	uint8_t key[INDEX_KEY_SIZE];
	struct error err = {0};

	assert_int_equal(image_index_key(lowest, n, key, NULL), 0);
	if (image_index_build(scratch->fd, lowest, n, key, &err) < 0) {
		assert_int_equal(err.kind, ERROR_FORMAT);
		return false;
	}
	if (image_index_open(scratch->fd, lowest, n, key, &reader, &err) < 0)
		fail_msg("%s", err.message);
	assert_int_equal(erofs_readdir(reader, erofs_root(reader), 0, refuse_leftovers,
				 (void *)reader, NULL),
		0);
	return true;
}

static void what_the_builder_accepts_the_checker_accepts(void **state)
{
	const struct scratch *scratch = *state;
	unsigned n_built = 0, n_merged = 0;

	for (unsigned round = 0; round < N_ROUNDS; round++) {
		uint64_t random = UINT64_C(0x9e3779b97f4a7c15) * (round + 1);
		struct layer_index *layers[N_LAYERS];
		size_t n = 0;

		for (unsigned i = 0; i < N_LAYERS; i++) {
			CLEANUP(toc_freep) struct toc *toc = random_toc(&random);

			layers[n] = build_layer(scratch, toc, round * N_LAYERS + i);
			if (layers[n])
				n++;
		}
		n_built += (unsigned)n;
		if (n > 0)
			n_merged += merge(scratch, layers, n);
		for (size_t i = 0; i < n; i++)
			layer_index_close(layers[i]);
	}
	/* Otherwise it has not been tried. */
	print_message("%u layers and %u images were accepted\n", n_built, n_merged);
	assert_true(n_built > N_ROUNDS / 2);
	assert_true(n_merged > N_ROUNDS / 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_the_builder_accepts_the_checker_accepts,
			scratch_setup, scratch_teardown),
	};
	return cmocka_run_group_tests_name("index/random_layers", tests, NULL, NULL);
}
