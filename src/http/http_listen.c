/* SPDX-License-Identifier: Apache-2.0 */
/* Listening sockets: a unix socket with its permissions, or TCP on the loopback. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "http_server_internal.h"

#define BACKLOG 128

static int unix_address(const char *path, struct sockaddr_un *out, struct error *err)
{
	*out = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof(out->sun_path))
		return error_set(err, ERROR_INVALID,
			"socket %s: its path is longer than the %zu bytes that the kernel takes",
			path, sizeof(out->sun_path) - 1);
	(void)strcpy(out->sun_path, path);
	return 0;
}

static int try_connect(const struct sockaddr_un *address)
{
	CLEANUP(cleanup_fd) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0)
		return -errno;
	return 0;
}

/* Only a socket that nobody serves is removed. */
static int remove_stale(const struct sockaddr_un *address, struct error *err)
{
	const char *path = address->sun_path;
	struct stat status;
	int ret;

	if (lstat(path, &status) < 0)
		return errno == ENOENT ? 0 : error_set_errno(err, errno, "socket %s", path);
	if (!S_ISSOCK(status.st_mode))
		return error_set(err, ERROR_EXISTS,
			"socket %s: a file that is no socket is in its place", path);
	ret = try_connect(address);
	if (ret == 0 || ret == -EAGAIN)
		return error_set(err, ERROR_BUSY, "socket %s: another process serves it", path);
	if (ret != -ECONNREFUSED)
		return error_set_errno(err, -ret, "socket %s: find out who serves it", path);
	if (unlink(path) < 0 && errno != ENOENT)
		return error_set_errno(err, errno, "socket %s: remove the stale one", path);
	return 0;
}

static int listen_unix(struct http_server *server, struct error *err)
{
	const char *path = server->options.unix_socket;
	CLEANUP(cleanup_fd) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un address;
	struct stat status;

	if (fd < 0)
		return error_set_errno(err, errno, "socket %s", path);
	if (unix_address(path, &address, err) < 0)
		return -1;
	if (remove_stale(&address, err) < 0)
		return -1;
	/* Nobody can connect before listen(), so the permissions are in time. */
	if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return error_set_errno(err, errno, "socket %s: bind", path);
	if (chmod(path, server->options.unix_mode) < 0 || lstat(path, &status) < 0 ||
		listen(fd, BACKLOG) < 0)
		return error_set_errno(err, errno, "socket %s: set up", path);

	server->unix_socket = strdup(path);
	if (!server->unix_socket)
		return error_set(err, ERROR_NO_MEMORY, "no memory for socket %s", path);
	server->socket_dev = status.st_dev;
	server->socket_ino = status.st_ino;
	return TAKE_FD(fd);
}

static int loopback_address(const char *text, uint16_t port, struct sockaddr_storage *out,
	socklen_t *size, struct error *err)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)out;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;

	*out = (struct sockaddr_storage){0};
	if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(port);
		*size = sizeof(*v4);
		if (ntohl(v4->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET)
			return 0;
	} else if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1) {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons(port);
		*size = sizeof(*v6);
		if (IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr))
			return 0;
	}
	return error_set(
		err, ERROR_INVALID, "listen on %s: not a numeric address of the loopback", text);
}

static int listen_tcp(struct http_server *server, struct error *err)
{
	const char *text = server->options.address;
	struct sockaddr_storage address;
	socklen_t size;
	CLEANUP(cleanup_fd) int fd = -1;
	const int on = 1;

	if (loopback_address(text, server->options.port, &address, &size, err) < 0)
		return -1;
	fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
		bind(fd, (struct sockaddr *)&address, size) < 0 || listen(fd, BACKLOG) < 0 ||
		getsockname(fd, (struct sockaddr *)&address, &size) < 0)
		return error_set_errno(
			err, errno, "listen on %s port %u", text, server->options.port);
	/* The port is at the same place in both families. */
	server->port = ntohs(((struct sockaddr_in *)&address)->sin_port);
	return TAKE_FD(fd);
}

int http_listen(struct http_server *server, struct error *err)
{
	if (server->options.unix_socket)
		return listen_unix(server, err);
	if (server->options.address)
		return listen_tcp(server, err);
	return error_set(err, ERROR_INVALID, "an HTTP server needs a socket path or an address");
}

void http_listen_cleanup(const struct http_server *server)
{
	struct stat status;

	if (server->unix_socket && lstat(server->unix_socket, &status) == 0 &&
		status.st_dev == server->socket_dev && status.st_ino == server->socket_ino)
		(void)unlink(server->unix_socket);
}
