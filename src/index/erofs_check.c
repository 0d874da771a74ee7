/* SPDX-License-Identifier: Apache-2.0 */
/* Checks a whole image before anybody, and above all the kernel, reads from it. */
#include "erofs_internal.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "arena.h"
#include "base/bytes.h"
#include "draft_internal.h"

enum { NIDS_PER_BLOCK = EROFS_BLOCK_SIZE / EROFS_NID_SIZE };

/* A directory whose entries are still to be checked. */
struct pending {
	uint64_t nid;
	uint64_t parent;
};

struct checker {
	struct erofs_reader *reader;
	uint8_t *taken; /* owned: bit i is set when bytes i * 32 to i * 32 + 31 belong to something
			 */
	struct pending *pending; /* owned */
	size_t n_pending;
	size_t pending_capacity;
	uint64_t *links; /* owned: a nid for every name of an inode that has several */
	size_t n_links;
	size_t links_capacity;
	uint64_t n_inodes;
};

static void checker_cleanup(struct checker *checker)
{
	free(checker->taken);
	free(checker->pending);
	free(checker->links);
}

/* False when some of [first, first + n) was taken before. */
static bool take(struct checker *checker, uint64_t first, uint64_t n)
{
	for (uint64_t i = first; i < first + n; i++) {
		uint8_t bit = (uint8_t)(1 << i % 8);

		if (checker->taken[i / 8] & bit)
			return false;
		checker->taken[i / 8] |= bit;
	}
	return true;
}

static bool take_inode(struct checker *checker, const struct inode *inode)
{
	uint64_t n = (inode->total + EROFS_NID_SIZE - 1) / EROFS_NID_SIZE;
	uint64_t blocks = (inode->size + EROFS_BLOCK_SIZE - 1) / EROFS_BLOCK_SIZE;

	if (!take(checker, inode->nid, n))
		return false;
	if (!inode->contents || inode->layout != LAYOUT_FLAT)
		return true;
	return take(
		checker, inode->union_value * (uint64_t)NIDS_PER_BLOCK, blocks * NIDS_PER_BLOCK);
}

static const char *xattr_problem(const struct stored_xattr *xattr)
{
	const struct xattr_prefix *prefix = xattr_prefix_by_id(xattr->prefix);

	if (!prefix || (xattr->name_size == 0) != prefix->whole)
		return "an xattr without a name";
	if (memchr(xattr->name, 0, xattr->name_size))
		return "an xattr with a zero in its name";
	return NULL;
}

static const char *xattrs_problem(const struct inode *inode)
{
	uint64_t off = XATTR_HEADER_SIZE;

	for (unsigned i = 0; i < XATTR_HEADER_SIZE; i++) {
		if (inode->xattrs[i] != 0)
			return "shared xattrs";
	}
	while (off < inode->xattrs_size) {
		struct stored_xattr xattr;
		const char *problem;

		if (stored_xattr_at(inode, &off, &xattr) < 0)
			return "xattrs that do not end where they should";
		problem = xattr_problem(&xattr);
		if (problem)
			return problem;
	}
	return NULL;
}

static const char *inode_problem(const struct inode *inode)
{
	uint32_t flags = le32_load(inode->head + INODE_OWN_FLAGS);
	uint32_t allowed = 0;

	if (S_ISDIR(inode->mode))
		allowed = EROFS_IMPLICIT | EROFS_OPAQUE;
	else if (S_ISLNK(inode->mode))
		allowed = EROFS_HARDLINK;
	if (flags & ~allowed)
		return "unknown flags";
	if (le32_load(inode->head + INODE_MTIME_NS) >= 1000000000)
		return "more than a second of nanoseconds";
	if (le32_load(inode->head + INODE_NLINK) == 0)
		return "no links";
	if (S_ISLNK(inode->mode) && (inode->size == 0 || inode->size >= 4096 ||
					    memchr(inode->contents, 0, inode->size)))
		return "no usable symlink target";
	return inode->xattrs ? xattrs_problem(inode) : NULL;
}

/* An inode that a name led to for the first time. */
static int check_new_inode(struct checker *checker, const struct inode *inode, struct error *err)
{
	struct erofs_reader *reader = checker->reader;
	const char *problem = inode_problem(inode);

	if (problem)
		return error_set(
			err, ERROR_FORMAT, "inode %" PRIu64 " has %s", inode->nid, problem);
	if (!take_inode(checker, inode))
		return error_set(
			err, ERROR_FORMAT, "inode %" PRIu64 " overlaps something else", inode->nid);
	reader->inodes[inode->nid / 8] |= (uint8_t)(1 << inode->nid % 8);
	reader->has_xattrs |= inode->xattrs != NULL;
	if (le32_load(inode->head + INODE_OWN_FLAGS) & EROFS_HARDLINK)
		reader->has_unresolved_links = true;
	checker->n_inodes++;
	return 0;
}

static int check_directory_child(
	struct checker *checker, const struct inode *child, uint64_t parent, struct error *err)
{
	if (inode_is_known(checker->reader, child->nid))
		return error_set(
			err, ERROR_FORMAT, "directory %" PRIu64 " has two names", child->nid);
	if (array_reserve(&checker->pending, &checker->pending_capacity, checker->n_pending + 1,
		    sizeof(*checker->pending)) < 0)
		return error_set(err, ERROR_NO_MEMORY, "no memory to check an index");
	checker->pending[checker->n_pending++] = (struct pending){child->nid, parent};
	return check_new_inode(checker, child, err);
}

static int check_other_child(struct checker *checker, const struct inode *child, struct error *err)
{
	bool is_known = inode_is_known(checker->reader, child->nid);

	if (le32_load(child->head + INODE_NLINK) != 1) {
		if (array_reserve(&checker->links, &checker->links_capacity, checker->n_links + 1,
			    sizeof(*checker->links)) < 0)
			return error_set(err, ERROR_NO_MEMORY, "no memory to check an index");
		checker->links[checker->n_links++] = child->nid;
	} else if (is_known) {
		return error_set(
			err, ERROR_FORMAT, "inode %" PRIu64 " has more than one name", child->nid);
	}
	return is_known ? 0 : check_new_inode(checker, child, err);
}

static const char *name_problem(const struct erofs_dirent *entry)
{
	if (entry->name_size == 0 || entry->name_size > UINT8_MAX)
		return "empty or too long";
	if (memchr(entry->name, '/', entry->name_size) || memchr(entry->name, 0, entry->name_size))
		return "not one component";
	return NULL;
}

/* What is known of a directory while its names go by. */
struct scan {
	const struct pending *directory;
	struct erofs_dirent previous; /* name NULL: none yet */
	unsigned n_dots;
	uint64_t n_directories;
};

static int check_entry(struct checker *checker, struct scan *scan, const struct erofs_dirent *entry,
	struct error *err)
{
	struct inode child;
	uint64_t expected;

	if (entry->name[0] == '.' &&
		(entry->name_size == 1 || (entry->name_size == 2 && entry->name[1] == '.'))) {
		expected = entry->name_size == 1 ? scan->directory->nid : scan->directory->parent;
		if (entry->nid != expected || entry->type != S_IFDIR)
			return error_set(err, ERROR_FORMAT, "wrong '..' or '.'");
		scan->n_dots++;
		return 0;
	}

	if (inode_load(checker->reader, entry->nid, &child, err) < 0)
		return -1;
	if ((child.mode & S_IFMT) != entry->type)
		return error_set(
			err, ERROR_FORMAT, "inode %" PRIu64 " is of another type", entry->nid);
	if (!S_ISDIR(child.mode))
		return check_other_child(checker, &child, err);
	scan->n_directories++;
	return check_directory_child(checker, &child, scan->directory->nid, err);
}

static int check_block(struct checker *checker, struct scan *scan,
	const struct directory_block *block, struct error *err)
{
	for (unsigned i = 0; i < block->n; i++) {
		struct erofs_dirent entry;
		const char *problem;

		if (directory_block_name(block, i, &entry) < 0)
			return error_set(err, ERROR_FORMAT, "a name outside its block");
		problem = name_problem(&entry);
		if (!problem && scan->previous.name &&
			name_compare(scan->previous.name, scan->previous.name_size, entry.name,
				entry.name_size) >= 0)
			problem = "out of order";
		if (problem)
			return error_set(err, ERROR_FORMAT, "a name that is %s", problem);
		if (check_entry(checker, scan, &entry, err) < 0)
			return -1;
		scan->previous = entry;
	}
	return 0;
}

static int check_directory(
	struct checker *checker, const struct pending *directory, struct error *err)
{
	struct scan scan = {.directory = directory};
	struct inode inode;

	if (inode_load(checker->reader, directory->nid, &inode, err) < 0)
		return -1;
	for (uint64_t off = 0; off < inode.size; off += EROFS_BLOCK_SIZE) {
		struct directory_block block;

		if (directory_block_at(&inode, off, &block) < 0)
			return error_set(err, ERROR_FORMAT, "a broken list of names");
		if (check_block(checker, &scan, &block, err) < 0)
			return -1;
	}
	if (scan.n_dots != 2)
		return error_set(err, ERROR_FORMAT, "no '.' or '..'");
	if (le32_load(inode.head + INODE_NLINK) != 2 + scan.n_directories)
		return error_set(err, ERROR_FORMAT, "a wrong number of links");
	return 0;
}

static int check_directories(struct checker *checker, struct error *err)
{
	struct erofs_reader *reader = checker->reader;
	struct inode root;

	if (inode_load(reader, reader->root, &root, err) < 0)
		return -1;
	if (!S_ISDIR(root.mode))
		return error_set(err, ERROR_FORMAT, "its root is not a directory");
	if (check_directory_child(checker, &root, reader->root, err) < 0)
		return -1;
	while (checker->n_pending > 0) {
		struct pending directory = checker->pending[--checker->n_pending];

		if (check_directory(checker, &directory, err) < 0)
			return error_prefix(err, "directory %" PRIu64, directory.nid);
	}
	return 0;
}

static int compare_nids(const void *a, const void *b)
{
	uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

	return (left > right) - (left < right);
}

/* Inodes with several names have as many as they say. */
static int check_links(struct checker *checker, struct error *err)
{
	const uint64_t *links = checker->links;
	size_t n = 0;

	if (checker->n_links > 0)
		qsort(checker->links, checker->n_links, sizeof(*links), compare_nids);
	for (size_t i = 0; i < checker->n_links; i += n) {
		const uint8_t *head = checker->reader->data + links[i] * EROFS_NID_SIZE;

		for (n = 1; i + n < checker->n_links && links[i + n] == links[i];)
			n++;
		if (le32_load(head + INODE_NLINK) != n)
			return error_set(err, ERROR_FORMAT,
				"inode %" PRIu64 " has %zu names, not %" PRIu32, links[i], n,
				le32_load(head + INODE_NLINK));
	}
	return 0;
}

int erofs_check(struct erofs_reader *reader, struct error *err)
{
	CLEANUP(checker_cleanup) struct checker checker = {.reader = reader};
	uint64_t header_size, n_nids;

	if (erofs_check_header(reader, err) < 0)
		return -1;
	n_nids = reader->size / EROFS_NID_SIZE;
	assert(n_nids % 8 == 0);
	reader->inodes = calloc(1, n_nids / 8);
	checker.taken = calloc(1, n_nids / 8);
	if (!reader->inodes || !checker.taken)
		return error_set(err, ERROR_NO_MEMORY, "no memory to check an index");

	header_size = align_up(
		DEVICE_TABLE_OFF + (uint64_t)reader->n_devices * DEVICE_SIZE, EROFS_BLOCK_SIZE);
	if (!take(&checker, 0, header_size / EROFS_NID_SIZE))
		return error_set(err, ERROR_INTERNAL, "an empty map of an index is not empty");
	if (check_directories(&checker, err) < 0 || check_links(&checker, err) < 0)
		return -1;
	if (checker.n_inodes != reader->n_inodes)
		return error_set(err, ERROR_FORMAT, "%" PRIu64 " inodes instead of %" PRIu64,
			checker.n_inodes, reader->n_inodes);
	return 0;
}
