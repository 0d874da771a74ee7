/* SPDX-License-Identifier: Apache-2.0 */
/* The hosts of a namespace: configuration found, defaults filled in, certificates loaded. */
#include "registry/hosts.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/fdio.h"
#include "config/toml.h"
#include "hosts_internal.h"

static void list_cleanup(struct host_list *list)
{
	host_list_clear(list);
}

/* The name becomes a path and part of URLs. */
static int check_name(const char *name, struct error *err)
{
	if (!*name || strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || strchr(name, '/'))
		return error_set(err, ERROR_INVALID, "\"%s\" cannot name a registry", name);
	return 0;
}

static int set_string(char **out, const char *text, struct error *err)
{
	char *copy = strdup(text);

	if (!copy)
		return error_set(err, ERROR_NO_MEMORY, "no memory for a host");
	free(*out);
	*out = copy;
	return 0;
}

static const char *default_scheme(
	const struct hosts_options *options, const char *name, struct host *host)
{
	char text[256];
	const char *port;

	if (strcmp(name, "docker.io") == 0)
		return "https";
	if (options->plain_http)
		return "http";
	if (!host_is_local(name))
		return "https";
	if (!authority_split(name, text, sizeof(text), &port))
		port = "";
	if (strcmp(port, "80") != 0) {
		if (host->verify == TLS_VERIFY_UNSET)
			host->verify = TLS_VERIFY_SKIP;
		host->has_tls = true;
	}
	/* On any other port either may be spoken: see the fallback below. */
	return !*port || strcmp(port, "443") == 0 ? "https" : "http";
}

static int set_default_host(
	const struct hosts_options *options, const char *name, struct host *host, struct error *err)
{
	const char *authority = strcmp(name, "docker.io") == 0 ? "registry-1.docker.io" : name;

	if (set_string(&host->scheme, default_scheme(options, name, host), err) < 0 ||
		set_string(&host->authority, authority, err) < 0)
		return -1;
	host->capabilities = HOST_ALL_CAPABILITIES;
	return set_string(&host->path, "/v2", err);
}

/* http with TLS settings, on a port that does not decide: https first, then http. */
static int set_fallback(const struct hosts_options *options, struct host *host, struct error *err)
{
	char text[256];
	const char *port;

	if (strcmp(host->scheme, "http") != 0 || !(options->tls_configured || host->has_tls))
		return 0;
	if (!authority_split(host->authority, text, sizeof(text), &port))
		port = "";
	if (strcmp(port, "80") == 0)
		return 0;
	host->http_fallback = true;
	return set_string(&host->scheme, "https", err);
}

int hosts_apply_defaults(const struct hosts_options *options, const char *name,
	struct host_list *list, struct error *err)
{
	if (list->n_hosts > 0 && !list->hosts[list->n_hosts - 1].authority &&
		set_default_host(options, name, &list->hosts[list->n_hosts - 1], err) < 0)
		return -1;

	for (size_t i = 0; i < list->n_hosts; i++) {
		struct host *host = &list->hosts[i];

		if (set_fallback(options, host, err) < 0)
			return -1;
		if (asprintf(&host->origin, "%s://%s", host->scheme, host->authority) < 0) {
			host->origin = NULL;
			return error_set(err, ERROR_NO_MEMORY, "no memory for a host");
		}
	}
	return 0;
}

/* Reads the namespace's directory, whichever of the two forms it has. */
static int read_directory(
	const char *directory, struct hosts_watch *watch, struct host_list *list, struct error *err)
{
	CLEANUP(cleanup_free) char *path = NULL;
	CLEANUP(buffer_free) struct buffer text = {0};
	bool exists;

	if (asprintf(&path, "%s/hosts.toml", directory) < 0) {
		path = NULL;
		return error_set(err, ERROR_NO_MEMORY, "no memory for a path in %s", directory);
	}
	if (hosts_watch_add(watch, path, &exists, err) < 0)
		return -1;
	if (exists && file_read(AT_FDCWD, path, TOML_LIMIT_SIZE, &text, err) < 0)
		return -1;
	if (text.size == 0)
		return hosts_directory_certificates(directory, list, err);
	return hosts_file_parse(path, directory, text.data, text.size, list, err);
}

static bool same_tls(const struct host *a, const struct host *b)
{
	if (a->verify != b->verify || a->n_ca_paths != b->n_ca_paths || a->n_pairs != b->n_pairs)
		return false;
	for (size_t i = 0; i < a->n_ca_paths; i++) {
		if (strcmp(a->ca_paths[i], b->ca_paths[i]) != 0)
			return false;
	}
	for (size_t i = 0; i < a->n_pairs; i++) {
		if (strcmp(a->pairs[i].cert_path, b->pairs[i].cert_path) != 0 ||
			strcmp(a->pairs[i].key_path, b->pairs[i].key_path) != 0)
			return false;
	}
	return true;
}

/* Loads the certificates of each entry; entries that say the same share them. */
static int load_certificates(const struct hosts_options *options, const char *directory,
	struct host_list *list, struct error *err)
{
	const struct tls_settings *system_from = options->system_from;

	for (size_t i = 0; i < list->n_hosts; i++) {
		struct host *host = &list->hosts[i];
		struct tls_settings_options tls = {
			.ca_paths = (const char *const *)host->ca_paths,
			.n_ca_paths = host->n_ca_paths,
			.pairs = host->pairs,
			.n_pairs = host->n_pairs,
			.verify = host->verify,
			.system_from = system_from,
		};

		for (size_t j = 0; j < i && host->has_tls && !host->tls; j++) {
			if (list->hosts[j].tls && same_tls(host, &list->hosts[j]))
				host->tls = tls_settings_ref(list->hosts[j].tls);
		}
		if (!host->has_tls || host->tls)
			continue;
		if (tls_settings_load(&tls, &host->tls, err) < 0)
			return list->lines[i] ? error_prefix(err, "%s/hosts.toml: line %u: host %s",
							directory, list->lines[i], host->authority)
					      : error_prefix(err, "host %s", host->authority);
		system_from = host->tls;
	}
	return 0;
}

static int load_into(const struct hosts_options *options, struct hosts *hosts,
	struct host_list *list, struct error *err)
{
	if (hosts_directory_find(options, hosts->name, hosts->watch, &hosts->directory, err) < 0)
		return -1;
	if (hosts->directory) {
		if (read_directory(hosts->directory, hosts->watch, list, err) < 0)
			return -1;
	} else if (!host_list_add(list, 0)) {
		return error_set(err, ERROR_NO_MEMORY, "no memory for a host");
	}
	if (hosts_apply_defaults(options, hosts->name, list, err) < 0)
		return -1;
	return load_certificates(options, hosts->directory, list, err);
}

static struct hosts *hosts_new(const char *name, struct error *err)
{
	CLEANUP(hosts_unrefp) struct hosts *hosts = NULL;

	if (check_name(name, err) < 0)
		return NULL;
	hosts = calloc(1, sizeof(*hosts));
	if (hosts) {
		hosts->refs = 1;
		hosts->name = strdup(name);
		hosts->watch = calloc(1, sizeof(*hosts->watch));
	}
	if (!hosts || !hosts->name || !hosts->watch) {
		(void)error_set(err, ERROR_NO_MEMORY, "no memory for the hosts of %s", name);
		return NULL;
	}
	return TAKE_PTR(hosts);
}

static void hosts_take(struct hosts *hosts, struct host_list *list)
{
	hosts->hosts = TAKE_PTR(list->hosts);
	hosts->n_hosts = list->n_hosts;
	list->n_hosts = 0;
}

int hosts_load(const struct hosts_options *options, const char *name, struct hosts **out,
	struct error *err)
{
	CLEANUP(hosts_unrefp) struct hosts *hosts = hosts_new(name, err);
	CLEANUP(list_cleanup) struct host_list list = {0};

	if (!hosts)
		return -1;
	if (load_into(options, hosts, &list, err) < 0)
		return error_prefix(err, "registry %s", name);
	hosts_take(hosts, &list);
	*out = TAKE_PTR(hosts);
	return 0;
}

int hosts_parse(const struct hosts_options *options, const char *name, const char *directory,
	const void *data, size_t size, struct hosts **out, struct error *err)
{
	CLEANUP(hosts_unrefp) struct hosts *hosts = hosts_new(name, err);
	CLEANUP(list_cleanup) struct host_list list = {0};
	CLEANUP(cleanup_free) char *path = NULL;

	if (!hosts)
		return -1;
	if (asprintf(&path, "%s/hosts.toml", directory) < 0) {
		path = NULL;
		return error_set(err, ERROR_NO_MEMORY, "no memory for a path in %s", directory);
	}
	if (size > 0 && hosts_file_parse(path, directory, data, size, &list, err) < 0)
		return -1;
	if (size == 0 && !host_list_add(&list, 0))
		return error_set(err, ERROR_NO_MEMORY, "no memory for a host");
	if (hosts_apply_defaults(options, name, &list, err) < 0)
		return -1;
	hosts_take(hosts, &list);
	*out = TAKE_PTR(hosts);
	return 0;
}

bool hosts_changed(const struct hosts *hosts)
{
	if (hosts_watch_changed(hosts->watch))
		return true;
	for (size_t i = 0; i < hosts->n_hosts; i++) {
		if (hosts->hosts[i].tls && tls_settings_changed(hosts->hosts[i].tls))
			return true;
	}
	return false;
}

struct hosts *hosts_ref(struct hosts *hosts)
{
	__atomic_fetch_add(&hosts->refs, 1, __ATOMIC_RELAXED);
	return hosts;
}

void hosts_unref(struct hosts *hosts)
{
	struct host_list list;

	if (!hosts || __atomic_fetch_sub(&hosts->refs, 1, __ATOMIC_ACQ_REL) != 1)
		return;
	list = (struct host_list){.hosts = hosts->hosts, .n_hosts = hosts->n_hosts};
	host_list_clear(&list);
	hosts_watch_free(hosts->watch);
	free(hosts->directory);
	free(hosts->name);
	free(hosts);
}

void hosts_unrefp(struct hosts **hosts)
{
	hosts_unref(*hosts);
}

int hosts_split_roots(const char *list, char ***out, size_t *n_out, struct error *err)
{
	size_t n_max = 1;
	size_t n = 0;
	char **roots;
	char *text;
	char *part;

	for (const char *p = list; *p; p++)
		n_max += *p == ':';
	roots = malloc(n_max * sizeof(*roots) + strlen(list) + 1);
	if (!roots)
		return error_set(err, ERROR_NO_MEMORY, "no memory for a list of directories");
	text = strcpy((char *)(roots + n_max), list);
	while ((part = strsep(&text, ":"))) {
		if (*part)
			roots[n++] = part;
	}
	*out = roots;
	*n_out = n;
	return 0;
}
