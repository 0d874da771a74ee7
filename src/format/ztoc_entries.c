/* SPDX-License-Identifier: Apache-2.0 */
/* The files of a ztoc: what Go's tar reader told its maker about each member of the archive. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "tar_internal.h"
#include "timestamp_internal.h"
#include "toc_entry_internal.h"
#include "ztoc_internal.h"

/* With the strings that every one has, no file takes less of a ztoc. */
enum { MIN_FILE_SIZE = 32 };

static const char sparse_prefix[] = "GNU.sparse.";

static bool has_prefix(const struct flat_bytes *text, const char *prefix)
{
	size_t size = strlen(prefix);

	return text->size >= size && memcmp(text->data, prefix, size) == 0;
}

/* A string that will be kept. */
static int get_text(struct ztoc_reader *reader, const struct flat_table *file, unsigned slot,
	const char *what, struct flat_bytes *out, struct error *err)
{
	if (flat_bytes(file, slot, out) < 0)
		return ztoc_broken(err, what);
	if (out->size > reader->text_left)
		return error_set(err, ERROR_FORMAT, "%s: its strings are larger than itself", what);
	reader->text_left -= out->size;
	return 0;
}

static int set_type(const struct flat_table *file, struct toc_entry *entry, struct error *err)
{
	struct flat_bytes type;

	if (flat_bytes(file, FILE_TYPE, &type) < 0)
		return ztoc_broken(err, "type");
	return toc_entry_set_type(entry, type.data, type.size, err);
}

static int set_names(struct ztoc_reader *reader, const struct flat_table *file,
	struct toc_entry *entry, struct error *err)
{
	struct flat_bytes name, link;

	if (get_text(reader, file, FILE_NAME, "name", &name, err) < 0 ||
		toc_entry_set_name(reader->index->toc, entry, name.data, name.size, err) < 0)
		return -1;
	if (entry->type != TOC_SYMLINK && entry->type != TOC_HARDLINK)
		return 0;
	if (get_text(reader, file, FILE_LINK, "linkname", &link, err) < 0)
		return -1;
	return toc_entry_set_link(reader->index->toc, entry, link.data, link.size, err);
}

static int set_time(const struct flat_table *file, struct toc_entry *entry, struct error *err)
{
	struct flat_bytes time;

	if (flat_bytes(file, FILE_TIME, &time) < 0)
		return ztoc_broken(err, "mod_time");
	if (!time.data || !timestamp_parse(time.data, time.size, &entry->mtime_s, &entry->mtime_ns))
		return error_set(err, ERROR_FORMAT, "mod_time is no RFC 3339 time");
	return 0;
}

static int set_attributes(const struct flat_table *file, struct toc_entry *entry, struct error *err)
{
	uint64_t mode, uid, gid, major, minor;

	if (flat_number(file, FILE_MODE, 8, 0, &mode) < 0 ||
		flat_number(file, FILE_UID, 4, 0, &uid) < 0 ||
		flat_number(file, FILE_GID, 4, 0, &gid) < 0 ||
		flat_number(file, FILE_MAJOR, 8, 0, &major) < 0 ||
		flat_number(file, FILE_MINOR, 8, 0, &minor) < 0)
		return ztoc_broken(err, "attributes");
	entry->mode = (uint32_t)mode & 07777;
	entry->uid = (uint32_t)uid;
	entry->gid = (uint32_t)gid;
	if (set_time(file, entry, err) < 0)
		return -1;
	return toc_entry_set_device(entry, major, minor, err);
}

static int out_of_memory(struct error *err)
{
	return error_set(err, ERROR_NO_MEMORY, "no memory for a PAX record");
}

/* Key and value in reader->record, each with a NUL behind it. */
static int copy_record(struct ztoc_reader *reader, const struct flat_bytes *key,
	const struct flat_bytes *value, struct error *err)
{
	struct buffer *record = &reader->record;

	record->size = 0;
	if (buffer_append(record, key->data, key->size) < 0 || buffer_append(record, "", 1) < 0 ||
		buffer_append(record, value->data, value->size) < 0 ||
		buffer_append(record, "", 1) < 0)
		return out_of_memory(err);
	return 0;
}

/* The field is called xattrs, but has all PAX records of the file. */
static int add_record(
	struct ztoc_reader *reader, const struct flat_table *record, struct error *err)
{
	struct flat_bytes key, value;
	size_t value_size;
	char *name, *text;
	int result;

	if (get_text(reader, record, RECORD_KEY, "xattr", &key, err) < 0 ||
		get_text(reader, record, RECORD_VALUE, "xattr", &value, err) < 0)
		return -1;
	if (has_prefix(&key, sparse_prefix))
		return error_set(err, ERROR_UNSUPPORTED,
			"it is a sparse file, and a ztoc does not tell where its parts are");
	if (key.size > 0 && memchr(key.data, '\0', key.size))
		return error_set(err, ERROR_FORMAT, "PAX key with a zero byte");
	if (copy_record(reader, &key, &value, err) < 0)
		return -1;
	text = (char *)reader->record.data + key.size + 1;
	value_size = value.size;
	result = tar_pax_xattr(
		(char *)reader->record.data, text, &value_size, &reader->scratch, &name);
	if (result == -ENOMEM)
		return out_of_memory(err);
	if (result < 0)
		return error_set(err, ERROR_FORMAT, "xattr with a value that it cannot have");
	if (!name)
		return 0;
	return toc_add_xattr(reader->index->toc, name, text, value_size, err);
}

static int add_records(struct ztoc_reader *reader, const struct flat_table *file,
	struct toc_entry *entry, struct error *err)
{
	struct toc *toc = reader->index->toc;
	struct flat_vector records;

	if (flat_vector(file, FILE_RECORDS, &records) < 0)
		return ztoc_broken(err, "xattrs");
	if (records.n > TOC_MAX_XATTRS)
		return error_set(err, ERROR_FORMAT, "%zu PAX records; at most %d are possible",
			records.n, (int)TOC_MAX_XATTRS);
	entry->first_xattr = (uint32_t)toc->n_xattrs;
	for (size_t i = 0; i < records.n; i++) {
		struct flat_table record;

		if (flat_vector_table(&records, i, &record) < 0)
			return ztoc_broken(err, "xattrs");
		if (add_record(reader, &record, err) < 0)
			return -1;
	}
	entry->n_xattrs = (uint32_t)(toc->n_xattrs - entry->first_xattr);
	return 0;
}

static int add_file(struct ztoc_reader *reader, const struct flat_table *file, struct error *err)
{
	struct toc_entry entry = {0};
	struct span_payload payload = {0};
	uint64_t size;

	if (set_type(file, &entry, err) < 0 || set_names(reader, file, &entry, err) < 0 ||
		set_attributes(file, &entry, err) < 0 || add_records(reader, file, &entry, err) < 0)
		return -1;
	if (flat_number(file, FILE_OFFSET, 8, 0, &payload.off) < 0 ||
		flat_number(file, FILE_SIZE, 8, 0, &size) < 0)
		return ztoc_broken(err, "uncompressed_offset");
	if (entry.type == TOC_REGULAR)
		entry.size = size;
	return span_index_add_entry(reader->index, &entry, &payload, NULL, err);
}

/* A file by where it is in the archive. */
struct place {
	uint64_t off;
	size_t i;
};

static int compare_places(const void *a, const void *b)
{
	const struct place *left = a, *right = b;

	if (left->off != right->off)
		return left->off < right->off ? -1 : 1;
	return (left->i > right->i) - (left->i < right->i);
}

/* Order matters: of two files of one name the later one counts. SOCI's own reader sorts, too. */
static int sort_files(const struct flat_vector *files, struct place **out, struct error *err)
{
	CLEANUP(cleanup_free) struct place *places = calloc(files->n + 1, sizeof(*places));
	bool is_sorted = true;

	if (!places)
		return error_set(err, ERROR_NO_MEMORY, "no memory for %zu files", files->n);
	for (size_t i = 0; i < files->n; i++) {
		struct flat_table file;

		if (flat_vector_table(files, i, &file) < 0 ||
			flat_number(&file, FILE_OFFSET, 8, 0, &places[i].off) < 0)
			return ztoc_broken(err, "metadata");
		places[i].i = i;
		is_sorted = is_sorted && (i == 0 || places[i].off > places[i - 1].off);
	}
	if (!is_sorted)
		qsort(places, files->n, sizeof(*places), compare_places);
	*out = TAKE_PTR(places);
	return 0;
}

/* Says which file it was. */
static int blame_file(const struct flat_table *file, size_t i, struct error *err)
{
	char shown[TOC_SHOWN_SIZE];
	struct flat_bytes name;

	if (flat_bytes(file, FILE_NAME, &name) < 0)
		return error_prefix(err, "file %zu", i);
	return error_prefix(err, "file %zu (%s)", i, toc_entry_shown(name.data, name.size, shown));
}

int ztoc_read_entries(struct ztoc_reader *reader, const struct flat_table *toc, struct error *err)
{
	CLEANUP(cleanup_free) struct place *places = NULL;
	struct flat_vector files;

	if (flat_vector(toc, TOC_METADATA, &files) < 0)
		return ztoc_broken(err, "metadata");
	if (files.n > TOC_MAX_ENTRIES || files.n > reader->file.size / MIN_FILE_SIZE)
		return error_set(err, ERROR_FORMAT, "%zu files in a ztoc of %zu bytes", files.n,
			reader->file.size);
	if (sort_files(&files, &places, err) < 0)
		return -1;
	for (size_t i = 0; i < files.n; i++) {
		struct flat_table file;

		if (flat_vector_table(&files, places[i].i, &file) < 0)
			return ztoc_broken(err, "metadata");
		if (add_file(reader, &file, err) < 0)
			return blame_file(&file, places[i].i, err);
	}
	return 0;
}
