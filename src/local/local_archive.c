/* SPDX-License-Identifier: Apache-2.0 */
/* Tar archives on disk: the table of members is read once, then parts of the file. */
#include <stdlib.h>
#include <sys/stat.h>

#include "format/tar_members.h"

#include "local_internal.h"

/* What is read at a header: many small members at once, little of a large one. */
enum { WINDOW = 32 << 10 };

struct local_archive {
	struct local_file *file;     /* a reference */
	struct tar_members *members; /* owned */
};

void local_archive_close(struct local_archive *archive)
{
	if (!archive)
		return;
	tar_members_free(archive->members);
	local_file_unref(archive->file);
	free(archive);
}

static void archive_closep(struct local_archive **archive)
{
	local_archive_close(*archive);
}

static int read_members(struct local_archive *archive, struct error *err)
{
	const struct local_file *file = archive->file;
	CLEANUP(cleanup_free) uint8_t *window = malloc(WINDOW);

	if (!window)
		return error_set(err, ERROR_NO_MEMORY, "no memory to read an archive");
	if (tar_members_new(file->size, &archive->members, err) < 0)
		return -1;
	for (;;) {
		uint64_t off = tar_members_want(archive->members);
		size_t size = file->size - off < WINDOW ? file->size - off : WINDOW;

		if (size == 0)
			break;
		if (local_file_read(file, off, window, size, err) < 0)
			return -1;
		if (tar_members_feed(archive->members, window, size, err) < 0)
			return error_prefix(err, "%s", file->path);
	}
	if (tar_members_finish(archive->members, err) < 0)
		return error_prefix(err, "%s", file->path);
	/* Nobody wrote to it meanwhile. */
	return local_file_check_unchanged(file, err);
}

int local_archive_open(const char *path, struct local_archive **out, struct error *err)
{
	CLEANUP(archive_closep) struct local_archive *archive = calloc(1, sizeof(*archive));
	struct stat status;

	if (!archive)
		return error_set(err, ERROR_NO_MEMORY, "no memory for an archive");
	if (stat(path, &status) == 0 && S_ISDIR(status.st_mode))
		return error_set(err, ERROR_FORMAT,
			"%s is a directory and no archive: an OCI layout is written oci:DIR", path);
	if (local_file_open(path, &archive->file, err) < 0 || read_members(archive, err) < 0)
		return -1;
	*out = TAKE_PTR(archive);
	return 0;
}

struct local_range local_archive_range(
	const struct local_archive *archive, uint64_t off, uint64_t size)
{
	return (struct local_range){
		.file = local_file_ref(archive->file),
		.off = off,
		.size = size,
		.in_archive = true,
	};
}

int local_archive_find(const struct local_archive *archive, const char *path,
	struct local_range *out, struct error *err)
{
	struct tar_member_place place;

	if (tar_members_find(archive->members, path, &place, err) < 0)
		return error_prefix(err, "%s", archive->file->path);
	*out = local_archive_range(archive, place.off, place.size);
	return 0;
}
