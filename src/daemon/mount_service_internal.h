/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <limits.h>
#include <pthread.h>
#include <signal.h>

#include "base/loop.h"
#include "control/control_server.h"
#include "daemon/mount_record.h"
#include "daemon/mount_service.h"
#include "daemon/mount_watch.h"
#include "daemon/upper_directory.h"

enum service_phase {
	SERVICE_OPENING,   /* nothing is mounted: a signal may end the process at once */
	SERVICE_MOUNTING,  /* a signal waits until that is done */
	SERVICE_SERVING,   /* a signal unmounts */
	SERVICE_UNMOUNTING /* a further signal ends the process, whatever is in use */
};

struct mount_service {
	const struct mount_service_options *options;
	char private_dir[PATH_MAX];
	char control_dir[PATH_MAX];
	char control_path[PATH_MAX];
	char reference[IMAGE_NAME_TEXT_SIZE]; /* what the record points to */
	char layer[DIGEST_TEXT_SIZE];
	char platform[100];
	char manifest[DIGEST_TEXT_SIZE];
	struct mount_record record;
	int record_lock; /* -1: none written */

	struct loop *loop; /* signals and the control socket; on its own thread */
	bool loop_runs;
	int signal_fd;
	struct loop_watch *signals; /* loop only */
	uint64_t signal_ns;         /* loop only; when the last one came */
	struct loop_task watch_task;
	struct loop_task forget_task; /* its own: the other one may still be on its way */

	struct node *node;
	struct control_server *control;
	struct image image;
	struct upper_directory upper;
	bool has_upper;
	struct tree_mount *mount;
	struct mount_watch *watch;
	struct report_mount report;

	pthread_mutex_t lock;
	pthread_cond_t changed;
	enum service_phase phase; /* guarded by lock */
	bool stop;                /* guarded by lock; a signal came */
	bool gone;                /* guarded by lock; somebody else unmounted */
	bool ended;               /* guarded by lock; nobody uses the tree any more */
};

/* mount_service_signals.c: a loop on its own thread that hears signals. */
MUST_CHECK int service_start_loop(struct mount_service *service, struct error *err);
void service_stop_loop(struct mount_service *service);

/* mount_service_wait.c: from usable to unmounted. */
void service_wait(struct mount_service *service);
void service_unmount(struct mount_service *service);

/* Removes the traces of the process in the run directory. */
void service_remove_traces(struct mount_service *service);

void service_set_phase(struct mount_service *service, enum service_phase phase);

/* From SERVICE_OPENING to SERVICE_MOUNTING, unless a signal is ending the process already. */
MUST_CHECK int service_begin_mounting(struct mount_service *service, struct error *err);
