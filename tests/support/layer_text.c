/* SPDX-License-Identifier: Apache-2.0 */
#include "support/layer_text.h"

#include "support/test.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/bytes.h"

enum { BLOB_SIZE = 1 << 30, HEADER = 512 };

/* Filling one entry from the words of its line. */
struct line {
	struct toc *toc;
	struct toc_entry entry;
	uint64_t chunk_size;
	uint64_t *blob_off;
};

static const char *keep(struct line *line, const char *text)
{
	const char *kept = toc_intern(line->toc, text, strlen(text));

	assert_non_null(kept);
	return kept;
}

static void add_xattr(struct line *line, const char *name, char *value)
{
	char *colon = strrchr(value, ':');

	(void)name;
	assert_non_null(colon);
	*colon = 0;
	if (line->entry.n_xattrs++ == 0)
		line->entry.first_xattr = (uint32_t)line->toc->n_xattrs;
	assert_int_equal(
		toc_add_xattr(line->toc, keep(line, value), colon + 1, strlen(colon + 1), NULL), 0);
}

static void set_attribute(struct line *line, char *word)
{
	char *value = strchr(word, '=');

	assert_non_null(value);
	*value++ = 0;
	if (strcmp(word, "mode") == 0)
		line->entry.mode = (uint32_t)strtoul(value, NULL, 8);
	else if (strcmp(word, "uid") == 0)
		line->entry.uid = (uint32_t)strtoul(value, NULL, 10);
	else if (strcmp(word, "gid") == 0)
		line->entry.gid = (uint32_t)strtoul(value, NULL, 10);
	else if (strcmp(word, "mtime") == 0)
		line->entry.mtime_s = strtol(value, NULL, 10);
	else if (strcmp(word, "chunk") == 0)
		line->chunk_size = strtoull(value, NULL, 10);
	else if (strcmp(word, "xattr") == 0)
		add_xattr(line, word, value);
	else
		fail_msg("attribute %s", word);
}

static void set_argument(struct line *line, const char *word)
{
	switch (line->entry.type) {
	case TOC_REGULAR:
		line->entry.size = strtoull(word, NULL, 10);
		break;
	case TOC_SYMLINK:
	case TOC_HARDLINK:
		line->entry.link_name = keep(line, word);
		break;
	case TOC_CHARACTER:
	case TOC_BLOCK:
		assert_int_equal(sscanf(word, "%" SCNu32 ":%" SCNu32, &line->entry.dev_major,
					 &line->entry.dev_minor),
			2);
		break;
	default:
		fail_msg("argument %s", word);
	}
}

static void add_chunks(struct line *line)
{
	uint64_t step = line->chunk_size ? line->chunk_size : line->entry.size;

	line->entry.first_chunk = line->toc->n_chunks;
	for (uint64_t off = 0; off < line->entry.size; off += step) {
		struct toc_chunk chunk = {.file_off = off, .size = step, .codec = CODEC_GZIP};

		if (chunk.size > line->entry.size - off)
			chunk.size = line->entry.size - off;
		chunk.blob_off = *line->blob_off;
		chunk.blob_size = chunk.size + HEADER;
		*line->blob_off += chunk.blob_size;
		assert_int_equal(toc_add_chunk(line->toc, &chunk, NULL), 0);
		line->entry.n_chunks++;
	}
}

static void add_line(struct toc *toc, char *text, uint64_t *blob_off)
{
	static const char types[] = "dflhcbp"; /* in the order of enum toc_type */
	struct line line = {.toc = toc, .blob_off = blob_off};
	char *rest = NULL;
	char *word = strtok_r(text, " ", &rest);

	if (!word)
		return;
	assert_non_null(strchr(types, word[0]));
	line.entry.type = (uint8_t)(strchr(types, word[0]) - types);
	line.entry.mode = line.entry.type == TOC_DIRECTORY ? 0755 : 0644;
	word = strtok_r(NULL, " ", &rest);
	assert_non_null(word);
	line.entry.name = strcmp(word, ".") == 0 ? "" : keep(&line, word);
	for (unsigned i = 0; (word = strtok_r(NULL, " ", &rest)); i++) {
		if (i == 0 && line.entry.type != TOC_DIRECTORY && line.entry.type != TOC_FIFO)
			set_argument(&line, word);
		else
			set_attribute(&line, word);
	}
	if (line.entry.type == TOC_REGULAR)
		add_chunks(&line);
	assert_int_equal(toc_add_entry(toc, &line.entry, NULL), 0);
}

struct toc *toc_of_text(const char *text)
{
	CLEANUP(cleanup_free) char *copy = strdup(text);
	struct toc *toc = NULL;
	uint64_t blob_off = HEADER;
	char *rest = NULL;

	assert_non_null(copy);
	assert_int_equal(toc_new(&toc, NULL), 0);
	for (char *line = strtok_r(copy, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
		add_line(toc, line, &blob_off);
	return toc;
}

struct printer {
	const struct erofs_reader *reader;
	struct buffer text;
	const char *path; /* of the directory being listed, "" or ending with a slash */
};

static void print(struct printer *printer, const char *text)
{
	assert_int_equal(buffer_append(&printer->text, text, strlen(text)), 0);
}

static int print_xattr(void *arg, const char *name, const void *value, size_t value_size)
{
	struct printer *printer = arg;

	if (strstr(name, ".overlay.opaque"))
		return 0;
	assert_int_equal(buffer_printf(&printer->text, " xattr=%s:%.*s", name, (int)value_size,
				 (const char *)value),
		0);
	return 0;
}

static const char *type_text(const struct erofs_attr *attr)
{
	if (attr->flags & EROFS_HARDLINK)
		return "h";
	if (attr->flags & EROFS_OPAQUE)
		return "d!";
	if (attr->flags & EROFS_IMPLICIT)
		return "d?";
	switch (attr->mode & S_IFMT) {
	case S_IFDIR:
		return "d";
	case S_IFREG:
		return "f";
	case S_IFLNK:
		return "l";
	case S_IFCHR:
		return attr->rdev_major == 0 && attr->rdev_minor == 0 ? "w" : "c";
	case S_IFBLK:
		return "b";
	default:
		return "p";
	}
}

static void print_details(struct printer *printer, const struct erofs_attr *attr)
{
	uint32_t usual = S_ISDIR(attr->mode) ? 0755 : 0644;
	bool is_own = attr->flags & EROFS_HARDLINK ||
		      (S_ISCHR(attr->mode) && attr->rdev_major == 0 && attr->rdev_minor == 0);
	struct buffer *text = &printer->text;
	char target[4096];

	if (S_ISREG(attr->mode))
		assert_int_equal(buffer_printf(text, " %" PRIu64, attr->size), 0);
	if (S_ISLNK(attr->mode)) {
		assert_int_equal(erofs_readlink(printer->reader, attr->nid, target, NULL), 0);
		assert_int_equal(buffer_printf(text, " -> %s", target), 0);
	}
	if ((S_ISCHR(attr->mode) || S_ISBLK(attr->mode)) && !is_own)
		assert_int_equal(buffer_printf(text, " %" PRIu32 ":%" PRIu32, attr->rdev_major,
					 attr->rdev_minor),
			0);
	if (!S_ISDIR(attr->mode) && attr->nlink > 1)
		assert_int_equal(buffer_printf(text, " x%" PRIu32, attr->nlink), 0);
	if ((attr->mode & 07777) != usual && !is_own)
		assert_int_equal(buffer_printf(text, " mode=%o", attr->mode & 07777), 0);
	if (attr->uid != 0)
		assert_int_equal(buffer_printf(text, " uid=%" PRIu32, attr->uid), 0);
	if (attr->gid != 0)
		assert_int_equal(buffer_printf(text, " gid=%" PRIu32, attr->gid), 0);
	if (attr->mtime_s != 0)
		assert_int_equal(buffer_printf(text, " mtime=%" PRId64, attr->mtime_s), 0);
	assert_int_equal(
		erofs_each_xattr(printer->reader, attr->nid, print_xattr, printer, NULL), 0);
	print(printer, "\n");
}

static void print_directory(struct printer *printer, uint64_t nid, const char *path);

static int print_entry(void *arg, const struct erofs_dirent *entry)
{
	struct printer *printer = arg;
	const char *above = printer->path;
	struct erofs_attr attr;
	char path[4096];

	if (entry->name[0] == '.' &&
		(entry->name_size == 1 || (entry->name_size == 2 && entry->name[1] == '.')))
		return 0;
	assert_int_equal(erofs_getattr(printer->reader, entry->nid, &attr, NULL), 0);
	(void)snprintf(path, sizeof(path) - 1, "%s%.*s", above, (int)entry->name_size, entry->name);
	assert_int_equal(buffer_printf(&printer->text, "%s %s", type_text(&attr), path), 0);
	print_details(printer, &attr);
	if (S_ISDIR(attr.mode)) {
		strcat(path, "/");
		print_directory(printer, entry->nid, path);
		printer->path = above;
	}
	return 0;
}

/* Trees of tests are not deep: recursion is fine here. */
static void print_directory(struct printer *printer, uint64_t nid, const char *path)
{
	printer->path = path;
	assert_int_equal(erofs_readdir(printer->reader, nid, 0, print_entry, printer, NULL), 0);
}

char *text_of_tree(const struct erofs_reader *reader)
{
	struct printer printer = {.reader = reader};
	struct erofs_attr root;

	assert_int_equal(erofs_getattr(reader, erofs_root(reader), &root, NULL), 0);
	print(&printer, type_text(&root));
	print(&printer, " .");
	print_details(&printer, &root);
	print_directory(&printer, erofs_root(reader), "");
	return (char *)printer.text.data;
}

struct layer_index *layer_of_text(int dir_fd, uint8_t key, const char *text)
{
	CLEANUP(toc_freep) struct toc *toc = toc_of_text(text);
	struct digest blob = {.algorithm = DIGEST_SHA256};
	uint8_t whole_key[INDEX_KEY_SIZE] = {key};
	struct layer_index_build_options options = {
		.key = whole_key, .blob = &blob, .blob_size = BLOB_SIZE};
	struct layer_index *layer = NULL;
	struct error err = {0};

	if (layer_index_build(dir_fd, toc, &options, &err) < 0 ||
		layer_index_open(dir_fd, whole_key, &layer, &err) < 0)
		fail_msg("%s", err.message);
	return layer;
}
