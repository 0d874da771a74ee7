/* SPDX-License-Identifier: Apache-2.0 */
/* Signals of a process that serves a mount. */
#include <errno.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error_map.h"
#include "base/log.h"
#include "mount_service_internal.h"

#define ONE_WISH_NS (300 * NS_PER_MS)

/* Ends the process without unwinding: other threads are in the middle of things, and all that is
 * on disk can take it. */
static void end_now(struct mount_service *service)
{
	service_remove_traces(service);
	_exit(EXIT_CODE_CANCELLED);
}

static void on_signal_number(struct mount_service *service, unsigned number)
{
	enum service_phase phase;
	uint64_t now_ns = clock_now_ns();

	/* A terminal that closes sends SIGHUP, and so does its shell; a service manager may send
	 * two kinds: all that is one wish. */
	if (service->signal_ns && now_ns - service->signal_ns < ONE_WISH_NS)
		return;
	service->signal_ns = now_ns;
	pthread_mutex_lock(&service->lock);
	phase = service->phase;
	service->stop = true;
	pthread_cond_broadcast(&service->changed);
	pthread_mutex_unlock(&service->lock);

	if (phase == SERVICE_OPENING) {
		log_info("%s: nothing is mounted yet, ending", strsignal((int)number));
		end_now(service);
	}
	if (phase == SERVICE_UNMOUNTING) {
		log_warning("%s again: ending at once, who still uses %s gets errors from now on",
			strsignal((int)number), service->options->dir);
		end_now(service);
	}
	log_info("%s: unmounting %s", strsignal((int)number), service->options->dir);
}

/* Loop. */
static void on_signals(void *arg, unsigned events)
{
	struct mount_service *service = arg;
	struct signalfd_siginfo info;

	(void)events;
	while (read(service->signal_fd, &info, sizeof(info)) == sizeof(info))
		on_signal_number(service, info.ssi_signo);
}

/* Loop. */
static void watch_signals(struct loop_task *task)
{
	struct mount_service *service = container_of(task, struct mount_service, watch_task);
	struct error err;

	if (loop_watch_new(service->loop, service->signal_fd, LOOP_READABLE, on_signals, service,
		    &service->signals, &err) < 0)
		log_error("signals are not heard, only SIGKILL ends this process: %s", err.message);
}

/* Loop. */
static void forget_signals(struct loop_task *task)
{
	struct mount_service *service = container_of(task, struct mount_service, forget_task);

	loop_watch_free(service->signals);
	service->signals = NULL;
}

int service_start_loop(struct mount_service *service, struct error *err)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGHUP);
	/* Every thread that is started from here on inherits this. */
	(void)pthread_sigmask(SIG_BLOCK, &set, NULL);
	service->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (service->signal_fd < 0)
		return error_set_errno(err, errno, "make a signalfd");
	if (loop_new(&service->loop, err) < 0)
		return -1;
	if (loop_thread_start(service->loop, "control", err) < 0)
		return -1;
	service->loop_runs = true;
	service->watch_task.run = watch_signals;
	loop_post(service->loop, &service->watch_task);
	return 0;
}

void service_stop_loop(struct mount_service *service)
{
	if (service->loop_runs) {
		service->forget_task.run = forget_signals;
		loop_post(service->loop, &service->forget_task);
		loop_thread_stop(service->loop);
	}
	loop_free(service->loop);
	cleanup_fd(&service->signal_fd);
}
