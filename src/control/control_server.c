/* SPDX-License-Identifier: Apache-2.0 */
/* The life of the control socket, and what it knows of the mounts. */
#include "control_server_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Something done on the loop's thread while the caller waits. */
struct loop_errand {
	struct loop_task task;
	struct control_server *server;
	struct error err;
	bool done; /* guarded by server->lock */
};

static void errand_end(struct loop_errand *errand)
{
	struct control_server *server = errand->server;

	pthread_mutex_lock(&server->lock);
	errand->done = true;
	pthread_cond_broadcast(&server->idle);
	pthread_mutex_unlock(&server->lock);
}

static void errand_run(struct loop_errand *errand, void (*run)(struct loop_task *task))
{
	struct control_server *server = errand->server;

	errand->task = (struct loop_task){.run = run};
	loop_post(server->options.loop, &errand->task);
	pthread_mutex_lock(&server->lock);
	while (!errand->done)
		pthread_cond_wait(&server->idle, &server->lock);
	pthread_mutex_unlock(&server->lock);
}

static void listen_on_loop(struct loop_task *task)
{
	struct loop_errand *errand = container_of(task, struct loop_errand, task);
	struct control_server *server = errand->server;
	char path[64];
	struct http_server_options options = {
		.routes = control_routes,
		.n_routes = n_control_routes,
		.arg = server,
		.unix_socket = path,
		.unix_mode = 0600,
	};

	/* A socket's address has 107 bytes, a store's path may have more. */
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d/control.sock", server->dir_fd);
	if (http_server_new(server->options.loop, &options, &server->http, &errand->err) < 0)
		server->http = NULL;
	errand_end(errand);
}

static void close_on_loop(struct loop_task *task)
{
	struct loop_errand *errand = container_of(task, struct loop_errand, task);

	http_server_free(errand->server->http);
	errand->server->http = NULL;
	errand_end(errand);
}

static void server_destroy(struct control_server *server)
{
	cleanup_fd(&server->dir_fd);
	(void)pthread_mutex_destroy(&server->lock);
	(void)pthread_cond_destroy(&server->idle);
	free(server->mounts);
	free(server);
}

int control_server_new(const struct control_server_options *options, struct control_server **out,
	struct error *err)
{
	struct control_server *server = calloc(1, sizeof(*server));
	struct loop_errand errand = {.server = server};

	if (!server)
		return error_set(err, ERROR_NO_MEMORY, "no memory for the control socket");
	server->options = *options;
	server->options.dir = NULL;
	(void)pthread_mutex_init(&server->lock, NULL);
	(void)pthread_cond_init(&server->idle, NULL);
	server->dir_fd = open(options->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (server->dir_fd < 0)
		(void)error_set_errno(&errand.err, errno, "open %s", options->dir);
	else
		errand_run(&errand, listen_on_loop);
	if (!server->http) {
		server_destroy(server);
		if (err)
			*err = errand.err;
		return error_prefix(err, "control socket %s/control.sock", options->dir);
	}
	*out = server;
	return 0;
}

void control_server_set_phase(struct control_server *server, const char *phase)
{
	pthread_mutex_lock(&server->lock);
	(void)snprintf(server->phase, sizeof(server->phase), "%s", phase);
	pthread_mutex_unlock(&server->lock);
}

/* Called with the lock held. */
static struct report_mount *slot_of(struct control_server *server, const char *dir)
{
	struct report_mount *more;

	for (size_t i = 0; i < server->n_mounts; i++) {
		if (strcmp(server->mounts[i].dir, dir) == 0)
			return &server->mounts[i];
	}
	more = reallocarray(server->mounts, server->n_mounts + 1, sizeof(*more));
	if (!more)
		return NULL;
	server->mounts = more;
	return &more[server->n_mounts++];
}

int control_server_show(
	struct control_server *server, const struct report_mount *mount, struct error *err)
{
	struct report_mount *slot;

	pthread_mutex_lock(&server->lock);
	slot = slot_of(server, mount->dir);
	if (slot)
		*slot = *mount;
	pthread_mutex_unlock(&server->lock);
	return slot ? 0 : error_set(err, ERROR_NO_MEMORY, "no memory to show a mount");
}

void control_server_free(struct control_server *server)
{
	struct loop_errand errand = {.server = server};

	if (!server)
		return;
	errand_run(&errand, close_on_loop);
	pthread_mutex_lock(&server->lock);
	while (server->n_calls > 0)
		pthread_cond_wait(&server->idle, &server->lock);
	pthread_mutex_unlock(&server->lock);
	verify_job_free(server->verify);
	server_destroy(server);
}

void control_server_freep(struct control_server **server)
{
	control_server_free(*server);
}
