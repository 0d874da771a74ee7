/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "support/test.h"

#include <stdint.h>
#include <string.h>

#include "base/bytes.h"
#include "base/fdio.h"
#include "unit_table_internal.h"

/* A byte of a file that is changed, and what is said of it. */
struct damage {
	size_t at;
	uint8_t value;
	const char *message;
};

/* One after the other, each with a checksum that is right. */
static inline void assert_damage_is_found(
	int dir_fd, const char *name, const struct damage *cases, size_t n)
{
	CLEANUP(buffer_free) struct buffer file = {0};

	assert_int_equal(file_read(dir_fd, name, 1 << 20, &file, NULL), 0);
	for (size_t i = 0; i < n; i++) {
		struct unit_table table = {0};
		struct error err = {0};
		uint8_t saved = file.data[cases[i].at];

		file.data[cases[i].at] = cases[i].value;
		le32_store(file.data + HEADER_CRC, unit_table_crc(file.data, file.size));
		assert_int_equal(unit_table_parse(file.data, file.size, &table, &err), -1);
		if (!strstr(err.message, cases[i].message))
			fail_msg("%zu: '%s' is not in '%s'", i, cases[i].message, err.message);
		file.data[cases[i].at] = saved;
	}
}
