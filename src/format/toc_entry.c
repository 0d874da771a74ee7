/* SPDX-License-Identifier: Apache-2.0 */
/* The rules for single entries that tables of contents of several formats share. */
#include "toc_entry_internal.h"

#include <inttypes.h>
#include <string.h>

enum {
	MAX_LINK = 4095,
	/* dev_t of Linux: 12 bits of major number, 20 of minor. */
	MAX_MAJOR = 0xfff,
	MAX_MINOR = 0xfffff,
};

static const struct {
	const char *name;
	enum toc_type type;
} types[] = {
	{"reg", TOC_REGULAR},
	{"dir", TOC_DIRECTORY},
	{"symlink", TOC_SYMLINK},
	{"hardlink", TOC_HARDLINK},
	{"char", TOC_CHARACTER},
	{"block", TOC_BLOCK},
	{"fifo", TOC_FIFO},
};

const char *toc_entry_shown(const char *name, size_t name_size, char out[TOC_SHOWN_SIZE])
{
	size_t most = TOC_SHOWN_SIZE - 4;
	size_t skipped = name_size > most ? name_size - most : 0;
	size_t n = 0;

	if (skipped > 0) {
		memcpy(out, "...", 3);
		n = 3;
	}
	for (size_t i = skipped; i < name_size; i++) {
		unsigned char c = (unsigned char)name[i];

		out[n++] = c < 0x20 || c == 0x7f ? '?' : (char)c;
	}
	out[n] = '\0';
	return out;
}

int toc_entry_set_type(
	struct toc_entry *entry, const char *type, size_t type_size, struct error *err)
{
	char shown[TOC_SHOWN_SIZE];

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		if (type_size == strlen(types[i].name) &&
			memcmp(type, types[i].name, type_size) == 0) {
			entry->type = (uint8_t)types[i].type;
			return 0;
		}
	}
	return error_set(
		err, ERROR_FORMAT, "unknown type \"%s\"", toc_entry_shown(type, type_size, shown));
}

const char *toc_entry_type_name(unsigned type)
{
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		if (types[i].type == type)
			return types[i].name;
	}
	return "unknown";
}

static int keep(struct toc *toc, const char *text, size_t size, const char **out, struct error *err)
{
	*out = toc_intern(toc, text, size);
	if (!*out)
		return error_set(
			err, ERROR_NO_MEMORY, "no memory for a table of contents of this size");
	return 0;
}

int toc_entry_set_name(struct toc *toc, struct toc_entry *entry, const char *name, size_t name_size,
	struct error *err)
{
	char clean[TOC_MAX_NAME + 1];

	if (!name)
		return error_set(err, ERROR_FORMAT, "no name");
	if (toc_clean_name(name, name_size, clean, err) < 0)
		return -1;
	if (clean[0] == '\0' && entry->type != TOC_DIRECTORY)
		return error_set(err, ERROR_FORMAT, "the root is no directory");
	return keep(toc, clean, strlen(clean), &entry->name, err);
}

int toc_entry_set_link(struct toc *toc, struct toc_entry *entry, const char *link, size_t link_size,
	struct error *err)
{
	char clean[TOC_MAX_NAME + 1];

	if (link_size == 0 || link_size > MAX_LINK)
		return error_set(err, ERROR_FORMAT, "link name of %zu bytes; 1 to %d are possible",
			link_size, (int)MAX_LINK);
	if (memchr(link, '\0', link_size))
		return error_set(err, ERROR_FORMAT, "link name with a zero byte");
	if (entry->type != TOC_HARDLINK)
		return keep(toc, link, link_size, &entry->link_name, err);
	if (toc_clean_name(link, link_size, clean, err) < 0)
		return error_prefix(err, "link name");
	if (clean[0] == '\0')
		return error_set(err, ERROR_FORMAT, "hard link to the root");
	return keep(toc, clean, strlen(clean), &entry->link_name, err);
}

int toc_entry_set_device(struct toc_entry *entry, uint64_t major, uint64_t minor, struct error *err)
{
	if (entry->type != TOC_CHARACTER && entry->type != TOC_BLOCK)
		return 0;
	if (major > MAX_MAJOR || minor > MAX_MINOR)
		return error_set(err, ERROR_FORMAT,
			"device %" PRIu64 ":%" PRIu64 " is beyond %d:%d", major, minor,
			(int)MAX_MAJOR, (int)MAX_MINOR);
	entry->dev_major = (uint32_t)major;
	entry->dev_minor = (uint32_t)minor;
	return 0;
}

static enum toc_type type_of(char tar_type)
{
	switch (tar_type) {
	case '1':
		return TOC_HARDLINK;
	case '2':
		return TOC_SYMLINK;
	case '3':
		return TOC_CHARACTER;
	case '4':
		return TOC_BLOCK;
	case '5':
		return TOC_DIRECTORY;
	case '6':
		return TOC_FIFO;
	default:
		return TOC_REGULAR;
	}
}

static int add_xattrs(
	struct toc *toc, const struct tar_entry *from, struct toc_entry *entry, struct error *err)
{
	entry->first_xattr = (uint32_t)toc->n_xattrs;
	entry->n_xattrs = (uint32_t)from->n_xattrs;
	for (size_t i = 0; i < from->n_xattrs; i++) {
		const struct toc_xattr *xattr = &from->xattrs[i];

		if (toc_add_xattr(toc, xattr->name, xattr->value, xattr->value_size, err) < 0)
			return -1;
	}
	return 0;
}

int toc_entry_from_tar(
	struct toc *toc, const struct tar_entry *from, struct toc_entry *out, struct error *err)
{
	*out = (struct toc_entry){
		.size = from->size,
		.mtime_s = from->mtime_s,
		.mtime_ns = from->mtime_ns,
		.mode = from->mode,
		.uid = from->uid,
		.gid = from->gid,
		.type = (uint8_t)type_of(from->type),
	};
	if (toc_entry_set_name(toc, out, from->name, strlen(from->name), err) < 0)
		return -1;
	if (from->link_name &&
		toc_entry_set_link(toc, out, from->link_name, strlen(from->link_name), err) < 0)
		return -1;
	if (toc_entry_set_device(out, from->dev_major, from->dev_minor, err) < 0)
		return -1;
	return add_xattrs(toc, from, out, err);
}

int toc_entry_blame(size_t i, const char *name, struct error *err)
{
	char shown[TOC_SHOWN_SIZE];

	return error_prefix(
		err, "entry %zu (%s)", i + 1, toc_entry_shown(name, strlen(name), shown));
}
