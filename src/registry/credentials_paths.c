/* SPDX-License-Identifier: Apache-2.0 */
/* Which files may hold credentials, as the environment and the user database say. */
#include <errno.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "credentials_internal.h"

enum { MAX_PATHS = 8, USER_RECORD_SIZE = 16 << 10 };

/* A user whose files are read. */
struct user {
	uid_t uid;
	char *home; /* owned; NULL when unknown */
};

static void user_clear(struct user *user)
{
	free(user->home);
}

static const char *variable(const char *name)
{
	const char *value = getenv(name);

	return value && value[0] ? value : NULL;
}

__attribute__((format(printf, 3, 4))) static int add(
	struct credentials_paths *paths, struct error *err, const char *fmt, ...)
{
	va_list ap;
	int size;

	va_start(ap, fmt);
	size = vasprintf(&paths->paths[paths->n], fmt, ap);
	va_end(ap);
	if (size < 0)
		return error_set(err, ERROR_NO_MEMORY, "no memory for paths of credentials");
	paths->n++;
	return 0;
}

/* A user without an entry has no home; that is no error. name NULL: look for uid instead. */
static int look_up(const char *name, uid_t uid, struct user *out, bool *found, struct error *err)
{
	CLEANUP(cleanup_free) char *record = malloc(USER_RECORD_SIZE);
	struct passwd entry;
	struct passwd *result = NULL;
	int errnum;

	*found = false;
	if (!record)
		return error_set(err, ERROR_NO_MEMORY, "no memory for an entry of a user");
	errnum = name ? getpwnam_r(name, &entry, record, USER_RECORD_SIZE, &result)
		      : getpwuid_r(uid, &entry, record, USER_RECORD_SIZE, &result);
	if (errnum != 0 && errnum != ENOENT && errnum != ESRCH)
		return error_set_errno(err, errnum, "look up user %s", name ? name : "by number");
	if (!result)
		return 0;
	out->uid = entry.pw_uid;
	out->home = strdup(entry.pw_dir);
	if (!out->home)
		return error_set(err, ERROR_NO_MEMORY, "no memory for an entry of a user");
	*found = true;
	return 0;
}

static int find_self(struct user *out, struct error *err)
{
	const char *home = variable("HOME");
	bool found;

	out->uid = geteuid();
	if (!home)
		return look_up(NULL, out->uid, out, &found, err);
	out->home = strdup(home);
	return out->home ? 0 : error_set(err, ERROR_NO_MEMORY, "no memory for a path");
}

/* Who called sudo, when that made us root. */
static int find_sudo_user(struct user *out, bool *found, struct error *err)
{
	const char *name = variable("SUDO_USER");

	*found = false;
	if (geteuid() != 0 || !name || strcmp(name, "root") == 0)
		return 0;
	return look_up(name, 0, out, found, err);
}

static int add_auth_files(
	struct credentials_paths *paths, const struct user *user, bool is_self, struct error *err)
{
	const char *runtime = is_self ? variable("XDG_RUNTIME_DIR") : NULL;
	const char *config = is_self ? variable("XDG_CONFIG_HOME") : NULL;
	int result;

	if (runtime)
		result = add(paths, err, "%s/containers/auth.json", runtime);
	else if (is_self)
		result = add(paths, err, "/run/containers/%u/auth.json", (unsigned)user->uid);
	else
		result = add(paths, err, "/run/user/%u/containers/auth.json", (unsigned)user->uid);
	if (result < 0)
		return -1;
	if (config)
		return add(paths, err, "%s/containers/auth.json", config);
	if (user->home)
		return add(paths, err, "%s/.config/containers/auth.json", user->home);
	return 0;
}

static int add_containers_files(struct credentials_paths *paths, const struct user *self,
	const struct user *sudo_user, struct error *err)
{
	const char *file = variable("REGISTRY_AUTH_FILE");

	if (file)
		return add(paths, err, "%s", file);
	if (add_auth_files(paths, self, true, err) < 0)
		return -1;
	return sudo_user ? add_auth_files(paths, sudo_user, false, err) : 0;
}

static int add_docker_files(struct credentials_paths *paths, const struct user *self,
	const struct user *sudo_user, struct error *err)
{
	const char *directory = variable("DOCKER_CONFIG");

	if (directory)
		return add(paths, err, "%s/config.json", directory);
	if (self->home && add(paths, err, "%s/.docker/config.json", self->home) < 0)
		return -1;
	if (sudo_user && sudo_user->home)
		return add(paths, err, "%s/.docker/config.json", sudo_user->home);
	return 0;
}

int credentials_paths_find(struct credentials_paths *out, struct error *err)
{
	CLEANUP(user_clear) struct user self = {0};
	CLEANUP(user_clear) struct user sudo_user = {0};
	const struct user *other = NULL;
	bool found;

	out->paths = calloc(MAX_PATHS, sizeof(*out->paths));
	if (!out->paths)
		return error_set(err, ERROR_NO_MEMORY, "no memory for paths of credentials");
	if (find_self(&self, err) < 0 || find_sudo_user(&sudo_user, &found, err) < 0)
		return -1;
	if (found)
		other = &sudo_user;
	if (add_containers_files(out, &self, other, err) < 0)
		return -1;
	return add_docker_files(out, &self, other, err);
}

void credentials_paths_clear(struct credentials_paths *paths)
{
	for (size_t i = 0; i < paths->n; i++)
		free(paths->paths[i]);
	free(paths->paths);
	*paths = (struct credentials_paths){0};
}
