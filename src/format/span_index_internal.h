/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "format/span_index.h"

/* Of the file (format/span_index_file.h): where its numbers are. */
enum {
	SPAN_INDEX_HEADER_VERSION = 8,
	SPAN_INDEX_HEADER_ZEROS = 12,
	SPAN_INDEX_HEADER_SIZE = 16,
};

enum { TAR_RECORD = 512 }; /* headers and payloads of an archive start at multiples of it */

struct span_index_memory {
	size_t payloads_capacity;
	size_t extents_capacity;
	size_t spans_capacity;
	uint64_t *starts; /* owned; of each span in the decoded archive */
	size_t starts_capacity;
	uint64_t payload_end; /* of the last entry, with padding */
	bool is_cut;
	struct span_index_window *windows; /* owned: the copies, newest first */
};

/* Nobody needs the window of this span any more. */
void span_index_drop_window(struct span_index *index, size_t i);
