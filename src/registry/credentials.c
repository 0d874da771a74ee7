/* SPDX-License-Identifier: Apache-2.0 */
/* The search for a registry's credential, place by place. */
#include "registry/credentials.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/fdio.h"
#include "credentials_internal.h"

enum { HELPER_TIMEOUT_S = 10 };

/* Immutable. */
struct credentials {
	char *username; /* owned; NULL: none were given */
	char *password; /* owned */
	char *registry; /* owned; NULL: any */
	struct credentials_paths paths;
};

/* One search. */
struct lookup {
	const char *registry;
	const char *repository;
	struct credential *out;
	bool *found;
	struct buffer *looked_at; /* or NULL */
	struct error *err;
};

static int set_no_memory(struct error *err)
{
	return error_set(err, ERROR_NO_MEMORY, "no memory for credentials");
}

static int copy_given(const struct credentials_options *options, struct credentials *out)
{
	if (!options->username)
		return 0;
	out->username = strdup(options->username);
	out->password = options->password ? strdup(options->password) : NULL;
	if (options->registry)
		out->registry = strdup(options->registry);
	return out->username && out->password && (out->registry || !options->registry) ? 0 : -1;
}

int credentials_new(
	const struct credentials_options *options, struct credentials **out, struct error *err)
{
	CLEANUP(credentials_freep) struct credentials *credentials = NULL;

	if (options->username && !options->password)
		return error_set(err, ERROR_INVALID, "the user name \"%.100s\" has no password",
			options->username);
	credentials = calloc(1, sizeof(*credentials));
	if (!credentials || copy_given(options, credentials) < 0)
		return set_no_memory(err);
	if (credentials_paths_find(&credentials->paths, err) < 0)
		return error_prefix(err, "find files of credentials");
	*out = TAKE_PTR(credentials);
	return 0;
}

void credentials_free(struct credentials *credentials)
{
	if (!credentials)
		return;
	free(credentials->username);
	secret_free(credentials->password);
	free(credentials->registry);
	credentials_paths_clear(&credentials->paths);
	free(credentials);
}

void credentials_freep(struct credentials **credentials)
{
	credentials_free(*credentials);
}

__attribute__((format(printf, 2, 3))) static int note(
	const struct lookup *lookup, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	if (!lookup->looked_at)
		return 0;
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (buffer_printf(
		    lookup->looked_at, "%s%s", lookup->looked_at->size > 0 ? ", " : "", text) < 0)
		return set_no_memory(lookup->err);
	return 0;
}

/* Moves the credential to the caller. */
__attribute__((format(printf, 3, 4))) static int deliver(
	const struct lookup *lookup, struct credential *credential, const char *fmt, ...)
{
	va_list ap;
	int size;

	va_start(ap, fmt);
	size = vasprintf(&credential->source, fmt, ap);
	va_end(ap);
	if (size < 0) {
		credential->source = NULL;
		return set_no_memory(lookup->err);
	}
	*lookup->out = *credential;
	*lookup->found = true;
	*credential = (struct credential){0};
	return 0;
}

static int take_given(const struct credentials *credentials, const struct lookup *lookup)
{
	CLEANUP(credential_clear) struct credential credential = {0};

	credential.username = strdup(credentials->username);
	credential.secret = strdup(credentials->password);
	if (!credential.username || !credential.secret)
		return set_no_memory(lookup->err);
	return deliver(lookup, &credential, "the user name given");
}

static bool is_given_for(const struct credentials *credentials, const char *registry)
{
	const char *given = credentials->registry;

	if (!credentials->username)
		return false;
	return !given || strcasecmp(given, registry) == 0 ||
	       (credentials_is_docker_hub(given, strlen(given)) &&
		       credentials_is_docker_hub(registry, strlen(registry)));
}

static int ask_helper(
	const struct lookup *lookup, const struct credentials_entry *entry, const char *path)
{
	CLEANUP(credential_clear) struct credential credential = {0};
	bool found, installed;

	if (credentials_helper_get(entry->helper, lookup->registry,
		    HELPER_TIMEOUT_S * NS_PER_SECOND, &credential, &found, &installed,
		    lookup->err) < 0)
		return error_prefix(lookup->err, "%s", path);
	if (found)
		return deliver(lookup, &credential, "docker-credential-%s, which %s names",
			entry->helper, path);
	/* A default helper is for every registry, also for those that need no credential; it fails
	 * where it is of no use, such as Docker Desktop's outside of it. */
	if (!installed && !entry->helper_is_default)
		return error_set(lookup->err, ERROR_INVALID,
			"%s: \"credHelpers\" names docker-credential-%s for %s, which is no "
			"program in PATH",
			path, entry->helper, lookup->registry);
	return note(lookup, "docker-credential-%s of %s (%s)", entry->helper, path,
		installed ? "none" : "not installed");
}

/* Outputs nothing when there is no such file. */
static int read_entry(
	const struct lookup *lookup, const char *path, struct credentials_entry *out, bool *exists)
{
	CLEANUP(secret_buffer_free) struct buffer text = {0};
	struct error cause = {0};

	*exists = true;
	if (file_read(AT_FDCWD, path, CREDENTIALS_FILE_MAX_SIZE, &text, &cause) < 0) {
		*exists = cause.kind != ERROR_NOT_FOUND;
		if (!*exists)
			return 0;
	} else if (credentials_file_parse(text.data, text.size, lookup->registry,
			   lookup->repository, out, &cause) < 0) {
		(void)error_prefix(&cause, "%s", path);
	} else {
		return 0;
	}
	if (cause.kind == ERROR_FORMAT)
		cause.kind = ERROR_INVALID;
	return error_set(lookup->err, cause.kind, "%s", cause.message);
}

static int look_in_file(const struct lookup *lookup, const char *path)
{
	CLEANUP(credentials_entry_clear) struct credentials_entry entry = {0};
	bool exists;

	if (read_entry(lookup, path, &entry, &exists) < 0)
		return -1;
	if (!exists)
		return note(lookup, "%s (does not exist)", path);
	if (entry.helper[0]) {
		if (ask_helper(lookup, &entry, path) < 0)
			return -1;
		if (*lookup->found)
			return 0;
	}
	if (entry.has_credential)
		return deliver(lookup, &entry.credential, "%s", path);
	return note(lookup, "%s (none)", path);
}

int credentials_find(const struct credentials *credentials, const char *registry,
	const char *repository, struct credential *out, bool *found, struct buffer *looked_at,
	struct error *err)
{
	const struct lookup lookup = {.registry = registry,
		.repository = repository,
		.out = out,
		.found = found,
		.looked_at = looked_at,
		.err = err};

	*found = false;
	if (is_given_for(credentials, registry))
		return take_given(credentials, &lookup);
	for (size_t i = 0; i < credentials->paths.n && !*found; i++) {
		if (look_in_file(&lookup, credentials->paths.paths[i]) < 0)
			return error_prefix(err, "credentials for %s", registry);
	}
	return 0;
}
