/* SPDX-License-Identifier: Apache-2.0 */
/* Remembers which files decided about a configuration, and sees when they change. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hosts_internal.h"

static void file_state_fill(struct file_state *state, const struct stat *status)
{
	state->exists = true;
	state->device = status->st_dev;
	state->ino = status->st_ino;
	state->size = status->st_size;
	state->mtime = status->st_mtim;
	state->ctime = status->st_ctim;
}

static bool time_equal(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static bool file_state_equal(const struct file_state *a, const struct file_state *b)
{
	if (!a->exists || !b->exists)
		return a->exists == b->exists;
	return a->device == b->device && a->ino == b->ino && a->size == b->size &&
	       time_equal(&a->mtime, &b->mtime) && time_equal(&a->ctime, &b->ctime);
}

int hosts_watch_add(struct hosts_watch *watch, const char *path, bool *exists, struct error *err)
{
	struct file_state state = {0};
	struct file_state *files;
	struct stat status;

	if (stat(path, &status) == 0)
		file_state_fill(&state, &status);
	else if (errno != ENOENT)
		return error_set_errno(err, errno, "look at %s", path);

	files = reallocarray(watch->files, watch->n_files + 1, sizeof(*files));
	if (!files)
		return error_set(err, ERROR_NO_MEMORY, "no memory to watch %s", path);
	watch->files = files;
	state.path = strdup(path);
	if (!state.path)
		return error_set(err, ERROR_NO_MEMORY, "no memory to watch %s", path);
	watch->files[watch->n_files++] = state;
	if (exists)
		*exists = state.exists;
	return 0;
}

bool hosts_watch_changed(const struct hosts_watch *watch)
{
	for (size_t i = 0; i < watch->n_files; i++) {
		struct file_state now = {0};
		struct stat status;

		if (stat(watch->files[i].path, &status) == 0)
			file_state_fill(&now, &status);
		if (!file_state_equal(&watch->files[i], &now))
			return true;
	}
	return false;
}

void hosts_watch_free(struct hosts_watch *watch)
{
	if (!watch)
		return;
	for (size_t i = 0; i < watch->n_files; i++)
		free(watch->files[i].path);
	free(watch->files);
	free(watch);
}
