/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "store_internal.h"

/* The table of layers in use; any thread. */

/* The layer, with one handle more; or, when nobody has it, *fresh: a claimed one, to be filled and
 * then given to state_table_ready() or state_table_release(). Waits while somebody else has claimed
 * it; so never on the writer thread. */
MUST_CHECK int state_table_open(struct store *store, const uint8_t key[RECORD_KEY_SIZE],
	struct layer_state **out, bool *fresh, struct error *err);
void state_table_ready(struct store *store, struct layer_state *layer);

/* Claims a layer that nobody uses. *out is NULL when somebody does. */
MUST_CHECK int state_table_claim(struct store *store, const uint8_t key[RECORD_KEY_SIZE],
	struct layer_state **out, struct error *err);

/* Drops a claim, a handle's or the writer's reference. */
void state_table_release(struct store *store, struct layer_state *layer);

/* A reference to a layer that is ready, or NULL. */
struct layer_state *state_table_find(struct store *store, const uint8_t key[RECORD_KEY_SIZE]);

/* Whether there are handles of it. */
bool state_table_is_open(struct store *store, struct layer_state *layer);

/* Whether any layer is open, claimed, or has something to be written. */
bool state_table_in_use(struct store *store);

/* One handle less; true when it was the last. */
bool state_table_close(struct store *store, struct layer_state *layer);

/* layer_store_load.c: fills a claimed layer from its unit table and the database.
 * @strict: ERROR_FORMAT instead of dropping what is recorded for another unit table. */
MUST_CHECK int layer_state_load(struct store *store, struct layer_state *layer,
	const struct unit_table *units, bool strict, struct error *err);
/* ERROR_BUSY unless this is the table the layer was opened with. */
MUST_CHECK int layer_state_check(
	struct layer_state *layer, const struct unit_table *units, struct error *err);
void layer_state_free(struct layer_state *layer);

/* Sets or clears a bit that readers see, and the counts. True when it changed. */
bool layer_state_set_present(struct layer_state *layer, uint64_t i, uint64_t size);
bool layer_state_clear_present(struct layer_state *layer, uint64_t i, uint64_t size);

/* Opens without recording a use; for verification. */
MUST_CHECK int layer_store_attach(struct store *store, const uint8_t key[RECORD_KEY_SIZE],
	const struct unit_table *units, bool strict, struct layer_store **out, struct error *err);

void layer_store_detachp(struct layer_store **layer);

/* Where the same bytes are: put them by sharing extents if that is possible. */
struct clone_source {
	int fd;
	uint64_t off;
};

/* store_put(); @clone may be NULL. */
MUST_CHECK int layer_store_put(struct layer_store *layer, uint64_t i, struct verified_chunk *chunk,
	const struct clone_source *clone, struct error *err);

/* layer_store_forget.c: removes all that is stored of a layer that the caller has claimed. The
 * database forgets first: after a crash in between the file is an orphan, not a lie. */
MUST_CHECK int layer_store_remove(
	struct store *store, const uint8_t key[RECORD_KEY_SIZE], struct error *err);

/* And when it was used, for good: also of a layer of which nothing is stored. */
MUST_CHECK int layer_store_erase(
	struct store *store, const uint8_t key[RECORD_KEY_SIZE], struct error *err);

/* Drops one unit of a layer that somebody else has open (@layer), or that the caller has claimed
 * (@layer NULL, then @number is its data file's). */
MUST_CHECK int layer_store_forget_unit(struct store *store, struct layer_state *layer,
	uint32_t number, uint32_t unit, uint64_t size, struct error *err);

/* Bytes of present units, never more than there are. */
uint64_t layer_state_present_bytes(const struct layer_state *layer);
