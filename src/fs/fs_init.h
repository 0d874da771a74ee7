/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What the kernel said in its FUSE_INIT. */
struct fs_init_offer {
	bool seen;
	uint64_t unique; /* of the request: the reply carries it, too */
	uint64_t flags;  /* FUSE_INIT flags, both words */
};

/* Looks at a request; true and *out filled when it is FUSE_INIT. */
bool fs_init_parse(const void *request, size_t size, struct fs_init_offer *out);

/* True when a reply, whose header is at @reply, answers this FUSE_INIT with success. */
bool fs_init_is_reply(const struct fs_init_offer *offer, const void *reply, size_t size);

/**
 * fs_init_patch() - add to a FUSE_INIT reply what libfuse 3.14 does not know or forgets.
 * @body: the reply behind its header.
 *
 * Only flags that the kernel offered are set. FUSE_ALLOW_IDMAP asks for the mount option
 * default_permissions: a mount without it is refused by the kernel.
 */
void fs_init_patch(const struct fs_init_offer *offer, void *body, size_t size);
