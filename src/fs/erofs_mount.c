/* SPDX-License-Identifier: Apache-2.0 */
/* The EROFS face: gives an index and its data to the kernel, after checking what it does not. */
#include "fs/erofs_mount.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/log.h"
#include "index/layer_index.h"
#include "store/layer_store.h"

/* A mount that is being configured: fsopen(2). What the kernel has to say is read from its fd. */
static int context_error(int context, int errnum, const char *what, struct error *err)
{
	char line[256];
	ssize_t size = read(context, line, sizeof(line) - 1);

	/* "e erofs: text": the class, then the text. */
	if (size > 2) {
		line[size] = 0;
		line[strcspn(line, "\n")] = 0;
		return error_set_errno(err, errnum, "%s: the kernel says \"%s\"", what, line + 2);
	}
	return error_set_errno(err, errnum, "%s", what);
}

static int set_string(int context, const char *key, const char *value, struct error *err)
{
	if (fsconfig(context, FSCONFIG_SET_STRING, key, value, 0) < 0)
		return context_error(context, errno, value, err);
	return 0;
}

/* The kernel masks device numbers and takes what it is given, so a wrong or missing device would
 * read as other files' bytes or as zeros. */
static int check_devices(const struct tree *tree, struct error *err)
{
	char tag[65];
	char key[INDEX_KEY_HEX];

	if (erofs_n_devices(tree->reader) != tree->n_layers)
		return error_set(err, ERROR_FORMAT, "%s names %u devices, and there are %zu layers",
			tree->index_path, erofs_n_devices(tree->reader), tree->n_layers);
	for (size_t i = 0; i < tree->n_layers; i++) {
		const struct layer_index *index = layer_index_of(tree->layers[i]);
		uint64_t size = unit_table_header(index->units)->data_size;

		hex_encode(index->key, INDEX_KEY_SIZE, key);
		if (strcmp(erofs_device_tag(tree->reader, (unsigned)i, tag), key) != 0 ||
			erofs_device_size(tree->reader, (unsigned)i) != size)
			return error_set(err, ERROR_FORMAT, "device %zu of %s is not layer %s", i,
				tree->index_path, key);
	}
	return 0;
}

/* A layer that is all here is read without us, from its data file. */
static int complete_data_path(
	struct layer *layer, char path[PATH_MAX], bool *found, struct error *err)
{
	CLEANUP(cleanup_fd) int fd = -1;
	struct layer_store *store = layer_store_of(layer);
	char link[64];
	ssize_t size;

	*found = false;
	if (!layer_store_is_complete(store))
		return 0;
	if (layer_store_sync(store, err) < 0 || layer_store_data_fd(store, &fd, err) < 0)
		return -1;
	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	size = readlink(link, path, PATH_MAX - 1);
	if (size < 0)
		return error_set_errno(err, errno, "%s", link);
	path[size] = 0;
	*found = true;
	return 0;
}

static int add_devices(int context, const struct erofs_mount_options *options, struct error *err)
{
	const struct tree *tree = options->tree;

	for (size_t i = 0; i < tree->n_layers; i++) {
		char path[PATH_MAX];
		bool complete;

		if (complete_data_path(tree->layers[i], path, &complete, err) < 0)
			return -1;
		if (!complete)
			(void)snprintf(path, sizeof(path), "%.*s/%u", PATH_MAX - 16,
				options->data_dir, tree->layer_ids[i]);
		if (set_string(context, "device", path, err) < 0)
			return -1;
	}
	return 0;
}

static int configure(int context, const struct erofs_mount_options *options, struct error *err)
{
	if (set_string(context, "source", options->tree->index_path, err) < 0 ||
		add_devices(context, options, err) < 0)
		return -1;
	/* Bytes of devices are then cached once, as the files' pages. Before 6.14 the kernel does
	 * not know the option, and caches them twice. */
	if (fsconfig(context, FSCONFIG_SET_FLAG, "directio", NULL, 0) < 0)
		log_debug("this kernel's EROFS has no directio: pages are cached twice");
	if (fsconfig(context, FSCONFIG_SET_FLAG, "ro", NULL, 0) < 0 ||
		fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return context_error(context, errno, options->tree->index_path, err);
	return 0;
}

int erofs_mount(const struct erofs_mount_options *options, struct error *err)
{
	CLEANUP(cleanup_fd) int context = -1;
	CLEANUP(cleanup_fd) int mount = -1;
	unsigned attributes = MOUNT_ATTR_RDONLY;

	if (check_devices(options->tree, err) < 0)
		return -1;
	if (!options->suid)
		attributes |= MOUNT_ATTR_NOSUID;
	if (!options->dev)
		attributes |= MOUNT_ATTR_NODEV;

	context = fsopen("erofs", FSOPEN_CLOEXEC);
	if (context < 0)
		return error_set_errno(err, errno, "open the kernel's EROFS");
	if (configure(context, options, err) < 0)
		return error_prefix(err, "mount by EROFS");
	mount = fsmount(context, FSMOUNT_CLOEXEC, attributes);
	if (mount < 0)
		return context_error(context, errno, "mount by EROFS", err);
	if (move_mount(mount, "", AT_FDCWD, options->mountpoint, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return error_set_errno(err, errno, "mount on %s", options->mountpoint);
	return 0;
}
