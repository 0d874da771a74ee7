/* SPDX-License-Identifier: Apache-2.0 */
/* The handshake with the kernel: completes what libfuse answers to FUSE_INIT. */
#include "fs_init.h"

#include <linux/fuse.h>
#include <string.h>

/* Newer than the headers of some systems that we build on. */
#define INIT_ALLOW_IDMAP (UINT64_C(1) << 40)

/* The kernel takes the smaller of this and the read-ahead of the mount, which it sets to 128 KiB
 * when it mounts and which root may raise later. */
enum { MAX_READ_AHEAD = 16 << 20 };

/* Waiting reads count against these: at the limit every other large read of the mount stalls. */
enum { MAX_BACKGROUND = 65535 };

bool fs_init_parse(const void *request, size_t size, struct fs_init_offer *out)
{
	struct fuse_in_header header;
	struct fuse_init_in init = {0};

	if (size < sizeof(header))
		return false;
	memcpy(&header, request, sizeof(header));
	if (header.opcode != FUSE_INIT)
		return false;

	/* Older kernels send less than all of it. */
	size -= sizeof(header);
	memcpy(&init, (const char *)request + sizeof(header),
		size < sizeof(init) ? size : sizeof(init));
	*out = (struct fs_init_offer){
		.seen = true,
		.unique = header.unique,
		.flags = init.flags,
	};
	if (init.flags & FUSE_INIT_EXT)
		out->flags |= (uint64_t)init.flags2 << 32;
	return true;
}

bool fs_init_is_reply(const struct fs_init_offer *offer, const void *reply, size_t size)
{
	struct fuse_out_header header;

	if (!offer->seen || size < sizeof(header))
		return false;
	memcpy(&header, reply, sizeof(header));
	return header.unique == offer->unique && header.error == 0;
}

void fs_init_patch(const struct fs_init_offer *offer, void *body, size_t size)
{
	struct fuse_init_out out;
	uint64_t more = offer->flags & (FUSE_PARALLEL_DIROPS | INIT_ALLOW_IDMAP);

	/* A kernel before 7.23 gets, and wants, a shorter reply without these fields. */
	if (size < sizeof(out))
		return;
	memcpy(&out, body, sizeof(out));
	out.flags |= (uint32_t)more;
	if (offer->flags & FUSE_INIT_EXT) {
		out.flags |= FUSE_INIT_EXT;
		out.flags2 |= (uint32_t)(more >> 32);
	}
	if (out.max_readahead < MAX_READ_AHEAD)
		out.max_readahead = MAX_READ_AHEAD;
	out.max_background = MAX_BACKGROUND;
	out.congestion_threshold = MAX_BACKGROUND;
	memcpy(body, &out, sizeof(out));
}
