/* SPDX-License-Identifier: Apache-2.0 */
#include "table_writer.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/span_index_file.h"
#include "support/encode.h"

enum {
	FILES_PER_DIRECTORY = 9,
	TAR_RECORD = 512,
	NAME_ROOM = 256,
	MTIME = 1700000000,
};

#define MTIME_TEXT "2023-11-14T22:13:20Z"

static void require(bool condition, const char *what)
{
	if (condition)
		return;
	fprintf(stderr, "bench_index: %s\n", what);
	exit(1);
}

static void must(int result, const struct error *err)
{
	require(result == 0, err->message);
}

/* The next name of the tree. */
struct name {
	char text[NAME_ROOM];
	size_t size;
	bool is_directory;
	uint64_t file_size;
};

static void make_name(size_t i, struct name *out)
{
	size_t number = i / (FILES_PER_DIRECTORY + 1), file = i % (FILES_PER_DIRECTORY + 1);
	int size =
		snprintf(out->text, sizeof(out->text), "usr/share/section-%zu/package-%zu/part-%zu",
			number / 100, number / 10 % 10, number % 10);

	out->is_directory = file == 0;
	out->file_size = 0;
	if (!out->is_directory) {
		size += snprintf(out->text + size, sizeof(out->text) - (size_t)size,
			"/some-file-%zu.dat", file - 1);
		out->file_size = 3000 + number % 5000;
	}
	out->size = (size_t)size;
}

/* A digest that does not compress, as real ones do not. */
static const char *digest_text(uint64_t i, char text[DIGEST_TEXT_SIZE])
{
	struct digest digest;
	struct error err;

	must(digest_compute(DIGEST_SHA256, &i, sizeof(i), &digest, &err), &err);
	return digest_format(&digest, text);
}

/* As encoding/json indents what stargz-snapshotter gives it. */
static void add_estargz_entry(size_t i, uint64_t *off, struct buffer *json)
{
	char text[DIGEST_TEXT_SIZE];
	struct name name;
	int result;

	make_name(i, &name);
	if (name.is_directory)
		result = buffer_printf(json,
			"%s\t\t{\n\t\t\t\"name\": \"%s/\",\n\t\t\t\"type\": \"dir\",\n"
			"\t\t\t\"modtime\": \"" MTIME_TEXT "\",\n\t\t\t\"mode\": 16877,\n"
			"\t\t\t\"NumLink\": 0\n\t\t}",
			i > 0 ? ",\n" : "", name.text);
	else
		result = buffer_printf(json,
			",\n\t\t{\n\t\t\t\"name\": \"%s\",\n\t\t\t\"type\": \"reg\",\n"
			"\t\t\t\"size\": %" PRIu64 ",\n\t\t\t\"modtime\": \"" MTIME_TEXT "\",\n"
			"\t\t\t\"mode\": 33188,\n\t\t\t\"offset\": %" PRIu64 ",\n"
			"\t\t\t\"NumLink\": 0,\n\t\t\t\"digest\": \"%s\",\n"
			"\t\t\t\"chunkDigest\": \"%s\"\n\t\t}",
			name.text, name.file_size, *off, digest_text(i, text), text);
	require(result == 0, "no memory");
	*off += 1000;
}

/* The header of the only member of an archive, of which readers look at name, size and sum. */
static void write_tar_header(const char *name, uint64_t size, uint8_t out[TAR_RECORD])
{
	unsigned sum = 0;

	memset(out, 0, TAR_RECORD);
	(void)snprintf((char *)out, 100, "%s", name);
	(void)snprintf((char *)out + 100, 8, "%07o", 0444);
	(void)snprintf((char *)out + 124, 12, "%011" PRIo64, size);
	memset(out + 148, ' ', 8);
	out[156] = '0';
	memcpy(out + 257, "ustar\00000", 8);
	for (size_t i = 0; i < TAR_RECORD; i++)
		sum += out[i];
	(void)snprintf((char *)out + 148, 8, "%06o", sum);
}

void write_estargz_table(size_t n_entries, struct written_table *out)
{
	static const uint8_t zeros[2 * TAR_RECORD];
	CLEANUP(buffer_free) struct buffer archive = {0};
	uint8_t *header;
	struct error err;

	*out = (struct written_table){0};
	require(buffer_append(&archive, zeros, TAR_RECORD) == 0 &&
			buffer_printf(&archive, "{\n\t\"version\": 1,\n\t\"entries\": [\n") == 0,
		"no memory");
	for (size_t i = 0; i < n_entries; i++)
		add_estargz_entry(i, &out->blob_size, &archive);
	require(buffer_printf(&archive, "\n\t]\n}") == 0, "no memory");
	out->json_size = archive.size - TAR_RECORD;
	header = archive.data;
	write_tar_header("stargz.index.json", out->json_size, header);
	must(digest_compute(DIGEST_SHA256, archive.data + TAR_RECORD, out->json_size,
		     &out->json_digest, &err),
		&err);
	require(buffer_append(&archive, zeros, -archive.size % TAR_RECORD) == 0 &&
			buffer_append(&archive, zeros, sizeof(zeros)) == 0,
		"no memory");
	encode_frame(CODEC_GZIP, archive.data, archive.size, &out->bytes);
}

static void add_zstd_chunked_entry(size_t i, uint64_t *off, struct buffer *json)
{
	char text[DIGEST_TEXT_SIZE];
	struct name name;
	int result;

	make_name(i, &name);
	if (name.is_directory)
		result = buffer_printf(json,
			"%s{\"type\":\"dir\",\"name\":\"%s/\",\"mode\":493,\"size\":0,"
			"\"modtime\":\"" MTIME_TEXT "\",\"accesstime\":null,\"changetime\":null,"
			"\"uid\":0,\"gid\":0}",
			i > 0 ? "," : "", name.text);
	else
		result = buffer_printf(json,
			",{\"type\":\"reg\",\"name\":\"%s\",\"mode\":420,\"size\":%" PRIu64
			",\"uid\":0,\"gid\":0,\"modtime\":\"" MTIME_TEXT
			"\",\"accesstime\":null,\"changetime\":null,\"digest\":\"%s\",\"offset\":"
			"%" PRIu64 ",\"endOffset\":%" PRIu64 "}",
			name.text, name.file_size, digest_text(i, text), *off, *off + 1000);
	require(result == 0, "no memory");
	*off += 1000;
}

void write_zstd_chunked_table(size_t n_entries, struct written_table *out)
{
	CLEANUP(buffer_free) struct buffer json = {0};
	uint64_t off = 1000;
	struct error err;

	*out = (struct written_table){0};
	require(buffer_printf(&json, "{\"version\":1,\"entries\":[") == 0, "no memory");
	for (size_t i = 0; i < n_entries; i++)
		add_zstd_chunked_entry(i, &off, &json);
	require(buffer_printf(&json, "]}") == 0, "no memory");
	must(digest_compute(DIGEST_SHA256, json.data, json.size, &out->json_digest, &err), &err);
	encode_frame(CODEC_ZSTD, json.data, json.size, &out->bytes);
	out->json_size = json.size;
	out->position = (struct zstd_chunked_position){
		.off = off + 8, .size = out->bytes.size, .json_size = json.size};
	out->blob_size = out->position.off + out->bytes.size + ZSTD_CHUNKED_FOOTER_SIZE;
}

static void add_member(size_t i, uint64_t *off, struct span_index *index)
{
	struct toc_entry entry = {.mtime_s = MTIME};
	struct span_payload payload = {0};
	struct name name;
	struct error err;

	make_name(i, &name);
	entry.name = toc_intern(index->toc, name.text, name.size);
	require(entry.name != NULL, "no memory");
	entry.type = name.is_directory ? TOC_DIRECTORY : TOC_REGULAR;
	entry.mode = name.is_directory ? 0755 : 0644;
	entry.size = name.file_size;
	payload.off = *off += TAR_RECORD;
	must(span_index_add_entry(index, &entry, &payload, NULL, &err), &err);
	*off += (name.file_size + TAR_RECORD - 1) / TAR_RECORD * TAR_RECORD;
}

/* Of a third of the decoded size, each with a window of 4 KiB in use. */
static void add_spans(uint64_t archive_size, struct span_index *index)
{
	CLEANUP(buffer_free) struct buffer window = {0};
	uint8_t plain[SPAN_WINDOW_SIZE] = {0};
	struct error err;

	for (uint64_t off = 0; off < archive_size; off += SPAN_DEFAULT_SIZE) {
		uint64_t left = archive_size - off;
		struct unit_span span = {
			.blob_off = off / 3,
			.blob_size = SPAN_DEFAULT_SIZE / 3,
			.decoded_size = left < SPAN_DEFAULT_SIZE ? left : SPAN_DEFAULT_SIZE,
			.codec = CODEC_GZIP,
			.digest_kind = SPAN_DIGEST_DECODED,
		};

		if (off > 0) {
			fill_random(plain, 4 << 10, (uint32_t)(off / SPAN_DEFAULT_SIZE));
			window.size = 0;
			must(span_window_pack(plain, sizeof(plain), &window, &err), &err);
			span.in_member = true;
			span.end_bits = 8;
			span.window = window.data;
			span.window_size = window.size;
		}
		fill_random(
			span.digest, sizeof(span.digest), (uint32_t)(off / SPAN_DEFAULT_SIZE) + 1);
		must(span_index_add_span(index, &span, &err), &err);
	}
}

void write_span_table(size_t n_entries, struct written_table *out)
{
	CLEANUP(span_index_freep) struct span_index *index = NULL;
	uint64_t archive_size = 0;
	struct error err;

	*out = (struct written_table){0};
	must(span_index_new(&index, &err), &err);
	for (size_t i = 0; i < n_entries; i++)
		add_member(i, &archive_size, index);
	archive_size += 2 * (uint64_t)TAR_RECORD;
	index->codec = CODEC_GZIP;
	index->blob = (struct digest){.algorithm = DIGEST_SHA256};
	index->diff_id = index->blob;
	index->blob_size = archive_size / 3 + SPAN_DEFAULT_SIZE;
	add_spans(archive_size, index);
	must(span_index_write(index, &out->bytes, NULL, &err), &err);
	out->blob_size = index->blob_size;
}
