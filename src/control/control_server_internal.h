/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <pthread.h>

#include "control/control_server.h"
#include "control/verify_job.h"
#include "http/http_server.h"

struct control_server {
	struct control_server_options options; /* dir is not kept */
	struct http_server *http;              /* loop only */
	struct verify_job *verify;             /* loop only; owned, the last one started */
	int dir_fd;                            /* of the socket's directory */

	pthread_mutex_t lock;
	pthread_cond_t idle;
	unsigned n_calls;            /* guarded by lock; on workers */
	char phase[128];             /* guarded by lock */
	struct report_mount *mounts; /* guarded by lock; owned array */
	size_t n_mounts;             /* guarded by lock */
};

/* control_calls.c: what is served; handled with the server as argument. */
extern const struct http_route control_routes[];
extern const size_t n_control_routes;
