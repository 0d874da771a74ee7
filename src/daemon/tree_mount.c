/* SPDX-License-Identifier: Apache-2.0 */
/* Puts the mounts of a tree on top of each other, and takes them apart in the opposite order. */
#include "daemon/tree_mount.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/fdio.h"
#include "base/log.h"
#include "daemon/mountinfo.h"
#include "daemon/overlay_mount.h"
#include "fs/erofs_mount.h"
#include "fs/fs_session.h"

enum { MAX_UPPER_MOUNTS = 2 };

/* EROFS or an overlay: above the session. */
struct upper_mount {
	char path[PATH_MAX];
	unsigned major;
	unsigned minor;
	bool mounted;
};

struct tree_mount {
	struct fs_session *session; /* owned */
	bool session_mounted;
	struct upper_mount uppers[MAX_UPPER_MOUNTS]; /* lowest first */
	size_t n_uppers;
	enum tree_face face;
	char face_why[256];
	unsigned major;
	unsigned minor;
};

/* Where the next lower part goes when something is to be mounted above it. */
static int private_path(const struct tree_mount_options *options, const char *name,
	char out[PATH_MAX], struct error *err)
{
	(void)snprintf(out, PATH_MAX, "%.*s/%s", PATH_MAX - 16, options->private_dir, name);
	return directory_make(out, 0700, err);
}

static int start_session(struct tree_mount *mount, const struct tree_mount_options *options,
	const char *path, uint32_t tree_id, struct error *err)
{
	const struct fs_session_options session = {
		.trees = options->trees,
		.mountpoint = path,
		.tree_id = tree_id,
		.source = options->source,
		.allow_other = options->allow_other,
		.suid = options->suid,
		.dev = options->dev,
		.answer_xattr = erofs_has_xattrs(options->tree->reader),
	};

	if (fs_session_start(&session, &mount->session, err) < 0)
		return -1;
	mount->session_mounted = true;
	return 0;
}

static int find_device(const char *path, unsigned *major, unsigned *minor, struct error *err)
{
	CLEANUP(mountinfo_clear) struct mountinfo mounts = {0};
	const struct mountinfo_entry *entry;

	if (mountinfo_read(&mounts, err) < 0)
		return -1;
	entry = mountinfo_at(&mounts, path);
	if (!entry)
		return error_set(err, ERROR_UNAVAILABLE,
			"the mount on %s was taken away while it was made", path);
	*major = entry->major;
	*minor = entry->minor;
	return 0;
}

static int add_upper(struct tree_mount *mount, const char *path, struct error *err)
{
	struct upper_mount *upper = &mount->uppers[mount->n_uppers];

	(void)snprintf(upper->path, sizeof(upper->path), "%s", path);
	if (find_device(path, &upper->major, &upper->minor, err) < 0)
		return -1;
	upper->mounted = true;
	mount->n_uppers++;
	return 0;
}

static int start_erofs(struct tree_mount *mount, const struct tree_mount_options *options,
	const char *path, struct error *err)
{
	char session_path[PATH_MAX];
	char data_dir[PATH_MAX];
	const struct erofs_mount_options erofs = {
		.tree = options->tree,
		.data_dir = data_dir,
		.mountpoint = path,
		.suid = options->suid,
		.dev = options->dev,
	};

	if (private_path(options, "fs", session_path, err) < 0 ||
		start_session(mount, options, session_path, 0, err) < 0)
		return -1;
	(void)snprintf(data_dir, sizeof(data_dir), "%.*s/data", PATH_MAX - 8, session_path);
	if (erofs_mount(&erofs, err) < 0)
		return -1;
	return add_upper(mount, path, err);
}

static void take_apart(struct tree_mount *mount)
{
	struct error err;
	bool busy;

	if (tree_mount_detach(mount, true, &busy, &err) < 0)
		log_error("%s", err.message);
	fs_session_free(mount->session);
	mount->session = NULL;
	mount->n_uppers = 0;
}

/* The read-only tree at path, by the face that was asked for. */
static int start_face(struct tree_mount *mount, const struct tree_mount_options *options,
	const char *path, struct error *err)
{
	struct error why;

	mount->face = FACE_EROFS;
	if (options->face == FACE_FUSE ||
		!erofs_mount_supported(mount->face_why, sizeof(mount->face_why)))
		mount->face = FACE_FUSE;
	if (options->face == FACE_FUSE)
		mount->face_why[0] = 0;
	if (options->face == FACE_EROFS && mount->face == FACE_FUSE)
		return error_set(err, ERROR_UNSUPPORTED,
			"--face=erofs is not possible: %s; --face=fuse is", mount->face_why);

	if (mount->face == FACE_EROFS) {
		mount->face_why[0] = 0;
		if (start_erofs(mount, options, path, &why) == 0)
			return 0;
		take_apart(mount);
		if (options->face == FACE_EROFS) {
			if (err)
				*err = why;
			return error_prefix(err, "--face=erofs");
		}
		log_warning("the kernel's own EROFS is not used: %s", why.message);
		(void)snprintf(mount->face_why, sizeof(mount->face_why), "%.*s",
			(int)sizeof(mount->face_why) - 1, why.message);
		mount->face = FACE_FUSE;
	}
	return start_session(mount, options, path, options->tree->id, err);
}

static int start_overlay(
	struct tree_mount *mount, const struct tree_mount_options *options, struct error *err)
{
	char lower[PATH_MAX];
	const struct overlay_mount_options overlay = {
		.lower = lower,
		.upper = options->upper,
		.work = options->work,
		.mountpoint = options->dir,
		.source = options->source,
		.suid = options->suid,
		.dev = options->dev,
	};

	if (overlay_mount_allowed(err) < 0 || private_path(options, "lower", lower, err) < 0 ||
		start_face(mount, options, lower, err) < 0 || overlay_mount(&overlay, err) < 0)
		return -1;
	return add_upper(mount, options->dir, err);
}

static int start(
	struct tree_mount *mount, const struct tree_mount_options *options, struct error *err)
{
	int result = options->upper ? start_overlay(mount, options, err)
				    : start_face(mount, options, options->dir, err);

	return result < 0 ? -1 : find_device(options->dir, &mount->major, &mount->minor, err);
}

int tree_mount_start(
	const struct tree_mount_options *options, struct tree_mount **out, struct error *err)
{
	CLEANUP(cleanup_free) struct tree_mount *mount = calloc(1, sizeof(*mount));

	if (!mount)
		return error_set(err, ERROR_NO_MEMORY, "no memory for a mount");
	if (start(mount, options, err) < 0) {
		take_apart(mount);
		return error_prefix(err, "mount on %s", options->dir);
	}
	*out = TAKE_PTR(mount);
	return 0;
}

const char *tree_mount_face(const struct tree_mount *mount)
{
	return mount->face == FACE_EROFS ? "erofs" : "fuse";
}

const char *tree_mount_face_why(const struct tree_mount *mount)
{
	return mount->face_why;
}

void tree_mount_device(const struct tree_mount *mount, unsigned *major, unsigned *minor)
{
	*major = mount->major;
	*minor = mount->minor;
}

struct fs_session *tree_mount_session(const struct tree_mount *mount)
{
	return mount->session;
}

/* Pages that were being read stay the first time. */
static void drop_erofs(const struct tree_mount *mount)
{
	const struct timespec pause = {.tv_nsec = 500 * 1000 * 1000};
	struct error err;

	for (int i = 0; i < 2; i++) {
		if (i > 0)
			(void)nanosleep(&pause, NULL);
		if (erofs_drop_cached(mount->uppers[0].path, &err) < 0)
			log_error("what the kernel has cached may stay: %s", err.message);
	}
}

void tree_mount_drop_cached(struct tree_mount *mount, const struct layer *layer)
{
	fs_session_drop_cached(mount->session, layer);
	if (mount->face == FACE_EROFS)
		drop_erofs(mount);
}

void tree_mount_on_end(struct tree_mount *mount, void (*ended)(void *arg), void *arg)
{
	fs_session_on_end(mount->session, ended, arg);
}

/* Whether it is still there. Below another mount it is out of reach. */
static int find_upper(const struct upper_mount *upper, bool *found, struct error *err)
{
	CLEANUP(mountinfo_clear) struct mountinfo mounts = {0};
	const struct mountinfo_entry *entry;

	if (mountinfo_read(&mounts, err) < 0)
		return -1;
	entry = mountinfo_at(&mounts, upper->path);
	*found = entry && entry->major == upper->major && entry->minor == upper->minor;
	if (!entry || *found || !mountinfo_with_device(&mounts, upper->major, upper->minor))
		return 0;
	return error_set(err, ERROR_BUSY,
		"%s is covered by another mount (%s, %s): take that away first", upper->path,
		entry->type, entry->source);
}

static int detach_upper(struct upper_mount *upper, bool lazy, bool *busy, struct error *err)
{
	bool found;

	if (!upper->mounted)
		return 0;
	if (find_upper(upper, &found, err) < 0 ||
		(found && mount_detach(upper->path, lazy, busy, err) < 0))
		return -1;
	upper->mounted = *busy && !lazy;
	return 0;
}

int tree_mount_detach(struct tree_mount *mount, bool lazy, bool *busy, struct error *err)
{
	bool in_use = false;

	*busy = false;
	for (size_t i = mount->n_uppers; i > 0; i--) {
		in_use = false;
		if (detach_upper(&mount->uppers[i - 1], lazy, &in_use, err) < 0)
			return -1;
		*busy = *busy || in_use;
		if (in_use && !lazy)
			return 0;
	}
	if (!mount->session_mounted)
		return 0;
	in_use = false;
	if (!fs_session_ended(mount->session) &&
		fs_session_unmount(mount->session, lazy, &in_use, err) < 0)
		return -1;
	*busy = *busy || in_use;
	mount->session_mounted = in_use && !lazy;
	return 0;
}

void tree_mount_free(struct tree_mount *mount)
{
	if (!mount)
		return;
	fs_session_free(mount->session);
	free(mount);
}

void tree_mount_freep(struct tree_mount **mount)
{
	tree_mount_free(*mount);
}
