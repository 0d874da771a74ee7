/* SPDX-License-Identifier: Apache-2.0 */
/* What is inside a file that should be PEM, and what it is instead. */
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "tls_internal.h"

/* More than the system's bundle, so that no file keeps a worker busy. */
#define MAX_OBJECTS 4096

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

void tls_pem_free(struct tls_pem *pem)
{
	sk_X509_pop_free(pem->certs, X509_free);
	EVP_PKEY_free(pem->key);
	*pem = (struct tls_pem){0};
}

const char *tls_name_text(const X509_NAME *name, char *out, size_t out_size)
{
	CLEANUP(biop) BIO *bio = BIO_new(BIO_s_mem());
	int size;

	out[0] = '\0';
	if (!bio || X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253) < 0)
		return out;
	size = BIO_read(bio, out, (int)out_size - 1);
	out[size > 0 ? size : 0] = '\0';
	return out;
}

const char *tls_time_text(const ASN1_TIME *time, char *out, size_t out_size)
{
	struct tm tm = {0};

	if (ASN1_TIME_to_tm(time, &tm) != 1 ||
		strftime(out, out_size, "%Y-%m-%d %H:%M:%S UTC", &tm) == 0)
		(void)snprintf(out, out_size, "an unreadable date");
	return out;
}

static bool is_der_certificate(const struct buffer *bytes)
{
	const unsigned char *at = bytes->data;
	X509 *cert = d2i_X509(NULL, &at, (long)bytes->size);

	X509_free(cert);
	return cert != NULL;
}

static bool is_der_key(const struct buffer *bytes)
{
	const unsigned char *at = bytes->data;
	EVP_PKEY *key = d2i_AutoPrivateKey(NULL, &at, (long)bytes->size);

	EVP_PKEY_free(key);
	return key != NULL;
}

static bool is_pkcs12(const struct buffer *bytes)
{
	const unsigned char *at = bytes->data;
	PKCS12 *bundle = d2i_PKCS12(NULL, &at, (long)bytes->size);

	PKCS12_free(bundle);
	return bundle != NULL;
}

static int not_pem(
	const char *what, const char *path, const struct buffer *bytes, struct error *err)
{
	if (is_der_certificate(bytes))
		return error_set(err, ERROR_INVALID,
			"%s %s is a certificate in DER, not PEM; convert it: openssl x509 -inform "
			"DER -in %s -out NEW.pem",
			what, path, path);
	if (is_pkcs12(bytes))
		return error_set(err, ERROR_INVALID,
			"%s %s is a PKCS#12 bundle, not PEM; convert it: openssl pkcs12 -nodes -in "
			"%s -out NEW.pem",
			what, path, path);
	if (is_der_key(bytes))
		return error_set(err, ERROR_INVALID,
			"%s %s is a private key in DER, not PEM; convert it: openssl pkey -inform "
			"DER -in %s -out NEW.pem",
			what, path, path);
	return error_set(err, ERROR_INVALID,
		"%s %s is not PEM: nothing in it begins with "
		"\"-----BEGIN\" and ends with \"-----END\"",
		what, path);
}

static int add_certificate(struct tls_pem *pem, const unsigned char *data, long size)
{
	X509 *cert = d2i_X509(NULL, &data, size);

	if (!cert)
		return -1;
	if (sk_X509_push(pem->certs, cert) <= 0) {
		X509_free(cert);
		return -1;
	}
	return 0;
}

static int add_key(struct tls_pem *pem, const char *header, const unsigned char *data, long size)
{
	/* RFC 1421 section 4.6.1.1: how the older formats of OpenSSL say it. */
	if (strstr(header, "ENCRYPTED")) {
		pem->encrypted_key = true;
		return 0;
	}
	if (pem->key)
		return 0;
	pem->key = d2i_AutoPrivateKey(NULL, &data, size);
	return pem->key ? 0 : -1;
}

static bool ends_with(const char *text, const char *end)
{
	size_t text_size = strlen(text);
	size_t end_size = strlen(end);

	return text_size >= end_size && strcmp(text + text_size - end_size, end) == 0;
}

static int add_object(struct tls_pem *pem, const char *name, const char *header,
	const unsigned char *data, long size)
{
	if (strcmp(name, PEM_STRING_X509) == 0 || strcmp(name, PEM_STRING_X509_OLD) == 0)
		return add_certificate(pem, data, size);
	if (strcmp(name, PEM_STRING_PKCS8) == 0)
		pem->encrypted_key = true;
	else if (ends_with(name, "PRIVATE KEY"))
		return add_key(pem, header, data, size);
	else if (strcmp(name, PEM_STRING_X509_REQ) == 0 ||
		 strcmp(name, PEM_STRING_X509_REQ_OLD) == 0)
		pem->other = "a certificate request";
	else if (ends_with(name, "PUBLIC KEY"))
		pem->other = "a public key";
	return 0;
}

static int broken(const char *what, const char *path, size_t n, const char *name, struct error *err)
{
	const char *reason = ERR_reason_error_string(ERR_peek_last_error());

	return error_set(err, ERROR_INVALID, "%s %s: object %zu%s%s cannot be read: %s", what, path,
		n, name ? ", " : "", name ? name : "", reason ? reason : "no reason given");
}

static int read_objects(const char *what, const char *path, BIO *bio, struct tls_pem *pem,
	size_t *n_objects, struct error *err)
{
	for (size_t n = 0; n < MAX_OBJECTS; n++) {
		CLEANUP(opensslp) char *name = NULL;
		CLEANUP(opensslp) char *header = NULL;
		CLEANUP(opensslp) unsigned char *data = NULL;
		long size;

		ERR_clear_error();
		if (PEM_read_bio(bio, &name, &header, &data, &size) != 1) {
			*n_objects = n;
			if (ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE)
				return 0;
			return broken(what, path, n + 1, NULL, err);
		}
		if (add_object(pem, name, header, data, size) < 0)
			return broken(what, path, n + 1, name, err);
	}
	return error_set(
		err, ERROR_INVALID, "%s %s holds more than %d objects", what, path, MAX_OBJECTS);
}

int tls_pem_read(const char *what, const char *path, const struct buffer *bytes,
	struct tls_pem *out, struct error *err)
{
	CLEANUP(biop) BIO *bio = BIO_new_mem_buf(bytes->data, (int)bytes->size);
	CLEANUP(tls_pem_free) struct tls_pem pem = {.certs = sk_X509_new_null()};
	size_t n_objects = 0;
	int ret;

	if (!bio || !pem.certs)
		return error_set(err, ERROR_NO_MEMORY, "no memory for %s %s", what, path);
	ret = read_objects(what, path, bio, &pem, &n_objects, err);
	if (ret == 0 && n_objects == 0)
		ret = not_pem(what, path, bytes, err);
	ERR_clear_error();
	if (ret < 0)
		return -1;
	*out = pem;
	pem = (struct tls_pem){0};
	return 0;
}
