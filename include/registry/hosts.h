/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "http/http_client.h"
#include "http/tls.h"

/* Which hosts serve the repositories of one namespace (the registry part of a reference), in the
 * order they are asked, and how to talk to each: what containerd makes of `hosts.toml`.
 * Spec: containerd, docs/hosts.md and core/remotes/docker/config/hosts.go.
 *
 * Where varve differs, on purpose:
 * - a wrong field refuses the namespace with file, line and field, instead of dropping all of the
 *   file and with it every mirror;
 * - an explicit skip_verify = false holds for localhost too;
 * - certificates are checked when they are read, not at the first handshake. */

enum host_capability {
	HOST_PULL = 1,
	HOST_RESOLVE = 2, /* trusted to say which digest a tag stands for */
	HOST_PUSH = 4,
	HOST_REFERRERS = 8,
	HOST_ALL_CAPABILITIES = 15,
};

/* One entry. Everything is owned by the `struct hosts` it belongs to. */
struct host {
	char *scheme;          /* "http" or "https": what is tried first */
	char *authority;       /* host or host:port as written */
	char *path;            /* "/v2"; "" when override_path says so; never ends with '/' */
	char *origin;          /* "https://mirror.example:5000", for messages and statistics */
	unsigned capabilities; /* of enum host_capability */

	struct http_header *headers; /* names as written */
	size_t n_headers;
	uint64_t dial_timeout_ns; /* 0: the http client's default */

	char **ca_paths; /* absolute, or relative like the directory that was searched */
	size_t n_ca_paths;
	struct tls_client_pair *pairs; /* key_path "": the key is in cert_path */
	size_t n_pairs;
	enum tls_verify verify; /* TLS_VERIFY_UNSET: the file does not say */
	bool has_tls;           /* ca, client or skip_verify is there, even if empty */
	bool http_fallback;     /* when https meets a server of plain http, http is used */

	struct tls_settings *tls; /* NULL unless has_tls: the caller's default serves */
};

/* Immutable. Any thread may read it as long as it holds a reference. */
struct hosts {
	char *name;      /* the namespace: "docker.io", "registry.example:5000" */
	char *directory; /* what was read; NULL when no directory was found */
	struct host *hosts;
	size_t n_hosts;
	struct hosts_watch *watch; /* private */
	unsigned refs;             /* private, atomic */
};

/* What hosts_load() may look at and assume. */
struct hosts_options {
	/* Directories of namespace directories ("/etc/containerd/certs.d"); the first with
	 * NAMESPACE (":5000" as "_5000_" first) or _default decides. */
	const char *const *roots;
	size_t n_roots;
	bool plain_http; /* hosts that nothing is configured for are asked with http */
	/* The user gave TLS settings for all hosts: http hosts are tried with https first. */
	bool tls_configured;
	const struct tls_settings *system_from; /* as in struct tls_settings_options */
};

/**
 * hosts_load() - find and read the configuration of a namespace.
 * @name: as in struct reference; checked, because it becomes a file name.
 * @out:  set on success; one reference, released with hosts_unref().
 * @err:  ERROR_INVALID with file, line and field, ERROR_NO_MEMORY, or why a directory or file that
 *        is there cannot be read.
 *
 * Without a directory for the namespace the result is its one default host. A directory without
 * hosts.toml, or with an empty one, is read as Docker does: *.crt are authorities, *.cert and the
 * *.key beside it a client's.
 *
 * Threads: any that may block on a disk; never a loop.
 */
MUST_CHECK int hosts_load(const struct hosts_options *options, const char *name, struct hosts **out,
	struct error *err);

/**
 * hosts_parse() - the hosts that a hosts.toml in memory stands for.
 * @directory: relative names of certificates are joined to it; also names the file in messages.
 * @data:      hostile; @size bytes. Empty is allowed and gives the default host.
 * @out:       as by hosts_load(), but no certificate was read: tls stays NULL.
 * @err:       as by hosts_load().
 */
MUST_CHECK int hosts_parse(const struct hosts_options *options, const char *name,
	const char *directory, const void *data, size_t size, struct hosts **out,
	struct error *err);

/* Whether hosts_load() would find something else now: another directory, another hosts.toml, other
 * certificates. Blocks on the disk. */
bool hosts_changed(const struct hosts *hosts);

/* Any thread. unref accepts NULL. */
struct hosts *hosts_ref(struct hosts *hosts);
void hosts_unref(struct hosts *hosts);
void hosts_unrefp(struct hosts **hosts);

/* True when requests to this host name their namespace (`?ns=`): it serves more than its own. */
bool host_is_proxy(const struct host *host, const char *name);

/* True for localhost, 127.0.0.0/8 and ::1, with or without a port. */
bool host_is_local(const char *authority);

/* Takes a list of roots apart that are separated by colons, as in containerd's config_path; empty
 * parts are dropped. *out has *n_out strings and is one allocation, released with free(). */
MUST_CHECK int hosts_split_roots(const char *list, char ***out, size_t *n_out, struct error *err);
