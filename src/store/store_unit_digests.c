/* SPDX-License-Identifier: Apache-2.0 */
/* Digests of units that have none in their unit table. */
#include "store_unit_digests_internal.h"

#include <string.h>

int unit_digest_get(
	struct db_txn *txn, uint32_t number, uint32_t unit, uint8_t digest[RECORD_UNIT_DIGEST_SIZE])
{
	uint8_t name[8];
	MDB_val value;
	int code;

	record_unit_key(number, unit, name);
	code = db_get(txn, DB_UNIT_DIGESTS, name, sizeof(name), &value);
	if (code == 0 && value.mv_size != RECORD_UNIT_DIGEST_SIZE)
		return MDB_NOTFOUND;
	if (code == 0)
		memcpy(digest, value.mv_data, RECORD_UNIT_DIGEST_SIZE);
	return code;
}

int unit_digest_put(struct db_txn *txn, uint32_t number, uint32_t unit,
	const uint8_t digest[RECORD_UNIT_DIGEST_SIZE])
{
	uint8_t name[8];

	record_unit_key(number, unit, name);
	return db_put(txn, DB_UNIT_DIGESTS, name, sizeof(name), digest, RECORD_UNIT_DIGEST_SIZE);
}

int unit_digests_drop(struct db_txn *txn, uint32_t number)
{
	uint8_t first[8];

	record_unit_key(number, 0, first);
	return db_delete_prefix(txn, DB_UNIT_DIGESTS, first, sizeof(first), sizeof(number));
}
