/* SPDX-License-Identifier: Apache-2.0 */
/* A server with a thread per connection, for tests only. */
#include "fake_server.h"

#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MAX_CONNECTIONS = 512 };

struct slot {
	struct fake_connection connection;
	pthread_t thread;
};

struct fake_server {
	SSL_CTX *tls; /* borrowed */
	fake_serve serve;
	void *arg;
	int listen_fd;
	int port;
	pthread_t thread;
	char url[512];
	pthread_mutex_t lock;
	struct slot slots[MAX_CONNECTIONS]; /* guarded by lock, connections apart */
	int n_slots;                        /* guarded by lock */
	int n_ended;                        /* guarded by lock */
	pthread_cond_t ended;
};

static void require(bool ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	abort();
}

static void *serve_one(void *arg)
{
	struct slot *slot = arg;
	struct fake_connection *connection = &slot->connection;
	struct fake_server *server = connection->server;

	if (server->tls) {
		connection->ssl = SSL_new(server->tls);
		require(connection->ssl && SSL_set_fd(connection->ssl, connection->fd) == 1, "SSL");
	}
	if (!connection->ssl || SSL_accept(connection->ssl) == 1)
		server->serve(connection, server->arg);
	if (connection->ssl)
		(void)SSL_shutdown(connection->ssl);
	SSL_free(connection->ssl);
	connection->ssl = NULL;
	/* Closed by fake_server_stop(), which may be using the number. */
	(void)shutdown(connection->fd, SHUT_RDWR);
	(void)pthread_mutex_lock(&server->lock);
	server->n_ended++;
	(void)pthread_cond_broadcast(&server->ended);
	(void)pthread_mutex_unlock(&server->lock);
	return NULL;
}

static void *accept_all(void *arg)
{
	struct fake_server *server = arg;
	sigset_t broken_pipe;
	int fd;

	/* OpenSSL writes to sockets that the client has closed. Inherited by serve_one(), and not
	 * ignored in the whole process, because the client must not raise it. */
	(void)sigemptyset(&broken_pipe);
	(void)sigaddset(&broken_pipe, SIGPIPE);
	(void)pthread_sigmask(SIG_BLOCK, &broken_pipe, NULL);
	while ((fd = accept4(server->listen_fd, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
		struct slot *slot;

		(void)pthread_mutex_lock(&server->lock);
		require(server->n_slots < MAX_CONNECTIONS, "too many connections");
		slot = &server->slots[server->n_slots];
		slot->connection = (struct fake_connection){
			.server = server, .fd = fd, .number = server->n_slots};
		server->n_slots++;
		require(pthread_create(&slot->thread, NULL, serve_one, slot) == 0, "thread");
		(void)pthread_mutex_unlock(&server->lock);
	}
	return NULL;
}

struct fake_server *fake_server_start(SSL_CTX *tls, fake_serve serve, void *arg)
{
	struct fake_server *server = calloc(1, sizeof(*server));
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(address);

	require(server != NULL, "memory");
	server->tls = tls;
	server->serve = serve;
	server->arg = arg;
	(void)pthread_mutex_init(&server->lock, NULL);
	(void)pthread_cond_init(&server->ended, NULL);
	server->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	require(bind(server->listen_fd, (struct sockaddr *)&address, size) == 0, "bind");
	require(listen(server->listen_fd, 64) == 0, "listen");
	require(getsockname(server->listen_fd, (struct sockaddr *)&address, &size) == 0, "port");
	server->port = ntohs(address.sin_port);
	require(pthread_create(&server->thread, NULL, accept_all, server) == 0, "thread");
	return server;
}

void fake_server_stop(struct fake_server *server)
{
	if (!server)
		return;

	(void)shutdown(server->listen_fd, SHUT_RDWR);
	(void)pthread_join(server->thread, NULL);
	(void)close(server->listen_fd);
	for (int i = 0; i < server->n_slots; i++)
		(void)shutdown(server->slots[i].connection.fd, SHUT_RDWR);
	for (int i = 0; i < server->n_slots; i++) {
		(void)pthread_join(server->slots[i].thread, NULL);
		(void)close(server->slots[i].connection.fd);
	}
	(void)pthread_mutex_destroy(&server->lock);
	(void)pthread_cond_destroy(&server->ended);
	free(server);
}

void fake_server_stopp(struct fake_server **server)
{
	fake_server_stop(*server);
}

int fake_server_port(const struct fake_server *server)
{
	return server->port;
}

int fake_server_n_connections(struct fake_server *server)
{
	int n;

	(void)pthread_mutex_lock(&server->lock);
	n = server->n_slots;
	(void)pthread_mutex_unlock(&server->lock);
	return n;
}

void fake_server_wait_ended(struct fake_server *server, int n)
{
	(void)pthread_mutex_lock(&server->lock);
	while (server->n_ended < n)
		(void)pthread_cond_wait(&server->ended, &server->lock);
	(void)pthread_mutex_unlock(&server->lock);
}

const char *fake_server_url(struct fake_server *server, const char *path)
{
	(void)snprintf(server->url, sizeof(server->url), "%s:%d%s",
		server->tls ? "https://localhost" : "http://127.0.0.1", server->port, path);
	return server->url;
}

static ssize_t read_some(struct fake_connection *connection, void *out, size_t size)
{
	if (connection->ssl)
		return SSL_read(connection->ssl, out, (int)size);
	return read(connection->fd, out, size);
}

bool fake_read(struct fake_connection *connection, void *out, size_t size)
{
	char *at = out;

	while (size > 0) {
		ssize_t n = read_some(connection, at, size);

		if (n <= 0)
			return false;
		at += n;
		size -= (size_t)n;
	}
	return true;
}

bool fake_read_request(struct fake_connection *connection, char *out, size_t out_size)
{
	for (size_t used = 0; used + 1 < out_size;) {
		if (!fake_read(connection, out + used, 1))
			return false;
		out[++used] = '\0';
		if (used >= 4 && strcmp(out + used - 4, "\r\n\r\n") == 0)
			return true;
	}
	return false;
}

void fake_write(struct fake_connection *connection, const void *data, size_t size)
{
	const char *at = data;

	while (size > 0) {
		ssize_t n = connection->ssl ? SSL_write(connection->ssl, at, (int)size)
					    : send(connection->fd, at, size, MSG_NOSIGNAL);

		if (n <= 0)
			return;
		at += n;
		size -= (size_t)n;
	}
}

void fake_print(struct fake_connection *connection, const char *fmt, ...)
{
	char text[4096];
	va_list ap;
	int size;

	va_start(ap, fmt);
	size = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	require(size >= 0 && (size_t)size < sizeof(text), "text");
	fake_write(connection, text, (size_t)size);
}

void fake_wait_for_close(struct fake_connection *connection)
{
	struct pollfd poll_fd = {.fd = connection->fd, .events = POLLRDHUP};

	while (poll(&poll_fd, 1, -1) < 0)
		;
}
