/* SPDX-License-Identifier: Apache-2.0 */
/* What an index claimed against what a full pass found. */
#include <inttypes.h>
#include <string.h>

#include "span_index_internal.h"
#include "toc_entry_internal.h"

static int compare_digests(const char *what, const struct digest *claimed,
	const struct digest *actual, struct error *err)
{
	char left[DIGEST_TEXT_SIZE], right[DIGEST_TEXT_SIZE];

	if (digest_equal(claimed, actual))
		return 0;
	return error_set(err, ERROR_FORMAT, "%s is %s in the index, but is %s", what,
		digest_format(claimed, left), digest_format(actual, right));
}

static int compare_numbers(const char *what, uint64_t claimed, uint64_t actual, struct error *err)
{
	if (claimed == actual)
		return 0;
	return error_set(err, ERROR_FORMAT, "%s is %" PRIu64 " in the index, but is %" PRIu64, what,
		claimed, actual);
}

static int compare_layers(
	const struct span_index *claimed, const struct span_index *actual, struct error *err)
{
	if (compare_digests("the blob", &claimed->blob, &actual->blob, err) < 0 ||
		compare_numbers("its size", claimed->blob_size, actual->blob_size, err) < 0 ||
		compare_numbers("its codec", claimed->codec, actual->codec, err) < 0)
		return -1;
	if (claimed->diff_id.algorithm == 0)
		return 0;
	if (compare_digests("the archive", &claimed->diff_id, &actual->diff_id, err) < 0)
		return -1;
	return compare_numbers("its size", claimed->archive_size, actual->archive_size, err);
}

static int compare_extents(const struct span_index *claimed, const struct span_payload *left,
	const struct span_index *actual, const struct span_payload *right, struct error *err)
{
	bool is_same = left->is_sparse == right->is_sparse && left->n_extents == right->n_extents;

	for (uint32_t i = 0; is_same && i < left->n_extents; i++) {
		const struct span_extent *a = &claimed->extents[left->first_extent + i];
		const struct span_extent *b = &actual->extents[right->first_extent + i];

		is_same = a->file_off == b->file_off && a->size == b->size;
	}
	if (!is_same)
		return error_set(
			err, ERROR_FORMAT, "its parts are others in the index than in the archive");
	return 0;
}

static int compare_entries(const struct span_index *claimed, const struct span_index *actual,
	size_t i, struct error *err)
{
	const struct span_payload *left = &claimed->payloads[i], *right = &actual->payloads[i];

	if (toc_entry_compare(claimed->toc, &claimed->toc->entries[i], actual->toc,
		    &actual->toc->entries[i], err) < 0)
		return -1;
	if (compare_numbers("its place in the archive", left->off, right->off, err) < 0)
		return -1;
	return compare_extents(claimed, left, actual, right, err);
}

int span_index_compare(
	const struct span_index *claimed, const struct span_index *actual, struct error *err)
{
	size_t n = claimed->toc->n_entries;

	if (compare_layers(claimed, actual, err) < 0)
		return -1;
	for (size_t i = 0; i < n && i < actual->toc->n_entries; i++) {
		if (compare_entries(claimed, actual, i, err) < 0)
			return toc_entry_blame(i, actual->toc->entries[i].name, err);
	}
	return compare_numbers("the number of entries", n, actual->toc->n_entries, err);
}
