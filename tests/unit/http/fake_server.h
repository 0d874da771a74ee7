/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>

/* A server on the loopback whose every byte and pause the test decides: each connection is served
 * by a function of the test on a thread of its own. */
struct fake_server;

struct fake_connection {
	struct fake_server *server;
	int fd;
	SSL *ssl;   /* NULL in plain servers and before the handshake */
	int number; /* 0 for the first connection */
};

typedef void (*fake_serve)(struct fake_connection *connection, void *arg);

/* tls: NULL for a plain server; borrowed. With it serve runs after a successful handshake only. */
struct fake_server *fake_server_start(SSL_CTX *tls, fake_serve serve, void *arg);

/* Shuts every connection down, waits for their threads, frees. */
void fake_server_stop(struct fake_server *server);
void fake_server_stopp(struct fake_server **server);

int fake_server_port(const struct fake_server *server);
int fake_server_n_connections(struct fake_server *server);

/* Blocks until n connections have come to their end. */
void fake_server_wait_ended(struct fake_server *server, int n);

/* "http://127.0.0.1:PORT" or "https://localhost:PORT", then path. The text is the server's and
 * valid until the next call. */
const char *fake_server_url(struct fake_server *server, const char *path);

/* Reads the head of one request into out, as a C string; false at the end of the connection. */
bool fake_read_request(struct fake_connection *connection, char *out, size_t out_size);

/* Reads exactly size bytes. */
bool fake_read(struct fake_connection *connection, void *out, size_t size);

void fake_write(struct fake_connection *connection, const void *data, size_t size);
void fake_print(struct fake_connection *connection, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* Blocks until the client closes its side or the server stops. */
void fake_wait_for_close(struct fake_connection *connection);
