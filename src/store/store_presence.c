/* SPDX-License-Identifier: Apache-2.0 */
/* Pages of presence bits in the database. */
#include "store_presence_internal.h"

#include <string.h>

int presence_read(struct db_txn *txn, uint32_t number, uint32_t page,
	uint8_t bits[RECORD_PAGE_SIZE], bool *damaged)
{
	uint8_t name[8];
	MDB_val value;
	int code;

	memset(bits, 0, RECORD_PAGE_SIZE);
	record_page_key(number, page, name);
	code = db_get(txn, DB_PRESENCE, name, sizeof(name), &value);
	if (code != 0)
		return code == MDB_NOTFOUND ? 0 : code;
	if (!record_page_decode(value.mv_data, value.mv_size, number, page, bits) && damaged)
		*damaged = true;
	return 0;
}

int presence_write(
	struct db_txn *txn, uint32_t number, uint32_t page, const uint8_t bits[RECORD_PAGE_SIZE])
{
	uint8_t value[RECORD_SUMMED_PAGE_SIZE];
	uint8_t name[8];

	record_page_key(number, page, name);
	record_page_encode(number, page, bits, value);
	return db_put(txn, DB_PRESENCE, name, sizeof(name), value, sizeof(value));
}

int presence_has(struct db_txn *txn, uint32_t number, uint32_t unit, bool *has)
{
	uint8_t bits[RECORD_PAGE_SIZE];
	int code = presence_read(txn, number, unit / RECORD_PAGE_UNITS, bits, NULL);

	*has = code == 0 && presence_bit(bits, unit);
	return code;
}

int presence_clear(struct db_txn *txn, uint32_t number, uint32_t unit)
{
	uint32_t page = unit / RECORD_PAGE_UNITS;
	uint8_t bits[RECORD_PAGE_SIZE];
	int code = presence_read(txn, number, page, bits, NULL);

	if (code != 0)
		return code;
	bits[unit % RECORD_PAGE_UNITS / 8] &= (uint8_t) ~(1u << (unit % 8));
	return presence_write(txn, number, page, bits);
}

/* Pages of one number are adjacent. */
int presence_drop(struct db_txn *txn, uint32_t number)
{
	uint8_t first[8];

	record_page_key(number, 0, first);
	return db_delete_prefix(txn, DB_PRESENCE, first, sizeof(first), sizeof(number));
}

int presence_owner(struct db_txn *txn, uint32_t number, uint8_t key[RECORD_KEY_SIZE])
{
	uint8_t name[4];
	MDB_val value;
	int code;

	record_number_key(number, name);
	code = db_get(txn, DB_NUMBERS, name, sizeof(name), &value);
	if (code != 0)
		return code;
	return record_key_decode(value.mv_data, value.mv_size, key) ? 0 : MDB_NOTFOUND;
}
