/* SPDX-License-Identifier: Apache-2.0 */
/* What the host:port of a registry says about how to talk to it. */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "hosts_internal.h"
#include "http/url.h"

bool authority_split(const char *authority, char *host, size_t host_size, const char **port)
{
	const char *colon = strrchr(authority, ':');
	const char *begin = authority;
	const char *end = colon;

	if (!colon)
		return false;
	if (*authority == '[') {
		const char *bracket = strchr(authority, ']');

		if (!bracket || bracket + 1 != colon)
			return false;
		begin = authority + 1;
		end = bracket;
	} else if (memchr(authority, ':', (size_t)(colon - authority))) {
		return false;
	}
	if ((size_t)(end - begin) >= host_size || strpbrk(end + 1, "[]"))
		return false;
	if (memchr(begin, '[', (size_t)(end - begin)))
		return false;

	(void)snprintf(host, host_size, "%.*s", (int)(end - begin), begin);
	*port = colon + 1;
	return true;
}

static bool is_loopback_address(const char *text)
{
	struct in6_addr v6;
	struct in_addr v4;

	if (inet_pton(AF_INET, text, &v4) == 1)
		return ntohl(v4.s_addr) >> 24 == 127;
	if (inet_pton(AF_INET6, text, &v6) != 1)
		return false;
	return IN6_IS_ADDR_LOOPBACK(&v6) || (IN6_IS_ADDR_V4MAPPED(&v6) && v6.s6_addr[12] == 127);
}

bool host_is_local(const char *authority)
{
	char host[256];
	const char *port;

	if (strcmp(authority, "::1") == 0 || strcmp(authority, "[::1]") == 0)
		return true;
	if (authority_split(authority, host, sizeof(host), &port)) {
		if (!*port)
			return false;
		authority = host;
	} else if (strchr(authority, ':')) {
		return false;
	}
	return strcmp(authority, "localhost") == 0 || is_loopback_address(authority);
}

bool host_is_proxy(const struct host *host, const char *name)
{
	if (strcmp(host->authority, name) == 0)
		return false;
	return strcmp(name, "docker.io") != 0 ||
	       strcmp(host->authority, "registry-1.docker.io") != 0;
}

static bool starts_with(const char *text, const char *prefix)
{
	return strncasecmp(text, prefix, strlen(prefix)) == 0;
}

/* Go's path.Clean() of an absolute path, without the final '/': "/a//b/../c/" is "/a/c", "/" is "".
 * Written over @path. */
static void path_clean(char *path)
{
	char *out = path;
	const char *p = path;

	while (*p) {
		const char *name;
		size_t size;

		while (*p == '/')
			p++;
		name = p;
		size = strcspn(p, "/");
		p += size;
		if (size == 0 || (size == 1 && name[0] == '.'))
			continue;
		if (size == 2 && name[0] == '.' && name[1] == '.') {
			while (out > path && *--out != '/')
				;
			continue;
		}
		*out++ = '/';
		memmove(out, name, size);
		out += size;
	}
	*out = 0;
}

static bool ends_with(const char *text, const char *suffix)
{
	size_t size = strlen(text);
	size_t suffix_size = strlen(suffix);

	return size >= suffix_size && strcmp(text + size - suffix_size, suffix) == 0;
}

static char *api_path(const char *path, size_t size, bool override_path)
{
	CLEANUP(cleanup_free) char *clean = strndup(path, size);
	char *out;

	if (!clean)
		return NULL;
	path_clean(clean);
	if (override_path || ends_with(clean, "/v2"))
		return TAKE_PTR(clean);
	return asprintf(&out, "%s/v2", clean) < 0 ? NULL : out;
}

static void url_cleanup(struct url *url)
{
	url_free(url);
}

int host_set_url(struct host *host, const char *text, bool override_path, struct error *err)
{
	CLEANUP(cleanup_free) char *with_scheme = NULL;
	CLEANUP(url_cleanup) struct url url = {0};
	const char *authority;
	size_t authority_size;

	if (!starts_with(text, "http://") && !starts_with(text, "https://")) {
		if (strstr(text, "://"))
			return error_set(err, ERROR_INVALID,
				"the scheme must be http or https (none means https)");
		if (asprintf(&with_scheme, "https://%s", text) < 0) {
			with_scheme = NULL;
			return error_set(err, ERROR_NO_MEMORY, "no memory for a host");
		}
		text = with_scheme;
	}
	if (url_parse(text, &url, err) < 0)
		return -1;

	authority = strstr(text, "://") + 3;
	authority_size = strcspn(authority, "/?#");
	host->scheme = strdup(url.scheme);
	host->authority = strndup(authority, authority_size);
	host->path = api_path(authority + authority_size, strcspn(authority + authority_size, "?#"),
		override_path);
	if (!host->scheme || !host->authority || !host->path)
		return error_set(err, ERROR_NO_MEMORY, "no memory for a host");
	return 0;
}
