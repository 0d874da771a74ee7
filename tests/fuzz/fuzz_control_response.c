/* SPDX-License-Identifier: Apache-2.0 */
/* What a control socket answered. */
#include <stddef.h>
#include <stdint.h>

#include "control/control_client.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const void *body;
	size_t body_size;
	int status;

	if (control_response_parse(data, size, &status, &body, &body_size, NULL) < 0)
		return 0;
	if (status < 0 || status > 999 || (const uint8_t *)body < data ||
		(const uint8_t *)body + body_size != data + size)
		__builtin_trap();
	return 0;
}
