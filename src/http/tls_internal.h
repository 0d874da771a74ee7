/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <openssl/ssl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/bytes.h"
#include "http/tls.h"

/* Which file was read, so that another one of the same name is noticed. */
struct tls_file {
	char *path; /* owned */
	dev_t dev;
	ino_t ino;
	off_t size;
	struct timespec modified;
	struct timespec changed;
};

struct tls_files {
	struct tls_file *files; /* owned */
	size_t n_files;
};

/* One certificate as it was in a file. Decoding it takes half a millisecond and 25 KiB, and a
 * handshake needs one of the 150 that a system has: it is decoded when it is asked for. */
struct tls_root {
	unsigned char *der; /* owned */
	long der_size;
	size_t subject_off; /* the encoded subject inside der */
	size_t subject_size;
};

/* The system's certificate authorities, read once and shared. Immutable. */
struct tls_system {
	atomic_uint refs;
	struct tls_root *roots; /* owned */
	size_t n_roots;
	struct tls_files files;
};

struct tls_pair {
	char *cert_path;        /* owned */
	X509 *leaf;             /* owned */
	STACK_OF(X509) * chain; /* owned: intermediates, leaf's issuer first */
	EVP_PKEY *key;          /* owned */
};

struct tls_settings {
	atomic_uint refs;
	enum tls_verify verify;
	struct tls_system *system; /* a reference */
	X509_STORE *store;         /* owned: system and configured authorities */
	struct tls_pair *pairs;    /* owned */
	size_t n_pairs;
	struct tls_files files;
};

/* tls_file.c */
/* Reads a whole file and records which one it was. what: "client certificate", for messages. */
MUST_CHECK int tls_file_read(struct tls_files *files, const char *what, const char *path,
	size_t limit, struct buffer *out, struct error *err);
bool tls_files_changed(const struct tls_files *files);
void tls_files_free(struct tls_files *files);

/* tls_pem.c */
struct tls_pem {
	STACK_OF(X509) * certs; /* owned; in the order of the file; never NULL after reading */
	EVP_PKEY *key;          /* owned: the first private key, or NULL */
	bool encrypted_key;     /* there is one that needs a password */
	const char *other;      /* what else was found ("a public key"), or NULL; static text */
};
/* Hostile bytes. what and path are for messages: ERROR_INVALID when nothing in there is PEM. */
MUST_CHECK int tls_pem_read(const char *what, const char *path, const struct buffer *bytes,
	struct tls_pem *out, struct error *err);
void tls_pem_free(struct tls_pem *pem);
/* "CN=..., O=..." for messages; returns out. */
const char *tls_name_text(const X509_NAME *name, char *out, size_t out_size);
/* "2031-01-31 12:00:00 UTC"; returns out. */
const char *tls_time_text(const ASN1_TIME *time, char *out, size_t out_size);

/* tls_pair.c */
MUST_CHECK int tls_pair_load(const struct tls_client_pair *paths, struct tls_files *files,
	struct tls_pair *out, struct error *err);
void tls_pair_free(struct tls_pair *pair);

/* tls_system.c */
MUST_CHECK int tls_system_load(struct tls_system **out, struct error *err);
struct tls_system *tls_system_ref(struct tls_system *system);
void tls_system_unref(struct tls_system *system);

/* tls_lookup.c */
/* Makes store find the system's authorities too; system outlives it. */
MUST_CHECK int tls_lookup_add(X509_STORE *store, struct tls_system *system, struct error *err);

/* What one handshake told, for the message should the connection fail. Shared by the SSL_CTX and
 * the requests on the connection; loop thread only. */
struct tls_handshake {
	unsigned refs;
	struct tls_settings *settings; /* a reference */
	char *host; /* owned: whom the settings are for; a proxy on the way gets no certificate */
	bool client_cert_requested;
	int offered;          /* index of the pair sent, or -1 */
	uint8_t alert;        /* the last fatal alert of the server; 0: none */
	bool plain_http;      /* the server's first bytes were "HTTP/" */
	bool of_proxy;        /* it was with an https proxy on the way */
	long verify_error;    /* X509_V_ERR_*; X509_V_OK when the certificate was accepted */
	char acceptable[160]; /* authorities whose client certificates the server accepts */
	char issuer[120];     /* of the server's certificate that was not accepted */
	char names[160];      /* that the server's certificate is for */
	char expiry[40];      /* time that verify_error is about */
};

/* tls_context.c */
/* Makes ctx use the settings and report into *out (a new reference). */
MUST_CHECK int tls_context_install(SSL_CTX *ctx, struct tls_settings *settings, const char *host,
	struct tls_handshake **out, struct error *err);
/* The report of the context that a connection was made from, or NULL. A new reference. */
struct tls_handshake *tls_handshake_of(SSL *ssl);
void tls_handshake_unref(struct tls_handshake *handshake);
