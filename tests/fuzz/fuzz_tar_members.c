/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as an archive that is read as a directory: whatever is found lies inside it, and every
 * window leads to the same table. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "format/tar_members.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int read_table(const uint8_t *data, size_t size, size_t window, struct tar_members **out)
{
	CLEANUP(tar_members_freep) struct tar_members *members = NULL;

	if (tar_members_new(size, &members, NULL) < 0)
		return -1;
	while (tar_members_want(members) < size) {
		uint64_t off = tar_members_want(members);
		size_t n = size - off < window ? size - off : window;

		if (tar_members_feed(members, data + off, n, NULL) < 0)
			return -1;
		if (tar_members_want(members) < off + n || tar_members_want(members) > size)
			__builtin_trap();
	}
	if (tar_members_finish(members, NULL) < 0)
		return -1;
	*out = TAKE_PTR(members);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const paths[] = {"index.json", "manifest.json", "oci-layout", "a",
		"blobs/sha256/a", "repositories", ""};
	CLEANUP(tar_members_freep) struct tar_members *members = NULL, *again = NULL;
	int result = read_table(data, size, 4096, &members);

	/* The first window tells a compressed archive: it has to be the same. */
	if (read_table(data, size, 513, &again) != result)
		__builtin_trap();
	if (result < 0)
		return 0;
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		struct tar_member_place place = {0}, other = {0};
		int found = tar_members_find(members, paths[i], &place, NULL);

		if (tar_members_find(again, paths[i], &other, NULL) != found ||
			place.off != other.off || place.size != other.size)
			__builtin_trap();
		if (found == 0 && (place.size > size || place.off > size - place.size))
			__builtin_trap();
	}
	return 0;
}
