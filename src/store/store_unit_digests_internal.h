/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "store_db_internal.h"
#include "store_records_internal.h"

/* SHA-256 of the units of a data file for which only their span vouched: what is read later can be
 * compared with it. Answers are LMDB's codes. */

/* MDB_NOTFOUND when there is none, or one that nobody wrote. */
int unit_digest_get(struct db_txn *txn, uint32_t number, uint32_t unit,
	uint8_t digest[RECORD_UNIT_DIGEST_SIZE]);
int unit_digest_put(struct db_txn *txn, uint32_t number, uint32_t unit,
	const uint8_t digest[RECORD_UNIT_DIGEST_SIZE]);
/* Those of all units. */
int unit_digests_drop(struct db_txn *txn, uint32_t number);
