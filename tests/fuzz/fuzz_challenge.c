/* SPDX-License-Identifier: Apache-2.0 */
/* WWW-Authenticate headers, one to a line. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "registry/challenge.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(cleanup_free) char *text = strndup((const char *)data, size);
	struct challenge_list list;
	const char *headers[64];
	size_t n_headers = 0;
	char *rest = text;

	if (!text)
		abort();
	while (rest && n_headers < 64)
		headers[n_headers++] = strsep(&rest, "\n");
	if (challenge_list_parse(headers, n_headers, &list, NULL) < 0)
		return 0;
	for (size_t i = 0; i < list.n_items; i++) {
		if (i > 0 && list.items[i - 1].scheme < list.items[i].scheme)
			abort();
		(void)challenge_parameter(&list.items[i], "realm");
	}
	challenge_list_clear(&list);
	return 0;
}
