/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "store_internal.h"

/* The database is new and an older one was lost: ids go on where they cannot have been given. */
MUST_CHECK int trees_after_loss(struct store *store, struct error *err);
