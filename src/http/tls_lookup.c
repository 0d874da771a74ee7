/* SPDX-License-Identifier: Apache-2.0 */
/* Finding an authority of the system by its name, during a handshake and without a disk. */
#include <openssl/err.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <string.h>

#include "tls_internal.h"

static X509_LOOKUP_METHOD *method; /* written once, under method_once */
static pthread_once_t method_once = PTHREAD_ONCE_INIT;

/* Byte for byte, as Go compares names (RFC 5280 section 4.1.2.6 asks authorities for it). */
static bool is_named(const struct tls_root *root, const X509_NAME *name)
{
	const unsigned char *der;
	size_t size;

	return X509_NAME_get0_der(name, &der, &size) == 1 && size == root->subject_size &&
	       memcmp(der, root->der + root->subject_off, size) == 0;
}

/* Decodes what has this name into the store, which keeps it. The first one, borrowed from the
 * store, or NULL. */
static X509 *decode_into(X509_STORE *store, const struct tls_system *system, const X509_NAME *name)
{
	X509 *first = NULL;

	for (size_t i = 0; i < system->n_roots; i++) {
		const unsigned char *at = system->roots[i].der;
		X509 *cert;

		if (!is_named(&system->roots[i], name))
			continue;
		cert = d2i_X509(NULL, &at, system->roots[i].der_size);
		if (cert && X509_STORE_add_cert(store, cert) == 1 && !first)
			first = cert;
		X509_free(cert);
	}
	return first;
}

static int get_by_subject(
	X509_LOOKUP *lookup, X509_LOOKUP_TYPE type, const X509_NAME *name, X509_OBJECT *out)
{
	const struct tls_system *system = X509_LOOKUP_get_method_data(lookup);
	X509 *cert;

	if (type != X509_LU_X509)
		return 0;
	/* What fails here only means that nothing was found. */
	(void)ERR_set_mark();
	cert = decode_into(X509_LOOKUP_get_store(lookup), system, name);
	(void)ERR_pop_to_mark();
	if (!cert || X509_OBJECT_set1_X509(out, cert) != 1)
		return 0;
	/* X509_LOOKUP_meth_new(3): the caller takes a reference of its own, so that set1's is one
	 * too many. The store's remains. */
	X509_free(cert);
	return 1;
}

static void make_method(void)
{
	method = X509_LOOKUP_meth_new("authorities of the system");
	if (method && X509_LOOKUP_meth_set_get_by_subject(method, get_by_subject) != 1) {
		X509_LOOKUP_meth_free(method);
		method = NULL;
	}
}

int tls_lookup_add(X509_STORE *store, struct tls_system *system, struct error *err)
{
	X509_LOOKUP *lookup;

	(void)pthread_once(&method_once, make_method);
	lookup = method ? X509_STORE_add_lookup(store, method) : NULL;
	if (!lookup || X509_LOOKUP_set_method_data(lookup, system) != 1)
		return error_set(err, ERROR_NO_MEMORY, "no memory for TLS settings");
	return 0;
}
