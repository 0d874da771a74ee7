/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Length of the UTF-8 sequence at text, 1 to 4, or 0 when the bytes there are not one: a stray or
 * missing continuation, an overlong form, a surrogate, beyond U+10FFFF. size is at least 1.
 * Spec: RFC 3629 section 4. */
size_t utf8_sequence(const uint8_t *text, size_t size);
