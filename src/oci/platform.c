/* SPDX-License-Identifier: Apache-2.0 */
/* Platforms of images: names, their normal form, and which machine runs which. */
#include "oci/platform.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/utsname.h>

enum { MATCH_EXACT = 1000 };

/* Another name of an architecture. */
struct alias {
	const char *name;
	const char *architecture;
	const char *variant; /* NULL: the one that came with the name stays */
};

/* What uname(2), packagers and old tools say; platform_set() ignores case. */
static const struct alias aliases[] = {
	{"x86_64", "amd64", NULL},
	{"x86-64", "amd64", NULL},
	{"i386", "386", ""},
	{"i486", "386", ""},
	{"i586", "386", ""},
	{"i686", "386", ""},
	{"aarch64", "arm64", NULL},
	{"armhf", "arm", "v7"},
	{"armel", "arm", "v6"},
	{"armv5tel", "arm", "v5"},
	{"armv5tejl", "arm", "v5"},
	{"armv6l", "arm", "v6"},
	{"armv7l", "arm", "v7"},
	{"armv8l", "arm", "v8"},
	{"loongarch64", "loong64", NULL},
};

static const char *const known_systems[] = {"aix", "android", "darwin", "dragonfly", "freebsd",
	"illumos", "linux", "netbsd", "openbsd", "plan9", "solaris", "windows", NULL};

static const char *const known_architectures[] = {"386", "amd64", "arm", "arm64", "loong64", "mips",
	"mips64", "mips64le", "mipsle", "ppc64", "ppc64le", "riscv64", "s390x", "wasm", NULL};

static bool is_listed(const char *const *list, const char *name)
{
	while (*list && strcmp(*list, name) != 0)
		list++;
	return *list != NULL;
}

/* Lower case into a field of struct platform; false unless it fits and is made of the characters
 * that names have. */
static bool set_name(const char *name, size_t size, char out[32])
{
	if (size == 0 || size > 31)
		return false;
	for (size_t i = 0; i < size; i++) {
		char c = name[i];

		if (c >= 'A' && c <= 'Z')
			c = (char)(c - 'A' + 'a');
		else if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && !strchr("_.-", c))
			return false;
		out[i] = c;
	}
	out[size] = '\0';
	return true;
}

/* Unused bytes stay zero, so that equal platforms are equal memory. */
static void replace(char name[32], const char *with)
{
	memset(name, 0, 32);
	memcpy(name, with, strlen(with));
}

static void normalise(struct platform *platform)
{
	char *variant = platform->variant;

	if (strcmp(platform->os, "macos") == 0)
		replace(platform->os, "darwin");
	for (size_t i = 0; i < sizeof(aliases) / sizeof(aliases[0]); i++) {
		if (strcmp(platform->architecture, aliases[i].name) != 0)
			continue;
		replace(platform->architecture, aliases[i].architecture);
		if (aliases[i].variant)
			replace(variant, aliases[i].variant);
	}
	if (variant[0] >= '1' && variant[0] <= '9' && variant[1] == '\0') {
		variant[1] = variant[0];
		variant[0] = 'v';
		variant[2] = '\0';
	}
	if (strcmp(platform->architecture, "arm") == 0 && variant[0] == '\0')
		replace(variant, "v7");
	if ((strcmp(platform->architecture, "arm64") == 0 && strcmp(variant, "v8") == 0) ||
		(strcmp(platform->architecture, "amd64") == 0 && strcmp(variant, "v1") == 0))
		replace(variant, "");
}

int platform_set(const char *os, const char *architecture, const char *variant,
	struct platform *out, struct error *err)
{
	struct platform platform = {0};

	if (!set_name(os, strlen(os), platform.os))
		return error_set(err, ERROR_FORMAT, "\"%.64s\" is not an operating system", os);
	if (!set_name(architecture, strlen(architecture), platform.architecture))
		return error_set(
			err, ERROR_FORMAT, "\"%.64s\" is not an architecture", architecture);
	if (variant && variant[0] && !set_name(variant, strlen(variant), platform.variant))
		return error_set(err, ERROR_FORMAT, "\"%.64s\" is not a variant of an architecture",
			variant);
	normalise(&platform);
	*out = platform;
	return 0;
}

/* "linux" or "arm64": the other half is this machine's. */
static bool set_single(struct platform *platform)
{
	struct platform host;

	platform_host(&host);
	if (is_listed(known_systems, platform->os)) {
		replace(platform->architecture, host.architecture);
		replace(platform->variant, host.variant);
		return true;
	}
	replace(platform->architecture, platform->os);
	replace(platform->os, host.os);
	normalise(platform);
	return is_listed(known_architectures, platform->architecture);
}

int platform_parse(const char *text, struct platform *out, struct error *err)
{
	struct platform platform = {0};
	char *const fields[] = {platform.os, platform.architecture, platform.variant};
	size_t n_fields = 0;
	const char *p = text;
	bool valid = true;

	while (valid) {
		size_t size = strcspn(p, "/");

		valid = n_fields < 3 && set_name(p, size, fields[n_fields]);
		n_fields++;
		p += size;
		if (*p != '/')
			break;
		p++;
	}
	if (valid) {
		normalise(&platform);
		if (n_fields == 1)
			valid = set_single(&platform);
	}
	if (!valid)
		return error_set(err, ERROR_INVALID,
			"\"%.100s\" is not a platform (os/architecture[/variant], such as "
			"linux/arm64)",
			text);
	*out = platform;
	return 0;
}

void platform_host(struct platform *out)
{
	struct utsname host;

	/* Fails only for a bad address. */
	(void)uname(&host);
	if (platform_set(host.sysname, host.machine, NULL, out, NULL) == 0)
		return;
	*out = (struct platform){.os = "linux", .architecture = "unknown"};
}

/* "v7" or "v8.2"; false for a variant that is not a number. An absent one is the lowest that the
 * architecture has. */
static bool variant_level(
	const char *architecture, const char *variant, unsigned *major, unsigned *minor)
{
	int end = 0;

	*minor = 0;
	if (variant[0] == '\0') {
		*major = strcmp(architecture, "arm64") == 0 ? 8 : 1;
		return strcmp(architecture, "arm64") == 0 || strcmp(architecture, "amd64") == 0;
	}
	if (sscanf(variant, "v%2u%n.%2u%n", major, &end, minor, &end) < 1)
		return false;
	return variant[end] == '\0';
}

int platform_match(const struct platform *wanted, const struct platform *offered)
{
	bool is_arm64 = strcmp(wanted->architecture, "arm64") == 0;
	unsigned wanted_major, wanted_minor;
	unsigned major, minor;

	if (strcmp(wanted->os, offered->os) != 0 ||
		strcmp(wanted->architecture, offered->architecture) != 0)
		return 0;
	if (strcmp(wanted->variant, offered->variant) == 0)
		return MATCH_EXACT;
	if (!variant_level(wanted->architecture, wanted->variant, &wanted_major, &wanted_minor) ||
		!variant_level(offered->architecture, offered->variant, &major, &minor))
		return 0;

	/* Armv9.x is Armv8.(x + 5) and more. */
	if (is_arm64 && wanted_major == 9 && major == 8)
		return minor <= wanted_minor + 5 ? MATCH_EXACT - 200 + (int)minor : 0;
	if (major > wanted_major || (major == wanted_major && minor > wanted_minor) ||
		(is_arm64 && major != wanted_major))
		return 0;
	return MATCH_EXACT - 1 - (int)(wanted_major - major) -
	       (major == wanted_major ? (int)(wanted_minor - minor) : 0);
}

const char *platform_format(const struct platform *platform, char text[100])
{
	(void)snprintf(text, 100, "%s/%s%s%s", platform->os, platform->architecture,
		platform->variant[0] ? "/" : "", platform->variant);
	return text;
}
