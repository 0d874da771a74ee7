/* SPDX-License-Identifier: Apache-2.0 */
/* The options of `varve mount`; those of mount.varve's -o are the same. */
#include "mount_internal.h"

static const char *const faces[] = {"auto", "erofs", "fuse", NULL};
static const char *const prefetches[] = {"auto", "on", "off", NULL};
static const char *const trusts[] = {"repository", "none", NULL};
static const char *const pulls[] = {"always", "missing", "never", NULL};

_Static_assert(FACE_AUTO == 0 && FACE_EROFS == 1 && FACE_FUSE == 2, "order of --face");
_Static_assert(PULL_ALWAYS == 0 && PULL_MISSING == 1 && PULL_NEVER == 2, "order of --pull");

#define AT(member) offsetof(struct mount_arguments, member)

const struct option_spec mount_options[] = {
	{"detach", 'd', OPTION_FLAG, AT(detach), NULL, NULL,
		"return when the mount is usable; a process of its own goes on serving it", NULL},
	{"layer", 0, OPTION_TEXT, AT(layer), "DIGEST", NULL, "mount the tree of this layer alone",
		NULL},
	{"platform", 0, OPTION_TEXT, AT(platform), "OS/ARCH", NULL,
		"which image of a multi-platform one, with /VARIANT if need be", "this machine's"},
	OPTION_STORE,
	{"quota", 0, OPTION_QUOTA, AT(quota), "SIZE", NULL,
		"what the store may take, as a size or as a percentage of its file system", "none"},
	{"rw", 0, OPTION_TEXT_OPTIONAL, AT(rw), "DIR", NULL,
		"a writable mount: what is written goes to DIR, the image stays as it is",
		"a new directory in the store"},
	{"face", 0, OPTION_CHOICE, AT(face), NULL, faces,
		"who answers for the tree: the kernel's EROFS, or FUSE alone",
		"auto: erofs for root where the kernel can"},
	{"suid", 0, OPTION_FLAG, AT(suid), NULL, NULL, "honour set-user-ID bits", "nosuid"},
	{"dev", 0, OPTION_FLAG, AT(dev), NULL, NULL, "honour device nodes", "nodev"},
	{"allow-other", 0, OPTION_FLAG, AT(allow_other), NULL, NULL,
		"let other users in; for normal users /etc/fuse.conf must permit it",
		"on for root"},
	{"prefetch", 0, OPTION_CHOICE, AT(prefetch), NULL, prefetches,
		"fetch at once what the image marks as needed to start, and read ahead",
		"auto: on unless --no-background"},
	{"no-background", 0, OPTION_FLAG, AT(no_background), NULL, NULL,
		"do not complete layers that are mounted: fetch only what is read", NULL},
	{"background-limit", 0, OPTION_RATE, AT(background_limit), "RATE", NULL,
		"bytes a second for completing layers, like 20M/s", "none"},
	{"pull", 0, OPTION_CHOICE, AT(pull), NULL, pulls,
		"when the registry is asked what a tag means; if it does not answer, the last "
		"answer counts, with a warning",
		"always"},
	{"trust-indexes", 0, OPTION_CHOICE, AT(trust_indexes), NULL, trusts,
		"whether a layer without a table of contents is mounted with an index that "
		"somebody "
		"has put beside the image; what it says is checked when the layer is complete",
		"repository"},
	{"soci-v1", 0, OPTION_FLAG, AT(soci_v1), NULL, NULL,
		"with --trust-indexes=repository: also SOCI indexes that nothing in the image "
		"names, which anybody who may write to the repository can add",
		NULL},
	{"hosts-dir", 0, OPTION_TEXT, AT(hosts_dirs), "DIRS", NULL,
		"colon-separated directories of hosts.toml files",
		"/etc/containerd/certs.d:/etc/docker/certs.d"},
	{"plain-http", 0, OPTION_FLAG, AT(plain_http), NULL, NULL,
		"http instead of https, for registries that hosts.toml does not name", NULL},
	{"username", 0, OPTION_TEXT, AT(username), "NAME", NULL,
		"credentials, instead of those in docker's or containers' files", NULL},
	{"password-stdin", 0, OPTION_FLAG, AT(password_stdin), NULL, NULL,
		"read the password for --username from standard input", NULL},
	{"allow-unverified", 0, OPTION_FLAG, AT(allow_unverified), NULL, NULL,
		"DANGEROUS: also mount layers whose manifest has no digest of their table of "
		"contents, or by their headers alone, so that nobody can tell whether their bytes "
		"are right",
		NULL},
	{"read-timeout", 0, OPTION_DURATION, AT(read_timeout_ns), "TIME", NULL,
		"a read that could not be served by then fails", "60s"},
	{"memory-limit", 0, OPTION_SIZE, AT(memory_limit), "SIZE", NULL,
		"for data on its way from the registry to the store", "256M"},
	OPTION_VERBOSE,
	OPTION_QUIET,
	OPTION_JSON,
	{.name = NULL},
};
