/* SPDX-License-Identifier: Apache-2.0 */
/* What the verbs about images have in common: names, hosts and passwords. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "image_arguments_internal.h"

#define DEFAULT_HOSTS_DIRS "/etc/containerd/certs.d:/etc/docker/certs.d"

enum { PASSWORD_LIMIT = 64 << 10 };

/* One name for one place, whatever leads there: records compare names. The last part stays as it
 * is: it may be a link that leads elsewhere tomorrow, and what it means then is another image. */
static void make_real(char path[PATH_MAX])
{
	char parent[PATH_MAX], real[PATH_MAX];
	const char *name = strrchr(path, '/') + 1;
	int length;

	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0) {
		if (realpath(path, real))
			memcpy(path, real, strlen(real) + 1);
		return;
	}
	(void)snprintf(parent, sizeof(parent), "%.*s", (int)(name - path), path);
	if (!realpath(parent, real))
		return;
	length = snprintf(
		parent, sizeof(parent), "%s%s%s", real, strcmp(real, "/") == 0 ? "" : "/", name);
	if (length > 0 && length < PATH_MAX)
		memcpy(path, parent, (size_t)length + 1);
}

/* The serving process may live in another directory than the one it was started in. */
static int make_absolute(struct image_name *name, struct error *err)
{
	char path[PATH_MAX];

	if (name->place == IMAGE_IN_REGISTRY)
		return 0;
	if (cli_absolute(name->path, path, err) < 0)
		return -1;
	make_real(path);
	return image_name_set_path(name, path, err);
}

int image_argument_name(const char *text, struct image_name *out, struct error *err)
{
	if (image_name_parse(text, out, err) < 0)
		return -1;
	return make_absolute(out, err);
}

int image_argument_layer(const char *text, struct digest *out, struct error *err)
{
	if (digest_parse(text, out, err) == 0)
		return 0;
	if (err)
		err->kind = ERROR_INVALID;
	return error_prefix(err, "--layer");
}

int image_argument_platform(const char *text, struct platform *out, struct error *err)
{
	platform_host(out);
	if (text && platform_parse(text, out, err) < 0)
		return error_prefix(err, "--platform");
	return 0;
}

int image_argument_hosts_dirs(const char *given, char **out, struct error *err)
{
	const char *next = given ? given : DEFAULT_HOSTS_DIRS;
	CLEANUP(buffer_free) struct buffer list = {0};

	for (;;) {
		size_t size = strcspn(next, ":");
		char dir[PATH_MAX];
		char path[PATH_MAX];

		(void)snprintf(dir, sizeof(dir), "%.*s", (int)size, next);
		if (size >= PATH_MAX)
			return error_set(err, ERROR_INVALID, "--hosts-dir: the path is too long");
		if (size > 0 && cli_absolute(dir, path, err) < 0)
			return -1;
		if (size > 0 && buffer_printf(&list, "%s%s", list.size ? ":" : "", path) < 0)
			return error_set(err, ERROR_NO_MEMORY, "no memory for --hosts-dir");
		if (!next[size])
			break;
		next += size + 1;
	}
	*out = strdup(list.data ? (const char *)list.data : "");
	return *out ? 0 : error_set(err, ERROR_NO_MEMORY, "no memory for --hosts-dir");
}

int image_argument_password(
	const char *username, bool password_stdin, char **out, struct error *err)
{
	CLEANUP(buffer_free) struct buffer text = {0};
	ssize_t n;

	if (password_stdin != (username != NULL))
		return error_set(
			err, ERROR_INVALID, "--username and --password-stdin belong together");
	if (!password_stdin)
		return 0;
	do {
		if (buffer_reserve(&text, 4096) < 0)
			return error_set(err, ERROR_NO_MEMORY, "no memory for the password");
		n = read(STDIN_FILENO, text.data + text.size, 4096);
		if (n < 0 && errno != EINTR)
			return error_set_errno(err, errno, "read the password");
		text.size += n > 0 ? (size_t)n : 0;
		if (text.size > PASSWORD_LIMIT)
			return error_set(err, ERROR_INVALID, "the password is too long");
	} while (n != 0);
	/* `echo secret | varve mount ...` adds a newline that is not part of it. */
	while (text.size > 0 &&
		(text.data[text.size - 1] == '\n' || text.data[text.size - 1] == '\r'))
		text.size--;
	if (text.size == 0 || memchr(text.data, 0, text.size))
		return error_set(
			err, ERROR_INVALID, "--password-stdin: standard input holds no password");
	*out = strndup((const char *)text.data, text.size);
	return *out ? 0 : error_set(err, ERROR_NO_MEMORY, "no memory for the password");
}
