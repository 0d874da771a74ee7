/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "call_internal.h"

#define PUSH_BLOB_TYPE "application/octet-stream"

/* A question to the host that is pushed to; @call has everything but its kind. Blocks. */
MUST_CHECK int push_call_perform(struct registry_call *call, struct error *err);
void push_call_clear(struct registry_call *call);
