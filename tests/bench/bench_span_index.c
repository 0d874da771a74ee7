/* SPDX-License-Identifier: Apache-2.0 */
/* usage: bench_span_index FILE...
 * How large the index of each of these gzip layers is, what it consists of before compression, and
 * what it costs to make, to read and to cut files by it. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/fdio.h"
#include "format/span_index_file.h"
#include "support/span_pass.h"

#define MAX_LAYER_SIZE (UINT64_C(4) << 30)

static void must(int result, const struct error *err)
{
	if (result == 0)
		return;
	fprintf(stderr, "bench_span_index: %s\n", err->message);
	exit(1);
}

/* Milliseconds since then, which becomes now. */
static double lap(uint64_t *since_ns)
{
	uint64_t before = *since_ns;

	*since_ns = clock_now_ns();
	return (double)(*since_ns - before) / (double)NS_PER_MS;
}

static void measure(const char *path)
{
	CLEANUP(span_index_freep) struct span_index *made = NULL;
	CLEANUP(span_index_freep) struct span_index *read = NULL;
	CLEANUP(buffer_free) struct buffer layer = {0};
	CLEANUP(buffer_free) struct buffer file = {0};
	struct span_index_file_sizes sizes;
	struct error err = {0};
	uint64_t since_ns;

	must(file_read(AT_FDCWD, path, MAX_LAYER_SIZE, &layer, &err), &err);
	since_ns = clock_now_ns();
	must(span_pass(CODEC_GZIP, layer.data, layer.size, 0, &made, &err), &err);
	printf("%s: %zu bytes, %" PRIu64 " decoded, %zu entries, %zu spans\n", path, layer.size,
		made->archive_size, made->toc->n_entries, made->n_spans);
	printf("  pass %.1f ms", lap(&since_ns));
	must(span_index_write(made, &file, &sizes, &err), &err);
	printf(", write %.1f ms", lap(&since_ns));
	must(span_index_parse(file.data, file.size, &read, &err), &err);
	printf(", read %.1f ms", lap(&since_ns));
	must(span_index_cut(read, NULL, 0, &err), &err);
	printf(", cut %.1f ms\n", lap(&since_ns));
	printf("  index %zu bytes, %.3f %% of the layer; unpacked: names %zu, attributes %zu, "
	       "spans %zu, digests %zu, windows %zu\n",
		file.size, 100.0 * (double)file.size / (double)layer.size, sizes.names,
		sizes.attributes, sizes.spans, sizes.digests, sizes.windows);
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		fprintf(stderr, "usage: bench_span_index FILE...\n");
		return 2;
	}
	for (int i = 1; i < argc; i++)
		measure(argv[i]);
	return 0;
}
