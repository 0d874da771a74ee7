/* SPDX-License-Identifier: Apache-2.0 */
#include "dump.h"

#include <inttypes.h>
#include <stdlib.h>

static void require(int result)
{
	if (result < 0)
		abort();
}

static void dump_text(const char *text, struct buffer *out)
{
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c <= 0x20 || c >= 0x7f || c == '\\')
			require(buffer_printf(out, "\\x%02x", c));
		else
			require(buffer_append(out, text, 1));
	}
}

static void dump_chunk(const struct toc_chunk *chunk, struct buffer *out)
{
	static const char *const codecs[] = {"none", "gzip", "zstd"};
	char digest[17];

	hex_encode(chunk->digest, 8, digest);
	require(buffer_printf(out,
		"  chunk %" PRIu64 "+%" PRIu64 " at %" PRIu64 "+%" PRIu64 " inner %" PRIu64
		" %s %s%s%s%s\n",
		chunk->file_off, chunk->size, chunk->blob_off, chunk->blob_size, chunk->inner_off,
		codecs[chunk->codec], digest, chunk->flags & UNIT_UNVERIFIED ? " unverified" : "",
		chunk->flags & UNIT_ZEROS ? " zeros" : "",
		chunk->flags & UNIT_IN_SPAN ? " in span" : ""));
}

static void dump_xattr(const struct toc_xattr *xattr, struct buffer *out)
{
	char *value = malloc(2 * (size_t)xattr->value_size + 1);

	require(value ? 0 : -1);
	hex_encode(xattr->value, xattr->value_size, value);
	require(buffer_printf(out, "  xattr "));
	dump_text(xattr->name, out);
	require(buffer_printf(out, " %s\n", value));
	free(value);
}

static void dump_entry(const struct toc *toc, const struct toc_entry *entry, struct buffer *out)
{
	static const char *const types[] = {
		"dir", "reg", "symlink", "hardlink", "char", "block", "fifo"};

	require(buffer_printf(out, "%s ", types[entry->type]));
	dump_text(entry->name[0] ? entry->name : "/", out);
	require(buffer_printf(
		out, " %04o %u:%u %" PRId64, entry->mode, entry->uid, entry->gid, entry->mtime_s));
	if (entry->mtime_ns)
		require(buffer_printf(out, ".%09u", entry->mtime_ns));
	if (entry->type == TOC_REGULAR)
		require(buffer_printf(out, " size %" PRIu64, entry->size));
	if (entry->link_name) {
		require(buffer_printf(out, " -> "));
		dump_text(entry->link_name, out);
	}
	if (entry->type == TOC_CHARACTER || entry->type == TOC_BLOCK)
		require(buffer_printf(out, " dev %u:%u", entry->dev_major, entry->dev_minor));
	require(buffer_printf(out, "\n"));
	for (uint32_t i = 0; i < entry->n_xattrs; i++)
		dump_xattr(&toc->xattrs[entry->first_xattr + i], out);
	for (uint64_t i = 0; i < entry->n_chunks; i++)
		dump_chunk(&toc->chunks[entry->first_chunk + i], out);
}

void dump_toc(const struct toc *toc, struct buffer *out)
{
	require(buffer_append(out, "", 0));
	if (toc->has_landmark && toc->prefetch_size == 0)
		require(buffer_printf(out, "landmark none\n"));
	else if (toc->has_landmark)
		require(buffer_printf(out, "landmark %" PRIu64 "\n", toc->prefetch_size));
	for (size_t i = 0; i < toc->n_entries; i++)
		dump_entry(toc, &toc->entries[i], out);
}
