/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "certificates.h"
#include "client_fixture.h"
#include "fake_server.h"

/* A client and everything that makes it trusted or not. */
struct tls_fixture {
	struct fixture fixture;
	struct scratch scratch;
	struct certificate authority; /* of the server and of the good client */
	struct certificate other_authority;
	struct certificate identity; /* for localhost */
	struct certificate client;
	struct certificate stranger; /* by other_authority */
	char authority_path[192];
	char client_path[192]; /* certificate and key */
	char stranger_path[192];
	struct tls_settings *system; /* trusts other_authority only */
};

/* Setup and teardown of a test: *state is a struct tls_fixture. */
int tls_fixture_open(void **state);
int tls_fixture_close(void **state);

/* Writes certificate and key into one file; path takes 192 bytes. */
void tls_fixture_write_pair(struct tls_fixture *context, const char *name,
	const struct certificate *certificate, char *path);

/* Settings that trust the server's authority and have these pairs. */
struct tls_settings *tls_fixture_load(
	struct tls_fixture *context, const char *const *pair_paths, size_t n_pairs);

/* Answers every request with the common name of the client's certificate, or "nobody". */
struct tls_server {
	SSL_CTX *context;
	struct fake_server *fake;
	const char *url;
};

void tls_server_open(struct tls_server *server, const struct server_tls *tls);
void tls_server_close(struct tls_server *server);
