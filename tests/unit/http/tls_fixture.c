/* SPDX-License-Identifier: Apache-2.0 */
/* Authorities, a server and clients that know or do not know each other. */
#include "tls_fixture.h"

#include "support/test.h"

#include <stdlib.h>
#include <string.h>

enum { REQUEST_SIZE = 8192 };

void tls_fixture_write_pair(struct tls_fixture *context, const char *name,
	const struct certificate *certificate, char *path)
{
	(void)write_key(&context->scratch, name, certificate->key);
	(void)strcpy(path, write_cert(&context->scratch, name, certificate->cert));
}

int tls_fixture_open(void **state)
{
	static const struct http_client_options options = {0};
	static const struct tls_settings_options defaults = {0};
	struct tls_fixture *context = calloc(1, sizeof(*context));

	assert_non_null(context);
	scratch_open(&context->scratch);
	context->authority = certificate_make(
		&(struct certificate_spec){.name = "first authority", .is_authority = true});
	context->other_authority = certificate_make(
		&(struct certificate_spec){.name = "second authority", .is_authority = true});
	context->identity = certificate_make(&(struct certificate_spec){.name = "server",
		.alternative = "DNS:localhost,IP:127.0.0.1",
		.issuer = &context->authority});
	context->client = certificate_make(
		&(struct certificate_spec){.name = "client", .issuer = &context->authority});
	context->stranger = certificate_make(&(struct certificate_spec){
		.name = "stranger", .issuer = &context->other_authority});
	tls_fixture_write_pair(context, "client.pem", &context->client, context->client_path);
	tls_fixture_write_pair(context, "stranger.pem", &context->stranger, context->stranger_path);
	(void)strcpy(context->authority_path,
		write_cert(&context->scratch, "ca.pem", context->authority.cert));
	(void)setenv("SSL_CERT_FILE",
		write_cert(&context->scratch, "system.pem", context->other_authority.cert), 1);
	assert_int_equal(tls_settings_load(&defaults, &context->system, NULL), 0);
	fixture_open(&context->fixture, &options);
	*state = context;
	return 0;
}

int tls_fixture_close(void **state)
{
	struct tls_fixture *context = *state;

	fixture_close(&context->fixture);
	tls_settings_unref(context->system);
	certificate_free(&context->authority);
	certificate_free(&context->other_authority);
	certificate_free(&context->identity);
	certificate_free(&context->client);
	certificate_free(&context->stranger);
	scratch_close(&context->scratch);
	(void)unsetenv("SSL_CERT_FILE");
	free(context);
	return 0;
}

struct tls_settings *tls_fixture_load(
	struct tls_fixture *context, const char *const *pair_paths, size_t n_pairs)
{
	const char *ca_path = context->authority_path;
	struct tls_client_pair pairs[4];
	const struct tls_settings_options options = {.ca_paths = &ca_path,
		.n_ca_paths = 1,
		.pairs = pairs,
		.n_pairs = n_pairs,
		.system_from = context->system};
	struct tls_settings *settings = NULL;
	struct error err = {0};

	for (size_t i = 0; i < n_pairs; i++)
		pairs[i] = (struct tls_client_pair){.cert_path = pair_paths[i]};
	if (tls_settings_load(&options, &settings, &err) < 0)
		fail_msg("%s", err.message);
	return settings;
}

static void serve_name(struct fake_connection *connection, void *arg)
{
	char head[REQUEST_SIZE];
	char name[64] = "nobody";

	(void)arg;
	while (fake_read_request(connection, head, sizeof(head))) {
		X509 *peer = SSL_get1_peer_certificate(connection->ssl);

		if (peer)
			(void)X509_NAME_get_text_by_NID(
				X509_get_subject_name(peer), NID_commonName, name, sizeof(name));
		X509_free(peer);
		fake_print(connection, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s",
			strlen(name), name);
	}
}

void tls_server_open(struct tls_server *server, const struct server_tls *tls)
{
	server->context = server_context(tls);
	server->fake = fake_server_start(server->context, serve_name, NULL);
	server->url = fake_server_url(server->fake, "/v2/");
}

void tls_server_close(struct tls_server *server)
{
	fake_server_stop(server->fake);
	SSL_CTX_free(server->context);
}
