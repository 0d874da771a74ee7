/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Little-endian loads and stores at any alignment. The caller has checked the bounds. */
uint16_t le16_load(const void *p);
uint32_t le32_load(const void *p);
uint64_t le64_load(const void *p);
void le16_store(void *p, uint16_t v);
void le32_store(void *p, uint32_t v);
void le64_store(void *p, uint64_t v);

/* True and *out = a + b (a * b) unless that wraps around. */
static inline bool u64_add(uint64_t a, uint64_t b, uint64_t *out)
{
	return !__builtin_add_overflow(a, b, out);
}

/* As u64_add(), of the product. */
static inline bool u64_mul(uint64_t a, uint64_t b, uint64_t *out)
{
	return !__builtin_mul_overflow(a, b, out);
}

/* True when [off, off + size) lies inside [0, limit). Never overflows. */
static inline bool range_within(uint64_t off, uint64_t size, uint64_t limit)
{
	return size <= limit && off <= limit - size;
}

/* align is a power of two; the caller knows that v + align does not wrap. */
static inline uint64_t align_up(uint64_t v, uint64_t align)
{
	return (v + align - 1) & ~(align - 1);
}

/* align is a power of two. */
static inline uint64_t align_down(uint64_t v, uint64_t align)
{
	return v & ~(align - 1);
}

/* Growing bytes. Zero-initialise; buffer_free() leaves it reusable. data[size] is always 0 once
 * anything was appended, so text can be read as a C string. */
struct buffer {
	uint8_t *data; /* owned */
	size_t size;
	size_t capacity;
};

/* Leaf functions: 0 or -ENOMEM. On failure the buffer is as it was. */
MUST_CHECK int buffer_reserve(struct buffer *buffer, size_t more);
MUST_CHECK int buffer_append(struct buffer *buffer, const void *data, size_t size);
MUST_CHECK int buffer_printf(struct buffer *buffer, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
void buffer_free(struct buffer *buffer);

/* Lower-case hex; out takes 2 * size + 1 bytes. */
void hex_encode(const uint8_t *data, size_t size, char *out);

/* Exactly 2 * size lower-case hex digits at text; 0 or -EINVAL. Upper case is refused, as OCI
 * digests refuse it. */
MUST_CHECK int hex_decode(const char *text, size_t text_size, uint8_t *out, size_t size);

/* RFC 4648 section 4, padding optional, no white space. Appends to out; 0, -EINVAL or -ENOMEM. */
MUST_CHECK int base64_decode(const char *text, size_t text_size, struct buffer *out);
MUST_CHECK int base64_encode(const void *data, size_t size, struct buffer *out);

#ifdef __cplusplus
}
#endif
