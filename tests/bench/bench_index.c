/* SPDX-License-Identifier: Apache-2.0 */
/* usage: bench_index DIR [ENTRIES]
 * What an index costs: from a compressed table of contents in memory, of each kind, to both files
 * renamed; then opened, looked up in, merged. Each round is a process of its own; times are medians
 * of the rounds, memory is the most of any, above what the process had when it began. DIR on a
 * memory file system leaves fsync out. */
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fdio.h"
#include "base/heap.h"
#include "chunk/codec.h"
#include "format/estargz.h"
#include "format/span_index_file.h"
#include "format/zstd_chunked.h"
#include "index/image_index.h"
#include "table_writer.h"

enum { N_ROUNDS = 7, N_LOOKUPS = 1000000, MAX_TABLE_SIZE = 1 << 30 };

/* Nanoseconds, except where the name says otherwise. */
enum column { DECODE, HASH, PARSE, BUILD, WRITE, RENAME, TOTAL, FSYNC, CPU, PEAK_BYTES, N_COLUMNS };

static const char *const column_names[N_COLUMNS] = {
	"decode", "hash", "parse", "build", "write", "rename", "sum", "fsync", "CPU", "peak MiB"};

/* What the library spends in calls of the system: linked with --wrap. The unit table is written by
 * a thread of its own meanwhile, whose calls are not counted. */
static _Thread_local uint64_t spent_ns[N_COLUMNS];

int __real_fsync(int fd);
int __wrap_fsync(int fd);
ssize_t __real_pwrite64(int fd, const void *data, size_t size, off_t off);
ssize_t __wrap_pwrite64(int fd, const void *data, size_t size, off_t off);
int __real_renameat(int from_fd, const char *from, int to_fd, const char *to);
int __wrap_renameat(int from_fd, const char *from, int to_fd, const char *to);

int __wrap_fsync(int fd)
{
	uint64_t start = clock_now_ns();
	int result = __real_fsync(fd);

	spent_ns[FSYNC] += clock_now_ns() - start;
	return result;
}

ssize_t __wrap_pwrite64(int fd, const void *data, size_t size, off_t off)
{
	uint64_t start = clock_now_ns();
	ssize_t result = __real_pwrite64(fd, data, size, off);

	spent_ns[WRITE] += clock_now_ns() - start;
	return result;
}

int __wrap_renameat(int from_fd, const char *from, int to_fd, const char *to)
{
	uint64_t start = clock_now_ns();
	int result = __real_renameat(from_fd, from, to_fd, to);

	spent_ns[RENAME] += clock_now_ns() - start;
	return result;
}

static void must(int result, const struct error *err)
{
	if (result == 0)
		return;
	fprintf(stderr, "bench_index: %s\n", err->message);
	exit(1);
}

static uint64_t cpu_now_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * NS_PER_SECOND + (uint64_t)now.tv_nsec;
}

/* Of memory that is there, in bytes: VmHWM for the most so far, VmRSS for now. */
static uint64_t resident(const char *field)
{
	FILE *file = fopen("/proc/self/status", "re");
	uint64_t kib = 0;
	char line[256];

	while (file && fgets(line, sizeof(line), file)) {
		if (strncmp(line, field, strlen(field)) == 0)
			kib = strtoull(line + strlen(field) + 1, NULL, 10);
	}
	if (file)
		(void)fclose(file);
	return kib * 1024;
}

/* The most so far begins anew. */
static uint64_t forget_peak(void)
{
	int fd = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, "5", 1) != 1)
		perror("/proc/self/clear_refs");
	if (fd >= 0)
		close(fd);
	return resident("VmRSS");
}

/* A kind of table, the steps to its index one by one. */
struct kind {
	const char *name;
	void (*make)(size_t n_entries, struct written_table *out);
	/* All from the compressed bytes on. */
	void (*parse)(
		const struct written_table *table, struct toc **toc, struct span_index **spans);
	/* Of that, the decoding and the hashing once more, by themselves. */
	void (*decode)(const struct written_table *table, struct buffer *out);
	enum column hashes; /* DECODE: what was decoded; HASH: the compressed bytes */
};

static void parse_estargz(
	const struct written_table *table, struct toc **toc, struct span_index **spans)
{
	const struct estargz_toc_options options = {.toc_digest = &table->json_digest,
		.blob_size = table->blob_size,
		.payload_end = table->blob_size};
	struct error err;

	(void)spans;
	must(estargz_toc_parse(table->bytes.data, table->bytes.size, &options, toc, &err), &err);
}

static void decode_estargz(const struct written_table *table, struct buffer *out)
{
	struct error err;

	must(codec_decode_all(
		     CODEC_GZIP, table->bytes.data, table->bytes.size, MAX_TABLE_SIZE, out, &err),
		&err);
}

static void parse_zstd_chunked(
	const struct written_table *table, struct toc **toc, struct span_index **spans)
{
	const struct zstd_chunked_options options = {
		.position = table->position, .toc_digest = &table->json_digest};
	struct error err;

	(void)spans;
	must(zstd_chunked_parse(table->bytes.data, &options, toc, &err), &err);
}

static void decode_zstd_chunked(const struct written_table *table, struct buffer *out)
{
	struct error err;

	must(codec_decode_all(
		     CODEC_ZSTD, table->bytes.data, table->bytes.size, MAX_TABLE_SIZE, out, &err),
		&err);
}

static void parse_spans(
	const struct written_table *table, struct toc **toc, struct span_index **spans)
{
	struct error err;

	must(span_index_parse(table->bytes.data, table->bytes.size, spans, &err), &err);
	must(span_index_cut(*spans, NULL, 0, &err), &err);
	*toc = (*spans)->toc;
}

/* Behind magic, version and zeros is one frame. */
static void decode_spans(const struct written_table *table, struct buffer *out)
{
	struct error err;

	must(codec_decode_all(CODEC_ZSTD, table->bytes.data + 16, table->bytes.size - 16,
		     MAX_TABLE_SIZE, out, &err),
		&err);
}

static const struct kind kinds[] = {
	{"eStargz", write_estargz_table, parse_estargz, decode_estargz, DECODE},
	{"zstd:chunked", write_zstd_chunked_table, parse_zstd_chunked, decode_zstd_chunked, DECODE},
	{"span index", write_span_table, parse_spans, decode_spans, HASH},
};

enum { N_KINDS = sizeof(kinds) / sizeof(kinds[0]) };

static void build(int dir_fd, const struct written_table *table, const struct toc *toc,
	const struct span_index *spans, const uint8_t key[INDEX_KEY_SIZE])
{
	const struct digest blob = {.algorithm = DIGEST_SHA256};
	const struct layer_index_build_options options = {.key = key,
		.blob = &blob,
		.blob_size = table->blob_size,
		.spans = spans ? spans->spans : NULL,
		.n_spans = spans ? spans->n_spans : 0,
		.place_all = spans != NULL};
	struct error err;

	must(layer_index_build(dir_fd, toc, &options, &err), &err);
}

/* Decoding and hashing by themselves; what else parsing took is PARSE. */
static void split_parse(
	const struct kind *kind, const struct written_table *table, uint64_t row[N_COLUMNS])
{
	CLEANUP(buffer_free) struct buffer decoded = {0};
	struct digest digest;
	struct error err;
	uint64_t start = clock_now_ns();

	kind->decode(table, &decoded);
	row[DECODE] = clock_now_ns() - start;
	start = clock_now_ns();
	must(kind->hashes == DECODE
			? digest_compute(DIGEST_SHA256, decoded.data, decoded.size, &digest, &err)
			: digest_compute(DIGEST_SHA256, table->bytes.data, table->bytes.size,
				  &digest, &err),
		&err);
	row[HASH] = clock_now_ns() - start;
	row[PARSE] -= row[DECODE] < row[PARSE] ? row[DECODE] : row[PARSE];
	if (kind->hashes == DECODE)
		row[PARSE] -= row[HASH] < row[PARSE] ? row[HASH] : row[PARSE];
	else
		row[TOTAL] += row[HASH];
}

/* From the compressed bytes to the renamed files, in a process that has done nothing before. */
static void measure(int dir_fd, const struct kind *kind, const struct written_table *table,
	uint64_t row[N_COLUMNS])
{
	const uint8_t key[INDEX_KEY_SIZE] = {(uint8_t)(kind - kinds)};
	uint64_t before = forget_peak(), cpu = cpu_now_ns(), start = clock_now_ns(), parsed, end;
	struct span_index *spans = NULL;
	struct toc *toc = NULL;

	memset(spent_ns, 0, sizeof(spent_ns));
	kind->parse(table, &toc, &spans);
	parsed = clock_now_ns();
	build(dir_fd, table, toc, spans, key);
	end = clock_now_ns();
	memcpy(row, spent_ns, sizeof(spent_ns));
	row[CPU] = cpu_now_ns() - cpu;
	row[PEAK_BYTES] = resident("VmHWM") - before;
	row[PARSE] = parsed - start;
	row[BUILD] = end - parsed - row[WRITE] - row[RENAME] - row[FSYNC];
	row[TOTAL] = end - start - row[FSYNC];
	if (spans)
		span_index_free(spans);
	else
		toc_free(toc);
	split_parse(kind, table, row);
}

/* Runs in a child what leaves nothing in this process but what it writes to @shared memory. */
static void in_a_child(void (*run)(void *arg), void *arg)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		run(arg);
		exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0) {
		fprintf(stderr, "bench_index: a part of it failed\n");
		exit(1);
	}
}

/* What the processes share. */
struct shared {
	const struct kind *kind;
	size_t n_entries;
	int dir_fd;
	unsigned round;
	struct written_table table; /* its bytes are in the file "table" */
	uint64_t rows[N_ROUNDS][N_COLUMNS];
};

static void make_table(void *arg)
{
	struct shared *shared = arg;
	struct error err;
	int fd = openat(shared->dir_fd, "table", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	int ret;

	shared->kind->make(shared->n_entries, &shared->table);
	ret = fd < 0 ? fd
		     : fd_pwrite_all(fd, shared->table.bytes.data, shared->table.bytes.size, 0);
	if (ret < 0)
		must(error_set_errno(&err, -ret, "write the table"), &err);
	close(fd);
}

static void read_table(const struct shared *shared, struct written_table *out)
{
	struct error err;

	*out = shared->table;
	out->bytes = (struct buffer){0};
	must(file_read(shared->dir_fd, "table", MAX_TABLE_SIZE, &out->bytes, &err), &err);
}

static void measure_once(void *arg)
{
	struct shared *shared = arg;
	struct written_table table;

	read_table(shared, &table);
	measure(shared->dir_fd, shared->kind, &table, shared->rows[shared->round]);
	buffer_free(&table.bytes);
}

static int compare_u64(const void *a, const void *b)
{
	uint64_t left, right;

	memcpy(&left, a, sizeof(left));
	memcpy(&right, b, sizeof(right));
	return (left > right) - (left < right);
}

static void show(const struct shared *shared)
{
	printf("%-13s", shared->kind->name);
	for (unsigned i = 0; i < N_COLUMNS; i++) {
		uint64_t values[N_ROUNDS];

		for (unsigned round = 0; round < N_ROUNDS; round++)
			values[round] = shared->rows[round][i];
		qsort(values, N_ROUNDS, sizeof(values[0]), compare_u64);
		if (i == PEAK_BYTES)
			printf(" %9.1f", (double)values[N_ROUNDS - 1] / (1 << 20));
		else
			printf(" %9.2f", (double)values[N_ROUNDS / 2] / (double)NS_PER_MS);
	}
	printf("   %zu bytes, decoded %" PRIu64 "\n", shared->table.bytes.size,
		shared->table.json_size);
}

static int remove_below(const char *path, const struct stat *status, int type, struct FTW *walk)
{
	(void)status;
	(void)type;
	return walk->level > 0 ? remove(path) : 0;
}

static void bench_tables(const char *dir, struct shared *shared)
{
	printf("%zu entries, ms   ", shared->n_entries);
	for (unsigned i = 0; i < N_COLUMNS; i++)
		printf("%10s", column_names[i]);
	printf("\n");
	for (unsigned i = 0; i < N_KINDS; i++) {
		shared->kind = &kinds[i];
		for (shared->round = 0; shared->round < N_ROUNDS; shared->round++) {
			(void)nftw(dir, remove_below, 16, FTW_DEPTH | FTW_PHYS);
			in_a_child(make_table, shared);
			in_a_child(measure_once, shared);
		}
		show(shared);
	}
}

static void report(const char *what, uint64_t since_ns)
{
	printf("%-28s %9.2f ms\n", what, (double)(clock_now_ns() - since_ns) / (double)NS_PER_MS);
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

/* The index of the last round is still there. */
static void bench_index(const struct shared *shared)
{
	const uint8_t key[INDEX_KEY_SIZE] = {(uint8_t)(shared->kind - kinds)};
	CLEANUP(layer_index_closep) struct layer_index *layer = NULL;
	CLEANUP(erofs_closep) struct erofs_reader *image = NULL;
	const struct layer_index *layers[2];
	struct span_index *spans = NULL;
	uint8_t image_key[INDEX_KEY_SIZE];
	struct written_table table;
	struct error err = {0};
	struct toc *toc;
	uint64_t start;

	start = clock_now_ns();
	must(layer_index_open(shared->dir_fd, key, &layer, &err), &err);
	report("open and check", start);
	printf("%-28s %9" PRIu64 "\n", "inodes", erofs_n_inodes(layer->tree));
	read_table(shared, &table);
	shared->kind->parse(&table, &toc, &spans);
	look_up(layer->tree, toc);

	layers[0] = layer;
	layers[1] = layer;
	must(image_index_key(layers, 2, image_key, &err), &err);
	start = clock_now_ns();
	must(image_index_build(shared->dir_fd, layers, 2, image_key, &err), &err);
	report("merge with itself and write", start);
	start = clock_now_ns();
	must(image_index_open(shared->dir_fd, layers, 2, image_key, &image, &err), &err);
	report("open and check the image", start);
	buffer_free(&table.bytes);
	span_index_free(spans);
}

int main(int argc, char **argv)
{
	size_t n_entries = argc > 2 ? strtoul(argv[2], NULL, 10) : 50000;
	struct shared *shared;
	char path[4096];

	if (argc < 2 || n_entries < 10) {
		fprintf(stderr, "usage: bench_index DIR [ENTRIES]\n");
		return 2;
	}
	(void)snprintf(path, sizeof(path), "%s/bench-index-XXXXXX", argv[1]);
	shared = mmap(
		NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED || !mkdtemp(path)) {
		perror(path);
		return 1;
	}
	heap_configure();
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	shared->n_entries = n_entries;
	shared->dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bench_tables(path, shared);
	bench_index(shared);
	close(shared->dir_fd);
	(void)nftw(path, remove_below, 16, FTW_DEPTH | FTW_PHYS);
	(void)rmdir(path);
	return 0;
}
