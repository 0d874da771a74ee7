/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>

#include "base/bytes.h"
#include "base/error.h"

/* Where user names and passwords of registries come from: the command line, containers' auth.json,
 * Docker's config.json, and the credential helpers these name.
 * Spec: containers-auth.json(5); Docker CLI, "docker login", "Credential stores". */
struct credentials;

/* A zeroed one is valid. Secrets are overwritten when it is cleared. */
struct credential {
	char *username;         /* owned; "<token>" with an identity token */
	char *secret;           /* owned: password or identity token */
	bool is_identity_token; /* an OAuth2 refresh token: no basic authentication with it */
	char *source;           /* owned: the file or helper it is from, for messages */
};

/* What the user gave on the command line; zeroes are "nothing". */
struct credentials_options {
	const char *username; /* NULL: none were given by the user */
	const char *password; /* not NULL when username is not */
	const char *registry; /* the registry they are for; NULL: every one that is asked for */
};

/**
 * credentials_new() - decide where to look, from the environment as it is now.
 * @options: strings are copied.
 *
 * In this order: the options; REGISTRY_AUTH_FILE, or else containers/auth.json below
 * XDG_RUNTIME_DIR (/run/containers/UID without one) and the user's configuration directory;
 * config.json below DOCKER_CONFIG, or else ~/.docker. Root by way of sudo also looks at the files
 * of SUDO_USER, after its own, unless the variable for that kind of file is set.
 *
 * Threads: any that may block on the user database; before other threads change the environment.
 */
MUST_CHECK int credentials_new(
	const struct credentials_options *options, struct credentials **out, struct error *err);
void credentials_free(struct credentials *credentials);
void credentials_freep(struct credentials **credentials);

/**
 * credentials_find() - the credential for a registry; the first place that has one decides.
 * @registry:   host or host:port. docker.io, index.docker.io and registry-1.docker.io are one.
 * @repository: for keys of auth.json that name part of a registry ("host/team"), the longest
 *              first; NULL matches none of these.
 * @out:        set when *@found; cleared by the caller.
 * @found:      false on success when there is none.
 * @looked_at:  NULL, or gets text appended that names every place looked at and what was (not)
 *              there, separated by ", ".
 * @err:        ERROR_INVALID naming the file and what is wrong in it; ERROR_UNAUTHORIZED naming the
 *              helper that failed and what it said; ERROR_TIMEOUT for one that took 10 s; or why a
 *              file that is there cannot be read. A default helper (credsStore) that is not
 *              installed is no error.
 *
 * Files are read anew each time, so that a login needs no restart.
 *
 * Threads: workers; it blocks on disks and on helpers. Several at once are fine.
 */
MUST_CHECK int credentials_find(const struct credentials *credentials, const char *registry,
	const char *repository, struct credential *out, bool *found, struct buffer *looked_at,
	struct error *err);

/* Overwrites the secret and frees; the credential is as zeroed afterwards. */
void credential_clear(struct credential *credential);
