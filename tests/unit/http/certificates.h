/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdbool.h>
#include <stddef.h>

/* Keys and certificates made for a test. Whatever cannot be made ends the program. */
struct certificate {
	X509 *cert;
	EVP_PKEY *key;
};

struct certificate_spec {
	const char *name;                 /* CN */
	const char *alternative;          /* "DNS:localhost,IP:127.0.0.1", or NULL */
	const struct certificate *issuer; /* NULL: self-signed */
	bool is_authority;
	long begins_s; /* from now */
	long ends_s;   /* from now; 0: in an hour */
	int rsa_bits;  /* 0: an EC key on P-256 */
};

struct certificate certificate_make(const struct certificate_spec *spec);
void certificate_free(struct certificate *certificate);

/* A directory of the test's own, removed with all its files by scratch_close(). */
struct scratch {
	char directory[128];
	char path[8][192]; /* the last eight results of scratch_path() */
	int n_paths;
};

void scratch_open(struct scratch *scratch);
void scratch_close(struct scratch *scratch);
const char *scratch_path(struct scratch *scratch, const char *name);

/* Each appends to the file, which is made when absent, and returns its path. */
const char *write_cert(struct scratch *scratch, const char *name, const X509 *cert);
const char *write_key(struct scratch *scratch, const char *name, const EVP_PKEY *key);
const char *write_encrypted_key(struct scratch *scratch, const char *name, const EVP_PKEY *key);
const char *write_text(struct scratch *scratch, const char *name, const char *text);
const char *write_der_cert(struct scratch *scratch, const char *name, const X509 *cert);
const char *write_der_key(struct scratch *scratch, const char *name, const EVP_PKEY *key);
const char *write_pkcs12(
	struct scratch *scratch, const char *name, const struct certificate *certificate);

/* Whom a test server is and whom it lets in. */
struct server_tls {
	const struct certificate *identity;
	const struct certificate *client_authority; /* NULL: asks for no certificate */
	bool require;                               /* a client certificate */
	bool send_authorities;                      /* names client_authority in its request */
	bool http2;                                 /* offers h2 */
	int version; /* TLS1_2_VERSION, TLS1_3_VERSION, or 0 for either */
};

SSL_CTX *server_context(const struct server_tls *tls);
