/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#ifdef __cplusplus
extern "C" {
#endif

/* The n-th operator new of this thread from now on throws std::bad_alloc, once; 0: none does. */
void failing_new_arm(unsigned n);

#ifdef __cplusplus
}
#endif
