/* SPDX-License-Identifier: Apache-2.0 */
/* The list of mounts: paths in it are chosen by whoever may mount. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "daemon/mountinfo.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mountinfo mounts;
	size_t n_bytes = 0;

	if (mountinfo_parse(data, size, &mounts, NULL) < 0)
		return 0;
	for (size_t i = 0; i < mounts.n_entries; i++) {
		const struct mountinfo_entry *entry = &mounts.entries[i];

		n_bytes += strlen(entry->root) + strlen(entry->dir) + strlen(entry->type) +
			   strlen(entry->source) + strlen(entry->options) +
			   strlen(entry->super_options);
		(void)mountinfo_at(&mounts, entry->dir);
		(void)mountinfo_holding(&mounts, entry->dir);
	}
	if (n_bytes > size)
		__builtin_trap();
	mountinfo_clear(&mounts);
	return 0;
}
