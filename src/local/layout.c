/* SPDX-License-Identifier: Apache-2.0 */
/* OCI layouts, in a directory or an archive, and containerd's content store, which keeps its blobs
 * in the same way but their names in a database of its own. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "format/oci_layout.h"

#include "local_internal.h"

/* Of containerd's content plugin, below containerd's root. */
#define CONTENT_DIR "io.containerd.content.v1.content"

static int read_file(struct local_image *image, const char *path, uint64_t limit,
	struct buffer *out, struct error *err)
{
	CLEANUP(local_range_clear) struct local_range range = {0};

	if (local_open(image, path, &range, err) < 0)
		return -1;
	if (local_range_read_all(&range, limit, out, err) < 0)
		return error_prefix(err, "%s", path);
	return 0;
}

/* What is there instead of a layout. */
static int set_no_layout(const struct local_image *image, struct error *err)
{
	const char *path = image->name.path;
	const char *hint = "";
	struct stat status;

	if (stat(path, &status) < 0)
		return error_set_errno(err, errno, "%s", path);
	if (local_image_is_archive(image))
		hint = "; what docker save writes is docker-archive:FILE";
	else if (!S_ISDIR(status.st_mode))
		hint = "; it is a file: an archive is written oci-archive:FILE or "
		       "docker-archive:FILE";
	return error_set(err, ERROR_FORMAT, "%s is no OCI layout: it has no file %s%s", path,
		OCI_LAYOUT_FILE, hint);
}

static int check_version(struct local_image *image, struct error *err)
{
	CLEANUP(buffer_free) struct buffer text = {0};
	struct error why = {0};

	if (read_file(image, OCI_LAYOUT_FILE, OCI_LAYOUT_MAX_FILE, &text, &why) == 0)
		return oci_layout_check(text.data, text.size, err);
	if (why.kind == ERROR_NOT_FOUND)
		return set_no_layout(image, err);
	if (err)
		*err = why;
	return -1;
}

int layout_read_index(struct local_image *image, struct manifest_index **out, struct error *err)
{
	CLEANUP(buffer_free) struct buffer text = {0};

	if (check_version(image, err) < 0 ||
		read_file(image, OCI_LAYOUT_INDEX_FILE, MANIFEST_MAX_SIZE, &text, err) < 0)
		return -1;
	if (manifest_index_parse(text.data, text.size, out, err) < 0)
		return error_prefix(err, OCI_LAYOUT_INDEX_FILE);
	return 0;
}

static int resolve(
	struct local_image *image, const char *tag, struct digest *out, struct error *err)
{
	CLEANUP(manifest_index_freep) struct manifest_index *index = NULL;
	struct oci_layout_choice choice = {0};
	int result = 0;

	if (layout_read_index(image, &index, err) < 0 ||
		oci_layout_select(index, tag, &choice, err) < 0)
		return -1;
	if (choice.document.size > 0)
		result = local_image_add_document(image, &choice.digest, &choice.document, err);
	buffer_free(&choice.document);
	if (result == 0)
		*out = choice.digest;
	return result;
}

static int find(struct local_image *image, const struct digest *digest, struct local_range *out,
	struct error *err)
{
	char path[OCI_LAYOUT_BLOB_PATH_SIZE];

	return local_open(image, oci_layout_blob_path(digest, path), out, err);
}

const struct local_place layout_place = {
	.resolve = resolve,
	.find = find,
};

static int resolve_content(
	struct local_image *image, const char *tag, struct digest *out, struct error *err)
{
	(void)image;
	(void)tag;
	(void)out;
	return error_set(err, ERROR_NOT_FOUND,
		"a content store has no tags: containerd keeps them in its database");
}

/* What containerd has not pulled, or has removed after unpacking it. */
static int find_content(struct local_image *image, const struct digest *digest,
	struct local_range *out, struct error *err)
{
	char path[sizeof(CONTENT_DIR) + OCI_LAYOUT_BLOB_PATH_SIZE] = CONTENT_DIR "/";
	struct error why = {0};
	char text[DIGEST_TEXT_SIZE];

	(void)oci_layout_blob_path(digest, path + sizeof(CONTENT_DIR));
	if (local_open(image, path + sizeof(CONTENT_DIR), out, &why) == 0)
		return 0;
	/* Whoever names containerd's root means what is in it. */
	if (why.kind == ERROR_NOT_FOUND && local_open(image, path, out, NULL) == 0)
		return 0;
	if (why.kind == ERROR_NOT_FOUND)
		(void)error_set(&why, ERROR_NOT_FOUND,
			"containerd does not have %s in %s: pull the image with it, for this "
			"platform and with its layers kept",
			digest_format(digest, text), image->name.path);
	if (err)
		*err = why;
	return -1;
}

const struct local_place content_store_place = {
	.resolve = resolve_content,
	.find = find_content,
};
