/* SPDX-License-Identifier: Apache-2.0 */
#include "support/torture_draft.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/bytes.h"

const uint8_t torture_key[32] = {0x7a, 1, 2, 3, 4, 5, 6, 7, 8, 9};

/* Data space handed out so far, per device. */
struct places {
	uint64_t next[TORTURE_DEVICES];
};

static void must(int result, const struct error *err)
{
	if (result == 0)
		return;
	fprintf(stderr, "torture tree: %s\n", err->message);
	abort();
}

static void *must_have(void *p)
{
	if (!p)
		abort();
	return p;
}

static void name_inode(struct draft *draft, struct draft_inode *parent, const char *name,
	struct draft_inode *inode)
{
	struct error err = {0};

	must(draft_link(draft, parent, name, strlen(name), inode, &err), &err);
}

struct draft_inode *torture_add(
	struct draft *draft, struct draft_inode *parent, const char *name, uint32_t mode)
{
	struct draft_inode *inode = must_have(draft_new_inode(draft, mode));

	inode->mtime_s = 1700000000;
	inode->mtime_ns = 123456789;
	name_inode(draft, parent, name, inode);
	return inode;
}

struct draft_inode *torture_add_symlink(
	struct draft *draft, struct draft_inode *parent, const char *name, const char *target)
{
	struct draft_inode *inode = torture_add(draft, parent, name, S_IFLNK | 0777);

	inode->size = strlen(target);
	inode->target = draft_copy(draft, target, inode->size);
	if (!inode->target)
		abort();
	return inode;
}

struct draft_inode *torture_add_file(struct draft *draft, struct draft_inode *parent,
	const char *name, unsigned device, uint64_t data_off, uint64_t size)
{
	struct draft_inode *inode = torture_add(draft, parent, name, S_IFREG | 0644);

	inode->device = (uint16_t)device;
	inode->data_off = data_off;
	inode->size = size;
	return inode;
}

void torture_add_xattr(struct draft *draft, struct draft_inode *inode, const char *name,
	const char *value, size_t size)
{
	const struct draft_xattr xattr = {name, value, size};
	struct error err = {0};

	must(draft_make_xattrs(draft, &xattr, 1, &inode->xattrs, &err), &err);
}

static struct draft_inode *put(struct draft *draft, struct places *places,
	struct draft_inode *parent, const char *name, unsigned device, uint64_t size)
{
	uint64_t data_off = places->next[device];

	places->next[device] = align_up(data_off + size, 4096);
	return torture_add_file(draft, parent, name, device, data_off, size);
}

static void add_types(struct draft *draft, struct draft_inode *root)
{
	struct draft_inode *inode = torture_add(draft, root, "chr", S_IFCHR | 0600);

	inode->rdev_major = 300;
	inode->rdev_minor = 0x12345;
	inode = torture_add(draft, root, "blk", S_IFBLK | 0660);
	inode->rdev_major = 8;
	inode->rdev_minor = 1;
	inode = torture_add(draft, root, "highest", S_IFCHR | 0600);
	inode->rdev_major = 4095;
	inode->rdev_minor = 1048575;
	torture_add(draft, root, "fifo", S_IFIFO | 0600);
	torture_add(draft, root, "socket", S_IFSOCK | 0600);
	torture_add(draft, root, "whiteout", S_IFCHR | 0);
	torture_add(draft, root, "sticky", S_IFDIR | 01777);
	torture_add(draft, root, "setgid", S_IFDIR | 02755);
}

static void add_files(struct draft *draft, struct draft_inode *root, struct places *places)
{
	char longest[256] = {0};
	struct draft_inode *inode;
	struct draft_inode *sub = torture_add(draft, root, "sub", S_IFDIR | 0700);

	put(draft, places, root, "one", 0, 1);
	put(draft, places, root, "page", 0, 4096);
	put(draft, places, root, "page and one", 1, 4097);
	put(draft, places, root, "megabyte", 1, 1000001);
	put(draft, places, root, "empty", 0, 0);
	put(draft, places, root, "!before the dots", 0, 7);
	put(draft, places, root, "\xc3\xa9\n\x01", 1, 3);
	inode = put(draft, places, root, "owned", 0, 10);
	inode->uid = 70000;
	inode->gid = 4000000000;
	inode->mode = S_IFREG | 06755;
	inode = put(draft, places, root, "before 1970", 0, 10);
	inode->mtime_s = -5;
	inode->mtime_ns = 999999999;
	inode = put(draft, places, root, "in 2500", 0, 10);
	inode->mtime_s = 16725225600;
	inode->mtime_ns = 0;
	memset(longest, 'n', 255);
	put(draft, places, root, longest, 0, 255);

	inode = put(draft, places, root, "linked", 0, 12288);
	name_inode(draft, root, "linked again", inode);
	name_inode(draft, sub, "linked", inode);
	inode = torture_add_symlink(draft, sub, "linked symlink", "../one");
	name_inode(draft, root, "linked symlink", inode);
}

static void add_symlinks(struct draft *draft, struct draft_inode *root)
{
	char target[4096] = {0};

	torture_add_symlink(draft, root, "short", "a");
	memset(target, 'z', 4095);
	torture_add_symlink(draft, root, "symlink of 4095", target);
	target[4096 - 64] = 0;
	torture_add_symlink(draft, root, "symlink of 4032", target);
	target[4096 - 65] = 0;
	torture_add_symlink(draft, root, "symlink of 4031", target);
	for (unsigned i = 0; i < 200; i++) {
		char name[32];

		(void)snprintf(name, sizeof(name), "symlink %u", i);
		target[i * 5 + 1] = 0;
		torture_add_symlink(draft, root, name, target);
		target[i * 5 + 1] = 'z';
	}
}

static void add_xattrs(struct draft *draft, struct draft_inode *root, struct places *places)
{
	static const uint8_t capability[20] = {1, 0, 0, 2, 0, 4};
	static const uint8_t acl[] = {2, 0, 0, 0,   /* version */
		1, 0, 6, 0, 0xff, 0xff, 0xff, 0xff, /* user::rw- */
		2, 0, 4, 0, 0xe8, 3, 0, 0,          /* user:1000:r-- */
		4, 0, 4, 0, 0xff, 0xff, 0xff, 0xff, /* group::r-- */
		16, 0, 4, 0, 0xff, 0xff, 0xff, 0xff, 32, 0, 0, 0, 0xff, 0xff, 0xff, 0xff};
	static char big[65535];
	struct draft_inode *inode;
	struct error err = {0};

	inode = put(draft, places, root, "capable", 0, 100);
	torture_add_xattr(draft, inode, "security.capability", (const char *)capability, 20);
	inode = put(draft, places, root, "capable too", 0, 100);
	torture_add_xattr(draft, inode, "security.capability", (const char *)capability, 20);
	inode = put(draft, places, root, "acl", 0, 100);
	torture_add_xattr(draft, inode, "system.posix_acl_access", (const char *)acl, sizeof(acl));
	inode = torture_add(draft, root, "default acl", S_IFDIR | 0755);
	torture_add_xattr(draft, inode, "system.posix_acl_default", (const char *)acl, sizeof(acl));
	inode = torture_add(draft, root, "opaque", S_IFDIR | 0755);
	torture_add_xattr(draft, inode, "trusted.overlay.opaque", "y", 1);

	memset(big, 'B', sizeof(big));
	inode = put(draft, places, root, "big xattr", 0, 100);
	torture_add_xattr(draft, inode, "user.big", big, sizeof(big));
	inode = put(draft, places, root, "several xattrs", 0, 100);
	must(draft_make_xattrs(draft,
		     (const struct draft_xattr[]){{"user.z", "1", 1}, {"user.a", "", 0},
			     {"trusted.t", "tt", 2}, {"security.s", "sss", 3},
			     {"user.long", big, 3000}},
		     5, &inode->xattrs, &err),
		&err);
	inode = torture_add_symlink(draft, root, "symlink with xattr", "one");
	torture_add_xattr(draft, inode, "trusted.t", "on a symlink", 12);
	inode = torture_add_symlink(draft, root, "symlink with big xattr", "one");
	torture_add_xattr(draft, inode, "trusted.t", big, 5000);
}

static void add_many(struct draft *draft, struct draft_inode *root, struct places *places)
{
	struct draft_inode *many = torture_add(draft, root, "many", S_IFDIR | 0755);
	struct draft_inode *deep = torture_add(draft, root, "deep", S_IFDIR | 0755);

	/* Not in order, and of every length. */
	for (unsigned i = 0; i < TORTURE_MANY; i++) {
		unsigned number = i * 7919 % TORTURE_MANY;
		char name[128];

		(void)snprintf(name, sizeof(name), "f%05u_%0*d", number, (int)(number % 90) + 1, 0);
		put(draft, places, many, name, 0, number % 50);
	}
	for (unsigned i = 0; i < 1000; i++)
		deep = torture_add(draft, deep, "d", S_IFDIR | 0755);
	put(draft, places, deep, "bottom", 1, 6);
	for (unsigned i = 0; i < 100; i++) {
		char name[32];
		struct draft_inode *directory;

		(void)snprintf(name, sizeof(name), "directory %u", i);
		directory = torture_add(draft, root, name, S_IFDIR | 0755);
		for (unsigned j = 0; j < i; j++) {
			(void)snprintf(name, sizeof(name), "%u", j);
			put(draft, places, directory, name, 0, 1);
		}
	}
}

struct draft *torture_draft_new(struct erofs_device devices[TORTURE_DEVICES])
{
	struct draft *draft = NULL;
	struct error err = {0};
	struct draft_inode *root, *implicit = NULL;
	struct places places = {0};

	must(draft_new(&draft, &err), &err);
	root = draft_root(draft);
	add_types(draft, root);
	add_files(draft, root, &places);
	add_symlinks(draft, root);
	add_xattrs(draft, root, &places);
	add_many(draft, root, &places);
	must(draft_walk(draft, "implicit/directory", 18, DRAFT_WALK_CREATE, &implicit, &err), &err);
	put(draft, &places, root, "five gigabytes", 1, (UINT64_C(5) << 30) + 1);
	put(draft, &places, root, "last", 1, 10);
	must(draft_finish(draft, &err), &err);

	for (unsigned i = 0; i < TORTURE_DEVICES; i++) {
		memset(devices[i].tag, 'a' + (int)i, 64);
		devices[i].tag[64] = 0;
		devices[i].size = places.next[i];
	}
	return draft;
}
