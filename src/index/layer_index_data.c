/* SPDX-License-Identifier: Apache-2.0 */
/* Gives the files of a layer their places in its data space, and lists their units. */
#include "layer_index_internal.h"

#include <inttypes.h>
#include <stdlib.h>

#include "arena.h"
#include "base/bytes.h"
#include "base/heap.h"
#include "unit_table_internal.h"

enum { FILE_ALIGNMENT = 4096 };

static int compare_files(const void *a, const void *b)
{
	const struct file_source *left = a, *right = b;

	if (left->blob_off != right->blob_off)
		return left->blob_off < right->blob_off ? -1 : 1;
	if (left->inner_off != right->inner_off)
		return left->inner_off < right->inner_off ? -1 : 1;
	return (left->entry > right->entry) - (left->entry < right->entry);
}

/* Leaves the files that are still in the tree, in order of the blob (of the entries with
 * place_all), and counts their chunks. */
static int sort_files(struct layer_builder *builder, uint64_t *ret_n_chunks, struct error *err)
{
	const struct toc *toc = builder->toc;
	uint64_t n_chunks = 0;
	size_t n = 0;

	for (size_t i = 0; i < builder->n_files; i++) {
		struct file_source file = builder->files[i];

		if (file.inode->nlink == 0)
			continue;
		if (file.entry->n_chunks == 0 ||
			!range_within(file.entry->first_chunk, file.entry->n_chunks, toc->n_chunks))
			return error_set(err, ERROR_FORMAT,
				"entry '%.100s' has %" PRIu64 " bytes and no chunks",
				file.entry->name, file.entry->size);
		file.blob_off = toc->chunks[file.entry->first_chunk].blob_off;
		file.inner_off = toc->chunks[file.entry->first_chunk].inner_off;
		n_chunks += file.entry->n_chunks;
		builder->files[n++] = file;
	}
	builder->n_files = n;
	if (!builder->options->place_all)
		sort_unless_sorted(builder->files, n, sizeof(*builder->files), compare_files);
	*ret_n_chunks = n_chunks;
	return 0;
}

/* The units of one file, whose inode has its place. */
static int list_units(const struct layer_builder *builder, const struct file_source *file,
	const struct unit_table_header *limits, struct unit *units, struct error *err)
{
	const struct toc_chunk *chunks = &builder->toc->chunks[file->entry->first_chunk];
	uint64_t file_off = 0;

	for (uint64_t i = 0; i < file->entry->n_chunks; i++) {
		const struct toc_chunk *chunk = &chunks[i];
		const char *problem;

		units[i] = (struct unit){
			.data_off = file->inode->data_off + file_off,
			.size = chunk->size,
			.blob_off = chunk->blob_off,
			.blob_size = chunk->blob_size,
			.inner_off = chunk->inner_off,
			.codec = chunk->codec,
			.flags = chunk->flags,
		};
		memcpy(units[i].digest, chunk->digest, sizeof(units[i].digest));
		problem = unit_problem(&units[i], limits);
		if (!problem && chunk->file_off != file_off)
			problem = "is not where the one before it ends";
		if (!problem && chunk->size > file->entry->size - file_off)
			problem = "is larger than the rest of its file";
		if (problem)
			return error_set(err, ERROR_FORMAT, "chunk %" PRIu64 " %s", i, problem);
		file_off += chunk->size;
	}
	if (file_off != file->entry->size)
		return error_set(err, ERROR_FORMAT,
			"chunks of %" PRIu64 " bytes for a file of %" PRIu64, file_off,
			file->entry->size);
	return 0;
}

int layer_place_next(uint64_t *end, uint64_t size, uint64_t *ret_off, struct error *err)
{
	static const uint64_t limit = UINT64_C(16) << 40;

	if (size > limit - FILE_ALIGNMENT || *end > limit - FILE_ALIGNMENT - size)
		return error_set(
			err, ERROR_UNSUPPORTED, "a layer of 16 TiB or more is not supported");
	*ret_off = *end;
	*end = align_up(*end + size, FILE_ALIGNMENT);
	return 0;
}

/* One behind the other, each at the beginning of a page: a file's pages are its own. */
static int place_files(struct layer_builder *builder, uint64_t *ret_size, struct error *err)
{
	uint64_t end = 0;

	for (size_t i = 0; i < builder->n_files; i++) {
		struct draft_inode *inode = builder->files[i].inode;

		if (layer_place_next(&end, inode->size, &inode->data_off, err) < 0)
			return -1;
		inode->device = 0;
	}
	*ret_size = end;
	return 0;
}

/* The files are in order of the entries, some of which are not in the tree any more. */
static int place_entries(struct layer_builder *builder, uint64_t *ret_size, struct error *err)
{
	const struct toc *toc = builder->toc;
	uint64_t end = 0;
	size_t next = 0;

	for (size_t i = 0; i < toc->n_entries; i++) {
		const struct toc_entry *entry = &toc->entries[i];
		uint64_t off;

		if (entry->type != TOC_REGULAR || entry->size == 0)
			continue;
		if (layer_place_next(&end, entry->size, &off, err) < 0)
			return -1;
		if (next == builder->n_files || builder->files[next].entry != entry)
			continue;
		builder->files[next].inode->data_off = off;
		builder->files[next++].inode->device = 0;
	}
	*ret_size = end;
	return 0;
}

/* Room for all units; the header is complete but for data_size. */
static int start_units(struct layer_builder *builder, uint64_t n_chunks, struct error *err)
{
	const struct layer_index_build_options *options = builder->options;
	struct layer_units *units = &builder->units;

	units->header = (struct unit_table_header){.blob = *options->blob,
		.blob_size = options->blob_size,
		.prefetch_size = builder->toc->prefetch_size,
		.n_spans = options->n_spans};
	if (units->header.prefetch_size > options->blob_size)
		units->header.prefetch_size = options->blob_size;
	memcpy(units->header.key, options->key, INDEX_KEY_SIZE);
	units->units = calloc(n_chunks + 1, sizeof(*units->units));
	units->spans = calloc(options->n_spans + 1, sizeof(*units->spans));
	if (!units->units || !units->spans)
		return error_set(err, ERROR_NO_MEMORY, "no memory for %" PRIu64 " units", n_chunks);
	heap_prefer_huge(units->units);
	if (options->n_spans > 0)
		memcpy(units->spans, options->spans, options->n_spans * sizeof(*units->spans));
	return 0;
}

int layer_place_data(struct layer_builder *builder, struct error *err)
{
	struct layer_units *units = &builder->units;
	uint64_t *data_size = &units->header.data_size;
	uint64_t n_chunks = 0;

	if (sort_files(builder, &n_chunks, err) < 0 || start_units(builder, n_chunks, err) < 0 ||
		(builder->options->place_all ? place_entries(builder, data_size, err)
					     : place_files(builder, data_size, err)) < 0)
		return -1;
	for (size_t i = 0; i < builder->n_files; i++) {
		const struct toc_entry *entry = builder->files[i].entry;

		if (list_units(builder, &builder->files[i], &units->header,
			    units->units + units->n_units, err) < 0)
			return error_prefix(err, "entry '%.100s'", entry->name);
		units->n_units += entry->n_chunks;
	}
	return 0;
}
