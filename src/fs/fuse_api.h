/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The version of libfuse's interface that this folder is written against. */
#define FUSE_USE_VERSION FUSE_MAKE_VERSION(3, 14)
#include <fuse_lowlevel.h>
