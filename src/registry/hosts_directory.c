/* SPDX-License-Identifier: Apache-2.0 */
/* Finds a namespace's directory, and reads one that has certificate files only. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "hosts_internal.h"

/* Looks at one candidate; *out is set when it is there. */
static int try_directory(const char *root, const char *name, struct hosts_watch *watch, char **out,
	struct error *err)
{
	CLEANUP(cleanup_free) char *path = NULL;
	bool exists;

	if (asprintf(&path, "%s/%s", root, name) < 0) {
		path = NULL;
		return error_set(err, ERROR_NO_MEMORY, "no memory for a path in %s", root);
	}
	if (hosts_watch_add(watch, path, &exists, err) < 0)
		return -1;
	if (exists)
		*out = TAKE_PTR(path);
	return 0;
}

/* "registry.example:5000" is "registry.example_5000_": some file systems refuse colons. */
static char *directory_name(const char *name)
{
	const char *colon = strrchr(name, ':');
	char *out;

	if (!colon || colon == name)
		return NULL;
	if (asprintf(&out, "%.*s_%s_", (int)(colon - name), name, colon + 1) < 0)
		return NULL;
	return out;
}

int hosts_directory_find(const struct hosts_options *options, const char *name,
	struct hosts_watch *watch, char **out, struct error *err)
{
	CLEANUP(cleanup_free) char *without_colon = directory_name(name);

	*out = NULL;
	for (size_t i = 0; i < options->n_roots && !*out; i++) {
		const char *root = options->roots[i];

		if (without_colon && try_directory(root, without_colon, watch, out, err) < 0)
			return -1;
		if (!*out && try_directory(root, name, watch, out, err) < 0)
			return -1;
		if (!*out && try_directory(root, "_default", watch, out, err) < 0)
			return -1;
	}
	return 0;
}

static bool has_suffix(const char *name, const char *suffix)
{
	size_t size = strlen(name);

	return size >= strlen(suffix) && strcmp(name + size - strlen(suffix), suffix) == 0;
}

static int is_certificate(const struct dirent *entry)
{
	return has_suffix(entry->d_name, ".crt") || has_suffix(entry->d_name, ".cert");
}

/* As Go's DirEntry.IsDir(): a symbolic link to a directory is none. */
static bool is_directory(const char *path)
{
	struct stat status;

	return lstat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

static int add_file(const char *path, struct host *host, struct error *err)
{
	CLEANUP(cleanup_free) char *key = NULL;
	struct stat status;

	host->has_tls = true;
	if (has_suffix(path, ".crt")) {
		if (host_add_ca(host, path) < 0)
			return error_set(err, ERROR_NO_MEMORY, "no memory for %s", path);
		return 0;
	}
	if (asprintf(&key, "%.*s.key", (int)(strlen(path) - strlen(".cert")), path) < 0) {
		key = NULL;
		return error_set(err, ERROR_NO_MEMORY, "no memory for %s", path);
	}
	if (stat(key, &status) < 0) {
		if (errno != ENOENT)
			return error_set_errno(err, errno, "look at %s", key);
		free(TAKE_PTR(key));
	}
	if (host_add_pair(host, path, key) < 0)
		return error_set(err, ERROR_NO_MEMORY, "no memory for %s", path);
	return 0;
}

static int add_entries(const char *directory, struct dirent **entries, int n_entries,
	struct host *host, struct error *err)
{
	if (n_entries > HOSTS_MAX_CERT_FILES)
		return error_set(err, ERROR_INVALID, "%s has %d certificate files; at most %d",
			directory, n_entries, HOSTS_MAX_CERT_FILES);
	for (int i = 0; i < n_entries; i++) {
		CLEANUP(cleanup_free) char *path = NULL;

		if (asprintf(&path, "%s/%s", directory, entries[i]->d_name) < 0) {
			path = NULL;
			return error_set(err, ERROR_NO_MEMORY, "no memory for %s", directory);
		}
		if (!is_directory(path) && add_file(path, host, err) < 0)
			return -1;
	}
	return 0;
}

static int compare_names(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

int hosts_directory_certificates(const char *directory, struct host_list *out, struct error *err)
{
	struct dirent **entries = NULL;
	struct host *host = host_list_add(out, 0);
	int n_entries;
	int result;

	if (!host)
		return error_set(err, ERROR_NO_MEMORY, "no memory for %s", directory);
	n_entries = scandir(directory, &entries, is_certificate, compare_names);
	if (n_entries < 0)
		return error_set_errno(err, errno, "list %s", directory);
	result = add_entries(directory, entries, n_entries, host, err);
	for (int i = 0; i < n_entries; i++)
		free(entries[i]);
	free(entries);
	return result;
}
