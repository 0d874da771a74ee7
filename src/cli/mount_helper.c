/* SPDX-License-Identifier: Apache-2.0 */
/* mount.varve: what mount(8) runs for `mount -t varve REF DIR -o OPTIONS` and for lines of fstab.
 * Spec: mount(8), "External helpers" and "Exit status". */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error_map.h"
#include "mount_internal.h"

/* Exit codes of mount(8). */
enum {
	MOUNT_USAGE = 1,
	MOUNT_SYSTEM = 2,
	MOUNT_INTERRUPTED = 8,
	MOUNT_FAILURE = 32,
};

/* What fstab says to others, and what an image's mount is anyway. mount(8) adds "rw" by itself, so
 * that a writable mount has to be asked for by another name: upper. */
static const char *const ignored[] = {
	"_netdev",
	"async",
	"atime",
	"auto",
	"defaults",
	"diratime",
	"exec",
	"group",
	"iversion",
	"lazytime",
	"loud",
	"noatime",
	"noauto",
	"nodev",
	"nodiratime",
	"nofail",
	"noiversion",
	"nolazytime",
	"norelatime",
	"nostrictatime",
	"nosuid",
	"nouser",
	"nousers",
	"owner",
	"relatime",
	"ro",
	"rw",
	"silent",
	"strictatime",
	"user",
	"users",
	NULL,
};

static const char *const ignored_prefixes[] = {"x-", "X-", "comment=", "user=", NULL};

/* Options of `varve mount` that make no sense here: the helper always detaches, and mount(8) gives
 * it no input. */
static const char *const not_here[] = {
	"detach",
	"rw",
	"username",
	"password-stdin",
	"json",
	"quiet",
	NULL,
};

static bool is_in(const char *const *list, const char *name)
{
	for (; *list; list++) {
		if (strcmp(*list, name) == 0)
			return true;
	}
	return false;
}

static bool is_ignored(const char *option)
{
	if (is_in(ignored, option))
		return true;
	for (const char *const *prefix = ignored_prefixes; *prefix; prefix++) {
		if (strncmp(option, *prefix, strlen(*prefix)) == 0)
			return true;
	}
	return false;
}

/* One option, NUL-terminated; borrowed for ever. */
static int apply(char *text, bool sloppy, struct mount_arguments *arguments, struct error *err)
{
	const struct option_spec *option;
	char *value;

	if (is_ignored(text))
		return 0;
	value = strchr(text, '=');
	if (value)
		*value++ = 0;
	if (strcmp(text, "upper") == 0) {
		arguments->rw = (struct option_text){true, value};
		return 0;
	}
	option = is_in(not_here, text) ? NULL : option_find(mount_options, text);
	if (option)
		return option_set(option, value, arguments, err);
	if (sloppy)
		return 0;
	return error_set(
		err, ERROR_INVALID, "unknown mount option \"%s\": see mount.varve(8)", text);
}

/* A comma in double quotes belongs to the value, as in fstab; the quotes do not. */
static char *next_option(char **list)
{
	char *start = *list;
	char *out = start;
	bool quoted = false;
	char *in;

	if (!start || !*start)
		return NULL;
	for (in = start; *in && (*in != ',' || quoted); in++) {
		if (*in == '"')
			quoted = !quoted;
		else
			*out++ = *in;
	}
	*list = *in ? in + 1 : in;
	*out = 0;
	return start;
}

int mount_helper_options(
	char *list, bool sloppy, struct mount_arguments *arguments, struct error *err)
{
	char *option;

	while ((option = next_option(&list))) {
		if (strcmp(option, "remount") == 0 || strncmp(option, "remount,", 8) == 0)
			return error_set(err, ERROR_UNSUPPORTED,
				"an image cannot be remounted: umount it and mount it again");
		if (*option && apply(option, sloppy, arguments, err) < 0)
			return -1;
	}
	return 0;
}

static int mount_exit_code(int code)
{
	switch (code) {
	case EXIT_CODE_SUCCESS:
		return 0;
	case EXIT_CODE_INVALID:
		return MOUNT_USAGE;
	case EXIT_CODE_LOCAL:
	case EXIT_CODE_INTERNAL:
		return MOUNT_SYSTEM;
	case EXIT_CODE_CANCELLED:
		return MOUNT_INTERRUPTED;
	default:
		return MOUNT_FAILURE;
	}
}

static int usage(void)
{
	(void)fputs("usage: mount.varve REF DIR [-fnsv] [-o OPTIONS]\n", stderr);
	return MOUNT_USAGE;
}

int mount_helper_main(int argc, char **argv)
{
	struct mount_arguments arguments = {.detach = true, .common.quiet = true};
	bool sloppy = false, fake = false;
	struct error err;
	int option;

	opterr = 0;
	while ((option = getopt(argc, argv, "fno:rst:vwN:")) != -1) {
		switch (option) {
		case 'f':
			fake = true;
			break;
		case 's':
			sloppy = true;
			break;
		case 'v':
			arguments.common.verbose = true;
			arguments.common.quiet = false;
			break;
		case 'o':
			if (mount_helper_options(optarg, sloppy, &arguments, &err) < 0) {
				(void)cli_fail("mount", false, &err);
				return MOUNT_USAGE;
			}
			break;
		case 'N':
		case '?':
			return usage();
		default:
			break;
		}
	}
	if (argc - optind != 2)
		return usage();
	return fake ? 0 : mount_exit_code(mount_with(&arguments, argv[optind], argv[optind + 1]));
}
