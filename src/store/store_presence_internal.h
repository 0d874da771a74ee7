/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "store_db_internal.h"
#include "store_records_internal.h"

/* Which units of a data file the database claims. Answers are LMDB's codes. */

/* All clear when there is no such page; *damaged (may be NULL) when it cannot be believed. */
int presence_read(struct db_txn *txn, uint32_t number, uint32_t page,
	uint8_t bits[RECORD_PAGE_SIZE], bool *damaged);
int presence_write(
	struct db_txn *txn, uint32_t number, uint32_t page, const uint8_t bits[RECORD_PAGE_SIZE]);
int presence_has(struct db_txn *txn, uint32_t number, uint32_t unit, bool *has);
int presence_clear(struct db_txn *txn, uint32_t number, uint32_t unit);
int presence_drop(struct db_txn *txn, uint32_t number);

/* The layer whose data file has this number; MDB_NOTFOUND when none has. */
int presence_owner(struct db_txn *txn, uint32_t number, uint8_t key[RECORD_KEY_SIZE]);

static inline bool presence_bit(const uint8_t bits[RECORD_PAGE_SIZE], uint32_t unit)
{
	return bits[unit % RECORD_PAGE_UNITS / 8] >> (unit % 8) & 1;
}
