/* SPDX-License-Identifier: Apache-2.0 */
/* One entry of an index against the headers of the archive. */
#include <inttypes.h>
#include <string.h>

#include "format/span_headers.h"
#include "format/tar.h"
#include "toc_entry_internal.h"

struct comparison {
	const struct toc *toc;
	const struct toc_entry *expected;
	uint64_t headers_size;
	bool has_member;
};

static int compare_member(void *arg, const struct tar_entry *member, struct error *err)
{
	CLEANUP(toc_freep) struct toc *toc = NULL;
	struct comparison *comparison = arg;
	struct toc_entry actual;

	comparison->has_member = true;
	if (member->payload_off != comparison->headers_size)
		return error_set(err, ERROR_FORMAT,
			"its headers end %" PRIu64 " bytes before the place that the index has",
			comparison->headers_size - member->payload_off);
	if (toc_new(&toc, err) < 0 || toc_entry_from_tar(toc, member, &actual, err) < 0)
		return -1;
	return toc_entry_compare(comparison->toc, comparison->expected, toc, &actual, err) < 0 ? -1
											       : 1;
}

static int compare_bytes(
	struct comparison *comparison, const void *bytes, size_t size, struct error *err)
{
	CLEANUP(tar_reader_freep) struct tar_reader *reader = NULL;

	if (tar_reader_new(compare_member, comparison, &reader, err) < 0 ||
		tar_reader_feed(reader, bytes, size, err) < 0)
		return -1;
	if (!comparison->has_member)
		return error_set(
			err, ERROR_FORMAT, "the archive has no header where the index has one");
	return 0;
}

int span_headers_compare(const struct toc *toc, const struct toc_entry *entry, const void *bytes,
	size_t size, struct error *err)
{
	struct comparison comparison = {.toc = toc, .expected = entry, .headers_size = size};
	char shown[TOC_SHOWN_SIZE];

	if (compare_bytes(&comparison, bytes, size, err) < 0)
		return error_prefix(
			err, "entry %s", toc_entry_shown(entry->name, strlen(entry->name), shown));
	return 0;
}
