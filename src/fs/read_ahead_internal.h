/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* How far the kernel reads ahead, KiB. Data that may have to be fetched is not read far ahead; of
 * data on a disk more pays: 2 MiB are two requests at a time. */
enum { LAZY_READ_AHEAD_KIB = 1024, COMPLETE_READ_AHEAD_KIB = 2048 };
