/* SPDX-License-Identifier: Apache-2.0 */
/* From members of a tar archive to entries of an index. */
#include <stdlib.h>
#include <string.h>

#include "span_index_internal.h"
#include "toc_entry_internal.h"

/* One segment with all bytes of a file is what every file has that is not sparse. */
static bool is_sparse(const struct tar_entry *member)
{
	if (member->type != '0' || member->size == 0)
		return false;
	return member->n_segments != 1 || member->segments[0].size != member->size;
}

static int add_sparse(struct span_index *index, const struct tar_entry *member,
	const struct toc_entry *entry, struct error *err)
{
	CLEANUP(cleanup_free) struct span_extent *extents = NULL;
	struct span_payload payload = {.off = member->payload_off, .is_sparse = true};

	if (member->n_segments > SPAN_INDEX_MAX_EXTENTS)
		return error_set(
			err, ERROR_UNSUPPORTED, "a sparse file in %zu parts", member->n_segments);
	payload.n_extents = (uint32_t)member->n_segments;
	extents = calloc(member->n_segments + 1, sizeof(*extents));
	if (!extents)
		return error_set(err, ERROR_NO_MEMORY, "no memory for a sparse file in %zu parts",
			member->n_segments);
	for (size_t i = 0; i < member->n_segments; i++)
		extents[i] = (struct span_extent){
			.file_off = member->segments[i].file_off,
			.size = member->segments[i].size,
		};
	return span_index_add_entry(index, entry, &payload, extents, err);
}

static int add_member(struct span_index *index, const struct tar_entry *member, struct error *err)
{
	struct span_payload payload = {.off = member->payload_off};
	struct toc_entry entry;

	if (toc_entry_from_tar(index->toc, member, &entry, err) < 0)
		return -1;
	if (is_sparse(member))
		return add_sparse(index, member, &entry, err);
	return span_index_add_entry(index, &entry, &payload, NULL, err);
}

int span_index_add_member(
	struct span_index *index, const struct tar_entry *member, struct error *err)
{
	if (add_member(index, member, err) < 0)
		return toc_entry_blame(index->toc->n_entries, member->name, err);
	return 0;
}
