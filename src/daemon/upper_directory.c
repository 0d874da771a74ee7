/* SPDX-License-Identifier: Apache-2.0 */
/* Where writes to a writable mount go. */
#include "daemon/upper_directory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/fdio.h"
#include "base/log.h"

enum { IMAGE_FILE_LIMIT = 4096 };

static int choose_parent(
	const char *store_dir, const char *chosen, struct upper_directory *out, struct error *err)
{
	char rw[PATH_MAX];

	out->temporary = !chosen;
	if (chosen) {
		if (directory_make(chosen, 0700, err) < 0)
			return -1;
		if (!realpath(chosen, out->parent))
			return error_set_errno(err, errno, "%s", chosen);
		return 0;
	}
	(void)snprintf(rw, sizeof(rw), "%.*s/rw", PATH_MAX - 64, store_dir);
	if (directory_make(rw, 0700, err) < 0)
		return -1;
	(void)snprintf(out->parent, sizeof(out->parent), "%.*s/XXXXXX", PATH_MAX - 32, rw);
	if (!mkdtemp(out->parent))
		return error_set_errno(err, errno, "make a directory in %s", rw);
	return 0;
}

/* A new upper directory looks like the image's root; one with changes is left as it is. */
static int make_upper(const char *path, const struct erofs_attr *root, struct error *err)
{
	if (mkdir(path, 0700) < 0)
		return errno == EEXIST ? 0 : error_set_errno(err, errno, "make %s", path);
	if (geteuid() == 0 && chown(path, root->uid, root->gid) < 0)
		return error_set_errno(err, errno, "give %s the owner of the image's root", path);
	if (chmod(path, root->mode & 07777) < 0)
		return error_set_errno(err, errno, "give %s the mode of the image's root", path);
	return 0;
}

/* parent/image names what lies below. */
static int note_image(const char *parent, const char *manifest, struct error *err)
{
	CLEANUP(buffer_free) struct buffer known = {0};
	char path[PATH_MAX];

	(void)snprintf(path, sizeof(path), "%.*s/image", PATH_MAX - 8, parent);
	if (file_read(AT_FDCWD, path, IMAGE_FILE_LIMIT, &known, NULL) == 0 && known.data) {
		if (strcmp((const char *)known.data, manifest) != 0)
			log_warning("%s holds changes to another image (%s): files of both will "
				    "be mixed",
				parent, (const char *)known.data);
		return 0;
	}
	return file_replace(AT_FDCWD, path, manifest, strlen(manifest), 0600, err);
}

static void child(const char *parent, const char *name, char out[PATH_MAX])
{
	(void)snprintf(out, PATH_MAX, "%.*s/%s", PATH_MAX - 16, parent, name);
}

int upper_directory_make(const char *store_dir, const char *chosen, const struct erofs_attr *root,
	const char *manifest, struct upper_directory *out, struct error *err)
{
	if (choose_parent(store_dir, chosen, out, err) < 0)
		return -1;
	child(out->parent, "upper", out->upper);
	child(out->parent, "work", out->work);
	if (make_upper(out->upper, root, err) < 0 || directory_make(out->work, 0700, err) < 0 ||
		note_image(out->parent, manifest, err) < 0) {
		upper_directory_finish(out);
		return error_prefix(err, "directory for what is written to the mount");
	}
	return 0;
}

static bool is_empty(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	bool empty = dir || errno == ENOENT;

	while (dir && empty && (entry = readdir(dir)))
		empty = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
	if (dir)
		(void)closedir(dir);
	return empty;
}

void upper_directory_finish(const struct upper_directory *directory)
{
	static const char *const names[] = {"work/work", "work", "upper"};
	char path[PATH_MAX];

	if (!directory->temporary)
		return;
	if (!is_empty(directory->upper)) {
		log_info("what was written to the mount is in %s", directory->upper);
		return;
	}
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		child(directory->parent, names[i], path);
		(void)rmdir(path);
	}
	child(directory->parent, "image", path);
	(void)unlink(path);
	if (rmdir(directory->parent) < 0)
		log_warning("%s stays: %s", directory->parent, strerror(errno));
}
