/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a tar archive: it reads the same in whatever pieces it arrives, payloads are what
 * their segments say, and whatever is no error makes a table of contents that holds together. */
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "format/tar.h"
#include "format/tar_toc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);

/* libFuzzer's own, where it is linked. */
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size) __attribute__((weak));

enum { RECORD = 512, CHECKSUM = 148 };

/* An archive being read in some way. */
struct reading {
	const uint8_t *data;
	struct tar_reader *reader;
	struct tar_toc *tar_toc;
	struct buffer listing;
	uint64_t payload_seen; /* of the member at hand */
};

static void require(int condition)
{
	if (!condition)
		__builtin_trap();
}

static void print(struct reading *reading, const void *data, size_t size)
{
	require(buffer_append(&reading->listing, data, size) == 0);
}

static void check_segments(const struct tar_entry *entry)
{
	uint64_t file_off = 0, payload_off = entry->payload_off;

	require(entry->type == '0' || (entry->n_segments == 0 && entry->size == 0));
	for (size_t i = 0; i < entry->n_segments; i++) {
		const struct tar_segment *segment = &entry->segments[i];

		require(segment->file_off >= file_off && segment->size > 0);
		require(segment->payload_off == payload_off);
		file_off = segment->file_off + segment->size;
		payload_off += segment->size;
	}
	require(file_off <= entry->size);
	require(payload_off - entry->payload_off == entry->payload_size);
}

/* One chunk for each segment. */
static void cut(struct tar_toc *tar_toc, size_t index)
{
	CLEANUP(buffer_free) struct buffer chunks = {0};
	size_t n;
	const struct tar_segment *segments = tar_toc_segments(tar_toc, index, &n);

	for (size_t i = 0; i < n; i++) {
		struct toc_chunk chunk = {.file_off = segments[i].file_off,
			.size = segments[i].size,
			.blob_off = segments[i].payload_off};

		require(buffer_append(&chunks, &chunk, sizeof(chunk)) == 0);
	}
	require(n == 0 || tar_toc_set_chunks(tar_toc, index, (void *)chunks.data, n, NULL) == 0);
}

static int take_entry(void *arg, const struct tar_entry *entry, struct error *err)
{
	struct reading *reading = arg;
	size_t index;

	check_segments(entry);
	require(entry->payload_off == tar_reader_off(reading->reader));
	reading->payload_seen = 0;
	print(reading, entry->name, strlen(entry->name) + 1);
	if (entry->link_name)
		print(reading, entry->link_name, strlen(entry->link_name) + 1);
	print(reading, entry->segments, entry->n_segments * sizeof(*entry->segments));
	for (size_t i = 0; i < entry->n_xattrs; i++) {
		print(reading, entry->xattrs[i].name, strlen(entry->xattrs[i].name) + 1);
		print(reading, entry->xattrs[i].value, entry->xattrs[i].value_size);
	}
	require(buffer_printf(&reading->listing, "%c %jx %jx %jx %jx %x %o %x %x %jx %jx\n",
			entry->type, (uintmax_t)entry->header_off, (uintmax_t)entry->payload_off,
			(uintmax_t)entry->size, (uintmax_t)entry->mtime_s, entry->mtime_ns,
			entry->mode, entry->uid, entry->gid, (uintmax_t)entry->dev_major,
			(uintmax_t)entry->dev_minor) == 0);
	if (tar_toc_add(reading->tar_toc, entry, &index, err) < 0)
		return -1;
	cut(reading->tar_toc, index);
	return 0;
}

static int take_payload(void *arg, const struct tar_entry *entry, uint64_t file_off,
	const void *data, size_t size, struct error *err)
{
	struct reading *reading = arg;
	uint64_t off = tar_reader_off(reading->reader);
	const struct tar_segment *segment = entry->segments;

	(void)err;
	require(size > 0 && off == entry->payload_off + reading->payload_seen);
	require(data == reading->data + off);
	while (file_off >= segment->file_off + segment->size)
		segment++;
	require(segment < entry->segments + entry->n_segments);
	require(file_off - segment->file_off == off - segment->payload_off);
	require(file_off + size <= segment->file_off + segment->size);
	reading->payload_seen += size;
	return 0;
}

static int feed(struct reading *reading, size_t size, size_t piece, int skips, struct error *err)
{
	for (size_t off = 0, n; off < size; off += n) {
		n = skips ? (size_t)tar_reader_skip(reading->reader, size - off) : 0;
		if (n > 0)
			continue;
		n = size - off < piece ? size - off : piece;
		if (tar_reader_feed(reading->reader, reading->data + off, n, err) < 0)
			return -1;
		require(tar_reader_off(reading->reader) == off + n);
	}
	return tar_reader_finish(reading->reader, err);
}

static void read_all(
	struct reading *reading, size_t size, size_t piece, int skips, struct error *err)
{
	CLEANUP(tar_reader_freep) struct tar_reader *reader = NULL;
	CLEANUP(tar_toc_freep) struct tar_toc *tar_toc = NULL;
	CLEANUP(toc_freep) struct toc *toc = NULL;

	require(tar_toc_new(&tar_toc, err) == 0);
	require(tar_reader_new_with_payload(take_entry, take_payload, reading, &reader, err) == 0);
	reading->reader = reader;
	reading->tar_toc = tar_toc;
	if (feed(reading, size, piece, skips, err) < 0)
		return;
	require(tar_toc_finish(tar_toc, &toc, err) == 0);
	for (size_t i = 0; i < toc->n_entries; i++) {
		const struct toc_entry *entry = &toc->entries[i];
		uint64_t end = 0;

		for (uint64_t j = 0; j < entry->n_chunks; j++) {
			const struct toc_chunk *chunk = &toc->chunks[entry->first_chunk + j];

			require(chunk->file_off == end && chunk->size > 0);
			end += chunk->size;
		}
		require(end == entry->size);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const size_t pieces[] = {SIZE_MAX, 61, 513, 61};
	struct reading readings[4] = {{0}};
	struct error errors[4] = {{0}};

	for (int i = 0; i < 4; i++) {
		readings[i].data = data;
		read_all(&readings[i], size, pieces[i], i == 3, &errors[i]);
		require(readings[i].listing.size == readings[0].listing.size);
		require(errors[i].kind == errors[0].kind);
		require(strcmp(errors[i].message, errors[0].message) == 0);
		require(readings[i].listing.size == 0 ||
			memcmp(readings[i].listing.data, readings[0].listing.data,
				readings[i].listing.size) == 0);
	}
	for (int i = 0; i < 4; i++)
		buffer_free(&readings[i].listing);
	return 0;
}

/* Chance alone would hardly ever find a checksum: wherever a record has the digits of one, they are
 * made right. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
	(void)seed;
	size = LLVMFuzzerMutate(data, size, max_size);
	for (size_t off = 0; size - off >= RECORD; off += RECORD) {
		uint8_t *record = data + off;
		char digits[8];
		unsigned sum = 0;

		if (record[CHECKSUM] < '0' || record[CHECKSUM] > '7')
			continue;
		memset(record + CHECKSUM, ' ', sizeof(digits));
		for (size_t i = 0; i < RECORD; i++)
			sum += record[i];
		(void)snprintf(digits, sizeof(digits), "%06o", sum);
		memcpy(record + CHECKSUM, digits, 7);
	}
	return size;
}
