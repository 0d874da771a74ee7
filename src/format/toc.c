/* SPDX-License-Identifier: Apache-2.0 */
/* The table of contents that every layer format is turned into, in growing arrays and an arena. */
#include "format/toc.h"

#include <stdlib.h>
#include <string.h>

#include "base/heap.h"

enum { ARENA_PIECE = 64 << 10, MAX_COMPONENT = 255, MAX_XATTR_NAME = 255, MAX_XATTR_VALUE = 65535 };

/* Strings are packed into pieces; a long one gets a piece of its own. */
struct arena_piece {
	struct arena_piece *next;
	size_t used;
	size_t size;
	char bytes[];
};

struct toc_arena {
	struct arena_piece *pieces; /* the first one is being filled */
	size_t entries_capacity;
	size_t chunks_capacity;
	size_t xattrs_capacity;
};

int toc_new(struct toc **out, struct error *err)
{
	CLEANUP(toc_freep) struct toc *toc = calloc(1, sizeof(*toc));

	if (toc)
		toc->arena = calloc(1, sizeof(*toc->arena));
	if (!toc || !toc->arena)
		return error_set(err, ERROR_NO_MEMORY, "no memory for a table of contents");
	*out = TAKE_PTR(toc);
	return 0;
}

void toc_free(struct toc *toc)
{
	struct arena_piece *piece;

	if (!toc)
		return;
	piece = toc->arena ? toc->arena->pieces : NULL;
	while (piece) {
		struct arena_piece *next = piece->next;

		free(piece);
		piece = next;
	}
	free(toc->arena);
	free(toc->entries);
	free(toc->chunks);
	free(toc->xattrs);
	free(toc);
}

void toc_freep(struct toc **toc)
{
	toc_free(*toc);
	*toc = NULL;
}

/* Room for one more element; NULL without memory. The old array stays valid then. */
static void *grow(void *array, size_t n, size_t *capacity, size_t element_size)
{
	size_t wanted = *capacity ? *capacity * 2 : 64;
	void *grown;

	if (n < *capacity)
		return array;
	grown = reallocarray(array, wanted, element_size);
	if (!grown)
		return NULL;
	*capacity = wanted;
	heap_prefer_huge(grown);
	return grown;
}

static int out_of_memory(struct error *err)
{
	return error_set(err, ERROR_NO_MEMORY, "no memory for a table of contents of this size");
}

int toc_add_entry(struct toc *toc, const struct toc_entry *entry, struct error *err)
{
	struct toc_entry *entries;

	if (toc->n_entries >= TOC_MAX_ENTRIES)
		return error_set(err, ERROR_FORMAT, "more than %d entries", (int)TOC_MAX_ENTRIES);
	entries =
		grow(toc->entries, toc->n_entries, &toc->arena->entries_capacity, sizeof(*entries));
	if (!entries)
		return out_of_memory(err);
	toc->entries = entries;
	entries[toc->n_entries++] = *entry;
	return 0;
}

int toc_add_chunk(struct toc *toc, const struct toc_chunk *chunk, struct error *err)
{
	struct toc_chunk *chunks =
		grow(toc->chunks, toc->n_chunks, &toc->arena->chunks_capacity, sizeof(*chunks));

	if (!chunks)
		return out_of_memory(err);
	toc->chunks = chunks;
	chunks[toc->n_chunks++] = *chunk;
	return 0;
}

int toc_add_xattr(
	struct toc *toc, const char *name, const void *value, size_t value_size, struct error *err)
{
	struct toc_xattr xattr = {.value_size = (uint32_t)value_size};
	struct toc_xattr *xattrs;
	size_t name_size = strlen(name);

	if (name_size == 0 || name_size > MAX_XATTR_NAME)
		return error_set(err, ERROR_FORMAT, "xattr name of %zu bytes; 1 to %d are possible",
			name_size, MAX_XATTR_NAME);
	if (value_size > MAX_XATTR_VALUE)
		return error_set(err, ERROR_FORMAT,
			"xattr %s has %zu bytes; at most %d are possible", name, value_size,
			MAX_XATTR_VALUE);
	if (toc->n_xattrs >= UINT32_MAX)
		return error_set(err, ERROR_FORMAT, "more than %u xattrs", UINT32_MAX);

	xattrs = grow(toc->xattrs, toc->n_xattrs, &toc->arena->xattrs_capacity, sizeof(*xattrs));
	if (!xattrs)
		return out_of_memory(err);
	toc->xattrs = xattrs;
	xattr.name = toc_intern(toc, name, name_size);
	xattr.value = (const uint8_t *)toc_intern(toc, value, value_size);
	if (!xattr.name || !xattr.value)
		return out_of_memory(err);
	xattrs[toc->n_xattrs++] = xattr;
	return 0;
}

static struct arena_piece *new_piece(size_t size)
{
	struct arena_piece *piece = malloc(sizeof(*piece) + size);

	if (!piece)
		return NULL;
	*piece = (struct arena_piece){.size = size};
	return piece;
}

const char *toc_intern(struct toc *toc, const void *data, size_t size)
{
	struct arena_piece *piece = toc->arena->pieces;
	size_t needed = size + 1;
	char *copy;

	if (size > SIZE_MAX / 2)
		return NULL;
	if (!piece || needed > piece->size - piece->used) {
		bool is_long = needed > ARENA_PIECE / 4;
		struct arena_piece *added = new_piece(is_long ? needed : ARENA_PIECE);

		if (!added)
			return NULL;
		if (is_long && piece) {
			/* Behind the first one, which goes on being filled. */
			added->next = piece->next;
			piece->next = added;
		} else {
			added->next = piece;
			toc->arena->pieces = added;
		}
		piece = added;
	}
	copy = piece->bytes + piece->used;
	if (size > 0)
		memcpy(copy, data, size);
	copy[size] = '\0';
	piece->used += needed;
	return copy;
}

/* Removes the last component of out[0, size). */
static size_t parent_size(const char *out, size_t size)
{
	while (size > 0 && out[size - 1] != '/')
		size--;
	return size > 0 ? size - 1 : 0;
}

int toc_clean_name(const char *name, size_t name_size, char *out, struct error *err)
{
	size_t size = 0;

	if (name_size > TOC_MAX_NAME)
		return error_set(err, ERROR_FORMAT, "name of %zu bytes; at most %d are possible",
			name_size, TOC_MAX_NAME);
	if (memchr(name, '\0', name_size))
		return error_set(err, ERROR_FORMAT, "name with a zero byte");

	for (size_t i = 0, end; i < name_size; i = end + 1) {
		const char *slash = memchr(name + i, '/', name_size - i);
		size_t n;

		end = slash ? (size_t)(slash - name) : name_size;
		n = end - i;
		if (n == 0 || (n == 1 && name[i] == '.'))
			continue;
		if (n == 2 && name[i] == '.' && name[i + 1] == '.') {
			size = parent_size(out, size);
			continue;
		}
		if (n > MAX_COMPONENT)
			return error_set(err, ERROR_FORMAT,
				"name with a component of %zu bytes; at most %d are possible", n,
				MAX_COMPONENT);
		if (size > 0)
			out[size++] = '/';
		memcpy(out + size, name + i, n);
		size += n;
	}
	out[size] = '\0';
	return 0;
}
