/* SPDX-License-Identifier: Apache-2.0 */
/* From a usable mount to one that nobody uses any more. */
#include <errno.h>
#include <time.h>

#include "base/log.h"
#include "daemon/mount_users.h"
#include "mount_service_internal.h"

/* How long a mount that is gone may take to end before that is worth a word. */
enum { PATIENCE_S = 2 };

void service_set_phase(struct mount_service *service, enum service_phase phase)
{
	pthread_mutex_lock(&service->lock);
	service->phase = phase;
	pthread_mutex_unlock(&service->lock);
}

int service_begin_mounting(struct mount_service *service, struct error *err)
{
	bool stop;

	pthread_mutex_lock(&service->lock);
	stop = service->stop;
	if (!stop)
		service->phase = SERVICE_MOUNTING;
	pthread_mutex_unlock(&service->lock);
	return stop ? error_set(err, ERROR_CANCELLED, "stopped before the mount was made") : 0;
}

void service_wait(struct mount_service *service)
{
	pthread_mutex_lock(&service->lock);
	while (!service->stop && !service->gone && !service->ended)
		pthread_cond_wait(&service->changed, &service->lock);
	service->phase = SERVICE_UNMOUNTING;
	pthread_mutex_unlock(&service->lock);
}

/* False when it did not end within the patience. */
static bool ends_soon(struct mount_service *service)
{
	struct timespec until;
	int result = 0;
	bool ended;

	(void)clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += PATIENCE_S;
	pthread_mutex_lock(&service->lock);
	while (!service->ended && result != ETIMEDOUT)
		result = pthread_cond_timedwait(&service->changed, &service->lock, &until);
	ended = service->ended;
	pthread_mutex_unlock(&service->lock);
	return ended;
}

static void wait_until_gone(struct mount_service *service)
{
	pthread_mutex_lock(&service->lock);
	while (!service->gone && !service->ended)
		pthread_cond_wait(&service->changed, &service->lock);
	pthread_mutex_unlock(&service->lock);
}

static void wait_for_end(struct mount_service *service)
{
	pthread_mutex_lock(&service->lock);
	while (!service->ended)
		pthread_cond_wait(&service->changed, &service->lock);
	pthread_mutex_unlock(&service->lock);
}

/* status goes on to show it. */
static void show_detached(struct mount_service *service)
{
	struct error err;

	service->report.detached = true;
	if (control_server_show(service->control, &service->report, &err) < 0)
		log_warning("%s", err.message);
}

static void name_users(const struct mount_service *service, char out[MOUNT_USERS_TEXT_SIZE])
{
	CLEANUP(mountinfo_clear) struct mountinfo mounts = {0};
	const struct mountinfo_entry *entry = NULL;

	out[0] = 0;
	if (mountinfo_read(&mounts, NULL) == 0)
		entry = mountinfo_at(&mounts, service->options->dir);
	if (entry)
		(void)mount_users(entry, out);
}

/* 0 once everything is unmounted or detached. */
static int detach(struct mount_service *service, bool lazy)
{
	char users[MOUNT_USERS_TEXT_SIZE];
	struct error err;
	bool busy = false;

	if (tree_mount_detach(service->mount, lazy, &busy, &err) < 0) {
		log_error("unmount %s: %s", service->options->dir, err.message);
		return -1;
	}
	if (!busy || lazy)
		return 0;
	name_users(service, users);
	log_warning("%s is in use%s%s: detached, and served until its last user is gone; another "
		    "signal ends that at once",
		service->options->dir, users[0] ? " by " : "", users);
	return detach(service, true);
}

void service_unmount(struct mount_service *service)
{
	bool by_others;

	pthread_mutex_lock(&service->lock);
	by_others = service->gone || service->ended;
	pthread_mutex_unlock(&service->lock);

	/* Soon over, unless somebody still uses it. */
	show_detached(service);
	if (detach(service, by_others) < 0) {
		log_error("%s is served until somebody else unmounts it, or another signal ends "
			  "this process",
			service->options->dir);
		wait_until_gone(service);
		if (detach(service, true) < 0)
			log_error("served until another signal ends this process");
	}
	if (ends_soon(service))
		return;
	log_info("what was mounted on %s is still in use: served until its last user is gone",
		service->options->dir);
	wait_for_end(service);
}
