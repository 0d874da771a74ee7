/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a file of credentials. Helpers it names are looked for in a PATH without any. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "registry/credentials.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The file is in memory and has the one name that stands for it in this process. */
static int open_file(struct credentials **out)
{
	int fd = memfd_create("credentials", MFD_CLOEXEC);
	char name[64];

	(void)snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	if (fd < 0 || setenv("REGISTRY_AUTH_FILE", name, 1) < 0 ||
		setenv("DOCKER_CONFIG", "/nonexistent", 1) < 0 ||
		setenv("HOME", "/nonexistent", 1) < 0 || setenv("PATH", "/nonexistent", 1) < 0 ||
		credentials_new(&(struct credentials_options){0}, out, NULL) < 0)
		abort();
	return fd;
}

static void check(
	const struct credentials *credentials, const char *registry, const char *repository)
{
	struct credential credential = {0};
	CLEANUP(buffer_free) struct buffer looked_at = {0};
	struct error err;
	bool found;

	if (credentials_find(
		    credentials, registry, repository, &credential, &found, &looked_at, &err) < 0)
		return;
	if (found != (credential.username && credential.secret && credential.source) ||
		(!found && looked_at.size == 0))
		abort();
	credential_clear(&credential);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct credentials *credentials;
	static int fd = -1;

	if (fd < 0)
		fd = open_file(&credentials);
	if (ftruncate(fd, 0) < 0 || pwrite(fd, data, size, 0) != (ssize_t)size)
		abort();
	check(credentials, "registry.example.com", "team/app");
	check(credentials, "docker.io", NULL);
	return 0;
}
