/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "support/scratch.h"
#include "support/test.h"

#include <sys/stat.h>

#include "base/fdio.h"

/* Writes a file below the test's directory, its parents included. */
static inline void fixture_write(
	const struct scratch *scratch, const char *path, const char *text, mode_t mode)
{
	struct error err = {0};
	char full[512];
	char *slash;

	(void)snprintf(full, sizeof(full), "%s/%s", scratch->path, path);
	slash = strrchr(full, '/');
	*slash = '\0';
	assert_int_equal(directory_make(full, 0755, &err), 0);
	*slash = '/';
	if (file_replace(AT_FDCWD, full, text, strlen(text), mode, &err) < 0)
		fail_msg("%s", err.message);
}

/* A helper on the PATH that runs these shell commands; $1 is the verb. */
static inline void fixture_install_helper(
	const struct scratch *scratch, const char *name, const char *commands)
{
	char path[128];
	char script[1024];

	(void)snprintf(path, sizeof(path), "bin/docker-credential-%s", name);
	(void)snprintf(script, sizeof(script), "#!/bin/sh\n%s\n", commands);
	fixture_write(scratch, path, script, 0755);
}

static inline void fixture_set_variable(
	const struct scratch *scratch, const char *name, const char *path)
{
	char full[512];

	(void)snprintf(full, sizeof(full), "%s/%s", scratch->path, path);
	assert_int_equal(setenv(name, full, 1), 0);
}

/* Nothing of the machine's own is looked at: home, runtime directory and PATH are the test's. */
static inline int fixture_setup(void **state)
{
	static const char *const unset[] = {
		"REGISTRY_AUTH_FILE", "DOCKER_CONFIG", "XDG_CONFIG_HOME", "SUDO_USER"};
	const char *search = getenv("PATH");
	char path[4096];

	scratch_setup(state);
	for (size_t i = 0; i < sizeof(unset) / sizeof(unset[0]); i++)
		assert_int_equal(unsetenv(unset[i]), 0);
	fixture_set_variable(*state, "HOME", "home");
	fixture_set_variable(*state, "XDG_RUNTIME_DIR", "run");
	(void)snprintf(path, sizeof(path), "%s/bin:%s", ((struct scratch *)*state)->path, search);
	return setenv("PATH", path, 1);
}
