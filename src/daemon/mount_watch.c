/* SPDX-License-Identifier: Apache-2.0 */
/* Notices that a mount went away. */
#include "daemon/mount_watch.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>

#include "base/log.h"
#include "daemon/mountinfo.h"

struct mount_watch {
	unsigned major;
	unsigned minor;
	void (*gone)(void *arg);
	void *arg;
	int mounts_fd; /* polled only: reading would mean seeking back for every change */
	int stop_fd;
	pthread_t thread;
};

static bool is_gone(const struct mount_watch *watch)
{
	CLEANUP(mountinfo_clear) struct mountinfo mounts = {0};
	struct error err;

	if (mountinfo_read(&mounts, &err) < 0) {
		log_warning("whether the mount is still there is not known: %s", err.message);
		return false;
	}
	return !mountinfo_with_device(&mounts, watch->major, watch->minor);
}

static void *watch_main(void *arg)
{
	struct mount_watch *watch = arg;
	struct pollfd polled[2] = {
		{.fd = watch->stop_fd, .events = POLLIN},
		{.fd = watch->mounts_fd, .events = POLLPRI},
	};

	for (;;) {
		if (is_gone(watch)) {
			watch->gone(watch->arg);
			return NULL;
		}
		while (poll(polled, 2, -1) < 0 && errno == EINTR)
			;
		if (polled[0].revents)
			return NULL;
	}
}

static void watch_destroy(struct mount_watch *watch)
{
	cleanup_fd(&watch->mounts_fd);
	cleanup_fd(&watch->stop_fd);
	free(watch);
}

static int watch_open(struct mount_watch *watch, struct error *err)
{
	int failed;

	if (watch->mounts_fd < 0)
		return error_set_errno(err, errno, "open /proc/self/mountinfo");
	watch->stop_fd = eventfd(0, EFD_CLOEXEC);
	if (watch->stop_fd < 0)
		return error_set_errno(err, errno, "make an eventfd");
	failed = pthread_create(&watch->thread, NULL, watch_main, watch);
	if (failed)
		return error_set_errno(err, failed, "start a thread to watch the mount");
	(void)pthread_setname_np(watch->thread, "mount-watch");
	return 0;
}

int mount_watch_start(unsigned major, unsigned minor, void (*gone)(void *arg), void *arg,
	struct mount_watch **out, struct error *err)
{
	struct mount_watch *watch = malloc(sizeof(*watch));

	if (!watch)
		return error_set(err, ERROR_NO_MEMORY, "no memory to watch the mount");
	*watch = (struct mount_watch){
		.major = major,
		.minor = minor,
		.gone = gone,
		.arg = arg,
		.mounts_fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC),
		.stop_fd = -1,
	};
	if (watch_open(watch, err) < 0) {
		watch_destroy(watch);
		return -1;
	}
	*out = watch;
	return 0;
}

void mount_watch_free(struct mount_watch *watch)
{
	if (!watch)
		return;
	if (eventfd_write(watch->stop_fd, 1) < 0)
		log_error("the thread that watches the mount cannot be stopped");
	(void)pthread_join(watch->thread, NULL);
	watch_destroy(watch);
}

void mount_watch_freep(struct mount_watch **watch)
{
	mount_watch_free(*watch);
}
