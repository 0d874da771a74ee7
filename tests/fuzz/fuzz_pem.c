/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as certificate authority file, as client certificate with its key, and as either of
 * the two. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fdio.h"
#include "http/tls.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Without any authority of the system: they would take most of the time. Never freed, because it
 * serves every input. */
static struct tls_settings *base_settings(void)
{
	static struct tls_settings *settings;
	static const struct tls_settings_options options = {0};

	/* A directory that holds nothing but directories. */
	(void)setenv("SSL_CERT_DIR", "/proc/self/task", 1);
	if (!settings && tls_settings_load(&options, &settings, NULL) < 0)
		__builtin_trap();
	return settings;
}

static void load(const struct tls_settings_options *options)
{
	struct tls_settings *settings = NULL;
	struct error err = {0};

	if (tls_settings_load(options, &settings, &err) == 0)
		(void)tls_settings_changed(settings);
	else if (err.kind != ERROR_INVALID || err.message[0] == '\0')
		__builtin_trap();
	tls_settings_unref(settings);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd = memfd_create("pem", MFD_CLOEXEC);
	char path[32];
	const char *ca_path = path;
	const struct tls_client_pair pair = {.cert_path = path};
	const struct tls_settings_options authority = {
		.ca_paths = &ca_path, .n_ca_paths = 1, .system_from = base_settings()};
	const struct tls_settings_options client = {
		.pairs = &pair, .n_pairs = 1, .system_from = base_settings()};

	if (fd < 0)
		return 0;
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (fd_write_all(fd, data, size) == 0) {
		load(&authority);
		load(&client);
	}
	(void)close(fd);
	return 0;
}
