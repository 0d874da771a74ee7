/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes, with a checksum that is right, as a unit table; what is accepted keeps its promises.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "unit_table_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int result)
{
	if (result < 0)
		__builtin_trap();
}

static void check_row(const struct unit_table *table, uint64_t i)
{
	uint64_t first, n, rank, row;
	struct unit_span span;
	struct unit unit;
	bool found;

	must(unit_table_get(table, i, &unit, NULL));
	must(unit_table_range(table, unit.data_off, unit.size, &first, &n, NULL));
	if (first != i || n != 1)
		__builtin_trap();
	must(unit_table_blob_rank(table, i, &rank, NULL));
	must(unit_table_by_blob(table, rank, &row, NULL));
	if (row != i)
		__builtin_trap();
	must(unit_table_span(table, unit.blob_off, &found, &span, NULL));
	if (span_unit_problem(found ? &span : NULL, &unit))
		__builtin_trap();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct unit_table table = {0};
	uint8_t *copy = malloc(size + 1);

	if (!copy)
		return 0;
	if (size > 0)
		memcpy(copy, data, size);
	if (size >= UNIT_TABLE_HEADER_SIZE)
		le32_store(copy + HEADER_CRC, unit_table_crc(copy, size));
	if (unit_table_parse(copy, size, &table, NULL) == 0) {
		for (uint64_t i = 0; i < table.header.n_units; i++)
			check_row(&table, i);
	}
	free(copy);
	return 0;
}
