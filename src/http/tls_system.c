/* SPDX-License-Identifier: Apache-2.0 */
/* The certificate authorities that the machine trusts. */
#include <dirent.h>
#include <errno.h>
#include <openssl/asn1.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"

#include "tls_internal.h"

#define BUNDLE_MAX_SIZE (16 * 1024 * 1024)
#define BUNDLE_MAX_CERTIFICATES 4096
#define DIRECTORY_MAX_FILES 4096

/* Where distributions keep the bundle; the first that exists is used, as Go does it. */
static const char *const bundle_paths[] = {
	"/etc/ssl/certs/ca-certificates.crt",                /* Debian, Ubuntu, Arch, Gentoo */
	"/etc/pki/tls/certs/ca-bundle.crt",                  /* Fedora, RHEL */
	"/etc/ssl/ca-bundle.pem",                            /* openSUSE */
	"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", /* RHEL */
	"/etc/ssl/cert.pem",                                 /* Alpine */
};

static void biop(BIO **bio)
{
	(void)BIO_free(*bio);
}

static void opensslp(void *p)
{
	void *owned;

	memcpy(&owned, p, sizeof(owned));
	OPENSSL_free(owned);
}

/* Reads the header of a value: its content is [*at, *at + *size) then, inside of end. */
static bool der_header(
	const unsigned char **at, const unsigned char *end, int *tag, int *class, long *size)
{
	/* 0x80: not a header of DER. */
	return *at < end && !(ASN1_get_object(at, size, tag, class, end - *at) & 0x80) &&
	       *size <= end - *at;
}

static bool der_skip(const unsigned char **at, const unsigned char *end)
{
	int tag;
	int class;
	long size;

	if (!der_header(at, end, &tag, &class, &size))
		return false;
	*at += size;
	return true;
}

/* Steps over a value of this tag, or into it. */
static bool der_step(const unsigned char **at, const unsigned char *end, int expected, bool into)
{
	int tag;
	int class;
	long size;

	if (!der_header(at, end, &tag, &class, &size) || class != V_ASN1_UNIVERSAL ||
		tag != expected)
		return false;
	if (!into)
		*at += size;
	return true;
}

/* RFC 5280 section 4.1: the subject is the fifth field of tbsCertificate, after an optional
 * version. False when this is no certificate. */
static bool find_subject(struct tls_root *root)
{
	const unsigned char *at = root->der;
	const unsigned char *end = at + root->der_size;
	const unsigned char *subject;
	const int version = V_ASN1_CONTEXT_SPECIFIC | V_ASN1_CONSTRUCTED;

	if (!der_step(&at, end, V_ASN1_SEQUENCE, true) ||
		!der_step(&at, end, V_ASN1_SEQUENCE, true))
		return false;
	if (at < end && *at == version && !der_skip(&at, end))
		return false;
	if (!der_step(&at, end, V_ASN1_INTEGER, false) ||      /* serial number */
		!der_step(&at, end, V_ASN1_SEQUENCE, false) || /* signature algorithm */
		!der_step(&at, end, V_ASN1_SEQUENCE, false) || /* issuer */
		!der_step(&at, end, V_ASN1_SEQUENCE, false))   /* validity */
		return false;
	subject = at;
	if (!der_step(&at, end, V_ASN1_SEQUENCE, false))
		return false;
	root->subject_off = (size_t)(subject - root->der);
	root->subject_size = (size_t)(at - subject);
	return true;
}

/* Leaf function: -EINVAL when der is no certificate. */
static int add_root(struct tls_system *system, const unsigned char *der, long der_size)
{
	/* A copy, because OpenSSL's buffer has room for three times as much. */
	CLEANUP(cleanup_free) unsigned char *copy = malloc((size_t)der_size + 1);
	struct tls_root root = {.der = copy, .der_size = der_size};
	struct tls_root *grown;

	if (!copy)
		return -ENOMEM;
	memcpy(copy, der, (size_t)der_size);
	if (!find_subject(&root))
		return -EINVAL;
	grown = reallocarray(system->roots, system->n_roots + 1, sizeof(*system->roots));
	if (!grown)
		return -ENOMEM;
	system->roots = grown;
	system->roots[system->n_roots++] = root;
	(void)TAKE_PTR(copy);
	return 0;
}

static bool is_certificate(const char *name)
{
	return strcmp(name, PEM_STRING_X509) == 0 || strcmp(name, PEM_STRING_X509_OLD) == 0;
}

/* One that is broken must not take the rest away. 1: there may be more, 0: the end, -ENOMEM. */
static int read_root(struct tls_system *system, const char *path, BIO *bio)
{
	CLEANUP(opensslp) char *name = NULL;
	CLEANUP(opensslp) char *header = NULL;
	CLEANUP(opensslp) unsigned char *der = NULL;
	long der_size;
	int ret;

	ERR_clear_error();
	if (PEM_read_bio(bio, &name, &header, &der, &der_size) != 1) {
		if (ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE)
			return 0;
		log_warning("system authorities %s: skipped a damaged one", path);
		return 1;
	}
	if (!is_certificate(name))
		return 1;
	ret = add_root(system, der, der_size);
	if (ret == -EINVAL)
		log_warning("system authorities %s: skipped one that is no certificate", path);
	return ret == -ENOMEM ? ret : 1;
}

static int load_file(struct tls_system *system, const char *path, struct error *err)
{
	CLEANUP(buffer_free) struct buffer bytes = {0};
	CLEANUP(biop) BIO *bio = NULL;
	size_t n_before = system->n_roots;
	int ret = 1;

	if (tls_file_read(
		    &system->files, "system authorities", path, BUNDLE_MAX_SIZE, &bytes, err) < 0)
		return -1;
	bio = BIO_new_mem_buf(bytes.data, (int)bytes.size);
	for (size_t i = 0; bio && ret == 1 && i < BUNDLE_MAX_CERTIFICATES; i++)
		ret = read_root(system, path, bio);
	ERR_clear_error();
	if (!bio || ret < 0)
		return error_set(err, ERROR_NO_MEMORY, "no memory for system authorities");
	if (system->n_roots == n_before)
		return error_set(err, ERROR_INVALID,
			"system authorities %s: no certificate in PEM is inside", path);
	return 0;
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
	if (load(system, err) < 0) {
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
	for (size_t i = 0; i < system->n_roots; i++)
		free(system->roots[i].der);
	free(system->roots);
	tls_files_free(&system->files);
	free(system);
}
