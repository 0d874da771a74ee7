/* SPDX-License-Identifier: Apache-2.0 */
/* TLS settings: loaded once, shared, never changed. */
#include "http/tls.h"

#include <openssl/err.h>
#include <string.h>

#include "tls_internal.h"

/* The largest bundles in use are below 1 MiB. */
#define CA_MAX_SIZE (16 * 1024 * 1024)
#define CA_WHAT "certificate authority file"

struct tls_settings *tls_settings_ref(struct tls_settings *settings)
{
	if (settings)
		(void)atomic_fetch_add(&settings->refs, 1);
	return settings;
}

void tls_settings_unref(struct tls_settings *settings)
{
	if (!settings || atomic_fetch_sub(&settings->refs, 1) != 1)
		return;
	for (size_t i = 0; i < settings->n_pairs; i++)
		tls_pair_free(&settings->pairs[i]);
	free(settings->pairs);
	X509_STORE_free(settings->store);
	tls_system_unref(settings->system);
	tls_files_free(&settings->files);
	free(settings);
}

void tls_settings_unrefp(struct tls_settings **settings)
{
	tls_settings_unref(*settings);
}

bool tls_settings_changed(const struct tls_settings *settings)
{
	return tls_files_changed(&settings->files) || tls_files_changed(&settings->system->files);
}

enum tls_verify tls_settings_verify(const struct tls_settings *settings)
{
	return settings->verify;
}

size_t tls_settings_n_pairs(const struct tls_settings *settings)
{
	return settings->n_pairs;
}

static int trust(struct tls_settings *settings, const STACK_OF(X509) * certs, struct error *err)
{
	/* A certificate that is there already counts as added. */
	for (int i = 0; i < sk_X509_num(certs); i++)
		if (X509_STORE_add_cert(settings->store, sk_X509_value(certs, i)) != 1)
			return error_set(
				err, ERROR_NO_MEMORY, "no memory for certificate authorities");
	return 0;
}

static int check_authorities(const char *path, const struct tls_pem *pem, struct error *err)
{
	int n = sk_X509_num(pem->certs);
	const X509 *cert = NULL;
	char when[40];

	if (n == 0)
		return error_set(err, ERROR_INVALID, CA_WHAT " %s holds %s but no certificate",
			path,
			pem->key || pem->encrypted_key ? "a private key"
			: pem->other                   ? pem->other
						       : "PEM");
	for (int i = 0; i < n; i++) {
		cert = sk_X509_value(pem->certs, i);
		if (X509_cmp_current_time(X509_get0_notAfter(cert)) > 0)
			return 0;
	}
	return error_set(err, ERROR_INVALID, CA_WHAT " %s: %s on %s; replace it", path,
		n == 1 ? "its certificate expired" : "all of its certificates expired, the last",
		tls_time_text(X509_get0_notAfter(cert), when, sizeof(when)));
}

static int load_authority(struct tls_settings *settings, const char *path, struct error *err)
{
	CLEANUP(buffer_free) struct buffer bytes = {0};
	CLEANUP(tls_pem_free) struct tls_pem pem = {0};

	if (tls_file_read(&settings->files, CA_WHAT, path, CA_MAX_SIZE, &bytes, err) < 0)
		return -1;
	if (tls_pem_read(CA_WHAT, path, &bytes, &pem, err) < 0)
		return -1;
	if (check_authorities(path, &pem, err) < 0)
		return -1;
	return trust(settings, pem.certs, err);
}

static int load_system(
	struct tls_settings *settings, const struct tls_settings *from, struct error *err)
{
	if (from && !tls_files_changed(&from->system->files))
		settings->system = tls_system_ref(from->system);
	else if (tls_system_load(&settings->system, err) < 0)
		return -1;
	return tls_lookup_add(settings->store, settings->system, err);
}

static int load_pairs(struct tls_settings *settings, const struct tls_settings_options *options,
	struct error *err)
{
	if (options->n_pairs == 0)
		return 0;
	settings->pairs = calloc(options->n_pairs, sizeof(*settings->pairs));
	if (!settings->pairs)
		return error_set(err, ERROR_NO_MEMORY, "no memory for TLS settings");
	for (size_t i = 0; i < options->n_pairs; i++) {
		if (tls_pair_load(&options->pairs[i], &settings->files, &settings->pairs[i], err) <
			0)
			return -1;
		settings->n_pairs++;
	}
	return 0;
}

int tls_settings_load(
	const struct tls_settings_options *options, struct tls_settings **out, struct error *err)
{
	CLEANUP(tls_settings_unrefp) struct tls_settings *settings = NULL;

	settings = calloc(1, sizeof(*settings));
	if (!settings)
		return error_set(err, ERROR_NO_MEMORY, "no memory for TLS settings");
	atomic_init(&settings->refs, 1);
	settings->verify = options->verify;
	settings->store = X509_STORE_new();
	/* Every certificate in the files is an anchor, as in Go, be it an intermediate or the
	 * server's own. */
	if (!settings->store || X509_STORE_set_flags(settings->store,
					X509_V_FLAG_TRUSTED_FIRST | X509_V_FLAG_PARTIAL_CHAIN) != 1)
		return error_set(err, ERROR_NO_MEMORY, "no memory for TLS settings");
	if (load_system(settings, options->system_from, err) < 0)
		return -1;
	for (size_t i = 0; i < options->n_ca_paths; i++)
		if (load_authority(settings, options->ca_paths[i], err) < 0)
			return -1;
	if (load_pairs(settings, options, err) < 0)
		return -1;
	*out = TAKE_PTR(settings);
	return 0;
}
