/* SPDX-License-Identifier: Apache-2.0 */
/* Settings into an SSL_CTX that curl made, and what its handshake tells out of it. */
#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "tls_internal.h"

static int report_index = -1; /* written once, under report_once */
static pthread_once_t report_once = PTHREAD_ONCE_INIT;

static void report_free(
	void *parent, void *report, CRYPTO_EX_DATA *ad, int index, long argl, void *argp)
{
	(void)parent;
	(void)ad;
	(void)index;
	(void)argl;
	(void)argp;
	tls_handshake_unref(report);
}

static void make_report_index(void)
{
	report_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, report_free);
}

void tls_handshake_unref(struct tls_handshake *handshake)
{
	if (!handshake || --handshake->refs > 0)
		return;

	tls_settings_unref(handshake->settings);
	free(handshake->host);
	free(handshake);
}

static struct tls_handshake *report_of(const SSL *ssl)
{
	return report_index < 0 ? NULL : SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), report_index);
}

struct tls_handshake *tls_handshake_of(SSL *ssl)
{
	struct tls_handshake *handshake = report_of(ssl);

	if (handshake)
		handshake->refs++;
	return handshake;
}

/* Appends to a comma-separated text of bounded size; what is not printable ASCII becomes '?'. */
static void list_append(char *list, size_t list_size, const char *text, size_t text_size)
{
	size_t used = strlen(list);

	if (used > 0 && used + 2 < list_size) {
		memcpy(list + used, ", ", 3);
		used += 2;
	}
	for (size_t i = 0; i < text_size && used + 1 < list_size; i++)
		list[used++] = text[i] >= ' ' && text[i] <= '~' ? text[i] : '?';
	list[used] = '\0';
}

static void add_name(struct tls_handshake *handshake, const GENERAL_NAME *name)
{
	const ASN1_STRING *value = NULL;
	char address[INET6_ADDRSTRLEN];
	int size;

	if (name->type == GEN_DNS) {
		value = name->d.dNSName;
		list_append(handshake->names, sizeof(handshake->names),
			(const char *)ASN1_STRING_get0_data(value),
			(size_t)ASN1_STRING_length(value));
		return;
	}
	if (name->type != GEN_IPADD)
		return;
	value = name->d.iPAddress;
	size = ASN1_STRING_length(value);
	if ((size == 4 || size == 16) &&
		inet_ntop(size == 4 ? AF_INET : AF_INET6, ASN1_STRING_get0_data(value), address,
			sizeof(address)))
		list_append(handshake->names, sizeof(handshake->names), address, strlen(address));
}

static void note_names(struct tls_handshake *handshake, X509 *cert)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);

	handshake->names[0] = '\0';
	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++)
		add_name(handshake, sk_GENERAL_NAME_value(names, i));
	GENERAL_NAMES_free(names);
	if (!handshake->names[0])
		(void)tls_name_text(
			X509_get_subject_name(cert), handshake->names, sizeof(handshake->names));
}

static bool is_address(const char *host)
{
	struct in_addr address;

	return host[0] == '[' || inet_pton(AF_INET, host, &address) == 1;
}

/* curl uses the same context function for an https proxy, whom our certificate is not for. Names
 * that are not ASCII are sent in another spelling and cannot be compared. */
static bool is_for_us(const struct tls_handshake *handshake, const SSL *ssl)
{
	const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	const char *host = handshake->host;

	for (const char *at = host; *at; at++)
		if (*at & 0x80)
			return true;
	if (!name)
		return is_address(host);
	return strncasecmp(name, host, strlen(name)) == 0 &&
	       (host[strlen(name)] == '\0' || strcmp(host + strlen(name), ".") == 0);
}

/* Keeps OpenSSL's verdict and records why. */
static int on_verify(int accepted, X509_STORE_CTX *store)
{
	const SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct tls_handshake *handshake = report_of(ssl);
	X509 *cert = X509_STORE_CTX_get_current_cert(store);

	if (!handshake || !cert)
		return accepted;
	handshake->of_proxy = !is_for_us(handshake, ssl);
	if (X509_STORE_CTX_get_error_depth(store) == 0) {
		/* What OpenSSL finds in its queue afterwards, it takes for its own failure. */
		(void)ERR_set_mark();
		note_names(handshake, cert);
		(void)ERR_pop_to_mark();
	}
	if (accepted || handshake->verify_error != X509_V_OK)
		return accepted;
	handshake->verify_error = X509_STORE_CTX_get_error(store);
	(void)tls_name_text(
		X509_get_issuer_name(cert), handshake->issuer, sizeof(handshake->issuer));
	(void)tls_time_text(handshake->verify_error == X509_V_ERR_CERT_NOT_YET_VALID
				    ? X509_get0_notBefore(cert)
				    : X509_get0_notAfter(cert),
		handshake->expiry, sizeof(handshake->expiry));
	return accepted;
}

static void on_info(const SSL *ssl, int where, int value)
{
	struct tls_handshake *handshake = report_of(ssl);
	uint8_t description = (uint8_t)(value & 0xff);

	if (!handshake)
		return;
	if ((where & SSL_CB_READ_ALERT) == SSL_CB_READ_ALERT &&
		description != SSL_AD_CLOSE_NOTIFY && description != SSL_AD_USER_CANCELLED)
		handshake->alert = description;
}

/* Looks at the first record only: a plain HTTP server answers our hello with "HTTP/1.1 400 ...". */
static void on_message(int written, int version, int content_type, const void *data, size_t size,
	SSL *ssl, void *arg)
{
	struct tls_handshake *handshake = report_of(ssl);

	(void)version;
	(void)arg;
	if (written || content_type != SSL3_RT_HEADER)
		return;
	if (handshake && size >= 5 && memcmp(data, "HTTP/", 5) == 0)
		handshake->plain_http = true;
	SSL_set_msg_callback(ssl, NULL);
}

static bool issued_by_one_of(X509 *cert, const STACK_OF(X509_NAME) * authorities)
{
	for (int i = 0; i < sk_X509_NAME_num(authorities); i++)
		if (X509_NAME_cmp(X509_get_issuer_name(cert), sk_X509_NAME_value(authorities, i)) ==
			0)
			return true;
	return false;
}

/* An empty list of authorities allows every certificate (RFC 5246 section 7.4.4). */
static bool authorities_allow(const struct tls_pair *pair, const STACK_OF(X509_NAME) * authorities)
{
	if (sk_X509_NAME_num(authorities) <= 0 || issued_by_one_of(pair->leaf, authorities))
		return true;
	for (int i = 0; i < sk_X509_num(pair->chain); i++)
		if (issued_by_one_of(sk_X509_value(pair->chain, i), authorities))
			return true;
	return false;
}

static bool algorithms_allow(const struct tls_pair *pair, SSL *ssl)
{
	int type = EVP_PKEY_get_base_id(pair->key);
	int n = SSL_get_sigalgs(ssl, 0, NULL, NULL, NULL, NULL, NULL);
	int sign;

	for (int i = 0; i < n; i++) {
		(void)SSL_get_sigalgs(ssl, i, &sign, NULL, NULL, NULL, NULL);
		if (sign == type || (type == EVP_PKEY_RSA && sign == EVP_PKEY_RSA_PSS))
			return true;
	}
	return n <= 0;
}

static bool offer(SSL *ssl, const struct tls_pair *pair)
{
	bool ok;

	(void)ERR_set_mark();
	ok = SSL_use_cert_and_key(ssl, pair->leaf, pair->key, pair->chain, 1) == 1;
	(void)ERR_pop_to_mark();
	return ok;
}

static void note_authorities(
	struct tls_handshake *handshake, const STACK_OF(X509_NAME) * authorities)
{
	char name[120];

	handshake->acceptable[0] = '\0';
	for (int i = 0; i < sk_X509_NAME_num(authorities); i++) {
		(void)tls_name_text(sk_X509_NAME_value(authorities, i), name, sizeof(name));
		list_append(
			handshake->acceptable, sizeof(handshake->acceptable), name, strlen(name));
	}
}

/* The server asks for a client certificate. Returns 1: the handshake goes on, with or without. */
static int on_certificate_request(SSL *ssl, void *arg)
{
	struct tls_handshake *handshake = report_of(ssl);
	const STACK_OF(X509_NAME) * authorities;

	(void)arg;
	if (!handshake || !is_for_us(handshake, ssl))
		return 1;
	authorities = SSL_get0_peer_CA_list(ssl);
	handshake->client_cert_requested = true;
	note_authorities(handshake, authorities);
	for (size_t i = 0; i < handshake->settings->n_pairs; i++) {
		const struct tls_pair *pair = &handshake->settings->pairs[i];

		if (authorities_allow(pair, authorities) && algorithms_allow(pair, ssl) &&
			offer(ssl, pair)) {
			handshake->offered = (int)i;
			return 1;
		}
	}
	return 1;
}

int tls_context_install(SSL_CTX *ctx, struct tls_settings *settings, const char *host,
	struct tls_handshake **out, struct error *err)
{
	struct tls_handshake *handshake;

	(void)pthread_once(&report_once, make_report_index);
	handshake = calloc(1, sizeof(*handshake));
	if (!handshake)
		return error_set(err, ERROR_NO_MEMORY, "no memory for a TLS connection");
	handshake->refs = 1;
	handshake->settings = tls_settings_ref(settings);
	handshake->offered = -1;
	handshake->host = strdup(host);
	if (!handshake->host || report_index < 0 ||
		SSL_CTX_set_ex_data(ctx, report_index, handshake) != 1) {
		tls_handshake_unref(handshake);
		return error_set(err, ERROR_NO_MEMORY, "no memory for a TLS connection");
	}
	handshake->refs++;

	SSL_CTX_set1_cert_store(ctx, settings->store);
	SSL_CTX_set_verify(ctx, SSL_CTX_get_verify_mode(ctx), on_verify);
	SSL_CTX_set_cert_cb(ctx, on_certificate_request, NULL);
	SSL_CTX_set_info_callback(ctx, on_info);
	SSL_CTX_set_msg_callback(ctx, on_message);
	*out = handshake;
	return 0;
}
