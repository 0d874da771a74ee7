/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a tar archive; it reads the same in whatever pieces it arrives. */
#include <string.h>

#include "base/bytes.h"
#include "format/tar.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int list(void *arg, const struct tar_entry *entry, struct error *err)
{
	struct buffer *listing = arg;

	(void)err;
	if (buffer_append(listing, entry->name, strlen(entry->name) + 1) < 0 ||
		buffer_append(listing, &entry->size, sizeof(entry->size)) < 0 ||
		buffer_append(listing, &entry->payload_off, sizeof(entry->payload_off)) < 0)
		__builtin_trap();
	return 0;
}

static int read_in_pieces(
	const uint8_t *data, size_t size, size_t piece, struct buffer *listing, struct error *err)
{
	CLEANUP(tar_reader_freep) struct tar_reader *reader = NULL;

	if (tar_reader_new(list, listing, &reader, err) < 0)
		__builtin_trap();
	for (size_t off = 0, n; off < size; off += n) {
		n = size - off < piece ? size - off : piece;
		if (tar_reader_feed(reader, data + off, n, err) < 0)
			return -1;
	}
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const size_t pieces[] = {SIZE_MAX, 1, 513};
	struct buffer listings[3] = {{0}};
	struct error errors[3] = {{0}};

	for (int i = 0; i < 3; i++) {
		(void)!read_in_pieces(data, size, pieces[i], &listings[i], &errors[i]);
		if (listings[i].size != listings[0].size || errors[i].kind != errors[0].kind ||
			strcmp(errors[i].message, errors[0].message) != 0)
			__builtin_trap();
		if (listings[i].size > 0 &&
			memcmp(listings[i].data, listings[0].data, listings[0].size) != 0)
			__builtin_trap();
	}
	for (int i = 0; i < 3; i++)
		buffer_free(&listings[i]);
	return 0;
}
