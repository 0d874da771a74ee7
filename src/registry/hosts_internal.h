/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "registry/hosts.h"

/* A namespace with more entries than this is a mistake; each repeats its headers. */
enum { HOSTS_MAX_ENTRIES = 128, HOSTS_MAX_CERT_FILES = 256 };

struct host_list {
	struct host *hosts;
	unsigned *lines; /* of hosts.toml, where entry i begins; 0 when there is no file */
	size_t n_hosts;
};

void host_list_clear(struct host_list *list);

/* Appends an empty entry and returns it; NULL when memory ran out. */
struct host *host_list_add(struct host_list *list, unsigned line);

/* Leaf functions: 0 or -ENOMEM. @key may be NULL (no key file). Take copies. */
MUST_CHECK int host_add_ca(struct host *host, const char *path);
MUST_CHECK int host_add_pair(struct host *host, const char *cert, const char *key);
MUST_CHECK int host_add_header(struct host *host, const char *name, const char *value);

/**
 * hosts_file_parse() - turn the text of a hosts.toml into entries.
 * @path:      for messages.
 * @directory: relative certificate paths are joined to it.
 * @out:       empty; on success the entries in order, the last one being the upstream: its
 *             authority is NULL when the file names no server.
 * @err:       ERROR_INVALID with file, line and field, or ERROR_NO_MEMORY.
 *
 * Reads nothing but @data: certificates are only named.
 */
MUST_CHECK int hosts_file_parse(const char *path, const char *directory, const void *data,
	size_t size, struct host_list *out, struct error *err);

/* Fills the server's scheme, authority and path from what a hosts.toml may say: "https://a/b",
 * "a:5000". The message says what is wrong with @text, without naming it. */
MUST_CHECK int host_set_url(
	struct host *host, const char *text, bool override_path, struct error *err);

/* Gives the last entry, when it names no server, the namespace's default one; decides about
 * https-then-http; fills in the origins. Spec: the table in docs of hosts_load(). */
MUST_CHECK int hosts_apply_defaults(const struct hosts_options *options, const char *name,
	struct host_list *list, struct error *err);

/* "1h30m", "1.5s", "200ms", "0": Go's time.ParseDuration. Negative ones too; -EINVAL or -ERANGE. */
MUST_CHECK int duration_parse(const char *text, int64_t *out_ns);

/* Go's net.SplitHostPort. False when there is no port or @authority is no host:port. */
bool authority_split(const char *authority, char *host, size_t host_size, const char **port);

/* What a path was when it was looked at. */
struct file_state {
	char *path; /* owned */
	bool exists;
	dev_t device;
	ino_t ino;
	off_t size;
	struct timespec mtime;
	struct timespec ctime;
};

/* Everything that decided which configuration a namespace has, apart from certificates. */
struct hosts_watch {
	struct file_state *files;
	size_t n_files;
};

/* Looks at @path and remembers what was there. *exists may be NULL. A path that cannot be looked at
 * for another reason than being absent is an error. */
MUST_CHECK int hosts_watch_add(
	struct hosts_watch *watch, const char *path, bool *exists, struct error *err);
bool hosts_watch_changed(const struct hosts_watch *watch);
void hosts_watch_free(struct hosts_watch *watch);

/* Sets *out to the owned path of the namespace's directory, or NULL when there is none. */
MUST_CHECK int hosts_directory_find(const struct hosts_options *options, const char *name,
	struct hosts_watch *watch, char **out, struct error *err);

/* Reads the certificate files of a directory as Docker does, into one entry without a name. */
MUST_CHECK int hosts_directory_certificates(
	const char *directory, struct host_list *out, struct error *err);
