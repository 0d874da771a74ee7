/* SPDX-License-Identifier: Apache-2.0 */
/* `varve mount --detach`: the mount is served by a child, which tells its parent how it goes. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/error_map.h"
#include "base/fdio.h"
#include "base/log.h"
#include "mount_internal.h"

enum { MAX_LOGS = 16, READY_LIMIT = 32 << 10 };

enum message_kind { MESSAGE_PROGRESS, MESSAGE_READY, MESSAGE_ERROR };

/* One packet from child to parent; the same program on both ends. */
struct message {
	enum message_kind kind;
	enum image_step step;
	size_t n;
	size_t total;
	struct error err;
	char log[PATH_MAX];
	char ready[READY_LIMIT]; /* JSON text */
};

/* The child's end. */
struct child {
	struct mount_plan *plan;
	int socket; /* -1 once the parent heard the last word */
	struct message message;
};

static void tell(struct child *child, enum message_kind kind)
{
	child->message.kind = kind;
	(void)snprintf(child->message.log, PATH_MAX, "%s", child->plan->log);
	/* A parent that was killed hears nothing, and the mount goes on. */
	if (child->socket >= 0)
		(void)!send(child->socket, &child->message, sizeof(child->message), MSG_NOSIGNAL);
}

static void on_progress(void *arg, enum image_step step, size_t n, size_t total)
{
	struct child *child = arg;

	child->message.step = step;
	child->message.n = n;
	child->message.total = total;
	tell(child, MESSAGE_PROGRESS);
}

static void on_ready(void *arg, const struct report_mount *mount)
{
	struct child *child = arg;
	struct json *ready = mount_ready_json(child->plan, mount);
	CLEANUP(buffer_free) struct buffer text = {0};

	if (json_write(ready, false, &text, &child->message.err) < 0 || text.size >= READY_LIMIT)
		log_warning("whoever started this process is not told details");
	else
		memcpy(child->message.ready, text.data, text.size + 1);
	json_free(ready);
	tell(child, MESSAGE_READY);
	cleanup_fd(&child->socket);
	child->socket = -1;
}

/* A log in a directory of logs. */
struct old_log {
	char name[64];
	time_t written;
};

static int newest_first(const void *a, const void *b)
{
	const struct old_log *x = a, *y = b;

	return x->written > y->written ? -1 : x->written < y->written;
}

/* The log of a process that is alive is not old. */
static bool is_old_log(int dir_fd, const char *name, struct old_log *out)
{
	struct stat status;
	int pid, end = 0;

	if (sscanf(name, "mount-%d.log%n", &pid, &end) != 1 || end == 0 || name[end] ||
		strlen(name) >= sizeof(out->name) || pid <= 0 || kill(pid, 0) == 0 ||
		errno != ESRCH || fstatat(dir_fd, name, &status, AT_SYMLINK_NOFOLLOW) < 0)
		return false;
	(void)snprintf(out->name, sizeof(out->name), "%s", name);
	out->written = status.st_mtime;
	return true;
}

/* Leaves room for one more. */
static void remove_old_logs(const char *path)
{
	DIR *dir = opendir(path);
	struct old_log *logs = NULL;
	struct dirent *entry;
	size_t n = 0;

	while (dir && (entry = readdir(dir))) {
		struct old_log *more = reallocarray(logs, n + 1, sizeof(*logs));

		if (!more)
			break;
		logs = more;
		n += is_old_log(dirfd(dir), entry->d_name, &logs[n]);
	}
	if (n > 1)
		qsort(logs, n, sizeof(*logs), newest_first);
	for (size_t i = MAX_LOGS - 1; i < n; i++)
		(void)unlinkat(dirfd(dir), logs[i].name, 0);
	free(logs);
	if (dir)
		(void)closedir(dir);
}

/* In the store; where that cannot be written to, in the run directory. */
static int open_log(struct mount_plan *plan, struct error *err)
{
	const char *const parents[] = {plan->store_dir, plan->run_dir};
	char dir[PATH_MAX];
	int fd = -1;

	for (size_t i = 0; i < 2 && fd < 0; i++) {
		(void)snprintf(dir, sizeof(dir), "%.*s/log", PATH_MAX - 64, parents[i]);
		if (directory_make(dir, 0700, err) < 0)
			continue;
		remove_old_logs(dir);
		(void)snprintf(plan->log, sizeof(plan->log), "%.*s/mount-%jd.log", PATH_MAX - 64,
			dir, (intmax_t)getpid());
		fd = open(plan->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (fd < 0)
			(void)error_set_errno(err, errno, "create %s", plan->log);
	}
	if (fd < 0)
		plan->log[0] = 0;
	return fd;
}

static int leave_terminal(struct mount_plan *plan, struct error *err)
{
	CLEANUP(cleanup_fd) int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	CLEANUP(cleanup_fd) int log = -1;

	if (null < 0)
		return error_set_errno(err, errno, "open /dev/null");
	if (setsid() < 0 || chdir("/") < 0)
		return error_set_errno(err, errno, "leave the terminal");
	log = open_log(plan, err);
	if (log < 0)
		return -1;
	if (dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0 ||
		dup2(log, STDERR_FILENO) < 0)
		return error_set_errno(err, errno, "redirect output to %s", plan->log);
	return 0;
}

static int serve(struct child *child, struct error *err)
{
	struct mount_service_options options;

	if (leave_terminal(child->plan, err) < 0)
		return -1;
	mount_set_log(child->plan);
	log_info("%s", child->plan->owner);
	options = child->plan->service;
	options.image.progress = on_progress;
	options.image.arg = child;
	options.ready = on_ready;
	options.arg = child;
	return mount_service_run(&options, err);
}

static int child_main(struct mount_plan *plan, int socket)
{
	CLEANUP(cleanup_free) struct child *child = calloc(1, sizeof(*child));
	int code = EXIT_CODE_SUCCESS;

	if (!child)
		return EXIT_CODE_LOCAL;
	child->plan = plan;
	child->socket = socket;
	if (serve(child, &child->message.err) < 0) {
		code = error_exit_code(child->message.err.kind);
		log_error("%s", child->message.err.message);
		tell(child, MESSAGE_ERROR);
	}
	return code;
}

/* The parent's end. */
struct parent {
	const struct mount_plan *plan;
	pid_t child;
	int socket;
	int signals;
	struct progress progress;
	struct message message;
};

/* The last word of a child that said none: its exit status. */
static int explain_silence(const struct parent *parent)
{
	bool json = parent->plan->arguments.common.json;
	struct error err;
	int status = 0;

	while (waitpid(parent->child, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_CODE_CANCELLED)
		(void)error_set(&err, ERROR_CANCELLED, "stopped before the mount was usable");
	else if (WIFSIGNALED(status))
		(void)error_set(&err, ERROR_INTERNAL,
			"the process that should serve the mount was ended by signal %d (%s)",
			WTERMSIG(status), strsignal(WTERMSIG(status)));
	else
		(void)error_set(&err, ERROR_INTERNAL,
			"the process that should serve the mount ended with status %d",
			WEXITSTATUS(status));
	if (parent->message.log[0])
		(void)error_prefix(&err, "see %s", parent->message.log);
	return cli_fail("mount", json, &err);
}

/* True when *code is the end of it. */
static bool on_message(struct parent *parent, int *code)
{
	const struct message *message = &parent->message;
	struct json *ready;
	struct error err;

	if (message->kind == MESSAGE_PROGRESS) {
		progress_show(&parent->progress, message->step, message->n, message->total);
		return false;
	}
	progress_end(&parent->progress);
	if (message->kind == MESSAGE_ERROR) {
		/* It has cleaned up; once it has ended nothing of it is left. */
		while (waitpid(parent->child, NULL, 0) < 0 && errno == EINTR)
			;
		*code = cli_fail("mount", parent->plan->arguments.common.json, &message->err);
		return true;
	}
	*code = EXIT_CODE_SUCCESS;
	if (json_parse(message->ready, strlen(message->ready), &ready, &err) < 0)
		return true;
	mount_ready_print(parent->plan, ready);
	json_free(ready);
	return true;
}

static int listen_to_child(struct parent *parent)
{
	struct pollfd polled[2] = {
		{.fd = parent->socket, .events = POLLIN},
		{.fd = parent->signals, .events = POLLIN},
	};
	int code;

	for (;;) {
		struct signalfd_siginfo info;
		ssize_t n;

		if (poll(polled, 2, -1) < 0)
			continue;
		if (polled[1].revents && read(parent->signals, &info, sizeof(info)) == sizeof(info))
			(void)kill(parent->child, SIGTERM);
		if (!polled[0].revents)
			continue;
		n = recv(parent->socket, &parent->message, sizeof(parent->message), 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n != sizeof(parent->message)) {
			progress_end(&parent->progress);
			return explain_silence(parent);
		}
		if (on_message(parent, &code))
			return code;
	}
}

static int parent_main(const struct mount_plan *plan, pid_t child, int socket, int signals)
{
	const struct common_arguments *common = &plan->arguments.common;
	struct parent *parent = calloc(1, sizeof(*parent));
	int code;

	if (!parent)
		return EXIT_CODE_LOCAL;
	parent->plan = plan;
	parent->child = child;
	parent->socket = socket;
	parent->signals = signals;
	progress_begin(&parent->progress, plan->reference_text, common->quiet || common->json);
	code = listen_to_child(parent);
	free(parent);
	return code;
}

/* Signals are heard by descriptor on both sides: the parent passes them on to the child. */
static int block_signals(struct error *err)
{
	sigset_t set;
	int fd;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGHUP);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	fd = signalfd(-1, &set, SFD_CLOEXEC);
	return fd >= 0 ? fd : error_set_errno(err, errno, "make a signalfd");
}

int mount_detached(struct mount_plan *plan)
{
	bool json = plan->arguments.common.json;
	CLEANUP(cleanup_fd) int signals = -1;
	int sockets[2];
	struct error err;
	pid_t child;
	int code;

	signals = block_signals(&err);
	if (signals < 0)
		return cli_fail("mount", json, &err);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) < 0) {
		(void)error_set_errno(&err, errno, "make a pair of sockets");
		return cli_fail("mount", json, &err);
	}
	(void)fflush(NULL);
	child = fork();
	if (child == 0) {
		(void)close(sockets[0]);
		return child_main(plan, sockets[1]);
	}
	(void)close(sockets[1]);
	if (child < 0) {
		(void)error_set_errno(&err, errno, "start a process");
		code = cli_fail("mount", json, &err);
	} else {
		code = parent_main(plan, child, sockets[0], signals);
	}
	(void)close(sockets[0]);
	return code;
}
