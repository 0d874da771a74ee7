/* SPDX-License-Identifier: Apache-2.0 */
#include "support/tar_archive.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/tar.h"
#include "format/tar_toc.h"
#include "oci/digest.h"

enum { RECORD = 512 };

static void require(bool condition)
{
	if (!condition)
		abort();
}

static void append(struct buffer *buffer, const void *data, size_t size)
{
	require(buffer_append(buffer, data, size) == 0);
}

static void put_text(uint8_t *field, size_t size, const char *text)
{
	if (text)
		memcpy(field, text, strnlen(text, size));
}

static void put_octal(uint8_t *field, size_t size, uint64_t value)
{
	char digits[32];

	snprintf(digits, sizeof(digits), "%0*jo", (int)size - 1, (uintmax_t)value);
	memcpy(field, digits, size);
}

static void put_checksum(uint8_t *record)
{
	unsigned sum = 0;

	memset(record + TAR_CHECKSUM_OFF, ' ', 8);
	for (size_t i = 0; i < RECORD; i++)
		sum += record[i];
	put_octal(record + TAR_CHECKSUM_OFF, 7, sum);
}

void archive_put(struct buffer *archive, const struct tar_member *member)
{
	uint8_t record[RECORD] = {0};

	put_text(record, 100, member->name);
	put_octal(record + TAR_MODE_OFF, 8, member->mode);
	put_octal(record + TAR_UID_OFF, 8, member->uid);
	put_octal(record + TAR_GID_OFF, 8, member->gid);
	put_octal(record + TAR_SIZE_OFF, 12, member->size);
	put_octal(record + TAR_MTIME_OFF, 12, member->mtime);
	record[156] = (uint8_t)member->type;
	put_text(record + 157, 100, member->link_name);
	if (member->dialect == TAR_POSIX)
		memcpy(record + 257, "ustar\00000", 8);
	else if (member->dialect == TAR_GNU)
		memcpy(record + 257, "ustar  ", 8);
	if (member->dialect != TAR_V7) {
		put_octal(record + TAR_DEV_MAJOR_OFF, 8, member->dev_major);
		put_octal(record + TAR_DEV_MAJOR_OFF + 8, 8, member->dev_minor);
	}
	put_text(record + TAR_PREFIX_OFF, 155, member->prefix);
	put_checksum(record);
	append(archive, record, sizeof(record));
}

void archive_put_payload(struct buffer *archive, const void *data, size_t size)
{
	static const uint8_t zeros[RECORD];

	append(archive, data, size);
	append(archive, zeros, (RECORD - size % RECORD) % RECORD);
}

void archive_put_file(struct buffer *archive, const char *name, const char *text)
{
	archive_put(
		archive, &(struct tar_member){
				 .type = '0', .name = name, .mode = 0644, .size = strlen(text)});
	archive_put_payload(archive, text, strlen(text));
}

void archive_put_extension(struct buffer *archive, char type, const void *data, size_t size)
{
	archive_put(archive, &(struct tar_member){.type = type, .name = "extension", .size = size});
	archive_put_payload(archive, data, size);
}

void pax_put(struct buffer *records, const char *key, const void *value, size_t value_size)
{
	size_t rest = strlen(key) + value_size + 3; /* space, equals sign, newline */
	size_t length = rest + 1;
	char digits[24];

	while (rest + (size_t)snprintf(digits, sizeof(digits), "%zu", length) != length)
		length = rest + strlen(digits);
	require(buffer_printf(records, "%s %s=", digits, key) == 0);
	append(records, value, value_size);
	append(records, "\n", 1);
}

void archive_put_pax(struct buffer *archive, ...)
{
	CLEANUP(buffer_free) struct buffer records = {0};
	const char *key;
	va_list ap;

	va_start(ap, archive);
	while ((key = va_arg(ap, const char *))) {
		const char *value = va_arg(ap, const char *);

		pax_put(&records, key, value, strlen(value));
	}
	va_end(ap);
	archive_put_extension(archive, 'x', records.data, records.size);
}

void archive_patch(struct buffer *archive, size_t off, const void *bytes, size_t size)
{
	uint8_t *record = archive->data + archive->size - RECORD;

	memcpy(record + off, bytes, size);
	put_checksum(record);
}

void archive_put_end(struct buffer *archive)
{
	static const uint8_t zeros[2 * RECORD];

	append(archive, zeros, sizeof(zeros));
}

/* An archive on its way to a table of contents. */
struct reading {
	const uint8_t *data;
	size_t size;
	uint64_t cut;
	struct tar_reader *reader;
	struct tar_toc *tar_toc;
	uint64_t payload_seen; /* of the member at hand */
	uint64_t payload_size;
};

static int take_entry(void *arg, const struct tar_entry *entry, struct error *err)
{
	struct reading *reading = arg;
	size_t index;

	require(reading->payload_seen == reading->payload_size);
	reading->payload_seen = 0;
	reading->payload_size = entry->payload_size;
	require(entry->payload_off == tar_reader_off(reading->reader));
	require(entry->header_off < entry->payload_off);
	return tar_toc_add(reading->tar_toc, entry, &index, err);
}

static int take_payload(void *arg, const struct tar_entry *entry, uint64_t file_off,
	const void *data, size_t size, struct error *err)
{
	struct reading *reading = arg;
	uint64_t off = entry->payload_off + reading->payload_seen;
	const struct tar_segment *segment = entry->segments;

	(void)err;
	require(size > 0 && off == tar_reader_off(reading->reader));
	require(memcmp(data, reading->data + off, size) == 0);
	while (off >= segment->payload_off + segment->size)
		segment++;
	require(segment < entry->segments + entry->n_segments);
	require(file_off == segment->file_off + (off - segment->payload_off));
	require(off + size <= segment->payload_off + segment->size);
	reading->payload_seen += size;
	return 0;
}

static int cut_file(struct reading *reading, size_t index, struct buffer *chunks, struct error *err)
{
	size_t n;
	const struct tar_segment *segments = tar_toc_segments(reading->tar_toc, index, &n);

	chunks->size = 0;
	for (size_t i = 0; i < n; i++) {
		for (uint64_t done = 0, size; done < segments[i].size; done += size) {
			uint64_t off = segments[i].payload_off + done;
			uint64_t span = off - off % reading->cut;
			struct digest digest;
			struct toc_chunk chunk = {.file_off = segments[i].file_off + done};

			size = span + reading->cut - off;
			if (size > segments[i].size - done)
				size = segments[i].size - done;
			chunk.size = size;
			chunk.blob_off = span;
			chunk.blob_size = reading->size - span;
			if (chunk.blob_size > reading->cut)
				chunk.blob_size = reading->cut;
			chunk.inner_off = off - span;
			if (digest_compute(DIGEST_SHA256, reading->data + off, (size_t)size,
				    &digest, err) < 0)
				return -1;
			memcpy(chunk.digest, digest.bytes, sizeof(chunk.digest));
			append(chunks, &chunk, sizeof(chunk));
		}
	}
	if (n == 0)
		return 0;
	return tar_toc_set_chunks(reading->tar_toc, index, (struct toc_chunk *)chunks->data,
		chunks->size / sizeof(struct toc_chunk), err);
}

static int feed_all(struct reading *reading, size_t piece, struct error *err)
{
	for (size_t off = 0, n; off < reading->size; off += n) {
		n = reading->size - off < piece ? reading->size - off : piece;
		if (tar_reader_feed(reading->reader, reading->data + off, n, err) < 0)
			return -1;
		require(tar_reader_off(reading->reader) == off + n);
	}
	if (tar_reader_finish(reading->reader, err) < 0)
		return -1;
	require(reading->payload_seen == reading->payload_size);
	return 0;
}

int toc_of_archive(const void *data, size_t size, size_t piece, uint64_t cut, struct toc **out,
	struct error *err)
{
	CLEANUP(tar_reader_freep) struct tar_reader *reader = NULL;
	CLEANUP(tar_toc_freep) struct tar_toc *tar_toc = NULL;
	CLEANUP(buffer_free) struct buffer chunks = {0};
	struct reading reading = {.data = data, .size = size, .cut = cut};

	if (tar_toc_new(&tar_toc, err) < 0 ||
		tar_reader_new_with_payload(take_entry, take_payload, &reading, &reader, err) < 0)
		return -1;
	reading.reader = reader;
	reading.tar_toc = tar_toc;
	if (feed_all(&reading, piece, err) < 0)
		return -1;
	for (size_t i = 0; i < tar_toc_n_entries(tar_toc); i++) {
		if (cut_file(&reading, i, &chunks, err) < 0)
			return -1;
	}
	return tar_toc_finish(tar_toc, out, err);
}
