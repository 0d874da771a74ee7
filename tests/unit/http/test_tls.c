/* SPDX-License-Identifier: Apache-2.0 */
#include "http/tls.h"

#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "certificates.h"
#include "tls_internal.h"

struct context {
	struct scratch scratch;
	struct certificate authority;
	struct certificate client;
	struct certificate other;
};

static int open_context(void **state)
{
	struct context *context = calloc(1, sizeof(*context));
	const char *bundle;

	assert_non_null(context);
	scratch_open(&context->scratch);
	context->authority = certificate_make(
		&(struct certificate_spec){.name = "test authority", .is_authority = true});
	context->client = certificate_make(
		&(struct certificate_spec){.name = "client", .issuer = &context->authority});
	context->other = certificate_make(
		&(struct certificate_spec){.name = "other", .issuer = &context->authority});
	/* Small, and independent of the machine's own. */
	bundle = write_cert(&context->scratch, "system.crt", context->authority.cert);
	assert_int_equal(setenv("SSL_CERT_FILE", bundle, 1), 0);
	*state = context;
	return 0;
}

static int close_context(void **state)
{
	struct context *context = *state;

	(void)unsetenv("SSL_CERT_FILE");
	(void)unsetenv("SSL_CERT_DIR");
	certificate_free(&context->authority);
	certificate_free(&context->client);
	certificate_free(&context->other);
	scratch_close(&context->scratch);
	free(context);
	return 0;
}

static int load_pair(
	const char *cert_path, const char *key_path, struct tls_settings **out, struct error *err)
{
	const struct tls_client_pair pair = {.cert_path = cert_path, .key_path = key_path};
	const struct tls_settings_options options = {.pairs = &pair, .n_pairs = 1};

	return tls_settings_load(&options, out, err);
}

static int load_authority(const char *path, struct tls_settings **out, struct error *err)
{
	const struct tls_settings_options options = {.ca_paths = &path, .n_ca_paths = 1};

	return tls_settings_load(&options, out, err);
}

static void assert_accepts_pair(const char *cert_path, const char *key_path)
{
	CLEANUP(tls_settings_unrefp) struct tls_settings *settings = NULL;
	struct error err = {0};

	if (load_pair(cert_path, key_path, &settings, &err) < 0)
		fail_msg("%s", err.message);
	assert_int_equal(tls_settings_n_pairs(settings), 1);
}

static void assert_says(const struct error *err, const char *path, const char *reason)
{
	assert_int_equal(err->kind, ERROR_INVALID);
	if (!strstr(err->message, path) || !strstr(err->message, reason))
		fail_msg("\"%s\" lacks \"%s\" or \"%s\"", err->message, path, reason);
}

static void assert_refuses_pair(
	const char *cert_path, const char *key_path, const char *path, const char *reason)
{
	struct tls_settings *settings = NULL;
	struct error err = {0};

	if (load_pair(cert_path, key_path, &settings, &err) == 0)
		fail_msg("accepted %s", cert_path);
	assert_says(&err, path, reason);
	assert_null(settings);
}

static void assert_refuses_authority(const char *path, const char *reason)
{
	struct tls_settings *settings = NULL;
	struct error err = {0};

	if (load_authority(path, &settings, &err) == 0)
		fail_msg("accepted %s", path);
	assert_says(&err, path, reason);
	assert_null(settings);
}

static void loads_a_pair_in_two_files_or_in_one(void **state)
{
	struct context *context = *state;
	struct scratch *scratch = &context->scratch;
	const char *cert = write_cert(scratch, "c.cert", context->client.cert);
	const char *key = write_key(scratch, "c.key", context->client.key);
	const char *both = write_key(scratch, "both.pem", context->client.key);

	(void)write_cert(scratch, "both.pem", context->client.cert);
	assert_accepts_pair(cert, key);
	assert_accepts_pair(both, NULL);
	assert_accepts_pair(both, "");
}

static void loads_a_chain_with_the_leaf_first(void **state)
{
	struct context *context = *state;
	struct scratch *scratch = &context->scratch;
	const char *key = write_key(scratch, "c.key", context->client.key);
	const char *chain = write_cert(scratch, "chain.pem", context->client.cert);

	(void)write_cert(scratch, "chain.pem", context->authority.cert);
	assert_accepts_pair(chain, key);
}

static void loads_rsa_keys_and_text_around_the_pem(void **state)
{
	struct context *context = *state;
	struct scratch *scratch = &context->scratch;
	struct certificate rsa = certificate_make(&(struct certificate_spec){
		.name = "rsa", .issuer = &context->authority, .rsa_bits = 2048});
	const char *cert = write_text(scratch, "c.cert", "subject=CN = rsa\n");
	const char *key = write_key(scratch, "c.key", rsa.key);

	(void)write_cert(scratch, "c.cert", rsa.cert);
	(void)write_text(scratch, "c.cert", "\n# the end\n");
	assert_accepts_pair(cert, key);
	certificate_free(&rsa);
}

static void says_that_a_file_is_missing_empty_or_a_directory(void **state)
{
	struct context *context = *state;
	struct scratch *scratch = &context->scratch;
	const char *missing = scratch_path(scratch, "missing.pem");
	const char *empty = write_text(scratch, "empty.pem", "");
	const char *directory = scratch_path(scratch, "directory");

	assert_int_equal(mkdir(directory, 0700), 0);
	assert_refuses_pair(missing, NULL, missing, "No such file");
	assert_refuses_pair(empty, NULL, empty, "is empty");
	assert_refuses_pair(directory, NULL, directory, "is a directory");
	assert_refuses_authority(missing, "No such file");
	assert_refuses_authority(empty, "is empty");
}

static void says_that_a_file_is_unreadable(void **state)
{
	struct context *context = *state;
	const char *path = write_cert(&context->scratch, "c.pem", context->client.cert);
	bool root = geteuid() == 0;
	struct tls_settings *settings = NULL;
	struct error err = {0};
	int ret;

	assert_int_equal(chmod(path, 0), 0);
	/* Root may read it all the same, so somebody else tries. */
	if (root) {
		assert_int_equal(chmod(context->scratch.directory, 0711), 0);
		assert_int_equal(seteuid(65534), 0);
	}
	ret = load_pair(path, NULL, &settings, &err);
	if (root)
		assert_int_equal(seteuid(0), 0);
	assert_int_equal(ret, -1);
	assert_says(&err, path, "permission denied");
}

static void says_how_to_convert_what_is_not_pem(void **state)
{
	struct context *context = *state;
	struct scratch *scratch = &context->scratch;
	const char *cert = write_cert(scratch, "c.cert", context->client.cert);
	const char *der = write_der_cert(scratch, "c.der", context->client.cert);
	const char *der_key = write_der_key(scratch, "k.der", context->client.key);
	const char *bundle = write_pkcs12(scratch, "c.p12", &context->client);
	const char *text = write_text(scratch, "c.txt", "hello\n");

	assert_refuses_pair(der, NULL, der, "openssl x509 -inform DER -in");
	assert_refuses_pair(cert, der_key, der_key, "openssl pkey -inform DER -in");
	assert_refuses_pair(bundle, NULL, bundle, "openssl pkcs12 -nodes -in");
	assert_refuses_pair(text, NULL, text, "is not PEM");
	assert_refuses_authority(der, "openssl x509 -inform DER -in");
}

static void says_that_certificate_and_key_are_swapped(void **state)
{
	struct context *context = *state;
	struct scratch *scratch = &context->scratch;
	const char *cert = write_cert(scratch, "c.cert", context->client.cert);
	const char *key = write_key(scratch, "c.key", context->client.key);

	assert_refuses_pair(key, cert, key, "are swapped");
	assert_refuses_pair(key, cert, cert, "are swapped");
}

static void says_what_is_missing_from_a_file(void **state)
{
	struct context *context = *state;
	struct scratch *scratch = &context->scratch;
	const char *cert = write_cert(scratch, "c.cert", context->client.cert);
	const char *cert_again = write_cert(scratch, "again.cert", context->client.cert);
	const char *key = write_key(scratch, "c.key", context->client.key);
	const char *request = write_text(scratch, "c.csr",
		"-----BEGIN CERTIFICATE REQUEST-----\nMAA=\n-----END CERTIFICATE REQUEST-----\n");

	assert_refuses_pair(cert, NULL, cert, "holds no key");
	assert_refuses_pair(key, NULL, key, "holds a key but no certificate");
	assert_refuses_pair(key, key, key, "holds a key but no certificate");
	assert_refuses_pair(cert, cert_again, cert_again, "holds a certificate but no private key");
	assert_refuses_pair(request, key, request, "a certificate request but no certificate");
}

static void says_that_a_key_belongs_to_another_certificate(void **state)
{
	struct context *context = *state;
	struct scratch *scratch = &context->scratch;
	const char *cert = write_cert(scratch, "c.cert", context->client.cert);
	const char *key = write_key(scratch, "other.key", context->other.key);

	assert_refuses_pair(cert, key, key, "does not belong to the certificate");
	assert_refuses_pair(cert, key, cert, "CN=client");
}

static void says_that_a_chain_is_in_the_wrong_order(void **state)
{
	struct context *context = *state;
	struct scratch *scratch = &context->scratch;
	const char *chain = write_cert(scratch, "chain.pem", context->authority.cert);
	const char *key = write_key(scratch, "c.key", context->client.key);

	(void)write_cert(scratch, "chain.pem", context->client.cert);
	assert_refuses_pair(chain, key, chain, "wrong order: the key belongs to certificate 2");
}

static void says_when_a_certificate_expired_or_begins(void **state)
{
	struct context *context = *state;
	struct scratch *scratch = &context->scratch;
	struct certificate old = certificate_make(&(struct certificate_spec){
		.name = "old", .issuer = &context->authority, .begins_s = -7200, .ends_s = -3600});
	struct certificate early = certificate_make(&(struct certificate_spec){
		.name = "early", .issuer = &context->authority, .begins_s = 3600, .ends_s = 7200});
	const char *old_pair = write_cert(scratch, "old.pem", old.cert);
	const char *early_pair = write_cert(scratch, "early.pem", early.cert);
	const char *old_authority = write_cert(scratch, "old-ca.pem", old.cert);

	(void)write_key(scratch, "old.pem", old.key);
	(void)write_key(scratch, "early.pem", early.key);
	assert_refuses_pair(old_pair, NULL, old_pair, "expired on 20");
	assert_refuses_pair(early_pair, NULL, early_pair, "is not valid before 20");
	assert_refuses_authority(old_authority, "its certificate expired on 20");
	certificate_free(&old);
	certificate_free(&early);
}

static void says_that_a_key_needs_a_password(void **state)
{
	struct context *context = *state;
	struct scratch *scratch = &context->scratch;
	const char *cert = write_cert(scratch, "c.cert", context->client.cert);
	const char *key = write_encrypted_key(scratch, "c.key", context->client.key);
	const char *old = write_text(scratch, "old.key",
		"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n"
		"DEK-Info: AES-128-CBC,00000000000000000000000000000000\n\nMAA=\n"
		"-----END RSA PRIVATE KEY-----\n");

	assert_refuses_pair(cert, key, key, "needs a password");
	assert_refuses_pair(cert, old, old, "needs a password");
}

static void says_that_pem_is_damaged(void **state)
{
	struct context *context = *state;
	struct scratch *scratch = &context->scratch;
	const char *bad_base64 = write_text(scratch, "bad.pem",
		"-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n");
	const char *bad_der = write_text(scratch, "der.pem",
		"-----BEGIN CERTIFICATE-----\nMAAAAAAA\n-----END CERTIFICATE-----\n");
	const char *cut =
		write_text(scratch, "cut.pem", "-----BEGIN CERTIFICATE-----\nMIIBszCCAVqgAwIB\n");

	assert_refuses_pair(bad_base64, NULL, bad_base64, "cannot be read");
	assert_refuses_pair(bad_der, NULL, bad_der, "object 1, CERTIFICATE cannot be read");
	assert_refuses_pair(cut, NULL, cut, "object 1 cannot be read: bad end line");
}

static void says_that_a_key_is_too_weak_for_openssl(void **state)
{
	struct context *context = *state;
	struct scratch *scratch = &context->scratch;
	struct certificate weak = certificate_make(&(struct certificate_spec){
		.name = "weak", .issuer = &context->authority, .rsa_bits = 1024});
	const char *path = write_cert(scratch, "weak.pem", weak.cert);

	(void)write_key(scratch, "weak.pem", weak.key);
	assert_refuses_pair(path, NULL, path, "ee key too small");
	certificate_free(&weak);
}

static void an_authority_file_needs_a_certificate(void **state)
{
	struct context *context = *state;
	struct scratch *scratch = &context->scratch;
	const char *key = write_key(scratch, "c.key", context->client.key);
	const char *good = write_cert(scratch, "ca.pem", context->authority.cert);
	CLEANUP(tls_settings_unrefp) struct tls_settings *settings = NULL;

	assert_refuses_authority(key, "holds a private key but no certificate");
	(void)write_cert(scratch, "ca.pem", context->other.cert);
	assert_int_equal(load_authority(good, &settings, NULL), 0);
	assert_int_equal(tls_settings_n_pairs(settings), 0);
}

static void several_pairs_are_kept_and_one_bad_pair_refuses_all(void **state)
{
	struct context *context = *state;
	struct scratch *scratch = &context->scratch;
	CLEANUP(tls_settings_unrefp) struct tls_settings *settings = NULL;
	struct tls_settings *none = NULL;
	struct tls_client_pair pairs[] = {
		{write_cert(scratch, "a.cert", context->client.cert),
			write_key(scratch, "a.key", context->client.key)},
		{write_cert(scratch, "b.cert", context->other.cert),
			write_key(scratch, "b.key", context->other.key)},
	};
	const struct tls_settings_options options = {
		.pairs = pairs, .n_pairs = 2, .verify = TLS_VERIFY_SKIP};
	struct error err = {0};

	assert_int_equal(tls_settings_load(&options, &settings, NULL), 0);
	assert_int_equal(tls_settings_n_pairs(settings), 2);
	assert_int_equal(tls_settings_verify(settings), TLS_VERIFY_SKIP);
	pairs[1].key_path = pairs[0].key_path;
	assert_int_equal(tls_settings_load(&options, &none, &err), -1);
	assert_says(&err, pairs[1].cert_path, "does not belong");
}

static void notices_that_a_file_was_replaced_touched_or_removed(void **state)
{
	struct context *context = *state;
	struct scratch *scratch = &context->scratch;
	const char *path = write_cert(scratch, "c.pem", context->client.cert);
	const char *fresh;
	CLEANUP(tls_settings_unrefp) struct tls_settings *first = NULL;
	CLEANUP(tls_settings_unrefp) struct tls_settings *second = NULL;

	(void)write_key(scratch, "c.pem", context->client.key);
	assert_int_equal(load_pair(path, NULL, &first, NULL), 0);
	assert_false(tls_settings_changed(first));

	fresh = write_cert(scratch, "new.pem", context->other.cert);
	(void)write_key(scratch, "new.pem", context->other.key);
	assert_int_equal(rename(fresh, path), 0);
	assert_true(tls_settings_changed(first));

	assert_int_equal(load_pair(path, NULL, &second, NULL), 0);
	assert_false(tls_settings_changed(second));
	assert_int_equal(unlink(path), 0);
	assert_true(tls_settings_changed(second));
}

static void shares_the_systems_authorities_until_they_change(void **state)
{
	struct context *context = *state;
	const struct tls_settings_options plain = {0};
	CLEANUP(tls_settings_unrefp) struct tls_settings *first = NULL;
	CLEANUP(tls_settings_unrefp) struct tls_settings *second = NULL;
	CLEANUP(tls_settings_unrefp) struct tls_settings *third = NULL;
	struct tls_settings_options sharing = {0};

	assert_int_equal(tls_settings_load(&plain, &first, NULL), 0);
	sharing.system_from = first;
	assert_int_equal(tls_settings_load(&sharing, &second, NULL), 0);
	assert_ptr_equal(first->system, second->system);
	(void)write_cert(&context->scratch, "system.crt", context->other.cert);
	assert_true(tls_settings_changed(first));
	assert_int_equal(tls_settings_load(&sharing, &third, NULL), 0);
	assert_ptr_not_equal(first->system, third->system);
}

static void a_directory_of_authorities_may_hold_other_files_too(void **state)
{
	struct context *context = *state;
	const struct tls_settings_options plain = {0};
	CLEANUP(tls_settings_unrefp) struct tls_settings *settings = NULL;

	(void)unsetenv("SSL_CERT_FILE");
	assert_int_equal(setenv("SSL_CERT_DIR", context->scratch.directory, 1), 0);
	(void)write_text(&context->scratch, "README", "not a certificate\n");
	assert_int_equal(tls_settings_load(&plain, &settings, NULL), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_context, close_context)
	const struct CMUnitTest tests[] = {
		TEST(loads_a_pair_in_two_files_or_in_one),
		TEST(loads_a_chain_with_the_leaf_first),
		TEST(loads_rsa_keys_and_text_around_the_pem),
		TEST(says_that_a_file_is_missing_empty_or_a_directory),
		TEST(says_that_a_file_is_unreadable),
		TEST(says_how_to_convert_what_is_not_pem),
		TEST(says_that_certificate_and_key_are_swapped),
		TEST(says_what_is_missing_from_a_file),
		TEST(says_that_a_key_belongs_to_another_certificate),
		TEST(says_that_a_chain_is_in_the_wrong_order),
		TEST(says_when_a_certificate_expired_or_begins),
		TEST(says_that_a_key_needs_a_password),
		TEST(says_that_pem_is_damaged),
		TEST(says_that_a_key_is_too_weak_for_openssl),
		TEST(an_authority_file_needs_a_certificate),
		TEST(several_pairs_are_kept_and_one_bad_pair_refuses_all),
		TEST(notices_that_a_file_was_replaced_touched_or_removed),
		TEST(shares_the_systems_authorities_until_they_change),
		TEST(a_directory_of_authorities_may_hold_other_files_too),
	};
	return cmocka_run_group_tests_name("http/tls", tests, NULL, NULL);
}
