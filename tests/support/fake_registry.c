/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP/1.1 with a thread per connection, as much as the tests of faults need. */
#include "support/fake_registry.h"

#include <inttypes.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MAX_CONNECTIONS = 128 };

struct fake_registry {
	fake_answer answer;
	void *arg;
	int listen_fd;
	char host[32];
	pthread_t thread;
	pthread_mutex_t answering; /* one answer at a time */
	pthread_mutex_t lock;
	unsigned n_requests;                /* guarded by lock */
	unsigned n_connections;             /* guarded by lock */
	int fds[MAX_CONNECTIONS];           /* guarded by lock */
	pthread_t threads[MAX_CONNECTIONS]; /* guarded by lock */
};

struct connection {
	struct fake_registry *registry;
	int fd;
};

static void require(bool ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	abort();
}

static bool read_line(int fd, char *out, size_t size)
{
	size_t n = 0;

	while (n + 1 < size && read(fd, out + n, 1) == 1) {
		out[++n] = 0;
		if (out[n - 1] == '\n')
			return true;
	}
	return false;
}

static bool read_body(struct fake_request *request)
{
	char text[24];
	size_t size = fake_header(request, "Content-Length", text, sizeof(text))
			      ? strtoul(text, NULL, 10)
			      : 0;

	require(size < sizeof(request->body), "body too large");
	for (size_t n = 0; n < size;) {
		ssize_t more = read(request->fd, request->body + n, size - n);

		if (more <= 0)
			return false;
		n += (size_t)more;
	}
	request->body[size] = 0;
	return true;
}

static bool read_request(struct fake_request *request)
{
	char line[2048];
	char range[64];
	size_t used = 0;

	if (!read_line(request->fd, line, sizeof(line)) ||
		sscanf(line, "%7s %1023s", request->method, request->path) != 2)
		return false;
	request->headers[0] = 0;
	while (read_line(request->fd, line, sizeof(line)) && strcmp(line, "\r\n") != 0)
		used += (size_t)snprintf(
			request->headers + used, sizeof(request->headers) - used, "%s", line);
	request->has_range =
		fake_header(request, "Range", range, sizeof(range)) &&
		sscanf(range, "bytes=%" SCNu64 "-%" SCNu64, &request->first, &request->last) == 2;
	return read_body(request);
}

static void *serve(void *arg)
{
	struct connection connection = *(struct connection *)arg;
	struct fake_registry *registry = connection.registry;
	struct fake_request request = {.registry = registry, .fd = connection.fd};

	free(arg);
	while (!request.close && read_request(&request)) {
		pthread_mutex_lock(&registry->lock);
		request.number = registry->n_requests++;
		pthread_mutex_unlock(&registry->lock);
		pthread_mutex_lock(&registry->answering);
		registry->answer(&request, registry->arg);
		pthread_mutex_unlock(&registry->answering);
	}
	(void)shutdown(connection.fd, SHUT_RDWR);
	return NULL;
}

static void *accept_all(void *arg)
{
	struct fake_registry *registry = arg;
	int fd;

	while ((fd = accept4(registry->listen_fd, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
		struct connection *connection = malloc(sizeof(*connection));

		require(connection != NULL, "memory");
		*connection = (struct connection){registry, fd};
		pthread_mutex_lock(&registry->lock);
		require(registry->n_connections < MAX_CONNECTIONS, "too many connections");
		registry->fds[registry->n_connections] = fd;
		require(pthread_create(&registry->threads[registry->n_connections], NULL, serve,
				connection) == 0,
			"thread");
		registry->n_connections++;
		pthread_mutex_unlock(&registry->lock);
	}
	return NULL;
}

struct fake_registry *fake_registry_start(fake_answer answer, void *arg)
{
	struct fake_registry *registry = calloc(1, sizeof(*registry));
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(address);

	require(registry != NULL, "memory");
	registry->answer = answer;
	registry->arg = arg;
	pthread_mutex_init(&registry->answering, NULL);
	pthread_mutex_init(&registry->lock, NULL);
	registry->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	require(bind(registry->listen_fd, (struct sockaddr *)&address, size) == 0, "bind");
	require(listen(registry->listen_fd, 64) == 0, "listen");
	require(getsockname(registry->listen_fd, (struct sockaddr *)&address, &size) == 0, "port");
	(void)snprintf(
		registry->host, sizeof(registry->host), "127.0.0.1:%d", ntohs(address.sin_port));
	require(pthread_create(&registry->thread, NULL, accept_all, registry) == 0, "thread");
	return registry;
}

void fake_registry_stop(struct fake_registry *registry)
{
	if (!registry)
		return;
	(void)shutdown(registry->listen_fd, SHUT_RDWR);
	(void)pthread_join(registry->thread, NULL);
	(void)close(registry->listen_fd);
	for (unsigned i = 0; i < registry->n_connections; i++)
		(void)shutdown(registry->fds[i], SHUT_RDWR);
	for (unsigned i = 0; i < registry->n_connections; i++) {
		(void)pthread_join(registry->threads[i], NULL);
		(void)close(registry->fds[i]);
	}
	pthread_mutex_destroy(&registry->answering);
	pthread_mutex_destroy(&registry->lock);
	free(registry);
}

void fake_registry_stopp(struct fake_registry **registry)
{
	fake_registry_stop(*registry);
}

const char *fake_registry_host(const struct fake_registry *registry)
{
	return registry->host;
}

unsigned fake_registry_n_requests(struct fake_registry *registry)
{
	unsigned n;

	pthread_mutex_lock(&registry->lock);
	n = registry->n_requests;
	pthread_mutex_unlock(&registry->lock);
	return n;
}

void fake_send(struct fake_request *request, const void *data, size_t size)
{
	const char *p = data;

	while (size > 0) {
		ssize_t n = send(request->fd, p, size, MSG_NOSIGNAL);

		if (n <= 0)
			return;
		p += n;
		size -= (size_t)n;
	}
}

void fake_reply_head(struct fake_request *request, int status, const char *headers, uint64_t length)
{
	char text[8192];
	int size = snprintf(text, sizeof(text),
		"HTTP/1.1 %d Fake\r\nContent-Length: %" PRIu64 "\r\n%s%s\r\n", status, length,
		request->close ? "Connection: close\r\n" : "", headers);

	require(size >= 0 && (size_t)size < sizeof(text), "headers too large");
	fake_send(request, text, (size_t)size);
}

void fake_reply(struct fake_request *request, int status, const char *headers, const void *body,
	size_t size)
{
	fake_reply_head(request, status, headers, size);
	if (strcmp(request->method, "HEAD") != 0)
		fake_send(request, body, size);
}

void fake_reply_blob(struct fake_request *request, const void *blob, size_t size)
{
	char headers[128];

	if (!request->has_range) {
		fake_reply(request, 200, "", blob, size);
		return;
	}
	require(request->first <= request->last && request->last < size, "range");
	(void)snprintf(headers, sizeof(headers),
		"Content-Range: bytes %" PRIu64 "-%" PRIu64 "/%zu\r\n", request->first,
		request->last, size);
	fake_reply(request, 206, headers, (const char *)blob + request->first,
		request->last - request->first + 1);
}

void fake_hang(struct fake_request *request)
{
	char byte;

	pthread_mutex_unlock(&request->registry->answering);
	while (read(request->fd, &byte, 1) > 0)
		;
	pthread_mutex_lock(&request->registry->answering);
	request->close = true;
}

bool fake_header(const struct fake_request *request, const char *name, char *out, size_t out_size)
{
	size_t name_size = strlen(name);

	for (const char *line = request->headers; *line; line = strchr(line, '\n') + 1) {
		const char *value;

		if (strncasecmp(line, name, name_size) != 0 || line[name_size] != ':')
			continue;
		value = line + name_size + 1;
		value += strspn(value, " ");
		(void)snprintf(out, out_size, "%.*s", (int)strcspn(value, "\r\n"), value);
		return true;
	}
	return false;
}
