/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "format/span_index.h"

/* Traps unless an index that was read from outside keeps what format/span_index.h and format/toc.h
 * promise; cuts its files. */
void check_span_index(struct span_index *index);
