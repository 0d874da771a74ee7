/* SPDX-License-Identifier: Apache-2.0 */
/* A client for the control socket: one HTTP/1.0 request a connection, so that the end of the
 * answer is the end of the connection. */
#include "control/control_client.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/clock.h"
#include "control/report.h"

enum { RESPONSE_LIMIT = 64 << 20, READ_STEP = 64 << 10 };

/* Fills an address for a socket whose path may be too long for one: through its directory. */
static int make_address(const char *path, int *dir_fd, struct sockaddr_un *out)
{
	CLEANUP(cleanup_free) char *dir = strdup(path);
	char *name = dir ? strrchr(dir, '/') : NULL;
	int length;

	*out = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (!dir)
		return -ENOMEM;
	if (!name)
		return -EINVAL;
	*name++ = 0;
	*dir_fd = open(dir[0] ? dir : "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (*dir_fd < 0)
		return -errno;
	length = snprintf(
		out->sun_path, sizeof(out->sun_path), "/proc/self/fd/%d/%s", *dir_fd, name);
	return (size_t)length < sizeof(out->sun_path) ? 0 : -ENAMETOOLONG;
}

/* The descriptor, or -errno. */
static int connect_to(const char *path)
{
	CLEANUP(cleanup_fd) int dir_fd = -1;
	CLEANUP(cleanup_fd) int fd = -1;
	struct sockaddr_un address;
	int result = make_address(path, &dir_fd, &address);

	if (result < 0)
		return result;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;
	return TAKE_FD(fd);
}

/* 0 when fd is ready, -ETIMEDOUT or another -errno. */
static int wait_for(int fd, short events, uint64_t deadline_ns)
{
	for (;;) {
		struct pollfd polled = {.fd = fd, .events = events};
		uint64_t now_ns = clock_now_ns();
		int n;

		if (now_ns >= deadline_ns)
			return -ETIMEDOUT;
		n = poll(&polled, 1, (int)((deadline_ns - now_ns) / NS_PER_MS) + 1);
		if (n > 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return -errno;
	}
}

static int send_all(int fd, const void *data, size_t size, uint64_t deadline_ns)
{
	const char *p = data;

	while (size > 0) {
		ssize_t n = send(fd, p, size, MSG_NOSIGNAL);
		int result = n < 0 ? -errno : 0;

		if (result == -EAGAIN)
			result = wait_for(fd, POLLOUT, deadline_ns);
		if (result < 0 && result != -EINTR)
			return result;
		if (n > 0) {
			p += n;
			size -= (size_t)n;
		}
	}
	return 0;
}

static int receive_all(int fd, struct buffer *out, uint64_t deadline_ns)
{
	for (;;) {
		ssize_t n;
		int result = buffer_reserve(out, READ_STEP);

		if (result < 0)
			return result;
		n = recv(fd, out->data + out->size, READ_STEP, 0);
		if (n == 0)
			return 0;
		if (n > 0) {
			out->size += (size_t)n;
			if (out->size > RESPONSE_LIMIT)
				return -EMSGSIZE;
			continue;
		}
		result = -errno;
		if (result == -EAGAIN)
			result = wait_for(fd, POLLIN, deadline_ns);
		if (result < 0 && result != -EINTR)
			return result;
	}
}

static int exchange(int fd, const char *method, const char *target, uint64_t deadline_ns,
	struct buffer *response)
{
	CLEANUP(buffer_free) struct buffer request = {0};
	int result = buffer_printf(&request,
		"%s %s HTTP/1.0\r\nHost: varve\r\nConnection: close\r\n"
		"Content-Length: 0\r\n\r\n",
		method, target);

	if (result == 0)
		result = send_all(fd, request.data, request.size, deadline_ns);
	if (result == 0)
		result = receive_all(fd, response, deadline_ns);
	return result;
}

/* The value of Content-Length, or -1 when there is none. */
static int64_t content_length(const char *head)
{
	static const char name[] = "content-length:";
	const char *line = head;
	int64_t value = 0;

	while (line && strncasecmp(line, name, sizeof(name) - 1) != 0) {
		line = strchr(line, '\n');
		if (line)
			line++;
	}
	if (!line)
		return -1;
	line += sizeof(name) - 1;
	line += strspn(line, " \t");
	if (*line < '0' || *line > '9')
		return -1;
	for (; *line >= '0' && *line <= '9' && value <= RESPONSE_LIMIT; line++)
		value = value * 10 + (*line - '0');
	return value;
}

/* head: status line and headers, up to and with the empty line. */
static int parse_head(const char *head, int *status, int64_t *length, struct error *err)
{
	if (strncmp(head, "HTTP/1.", 7) != 0 || strspn(head + 7, "01") != 1 || head[8] != ' ' ||
		strspn(head + 9, "0123456789") != 3)
		return error_set(err, ERROR_FORMAT, "the answer is not HTTP");
	*status = (head[9] - '0') * 100 + (head[10] - '0') * 10 + (head[11] - '0');
	*length = content_length(head);
	return 0;
}

int control_response_parse(const void *data, size_t size, int *status, const void **body,
	size_t *body_size, struct error *err)
{
	CLEANUP(cleanup_free) char *head = NULL;
	const char *end = size ? memmem(data, size, "\r\n\r\n", 4) : NULL;
	size_t head_size;
	int64_t length = -1;

	if (!end)
		return error_set(err, ERROR_FORMAT, "the answer is not HTTP");
	head_size = (size_t)(end + 4 - (const char *)data);
	head = strndup(data, head_size);
	if (!head)
		return error_set(err, ERROR_NO_MEMORY, "no memory for an answer");
	if (strlen(head) != head_size)
		return error_set(err, ERROR_FORMAT, "a NUL byte in the head of the answer");
	if (parse_head(head, status, &length, err) < 0)
		return -1;
	if (length < 0 || (uint64_t)length != size - head_size)
		return error_set(err, ERROR_FORMAT,
			"the answer was cut: its process ended while it was sent");
	*body = (const char *)data + head_size;
	*body_size = size - head_size;
	return 0;
}

static int read_answer(const struct buffer *response, struct json **out, struct error *err)
{
	CLEANUP(json_freep) struct json *json = NULL;
	const void *body;
	size_t body_size;
	int status;

	if (control_response_parse(
		    response->data, response->size, &status, &body, &body_size, err) < 0)
		return -1;
	if (json_parse(body, body_size, &json, err) < 0)
		return error_prefix(err, "answer with status %d", status);
	if (status >= 400) {
		struct error theirs;

		if (!report_error_read(json, &theirs))
			return error_set(err, ERROR_INTERNAL, "answered with status %d", status);
		return error_set(err, theirs.kind, "%s", theirs.message);
	}
	*out = TAKE_PTR(json);
	return 0;
}

int control_request(const char *socket, const char *method, const char *target, uint64_t timeout_ns,
	bool *served, struct json **out, struct error *err)
{
	CLEANUP(buffer_free) struct buffer response = {0};
	CLEANUP(cleanup_fd) int fd = connect_to(socket);
	int result;

	*served = fd >= 0;
	if (fd == -ENOENT || fd == -ECONNREFUSED || fd == -ENOTDIR)
		return 0;
	if (fd < 0)
		return error_set_errno(err, -fd, "connect to %s", socket);
	result = exchange(fd, method, target, clock_now_ns() + timeout_ns, &response);
	if (result == -ETIMEDOUT)
		return error_set(err, ERROR_TIMEOUT, "%s: no answer within %ju s", socket,
			(uintmax_t)(timeout_ns / NS_PER_SECOND));
	if (result < 0)
		return error_set_errno(err, -result, "ask %s", socket);
	return read_answer(&response, out, err);
}

int control_target_add(struct buffer *target, const char *name, const char *value)
{
	static const char unreserved[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
					 "0123456789-._~/";
	bool first = !target->data || !strchr((const char *)target->data, '?');
	int result = buffer_printf(target, "%c%s=", first ? '?' : '&', name);

	for (; result == 0 && *value; value++) {
		if (strchr(unreserved, *value))
			result = buffer_append(target, value, 1);
		else
			result = buffer_printf(target, "%%%02X", (unsigned char)*value);
	}
	return result;
}
