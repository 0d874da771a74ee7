/* SPDX-License-Identifier: Apache-2.0 */
/* usage: bench_index DIR [ENTRIES]
 * What an index costs: built from a table of contents in memory, opened, looked up in, merged.
 * Prints one line per step; DIR on a memory file system leaves fsync out. */
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "format/toc.h"
#include "index/image_index.h"

enum { FILES_PER_DIRECTORY = 9, N_LOOKUPS = 1000000 };

static void must(int result, const struct error *err)
{
	if (result == 0)
		return;
	fprintf(stderr, "bench_index: %s\n", err->message);
	exit(1);
}

static void report(const char *what, uint64_t since_ns)
{
	struct rusage usage;

	(void)getrusage(RUSAGE_SELF, &usage);
	printf("%-28s %9.2f ms   peak memory %ld MiB\n", what,
		(double)(clock_now_ns() - since_ns) / (double)NS_PER_MS, usage.ru_maxrss / 1024);
}

/* A tree like /usr: directories of ten names, three levels of them in ten, in order. */
static void add_directory(struct toc *toc, size_t number, uint64_t *blob_off)
{
	struct toc_entry entry = {.type = TOC_DIRECTORY, .mode = 0755, .mtime_s = 1700000000};
	char name[256];
	struct error err = {0};

	int size = snprintf(name, sizeof(name), "usr/share/section-%zu/package-%zu/part-%zu",
		number / 100, number / 10 % 10, number % 10);

	entry.name = toc_intern(toc, name, (size_t)size);
	must(toc_add_entry(toc, &entry, &err), &err);
	for (unsigned i = 0; i < FILES_PER_DIRECTORY; i++) {
		struct toc_chunk chunk = {.size = 3000 + number % 5000,
			.blob_off = *blob_off,
			.blob_size = 1000,
			.codec = CODEC_GZIP};
		int more =
			snprintf(name + size, sizeof(name) - (size_t)size, "/some-file-%u.dat", i);

		entry = (struct toc_entry){.type = TOC_REGULAR,
			.mode = 0644,
			.mtime_s = 1700000000,
			.size = chunk.size,
			.first_chunk = toc->n_chunks,
			.n_chunks = 1};
		entry.name = toc_intern(toc, name, (size_t)(size + more));
		must(toc_add_chunk(toc, &chunk, &err), &err);
		must(toc_add_entry(toc, &entry, &err), &err);
		*blob_off += 1000;
	}
}

static struct toc *make_toc(size_t n_entries)
{
	uint64_t blob_off = 0;
	struct toc *toc = NULL;
	struct error err = {0};

	must(toc_new(&toc, &err), &err);
	for (size_t i = 0; i < n_entries / (FILES_PER_DIRECTORY + 1); i++)
		add_directory(toc, i, &blob_off);
	return toc;
}

/* Walks paths as a FUSE server does: one lookup and one getattr per component. */
static void look_up(const struct erofs_reader *reader, const struct toc *toc)
{
	uint64_t start = clock_now_ns(), n = 0;
	struct error err = {0};

	for (size_t i = 0; n < N_LOOKUPS; i = (i + 7919) % toc->n_entries) {
		const char *path = toc->entries[i].name;
		uint64_t nid = erofs_root(reader);

		while (*path) {
			size_t size = strcspn(path, "/");
			struct erofs_attr attr;
			bool found = false;

			must(erofs_lookup(reader, nid, path, size, &found, &nid, &err), &err);
			if (!found)
				abort();
			must(erofs_getattr(reader, nid, &attr, &err), &err);
			path += size + (path[size] == '/');
			n++;
		}
	}
	printf("%-28s %9.0f ns each\n", "lookup and getattr",
		(double)(clock_now_ns() - start) / (double)n);
}

static void bench(int dir_fd, size_t n_entries)
{
	struct digest blob = {.algorithm = DIGEST_SHA256};
	uint8_t key[INDEX_KEY_SIZE] = {1}, image_key[INDEX_KEY_SIZE];
	struct layer_index_build_options options = {
		.key = key, .blob = &blob, .blob_size = UINT64_C(1) << 40};
	CLEANUP(layer_index_closep) struct layer_index *layer = NULL;
	CLEANUP(erofs_closep) struct erofs_reader *image = NULL;
	CLEANUP(toc_freep) struct toc *toc = NULL;
	const struct layer_index *layers[2];
	struct error err = {0};
	uint64_t start = clock_now_ns();

	toc = make_toc(n_entries);
	report("table of contents (given)", start);
	start = clock_now_ns();
	must(layer_index_build(dir_fd, toc, &options, &err), &err);
	report("build and write", start);
	start = clock_now_ns();
	must(layer_index_open(dir_fd, key, &layer, &err), &err);
	report("open and check", start);
	printf("%-28s %9" PRIu64 "\n", "inodes", erofs_n_inodes(layer->tree));
	look_up(layer->tree, toc);

	layers[0] = layer;
	layers[1] = layer;
	must(image_index_key(layers, 2, image_key, &err), &err);
	start = clock_now_ns();
	must(image_index_build(dir_fd, layers, 2, image_key, &err), &err);
	report("merge with itself and write", start);
	start = clock_now_ns();
	must(image_index_open(dir_fd, layers, 2, image_key, &image, &err), &err);
	report("open and check the image", start);
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *walk)
{
	(void)status;
	(void)type;
	(void)walk;
	return remove(path);
}

int main(int argc, char **argv)
{
	size_t n_entries = argc > 2 ? strtoul(argv[2], NULL, 10) : 50000;
	char path[4096];
	int dir_fd;

	if (argc < 2 || n_entries < 10) {
		fprintf(stderr, "usage: bench_index DIR [ENTRIES]\n");
		return 2;
	}
	(void)snprintf(path, sizeof(path), "%s/bench-index-XXXXXX", argv[1]);
	if (!mkdtemp(path)) {
		perror(path);
		return 1;
	}
	dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bench(dir_fd, n_entries);
	close(dir_fd);
	(void)nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	return 0;
}
