/* SPDX-License-Identifier: Apache-2.0 */
/* Where redirects of blobs led, so that each read need not go by way of the registry. */
#include <string.h>

#include "source_internal.h"

/* Those used least recently go first. */
enum { MAX_TARGETS = 512 };

static void target_free(struct redirect_target *target)
{
	free(target->repository);
	free(target->path);
	free(target->url);
	free(target);
}

/* Takes it out of the list. */
static struct redirect_target *target_take(struct registry_client *client,
	const struct host_state *state, const char *repository, const char *path)
{
	struct redirect_target **link = &client->targets;
	struct redirect_target *target;

	for (; (target = *link); link = &target->next) {
		if (target->state == state && strcmp(target->path, path) == 0 &&
			strcmp(target->repository, repository) == 0) {
			*link = target->next;
			client->n_targets--;
			return target;
		}
	}
	return NULL;
}

static void target_put(struct registry_client *client, struct redirect_target *target)
{
	target->next = client->targets;
	client->targets = target;
	client->n_targets++;
}

static void drop_last(struct registry_client *client)
{
	struct redirect_target **link = &client->targets;

	while ((*link)->next)
		link = &(*link)->next;
	target_free(*link);
	*link = NULL;
	client->n_targets--;
}

const char *target_cache_get(struct registry_client *client, const struct host_state *state,
	const char *repository, const char *path)
{
	struct redirect_target *target = target_take(client, state, repository, path);

	if (!target)
		return NULL;
	target_put(client, target);
	return target->url;
}

void target_cache_forget(struct registry_client *client, const struct host_state *state,
	const char *repository, const char *path)
{
	struct redirect_target *target = target_take(client, state, repository, path);

	if (target)
		target_free(target);
}

void target_cache_set(struct registry_client *client, const struct host_state *state,
	const char *repository, const char *path, const char *url)
{
	struct redirect_target *target;

	target_cache_forget(client, state, repository, path);
	target = calloc(1, sizeof(*target));
	if (!target)
		return;
	target->state = state;
	target->repository = strdup(repository);
	target->path = strdup(path);
	target->url = strdup(url);
	if (!target->repository || !target->path || !target->url) {
		target_free(target);
		return;
	}
	if (client->n_targets == MAX_TARGETS)
		drop_last(client);
	target_put(client, target);
}

void target_cache_free(struct registry_client *client)
{
	struct redirect_target *target;

	while ((target = client->targets)) {
		client->targets = target->next;
		target_free(target);
	}
}
