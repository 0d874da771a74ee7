/* SPDX-License-Identifier: Apache-2.0 */
/* The certificate authorities that the machine trusts. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"

#include "tls_internal.h"

#define BUNDLE_MAX_SIZE (16 * 1024 * 1024)
#define DIRECTORY_MAX_FILES 4096

/* Where distributions keep the bundle; the first that exists is used, as Go does it. */
static const char *const bundle_paths[] = {
	"/etc/ssl/certs/ca-certificates.crt",                /* Debian, Ubuntu, Arch, Gentoo */
	"/etc/pki/tls/certs/ca-bundle.crt",                  /* Fedora, RHEL */
	"/etc/ssl/ca-bundle.pem",                            /* openSUSE */
	"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", /* RHEL */
	"/etc/ssl/cert.pem",                                 /* Alpine */
};

static int take_certificates(struct tls_system *system, struct tls_pem *pem, struct error *err)
{
	X509 *cert;

	while ((cert = sk_X509_shift(pem->certs))) {
		if (sk_X509_push(system->authorities, cert) <= 0) {
			X509_free(cert);
			return error_set(
				err, ERROR_NO_MEMORY, "no memory for the system's authorities");
		}
	}
	return 0;
}

static int load_file(struct tls_system *system, const char *path, struct error *err)
{
	CLEANUP(buffer_free) struct buffer bytes = {0};
	CLEANUP(tls_pem_free) struct tls_pem pem = {0};

	if (tls_file_read(
		    &system->files, "system authorities", path, BUNDLE_MAX_SIZE, &bytes, err) < 0)
		return -1;
	if (tls_pem_read("system authorities", path, &bytes, &pem, err) < 0)
		return -1;
	return take_certificates(system, &pem, err);
}

/* Other files lie there too, and one that is broken must not take the rest away. */
static int load_directory(struct tls_system *system, const char *path, struct error *err)
{
	DIR *directory = opendir(path);
	struct dirent *entry;
	size_t n_files = 0;

	if (!directory)
		return error_set_errno(err, errno, "system authorities %s", path);
	while ((entry = readdir(directory)) && n_files++ < DIRECTORY_MAX_FILES) {
		CLEANUP(buffer_free) struct buffer file = {0};
		struct error ignored = {0};

		if (entry->d_type == DT_DIR)
			continue;
		if (buffer_printf(&file, "%s/%s", path, entry->d_name) < 0)
			break;
		if (load_file(system, (const char *)file.data, &ignored) < 0)
			log_debug("skipped: %s", ignored.message);
	}
	(void)closedir(directory);
	return 0;
}

static int load_directories(struct tls_system *system, const char *list, struct error *err)
{
	CLEANUP(cleanup_free) char *paths = strdup(list);
	char *rest = paths;
	char *path;

	if (!paths)
		return error_set(err, ERROR_NO_MEMORY, "no memory for the system's authorities");
	while ((path = strsep(&rest, ":")))
		if (*path && load_directory(system, path, err) < 0)
			return -1;
	return 0;
}

static int load_bundle(struct tls_system *system, struct error *err)
{
	for (size_t i = 0; i < sizeof(bundle_paths) / sizeof(bundle_paths[0]); i++)
		if (access(bundle_paths[i], F_OK) == 0)
			return load_file(system, bundle_paths[i], err);
	log_warning("no certificate authorities of the system found (%s and others): only "
		    "configured ones are trusted; installing ca-certificates helps",
		bundle_paths[0]);
	return 0;
}

/* SSL_CERT_FILE and SSL_CERT_DIR replace the system's places, as in OpenSSL and Go. */
static int load(struct tls_system *system, struct error *err)
{
	const char *file = getenv("SSL_CERT_FILE");
	const char *directories = getenv("SSL_CERT_DIR");

	if (file && *file) {
		if (load_file(system, file, err) < 0)
			return error_prefix(err, "SSL_CERT_FILE");
	} else if (!directories || !*directories) {
		return load_bundle(system, err);
	}
	if (directories && *directories && load_directories(system, directories, err) < 0)
		return error_prefix(err, "SSL_CERT_DIR");
	return 0;
}

int tls_system_load(struct tls_system **out, struct error *err)
{
	struct tls_system *system = calloc(1, sizeof(*system));

	if (!system)
		return error_set(err, ERROR_NO_MEMORY, "no memory for the system's authorities");
	atomic_init(&system->refs, 1);
	system->authorities = sk_X509_new_null();
	if (!system->authorities || load(system, err) < 0) {
		tls_system_unref(system);
		return -1;
	}
	*out = system;
	return 0;
}

struct tls_system *tls_system_ref(struct tls_system *system)
{
	(void)atomic_fetch_add(&system->refs, 1);
	return system;
}

void tls_system_unref(struct tls_system *system)
{
	if (!system || atomic_fetch_sub(&system->refs, 1) != 1)
		return;
	sk_X509_pop_free(system->authorities, X509_free);
	tls_files_free(&system->files);
	free(system);
}
