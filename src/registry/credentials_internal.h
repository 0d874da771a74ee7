/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "registry/credentials.h"

enum {
	CREDENTIALS_FILE_MAX_SIZE = 1 << 20,
	CREDENTIALS_HELPER_MAX_NAME = 64,
	CREDENTIALS_HELPER_MAX_OUTPUT = 64 << 10,
};

/* The files to look at, in order: n of them at paths, all owned. Leaves them as they are on
 * failure; credentials_paths_clear() is due either way. */
struct credentials_paths {
	char **paths;
	size_t n;
};
MUST_CHECK int credentials_paths_find(struct credentials_paths *out, struct error *err);
void credentials_paths_clear(struct credentials_paths *paths);

/* What one file says about a registry. Zeroes are "nothing". */
struct credentials_entry {
	char helper[CREDENTIALS_HELPER_MAX_NAME + 1]; /* to be asked first; "" for none */
	bool helper_is_default;                       /* credsStore, not credHelpers */
	bool has_credential;
	struct credential credential; /* without source */
};

/* Reads auth.json or config.json. ERROR_FORMAT says what is wrong in it; what it says about other
 * registries is not looked at. credentials_entry_clear() is due only on success. */
MUST_CHECK int credentials_file_parse(const void *data, size_t size, const char *registry,
	const char *repository, struct credentials_entry *out, struct error *err);
void credentials_entry_clear(struct credentials_entry *entry);

/* True for the names that Docker's own registry has had. */
bool credentials_is_docker_hub(const char *host, size_t size);

/* Runs `docker-credential-NAME get`. *installed is false when PATH has no such program, and then
 * *found is false, too. out->source is left NULL. */
MUST_CHECK int credentials_helper_get(const char *name, const char *registry, uint64_t timeout_ns,
	struct credential *out, bool *found, bool *installed, struct error *err);

/* What a helper that succeeded printed. No user name and no secret is not found. */
MUST_CHECK int credentials_helper_parse(
	const void *data, size_t size, struct credential *out, bool *found, struct error *err);

/* Overwrites, then frees. NULL is allowed. */
void secret_free(char *secret);
void secret_freep(char **secret);
/* Overwrites all of the capacity, then buffer_free(). */
void secret_buffer_free(struct buffer *buffer);
