/* SPDX-License-Identifier: Apache-2.0 */
/* Puts a complete tree in order: sorted directories, link counts, the sequence of directories. */
#include "draft_internal.h"

#include <stdlib.h>
#include <sys/stat.h>

int name_compare(const char *a, size_t a_size, const char *b, size_t b_size)
{
	int order = memcmp(a, b, a_size < b_size ? a_size : b_size);

	if (order != 0)
		return order;
	return (a_size > b_size) - (a_size < b_size);
}

static int compare_entries(const void *a, const void *b)
{
	const struct draft_entry *left = *(struct draft_entry *const *)a;
	const struct draft_entry *right = *(struct draft_entry *const *)b;

	return name_compare(left->name, left->name_size, right->name, right->name_size);
}

static int sort_directory(struct draft *draft, struct draft_directory *directory, struct error *err)
{
	struct draft_entry **sorted;
	uint32_t n = 0;

	sorted = arena_alloc(
		&draft->arena, (size_t)directory->n_entries * sizeof(struct draft_entry *));
	if (!sorted)
		return error_set(err, ERROR_NO_MEMORY, "no memory to sort a directory");
	for (struct draft_entry *entry = directory->first; entry; entry = entry->next) {
		if (entry->inode)
			sorted[n++] = entry;
	}
	sort_unless_sorted(sorted, n, sizeof(struct draft_entry *), compare_entries);
	directory->sorted = sorted;
	directory->n_entries = n;
	return 0;
}

/* Counts the links that the names of one directory make, and puts its directories on the stack so
 * that the first is on top. */
static void visit(
	struct draft *draft, struct draft_inode *inode, struct draft_inode **stack, size_t *n_stack)
{
	const struct draft_directory *directory = inode->directory;

	inode->nlink = 2;
	for (uint32_t i = directory->n_entries; i > 0; i--) {
		struct draft_inode *child = directory->sorted[i - 1]->inode;

		if (S_ISDIR(child->mode)) {
			stack[(*n_stack)++] = child;
			inode->nlink++;
			draft->n_inodes++;
		} else if (child->nlink++ == 0) {
			draft->n_inodes++;
		}
	}
}

int draft_finish(struct draft *draft, struct error *err)
{
	CLEANUP(cleanup_free) struct draft_inode **stack = NULL;
	size_t n_stack = 1;

	stack = calloc(draft->n_directories_made, sizeof(struct draft_inode *));
	draft->directories = calloc(draft->n_directories_made, sizeof(struct draft_inode *));
	if (!stack || !draft->directories)
		return error_set(err, ERROR_NO_MEMORY, "no memory to order %ju directories",
			(uintmax_t)draft->n_directories_made);

	stack[0] = draft->root;
	draft->n_inodes = 1;
	while (n_stack > 0) {
		struct draft_inode *inode = stack[--n_stack];

		if (sort_directory(draft, inode->directory, err) < 0)
			return -1;
		draft->directories[draft->n_directories++] = inode;
		visit(draft, inode, stack, &n_stack);
	}
	return 0;
}
