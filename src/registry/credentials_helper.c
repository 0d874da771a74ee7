/* SPDX-License-Identifier: Apache-2.0 */
/* Credential helpers: `docker-credential-NAME get`, asked on stdin, answered on stdout.
 * Spec: github.com/docker/docker-credential-helpers, README, "Development". */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fdio.h"
#include "base/json.h"
#include "credentials_internal.h"

#define HUB_ADDRESS "https://index.docker.io/v1/"

enum { STDOUT, STDERR, EXIT, N_WATCHED };

/* A helper that runs. Every descriptor is -1 when it is not open. */
struct helper {
	char program[sizeof("docker-credential-") + CREDENTIALS_HELPER_MAX_NAME];
	pid_t pid; /* also of its process group; 0 when there is none to wait for */
	int status;
	struct pollfd watched[N_WATCHED];
	char *output; /* owned; one byte more than the limit and a NUL */
	size_t output_size;
	char complaint[256]; /* the start of what it wrote to stderr */
	size_t complaint_size;
};

static void helper_clear(struct helper *helper)
{
	if (helper->pid > 0) {
		(void)kill(-helper->pid, SIGKILL);
		while (waitpid(helper->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	for (int i = 0; i < N_WATCHED; i++)
		cleanup_fd(&helper->watched[i].fd);
	if (helper->output)
		explicit_bzero(helper->output, CREDENTIALS_HELPER_MAX_OUTPUT + 2);
	free(helper->output);
}

/* A file that holds the question: unlike a pipe it cannot raise SIGPIPE here. */
static int open_question(const char *registry, int *out, struct error *err)
{
	const char *address =
		credentials_is_docker_hub(registry, strlen(registry)) ? HUB_ADDRESS : registry;
	CLEANUP(cleanup_fd) int fd = memfd_create("credential-helper-stdin", MFD_CLOEXEC);
	int result;

	if (fd < 0)
		return error_set_errno(err, errno, "make a file in memory");
	result = fd_pwrite_all(fd, address, strlen(address), 0);
	if (result < 0)
		return error_set_errno(err, -result, "write a file in memory");
	*out = TAKE_FD(fd);
	return 0;
}

/* Our end does not block; the helper's does, as programs expect. */
static int open_pipe(int *ours, int *theirs, struct error *err)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return error_set_errno(err, errno, "make a pipe");
	*ours = ends[0];
	*theirs = ends[1];
	if (fcntl(ends[0], F_SETFL, O_NONBLOCK) < 0)
		return error_set_errno(err, errno, "make a pipe that does not block");
	return 0;
}

/* A process group of its own, so that what a script started ends with it, and the signal state
 * that programs expect. Returns an errno. */
static int spawn(struct helper *helper, const int stdio[3])
{
	char verb[] = "get";
	char *arguments[] = {helper->program, verb, NULL};
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t signals;
	int errnum;

	errnum = posix_spawn_file_actions_init(&actions);
	if (errnum != 0)
		return errnum;
	errnum = posix_spawnattr_init(&attributes);
	for (int i = 0; i < 3 && errnum == 0; i++)
		errnum = posix_spawn_file_actions_adddup2(&actions, stdio[i], i);
	if (errnum == 0) {
		(void)sigemptyset(&signals);
		(void)posix_spawnattr_setsigmask(&attributes, &signals);
		(void)sigaddset(&signals, SIGPIPE);
		/* Ignored where a shell started us in the background. */
		(void)sigaddset(&signals, SIGINT);
		(void)sigaddset(&signals, SIGQUIT);
		(void)posix_spawnattr_setsigdefault(&attributes, &signals);
		(void)posix_spawnattr_setpgroup(&attributes, 0);
		(void)posix_spawnattr_setflags(&attributes,
			POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
		errnum = posix_spawnp(
			&helper->pid, helper->program, &actions, &attributes, arguments, environ);
	}
	if (errnum != 0)
		helper->pid = 0;
	(void)posix_spawnattr_destroy(&attributes);
	(void)posix_spawn_file_actions_destroy(&actions);
	return errnum;
}

static int start(struct helper *helper, const char *registry, bool *installed, struct error *err)
{
	CLEANUP(cleanup_fd) int question = -1;
	CLEANUP(cleanup_fd) int answer = -1;
	CLEANUP(cleanup_fd) int complaint = -1;
	int errnum;

	if (open_question(registry, &question, err) < 0 ||
		open_pipe(&helper->watched[STDOUT].fd, &answer, err) < 0 ||
		open_pipe(&helper->watched[STDERR].fd, &complaint, err) < 0)
		return -1;
	errnum = spawn(helper, (const int[3]){question, answer, complaint});
	/* EACCES also stands for a directory in PATH that this user may not search. */
	*installed = errnum != ENOENT && errnum != EACCES;
	if (!*installed)
		return 0;
	if (errnum != 0)
		return error_set_errno(err, errnum, "start it");
	helper->watched[EXIT].fd = pidfd_open(helper->pid, 0);
	if (helper->watched[EXIT].fd < 0)
		return error_set_errno(err, errno, "wait for it");
	return 0;
}

/* Reads what is there, at least a pipe full of it; closes the descriptor at its end. What is above
 * the size is dropped. It returns while a writer that never stops is still writing. */
static void drain(struct pollfd *watched, char *text, size_t text_size, size_t *used)
{
	char rest[4096];

	for (int i = 0; i < 32 && watched->fd >= 0; i++) {
		bool is_full = *used == text_size;
		ssize_t n = is_full ? read(watched->fd, rest, sizeof(rest))
				    : read(watched->fd, text + *used, text_size - *used);

		if (n > 0 && !is_full)
			*used += (size_t)n;
		if (n > 0 || (n < 0 && errno == EINTR))
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		(void)close(watched->fd);
		watched->fd = -1;
	}
	explicit_bzero(rest, sizeof(rest));
}

static void drain_both(struct helper *helper)
{
	drain(&helper->watched[STDOUT], helper->output, CREDENTIALS_HELPER_MAX_OUTPUT + 1,
		&helper->output_size);
	drain(&helper->watched[STDERR], helper->complaint, sizeof(helper->complaint) - 1,
		&helper->complaint_size);
}

static int reap(struct helper *helper, struct error *err)
{
	pid_t pid;

	do
		pid = waitpid(helper->pid, &helper->status, 0);
	while (pid < 0 && errno == EINTR);
	helper->pid = 0;
	if (pid < 0)
		return error_set_errno(err, errno, "wait for it");
	return 0;
}

/* Until it has ended: a background process it leaves behind may keep the pipes open. */
static int wait_for(struct helper *helper, uint64_t timeout_ns, struct error *err)
{
	uint64_t deadline_ns = clock_now_ns() + timeout_ns;

	while (true) {
		uint64_t now_ns = clock_now_ns();
		int n;

		if (now_ns >= deadline_ns)
			return error_set(err, ERROR_TIMEOUT, "no answer after %.1f s",
				(double)timeout_ns / (double)NS_PER_SECOND);
		n = poll(helper->watched, N_WATCHED,
			(int)((deadline_ns - now_ns + NS_PER_MS - 1) / NS_PER_MS));
		if (n < 0 && errno != EINTR)
			return error_set_errno(err, errno, "wait for it");
		if (n <= 0)
			continue;
		drain_both(helper);
		if (helper->output_size > CREDENTIALS_HELPER_MAX_OUTPUT)
			return error_set(err, ERROR_UNAUTHORIZED,
				"it printed more than the limit of %d bytes",
				CREDENTIALS_HELPER_MAX_OUTPUT);
		if (helper->watched[EXIT].revents == 0)
			continue;
		drain_both(helper);
		return reap(helper, err);
	}
}

/* Helpers print the reason to stdout, shells to stderr. */
static int set_failed(const struct helper *helper, struct error *err)
{
	bool is_json = helper->output[strspn(helper->output, " \t\r\n")] == '{';
	const char *said = helper->output_size > 0 && !is_json ? helper->output : helper->complaint;

	said += strspn(said, " \t\r\n");
	if (WIFSIGNALED(helper->status))
		return error_set(err, ERROR_UNAUTHORIZED, "it was ended by signal %d",
			WTERMSIG(helper->status));
	return error_set(err, ERROR_UNAUTHORIZED, "it failed with status %d%s%.*s",
		WEXITSTATUS(helper->status), said[0] ? ": " : "",
		(int)strnlen(said, strcspn(said, "\r\n") < 200 ? strcspn(said, "\r\n") : 200),
		said);
}

static int read_answer(
	struct helper *helper, struct credential *out, bool *found, struct error *err)
{
	/* The wording is the protocol: libraries compare with it. */
	static const char not_found[] = "credentials not found";

	helper->output[helper->output_size] = '\0';
	helper->complaint[helper->complaint_size] = '\0';
	if (WIFEXITED(helper->status) && WEXITSTATUS(helper->status) == 0) {
		if (credentials_helper_parse(
			    helper->output, helper->output_size, out, found, err) == 0)
			return 0;
		if (err && err->kind == ERROR_FORMAT)
			err->kind = ERROR_UNAUTHORIZED;
		return error_prefix(err, "its answer");
	}
	*found = false;
	if (strstr(helper->output, not_found) || strstr(helper->complaint, not_found))
		return 0;
	return set_failed(helper, err);
}

static int run(struct helper *helper, const char *registry, uint64_t timeout_ns,
	struct credential *out, bool *found, bool *installed, struct error *err)
{
	helper->output = malloc(CREDENTIALS_HELPER_MAX_OUTPUT + 2);
	if (!helper->output)
		return error_set(err, ERROR_NO_MEMORY, "no memory for its answer");
	if (start(helper, registry, installed, err) < 0)
		return -1;
	*found = false;
	if (!*installed)
		return 0;
	if (wait_for(helper, timeout_ns, err) < 0)
		return -1;
	return read_answer(helper, out, found, err);
}

int credentials_helper_get(const char *name, const char *registry, uint64_t timeout_ns,
	struct credential *out, bool *found, bool *installed, struct error *err)
{
	CLEANUP(helper_clear)
	struct helper helper = {.watched = {[STDOUT] = {.fd = -1, .events = POLLIN},
					[STDERR] = {.fd = -1, .events = POLLIN},
					[EXIT] = {.fd = -1, .events = POLLIN}}};

	(void)snprintf(helper.program, sizeof(helper.program), "docker-credential-%s", name);
	if (run(&helper, registry, timeout_ns, out, found, installed, err) < 0)
		return error_prefix(err, "%s get for %s", helper.program, registry);
	return 0;
}

int credentials_helper_parse(
	const void *data, size_t size, struct credential *out, bool *found, struct error *err)
{
	CLEANUP(json_freep) struct json *document = NULL;
	CLEANUP(credential_clear) struct credential credential = {0};
	const char *username;
	const char *secret;

	if (json_parse(data, size, &document, err) < 0)
		return -1;
	username = json_string(json_get(document, "Username"));
	secret = json_string(json_get(document, "Secret"));
	if (!json_is_object(document) || !username || !secret)
		return error_set(err, ERROR_FORMAT,
			"the document lacks \"Username\" or \"Secret\", or one is not a string");
	*found = secret[0] != '\0';
	if (!*found)
		return 0;
	credential.is_identity_token = strcmp(username, "<token>") == 0;
	credential.username = strdup(username);
	credential.secret = strdup(secret);
	if (!credential.username || !credential.secret)
		return error_set(err, ERROR_NO_MEMORY, "no memory for a credential");
	*out = credential;
	credential = (struct credential){0};
	return 0;
}
