/* SPDX-License-Identifier: Apache-2.0 */
/* Serves one mount, from its reference to the end of its last user. */
#include "daemon/mount_service.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "control/control_client.h"
#include "daemon/leftovers.h"
#include "daemon/run_directory.h"
#include "mount_service_internal.h"
#include "store/store.h"

enum { BUSY_ATTEMPTS = 20 };

static void on_gone(void *arg)
{
	struct mount_service *service = arg;

	pthread_mutex_lock(&service->lock);
	service->gone = true;
	pthread_cond_broadcast(&service->changed);
	pthread_mutex_unlock(&service->lock);
}

static void on_ended(void *arg)
{
	struct mount_service *service = arg;

	pthread_mutex_lock(&service->lock);
	service->ended = true;
	pthread_cond_broadcast(&service->changed);
	pthread_mutex_unlock(&service->lock);
}

static void on_progress(void *arg, enum image_step step, size_t n, size_t total)
{
	struct mount_service *service = arg;
	const struct image_options *image = &service->options->image;
	char phase[96];

	switch (step) {
	case IMAGE_RESOLVING:
		(void)snprintf(phase, sizeof(phase), "resolving");
		break;
	case IMAGE_INDEXING:
		(void)snprintf(phase, sizeof(phase), "indexing layers: %zu of %zu", n, total);
		break;
	case IMAGE_READING:
		(void)snprintf(phase, sizeof(phase),
			"reading a layer that nobody has indexed: %zu of %zu bytes", n, total);
		break;
	default:
		(void)snprintf(phase, sizeof(phase), "merging %zu layers", total);
		break;
	}
	control_server_set_phase(service->control, phase);
	if (image->progress)
		image->progress(image->arg, step, n, total);
}

static int write_record(struct mount_service *service, struct error *err)
{
	return mount_record_write(
		service->options->run_dir, &service->record, &service->record_lock, err);
}

/* The first word about this process: from here on others know that somebody is at work there. */
static int announce(struct mount_service *service, struct error *err)
{
	const struct mount_service_options *options = service->options;

	if (options->image.layer)
		(void)digest_format(options->image.layer, service->layer);
	service->record = (struct mount_record){
		.pid = getpid(),
		.dir = options->dir,
		.reference = image_name_format(options->image.name, service->reference),
		.layer = service->layer,
		.platform = platform_format(options->image.platform, service->platform),
		.manifest = "",
		.face = "",
		.store = options->node.store_dir,
		.control = "",
		.log = options->log,
		.upper = "",
		.started_s = clock_wall_s(),
	};
	if (run_directory_make(options->run_dir, err) < 0 ||
		leftovers_clean(options->run_dir, err) < 0 || write_record(service, err) < 0)
		return -1;
	return run_directory_make_private(options->run_dir, getpid(), service->private_dir, err);
}

static int start_control_in(struct mount_service *service, const char *dir, struct error *err)
{
	const struct image_context *images = node_images(service->node);
	const struct control_server_options options = {
		.loop = service->loop,
		.workers = images->workers,
		.store = images->store,
		.registry = images->registry,
		.dir = dir,
	};

	if (control_server_new(&options, &service->control, err) < 0)
		return -1;
	(void)snprintf(service->control_path, sizeof(service->control_path), "%.*s/control.sock",
		PATH_MAX - 16, dir);
	service->record.control = service->control_path;
	return write_record(service, err);
}

/* In the store, where everybody looks first, unless that cannot be written to. */
static int start_control(struct mount_service *service, struct error *err)
{
	struct error why = {0};

	if (start_control_in(service, service->options->node.store_dir, &why) == 0)
		return 0;
	if (why.kind == ERROR_READ_ONLY || why.kind == ERROR_NO_SPACE)
		return start_control_in(service, service->private_dir, err);
	if (err)
		*err = why;
	return -1;
}

static int open_image(struct mount_service *service, struct error *err)
{
	struct image_options image = service->options->image;

	image.progress = on_progress;
	image.arg = service;
	return image_open(node_images(service->node), &image, &service->image, err);
}

static int make_upper(struct mount_service *service, struct error *err)
{
	const struct erofs_reader *reader = service->image.tree->reader;
	struct erofs_attr root;

	if (!service->options->writable)
		return 0;
	if (erofs_getattr(reader, erofs_root(reader), &root, err) < 0 ||
		upper_directory_make(service->options->node.store_dir, service->options->upper,
			&root, digest_format(&service->image.manifest, service->manifest),
			&service->upper, err) < 0)
		return -1;
	service->has_upper = true;
	return 0;
}

static int mount_tree(struct mount_service *service, struct error *err)
{
	const struct mount_service_options *options = service->options;
	struct tree_mount_options mount = {
		.trees = node_images(service->node)->trees,
		.tree = service->image.tree,
		.dir = options->dir,
		.private_dir = service->private_dir,
		.source = service->image.reference,
		.face = options->face,
		.allow_other = options->allow_other,
		.suid = options->suid,
		.dev = options->dev,
	};

	if (make_upper(service, err) < 0)
		return -1;
	if (service->has_upper) {
		mount.upper = service->upper.upper;
		mount.work = service->upper.work;
	}
	return tree_mount_start(&mount, &service->mount, err);
}

static void fill_report(struct mount_service *service)
{
	service->report = (struct report_mount){
		.dir = service->options->dir,
		.face = tree_mount_face(service->mount),
		.face_why = tree_mount_face_why(service->mount),
		.upper = service->has_upper ? service->upper.upper : "",
		.log = service->options->log,
		.image = &service->image,
		.session = tree_mount_session(service->mount),
		.started_s = service->record.started_s,
		.layer_only = service->options->image.layer != NULL,
	};
}

static void on_contradicted(void *arg, struct layer *layer)
{
	struct mount_service *service = arg;

	tree_mount_drop_cached(service->mount, layer);
}

/* As long as the mount is there. */
static void hear_of_contradictions(
	struct mount_service *service, void (*hear)(void *arg, struct layer *layer))
{
	const struct tree *tree = service->image.tree;

	for (size_t i = 0; tree && i < tree->n_layers; i++)
		layer_on_contradicted(tree->layers[i], hear, service);
}

/* Tells everybody that the mount is usable, and begins to watch it. */
static int publish(struct mount_service *service, struct error *err)
{
	fill_report(service);
	service->record.manifest = digest_format(&service->image.manifest, service->manifest);
	service->record.face = service->report.face;
	service->record.upper = service->report.upper;
	tree_mount_device(service->mount, &service->record.major, &service->record.minor);
	if (write_record(service, err) < 0)
		return -1;
	control_server_set_phase(service->control, "");
	tree_mount_on_end(service->mount, on_ended, service);
	if (control_server_show(service->control, &service->report, err) < 0 ||
		mount_watch_start(service->record.major, service->record.minor, on_gone, service,
			&service->watch, err) < 0)
		return -1;
	return 0;
}

/* Commands like `varve cache ls` own a store that nobody serves for a moment: worth a wait. Whoever
 * serves it answers on its socket. */
static int open_node(struct mount_service *service, struct error *err)
{
	const struct timespec pause = {.tv_nsec = 100 * 1000 * 1000};
	const struct node_options *options = &service->options->node;
	char socket[PATH_MAX];
	struct error why;

	(void)snprintf(
		socket, sizeof(socket), "%.*s/control.sock", PATH_MAX - 16, options->store_dir);
	for (unsigned n = 0;; n++) {
		struct json *answer = NULL;
		bool served = false;

		if (node_new(options, &service->node, &why) == 0)
			return 0;
		if (why.kind != ERROR_BUSY || n == BUSY_ATTEMPTS ||
			control_request(socket, "GET", "/v1/status", NS_PER_SECOND, &served,
				&answer, NULL) < 0 ||
			served) {
			json_free(answer);
			break;
		}
		(void)nanosleep(&pause, NULL);
	}
	if (err)
		*err = why;
	return -1;
}

static int open_parts(struct mount_service *service, struct error *err)
{
	if (service_start_loop(service, err) < 0 || announce(service, err) < 0 ||
		open_node(service, err) < 0 || start_control(service, err) < 0 ||
		open_image(service, err) < 0)
		return -1;
	if (service_begin_mounting(service, err) < 0)
		return -1;
	return mount_tree(service, err);
}

static int serve(struct mount_service *service, struct error *err)
{
	if (open_parts(service, err) < 0)
		return -1;
	if (publish(service, err) < 0) {
		service_set_phase(service, SERVICE_UNMOUNTING);
		service_unmount(service);
		return -1;
	}
	service_set_phase(service, SERVICE_SERVING);
	hear_of_contradictions(service, on_contradicted);
	service->options->ready(service->options->arg, &service->report);
	service_wait(service);
	hear_of_contradictions(service, NULL);
	service_unmount(service);
	return 0;
}

void service_remove_traces(struct mount_service *service)
{
	if (service->private_dir[0])
		leftovers_remove_private(service->options->run_dir, getpid());
	if (service->record_lock >= 0)
		mount_record_remove(service->options->run_dir, getpid());
}

static void service_close(struct mount_service *service)
{
	mount_watch_free(service->watch);
	control_server_free(service->control);
	tree_mount_free(service->mount);
	if (service->has_upper)
		upper_directory_finish(&service->upper);
	node_free(service->node);
	service_stop_loop(service);
	service_remove_traces(service);
	cleanup_fd(&service->record_lock);
	(void)pthread_mutex_destroy(&service->lock);
	(void)pthread_cond_destroy(&service->changed);
	free(service);
}

int mount_service_run(const struct mount_service_options *options, struct error *err)
{
	struct mount_service *service = calloc(1, sizeof(*service));
	int result;

	if (!service)
		return error_set(err, ERROR_NO_MEMORY, "no memory to serve a mount");
	service->options = options;
	service->record_lock = -1;
	service->signal_fd = -1;
	(void)pthread_mutex_init(&service->lock, NULL);
	(void)pthread_cond_init(&service->changed, NULL);
	result = serve(service, err);
	service_close(service);
	return result;
}
