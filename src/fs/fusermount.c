/* SPDX-License-Identifier: Apache-2.0 */
/* Runs fusermount3, which mounts and unmounts FUSE for users who may not, and passes the descriptor
 * of a new mount through a socket. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "fs_internal.h"

extern char **environ;

enum { MESSAGE_SIZE = 400, SOCKET_FD = 3, PATIENCE_S = 30 };

/* A helper under way. */
struct helper {
	pid_t pid;
	int socket; /* the descriptor comes here */
	int output; /* what it has to say */
	char message[MESSAGE_SIZE];
};

static void helper_clear(struct helper *helper)
{
	if (helper->socket >= 0)
		(void)close(helper->socket);
	if (helper->output >= 0)
		(void)close(helper->output);
}

/* Our environment in English, with the number of the socket. Owned by the caller; the strings are
 * not. */
static char **make_environment(void)
{
	static char socket_variable[] = "_FUSE_COMMFD=3";
	static char language_variable[] = "LC_ALL=C";
	char **out;
	size_t n = 0;
	size_t n_out = 0;

	while (environ && environ[n])
		n++;
	out = calloc(n + 3, sizeof(*out));
	if (!out)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		if (strncmp(environ[i], "_FUSE_COMMFD=", 13) != 0 &&
			strncmp(environ[i], "LC_ALL=", 7) != 0)
			out[n_out++] = environ[i];
	}
	out[n_out++] = socket_variable;
	out[n_out] = language_variable;
	return out;
}

static int spawn(struct helper *helper, const char *const *arguments, int its_socket,
	int its_output, struct error *err)
{
	CLEANUP(cleanup_free) char **variables = make_environment();
	posix_spawn_file_actions_t actions;
	int errnum;

	if (!variables)
		return error_set(err, ERROR_NO_MEMORY, "no memory to run fusermount3");
	errnum = posix_spawn_file_actions_init(&actions);
	if (errnum)
		return error_set_errno(err, errnum, "run fusermount3");
	errnum = posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	if (!errnum)
		errnum = posix_spawn_file_actions_adddup2(&actions, its_output, 1);
	if (!errnum)
		errnum = posix_spawn_file_actions_adddup2(&actions, its_output, 2);
	if (!errnum)
		errnum = posix_spawn_file_actions_adddup2(&actions, its_socket, SOCKET_FD);
	if (!errnum)
		errnum = posix_spawnp(&helper->pid, arguments[0], &actions, NULL,
			/* It does not write to them. */
			(char *const *)(uintptr_t)arguments, variables);
	(void)posix_spawn_file_actions_destroy(&actions);
	if (errnum == ENOENT)
		return error_set(err, ERROR_UNSUPPORTED,
			"%s is not installed: only root can mount without it (Debian: apt install "
			"fuse3)",
			arguments[0]);
	if (errnum)
		return error_set_errno(err, errnum, "run %s", arguments[0]);
	return 0;
}

/* What it prints, until it has ended. -ETIMEDOUT when it does not. */
static int read_output(struct helper *helper)
{
	uint64_t deadline_ns = clock_now_ns() + PATIENCE_S * NS_PER_SECOND;
	size_t used = 0;

	for (;;) {
		struct pollfd poll_fd = {.fd = helper->output, .events = POLLIN};
		uint64_t now = clock_now_ns();
		char discarded[256];
		bool full = used == sizeof(helper->message) - 1;
		ssize_t n;

		if (now >= deadline_ns)
			return -ETIMEDOUT;
		if (poll(&poll_fd, 1, (int)((deadline_ns - now) / NS_PER_MS) + 1) <= 0)
			continue;
		n = read(helper->output, full ? discarded : helper->message + used,
			full ? sizeof(discarded) : sizeof(helper->message) - 1 - used);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		if (!full)
			used += (size_t)n;
	}
	while (used > 0 && helper->message[used - 1] == '\n')
		used--;
	helper->message[used] = '\0';
	return 0;
}

static int wait_for(struct helper *helper, const char *name, struct error *err)
{
	int status = 0;
	int ret = read_output(helper);

	if (ret < 0)
		(void)kill(helper->pid, SIGKILL);
	while (waitpid(helper->pid, &status, 0) < 0 && errno == EINTR)
		;
	if (ret < 0)
		return error_set(
			err, ERROR_TIMEOUT, "%s did not end within %d s", name, PATIENCE_S);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	return error_set(err, strstr(helper->message, "busy") ? ERROR_BUSY : ERROR_UNAUTHORIZED,
		"%s: %s", name, helper->message[0] ? helper->message : "failed without a word");
}

static int receive_fd(int from, int *out, struct error *err)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control = {0};
	char byte;
	struct iovec iov = {.iov_base = &byte, .iov_len = 1};
	struct msghdr message = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *header;
	ssize_t n;

	do
		n = recvmsg(from, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	header = n > 0 ? CMSG_FIRSTHDR(&message) : NULL;
	if (!header || header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS ||
		header->cmsg_len != CMSG_LEN(sizeof(int)))
		return error_set(
			err, ERROR_INTERNAL, "fusermount3 succeeded without passing a descriptor");
	memcpy(out, CMSG_DATA(header), sizeof(int));
	return 0;
}

static int start(struct helper *helper, const char *const *arguments, struct error *err)
{
	CLEANUP(cleanup_fd) int its_socket = -1;
	CLEANUP(cleanup_fd) int its_output = -1;
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return error_set_errno(err, errno, "socketpair for %s", arguments[0]);
	helper->socket = pair[0];
	its_socket = pair[1];
	if (pipe2(pair, O_CLOEXEC) < 0)
		return error_set_errno(err, errno, "pipe for %s", arguments[0]);
	helper->output = pair[0];
	its_output = pair[1];
	return spawn(helper, arguments, its_socket, its_output, err);
}

int fusermount_run(const char *const *arguments, int *fd, struct error *err)
{
	CLEANUP(helper_clear) struct helper helper = {.socket = -1, .output = -1};

	if (start(&helper, arguments, err) < 0 || wait_for(&helper, arguments[0], err) < 0)
		return -1;
	return fd ? receive_fd(helper.socket, fd, err) : 0;
}
