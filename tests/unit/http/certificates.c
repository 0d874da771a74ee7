/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates of every kind, good and bad, for tests only. */
#include "certificates.h"

#include <dirent.h>
#include <fcntl.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void require(bool ok, const char *what)
{
	if (ok)
		return;
	(void)fprintf(stderr, "cannot make %s\n", what);
	abort();
}

static void add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX context;
	X509_EXTENSION *extension;

	X509V3_set_ctx(&context, issuer, cert, NULL, NULL, 0);
	extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
	require(extension && X509_add_ext(cert, extension, -1) == 1, "an extension");
	X509_EXTENSION_free(extension);
}

struct certificate certificate_make(const struct certificate_spec *spec)
{
	static long serial = 1;
	X509 *cert = X509_new();
	EVP_PKEY *key =
		spec->rsa_bits ? EVP_RSA_gen((unsigned)spec->rsa_bits) : EVP_EC_gen("P-256");
	X509 *issuer = spec->issuer ? spec->issuer->cert : cert;
	X509_NAME *name;

	require(cert && key, "a key");
	(void)X509_set_version(cert, X509_VERSION_3);
	(void)ASN1_INTEGER_set(X509_get_serialNumber(cert), serial++);
	(void)X509_gmtime_adj(X509_getm_notBefore(cert), spec->begins_s - 60);
	(void)X509_gmtime_adj(X509_getm_notAfter(cert), spec->ends_s ? spec->ends_s : 3600);
	name = X509_get_subject_name(cert);
	require(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
			(const unsigned char *)spec->name, -1, -1, 0) == 1,
		"a name");
	(void)X509_set_issuer_name(cert, X509_get_subject_name(issuer));
	(void)X509_set_pubkey(cert, key);
	add_extension(cert, issuer, NID_basic_constraints,
		spec->is_authority ? "critical,CA:TRUE" : "CA:FALSE");
	if (spec->alternative)
		add_extension(cert, issuer, NID_subject_alt_name, spec->alternative);
	require(X509_sign(cert, spec->issuer ? spec->issuer->key : key, EVP_sha256()) > 0,
		"a signature");
	return (struct certificate){.cert = cert, .key = key};
}

void certificate_free(struct certificate *certificate)
{
	X509_free(certificate->cert);
	EVP_PKEY_free(certificate->key);
	*certificate = (struct certificate){0};
}

void scratch_open(struct scratch *scratch)
{
	const char *parent = getenv("TMPDIR");

	*scratch = (struct scratch){0};
	(void)snprintf(scratch->directory, sizeof(scratch->directory), "%s/varve-test-http-XXXXXX",
		parent ? parent : "/tmp");
	require(mkdtemp(scratch->directory) != NULL, "a scratch directory");
}

void scratch_close(struct scratch *scratch)
{
	DIR *directory = opendir(scratch->directory);
	struct dirent *entry;

	while (directory && (entry = readdir(directory)))
		if (unlinkat(dirfd(directory), entry->d_name, 0) < 0)
			(void)unlinkat(dirfd(directory), entry->d_name,
				strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..")
					? AT_REMOVEDIR
					: 0);
	(void)closedir(directory);
	(void)rmdir(scratch->directory);
}

const char *scratch_path(struct scratch *scratch, const char *name)
{
	char path[sizeof(scratch->path[0])];

	(void)snprintf(path, sizeof(path), "%s/%s", scratch->directory, name);
	return strcpy(scratch->path[scratch->n_paths++ % 8], path);
}

static FILE *open_append(const char *path)
{
	FILE *file = fopen(path, "a");

	require(file != NULL, path);
	return file;
}

static const char *finish(FILE *file, bool ok, const char *path)
{
	require(fclose(file) == 0 && ok, path);
	return path;
}

const char *write_cert(struct scratch *scratch, const char *name, const X509 *cert)
{
	const char *path = scratch_path(scratch, name);
	FILE *file = open_append(path);

	return finish(file, PEM_write_X509(file, cert) == 1, path);
}

const char *write_key(struct scratch *scratch, const char *name, const EVP_PKEY *key)
{
	const char *path = scratch_path(scratch, name);
	FILE *file = open_append(path);

	return finish(file, PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL) == 1, path);
}

const char *write_encrypted_key(struct scratch *scratch, const char *name, const EVP_PKEY *key)
{
	const char *path = scratch_path(scratch, name);
	FILE *file = open_append(path);
	unsigned char password[] = "password";

	return finish(file,
		PEM_write_PrivateKey(file, key, EVP_aes_128_cbc(), password, 8, NULL, NULL) == 1,
		path);
}

const char *write_text(struct scratch *scratch, const char *name, const char *text)
{
	const char *path = scratch_path(scratch, name);
	FILE *file = open_append(path);

	return finish(file, fputs(text, file) >= 0, path);
}

const char *write_der_cert(struct scratch *scratch, const char *name, const X509 *cert)
{
	const char *path = scratch_path(scratch, name);
	FILE *file = open_append(path);

	return finish(file, i2d_X509_fp(file, cert) == 1, path);
}

const char *write_der_key(struct scratch *scratch, const char *name, const EVP_PKEY *key)
{
	const char *path = scratch_path(scratch, name);
	FILE *file = open_append(path);

	return finish(file, i2d_PrivateKey_fp(file, key) == 1, path);
}

const char *write_pkcs12(
	struct scratch *scratch, const char *name, const struct certificate *certificate)
{
	const char *path = scratch_path(scratch, name);
	FILE *file = open_append(path);
	PKCS12 *bundle = PKCS12_create(
		"password", "name", certificate->key, certificate->cert, NULL, 0, 0, 0, 0, 0);
	bool ok = bundle && i2d_PKCS12_fp(file, bundle) == 1;

	PKCS12_free(bundle);
	return finish(file, ok, path);
}

static int select_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_size,
	const unsigned char *offered, unsigned offered_size, void *arg)
{
	static const unsigned char ours[] = "\x02h2\x08http/1.1";

	(void)ssl;
	(void)arg;
	if (SSL_select_next_proto((unsigned char **)out, out_size, ours, sizeof(ours) - 1, offered,
		    offered_size) != OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_NOACK;
	return SSL_TLSEXT_ERR_OK;
}

SSL_CTX *server_context(const struct server_tls *tls)
{
	SSL_CTX *context = SSL_CTX_new(TLS_server_method());

	require(context != NULL, "a TLS server");
	require(SSL_CTX_use_certificate(context, tls->identity->cert) == 1 &&
			SSL_CTX_use_PrivateKey(context, tls->identity->key) == 1,
		"the identity of a TLS server");
	if (tls->version)
		require(SSL_CTX_set_min_proto_version(context, tls->version) == 1 &&
				SSL_CTX_set_max_proto_version(context, tls->version) == 1,
			"a TLS version");
	if (tls->http2)
		SSL_CTX_set_alpn_select_cb(context, select_protocol, NULL);
	if (!tls->client_authority)
		return context;
	SSL_CTX_set_verify(context,
		SSL_VERIFY_PEER | (tls->require ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0), NULL);
	require(X509_STORE_add_cert(SSL_CTX_get_cert_store(context), tls->client_authority->cert) ==
			1,
		"a trusted authority");
	if (tls->send_authorities)
		require(SSL_CTX_add_client_CA(context, tls->client_authority->cert) == 1,
			"a list of authorities");
	return context;
}
