/* SPDX-License-Identifier: Apache-2.0 */
/* A client certificate with its key, checked for what would else fail at a handshake. */
#include <openssl/err.h>
#include <openssl/x509.h>
#include <string.h>

#include "tls_internal.h"

/* A chain and a key take a few KiB. */
#define FILE_MAX_SIZE (1024 * 1024)
#define CERT_WHAT "client certificate"
#define KEY_WHAT "client key"

static void ssl_ctxp(SSL_CTX **ctx)
{
	SSL_CTX_free(*ctx);
}

void tls_pair_free(struct tls_pair *pair)
{
	free(pair->cert_path);
	X509_free(pair->leaf);
	sk_X509_pop_free(pair->chain, X509_free);
	EVP_PKEY_free(pair->key);
	*pair = (struct tls_pair){0};
}

/* "expired on ..." or NULL. */
static int check_time(const char *path, const X509 *leaf, struct error *err)
{
	char when[40];

	if (X509_cmp_current_time(X509_get0_notAfter(leaf)) <= 0)
		return error_set(err, ERROR_INVALID, CERT_WHAT " %s expired on %s; replace it",
			path, tls_time_text(X509_get0_notAfter(leaf), when, sizeof(when)));
	if (X509_cmp_current_time(X509_get0_notBefore(leaf)) >= 0)
		return error_set(err, ERROR_INVALID,
			CERT_WHAT " %s is not valid before %s; wait, or set this machine's clock",
			path, tls_time_text(X509_get0_notBefore(leaf), when, sizeof(when)));
	return 0;
}

/* Which of the certificates the key belongs to, or -1. */
static int cert_of_key(const struct tls_pem *certs, const EVP_PKEY *key)
{
	for (int i = 0; i < sk_X509_num(certs->certs); i++)
		if (X509_check_private_key(sk_X509_value(certs->certs, i), key) == 1)
			return i;
	return -1;
}

static int check_match(const char *cert_path, const char *key_path, const struct tls_pem *certs,
	const EVP_PKEY *key, struct error *err)
{
	X509 *leaf = sk_X509_value(certs->certs, 0);
	char name[120];
	int i = cert_of_key(certs, key);

	if (i == 0)
		return 0;
	(void)tls_name_text(X509_get_subject_name(leaf), name, sizeof(name));
	if (i > 0)
		return error_set(err, ERROR_INVALID,
			CERT_WHAT " %s is in the wrong order: the key belongs to certificate %d, "
				  "but the first must be the client's own, then its issuers",
			cert_path, i + 1);
	return error_set(err, ERROR_INVALID,
		KEY_WHAT " %s does not belong to the certificate %s (\"%s\")", key_path, cert_path,
		name);
}

static int check_cert_file(
	const char *cert_path, const char *key_path, const struct tls_pem *certs, struct error *err)
{
	if (sk_X509_num(certs->certs) > 0)
		return 0;
	if (certs->key || certs->encrypted_key)
		return error_set(err, ERROR_INVALID,
			CERT_WHAT " %s holds a key but no certificate%s", cert_path,
			strcmp(cert_path, key_path) == 0
				? "; add the certificate, or name two files [[certificate, key]]"
				: "");
	return error_set(err, ERROR_INVALID, CERT_WHAT " %s holds %s but no certificate", cert_path,
		certs->other ? certs->other : "PEM");
}

static int check_key_file(
	const char *cert_path, const char *key_path, const struct tls_pem *keys, struct error *err)
{
	bool same = strcmp(cert_path, key_path) == 0;

	if (keys->key)
		return 0;
	if (keys->encrypted_key)
		return error_set(err, ERROR_INVALID,
			KEY_WHAT " %s needs a password, and nobody is there to type it; remove it: "
				 "openssl pkey -in %s -out NEW.pem",
			key_path, key_path);
	if (same)
		return error_set(err, ERROR_INVALID,
			CERT_WHAT " %s holds no key; add the key to it, or name two files "
				  "[[certificate, key]]",
			cert_path);
	return error_set(err, ERROR_INVALID, KEY_WHAT " %s holds %s but no private key", key_path,
		sk_X509_num(keys->certs) > 0 ? "a certificate"
		: keys->other                ? keys->other
					     : "PEM");
}

static bool swapped(const struct tls_pem *certs, const struct tls_pem *keys)
{
	return sk_X509_num(certs->certs) == 0 && (certs->key || certs->encrypted_key) &&
	       sk_X509_num(keys->certs) > 0 && !keys->key && !keys->encrypted_key;
}

/* What OpenSSL itself would refuse at the handshake: a key or a digest that is too weak. */
static int check_usable(const char *path, const struct tls_pair *pair, struct error *err)
{
	CLEANUP(ssl_ctxp) SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	const char *reason;

	if (!ctx)
		return error_set(err, ERROR_NO_MEMORY, "no memory for " CERT_WHAT " %s", path);
	ERR_clear_error();
	if (SSL_CTX_use_cert_and_key(ctx, pair->leaf, pair->key, pair->chain, 1) == 1)
		return 0;
	reason = ERR_reason_error_string(ERR_peek_last_error());
	ERR_clear_error();
	return error_set(err, ERROR_INVALID, CERT_WHAT " %s cannot be used: %s", path,
		reason ? reason : "OpenSSL gives no reason");
}

static int check_pair(const char *cert_path, const char *key_path, struct tls_pem *certs,
	struct tls_pem *keys, struct error *err)
{
	if (swapped(certs, keys))
		return error_set(err, ERROR_INVALID,
			CERT_WHAT " and key are swapped: %s holds the key and %s the certificate",
			cert_path, key_path);
	if (check_cert_file(cert_path, key_path, certs, err) < 0)
		return -1;
	if (check_key_file(cert_path, key_path, keys, err) < 0)
		return -1;
	if (check_match(cert_path, key_path, certs, keys->key, err) < 0)
		return -1;
	return check_time(cert_path, sk_X509_value(certs->certs, 0), err);
}

static int read_pem(const char *what, const char *path, struct tls_files *files,
	struct tls_pem *out, struct error *err)
{
	CLEANUP(buffer_free) struct buffer bytes = {0};
	int ret;

	if (tls_file_read(files, what, path, FILE_MAX_SIZE, &bytes, err) < 0)
		return -1;
	ret = tls_pem_read(what, path, &bytes, out, err);
	/* It may hold a private key. */
	OPENSSL_cleanse(bytes.data, bytes.size);
	return ret;
}

int tls_pair_load(const struct tls_client_pair *paths, struct tls_files *files,
	struct tls_pair *out, struct error *err)
{
	const char *cert_path = paths->cert_path;
	const char *key_path = paths->key_path && *paths->key_path ? paths->key_path : cert_path;
	CLEANUP(tls_pem_free) struct tls_pem certs = {0};
	CLEANUP(tls_pem_free) struct tls_pem keys = {0};
	CLEANUP(tls_pair_free) struct tls_pair pair = {0};

	if (read_pem(CERT_WHAT, cert_path, files, &certs, err) < 0)
		return -1;
	if (read_pem(KEY_WHAT, key_path, files, &keys, err) < 0)
		return -1;
	if (check_pair(cert_path, key_path, &certs, &keys, err) < 0)
		return -1;

	pair.cert_path = strdup(cert_path);
	pair.leaf = sk_X509_shift(certs.certs);
	pair.chain = TAKE_PTR(certs.certs);
	pair.key = TAKE_PTR(keys.key);
	if (!pair.cert_path)
		return error_set(err, ERROR_NO_MEMORY, "no memory for " CERT_WHAT " %s", cert_path);
	if (check_usable(cert_path, &pair, err) < 0)
		return -1;
	*out = pair;
	pair = (struct tls_pair){0};
	return 0;
}
