/* SPDX-License-Identifier: Apache-2.0 */
/* Image references as people type them, in Docker's normal form. */
#include "oci/reference.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

enum { MAX_REPOSITORY_SIZE = 255, MAX_TAG_SIZE = 128, MAX_HOST_SIZE = 255 };

/* A stretch of the text that was given. */
struct part {
	const char *text;
	size_t size;
};

static int set_invalid(const char *text, struct error *err, const char *why)
{
	return error_set(err, ERROR_INVALID, "\"%.200s\" is not an image reference: %s", text, why);
}

static bool is_lower_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool is_alnum(char c)
{
	return is_lower_alnum(c) || (c >= 'A' && c <= 'Z');
}

static bool part_is(struct part part, const char *text)
{
	return part.size == strlen(text) && memcmp(part.text, text, part.size) == 0;
}

static bool has_upper_case(struct part part)
{
	for (size_t i = 0; i < part.size; i++) {
		if (part.text[i] >= 'A' && part.text[i] <= 'Z')
			return true;
	}
	return false;
}

/* Splits at text[i], which belongs to neither side. */
static struct part cut_after(struct part *part, size_t i)
{
	struct part rest = {part->text + i + 1, part->size - i - 1};

	part->size = i;
	return rest;
}

static bool is_port(struct part part)
{
	unsigned port = 0;

	if (part.size < 1 || part.size > 5)
		return false;
	for (size_t i = 0; i < part.size; i++) {
		if (part.text[i] < '0' || part.text[i] > '9')
			return false;
		port = 10 * port + (unsigned)(part.text[i] - '0');
	}
	return port >= 1 && port <= 65535;
}

static bool is_ipv6_literal(struct part host)
{
	char address[INET6_ADDRSTRLEN];
	struct in6_addr parsed;

	if (host.size < 4 || host.size - 2 >= sizeof(address) || host.text[0] != '[' ||
		host.text[host.size - 1] != ']')
		return false;
	memcpy(address, host.text + 1, host.size - 2);
	address[host.size - 2] = '\0';
	return inet_pton(AF_INET6, address, &parsed) == 1;
}

/* Names separated by single dots, which neither begin nor end with a hyphen. */
static bool is_domain_name(struct part host)
{
	for (size_t i = 0; i < host.size; i++) {
		char c = host.text[i];
		bool at_edge = i == 0 || i + 1 == host.size || host.text[i - 1] == '.' ||
			       host.text[i + 1] == '.';

		if (!is_alnum(c) && (at_edge || (c != '-' && c != '.')))
			return false;
	}
	return host.size > 0;
}

static bool is_registry(struct part registry)
{
	struct part host = registry;
	const char *bracket = memchr(host.text, ']', host.size);
	size_t host_start = bracket ? (size_t)(bracket - host.text) : 0;
	const char *colon = memchr(host.text + host_start, ':', host.size - host_start);

	if (colon && !is_port(cut_after(&host, (size_t)(colon - host.text))))
		return false;
	return host.size <= MAX_HOST_SIZE && (is_ipv6_literal(host) || is_domain_name(host));
}

/* One path component: lower-case letters and digits, joined by ".", "_", "__" or hyphens. */
static bool is_path_component(struct part component)
{
	size_t i = 0;

	while (i < component.size && is_lower_alnum(component.text[i])) {
		while (i < component.size && is_lower_alnum(component.text[i]))
			i++;
		if (i == component.size)
			return true;

		char separator = component.text[i++];

		if (separator == '-') {
			while (i < component.size && component.text[i] == '-')
				i++;
		} else if (separator == '_') {
			i += i < component.size && component.text[i] == '_';
		} else if (separator != '.') {
			return false;
		}
	}
	return false;
}

static bool is_repository(struct part repository)
{
	while (true) {
		const char *slash = memchr(repository.text, '/', repository.size);
		struct part rest;

		if (!slash)
			return is_path_component(repository);
		rest = cut_after(&repository, (size_t)(slash - repository.text));
		if (!is_path_component(repository))
			return false;
		repository = rest;
	}
}

static bool is_tag(struct part tag)
{
	if (tag.size < 1 || tag.size > MAX_TAG_SIZE)
		return false;
	for (size_t i = 0; i < tag.size; i++) {
		if (!is_alnum(tag.text[i]) && tag.text[i] != '_' &&
			(i == 0 || (tag.text[i] != '.' && tag.text[i] != '-')))
			return false;
	}
	return true;
}

/* Docker refuses such a name because it also accepts image ids where it accepts references. */
static bool is_image_id(const char *text)
{
	return strlen(text) == 64 && strspn(text, "0123456789abcdef") == 64;
}

/* "name:tag" or "name", the colon of a port being none. */
static int take_tag(const char *text, struct part *name, struct reference *out, struct error *err)
{
	struct part tag;

	for (size_t i = name->size; i > 0 && name->text[i - 1] != '/'; i--) {
		if (name->text[i - 1] != ':')
			continue;
		tag = cut_after(name, i - 1);
		if (!is_tag(tag))
			return set_invalid(text, err,
				"a tag has 1 to 128 letters, digits, \"_\", \".\" and \"-\" and "
				"begins "
				"with none of the last two");
		memcpy(out->tag, tag.text, tag.size);
		return 0;
	}
	if (!out->has_digest)
		strcpy(out->tag, "latest");
	return 0;
}

/* The registry before the first slash, unless what is there is part of a docker.io repository. */
static int take_registry(
	const char *text, struct part *name, struct reference *out, struct error *err)
{
	const char *slash = memchr(name->text, '/', name->size);
	struct part first = *name;
	struct part rest;

	strcpy(out->registry, "docker.io");
	if (!slash)
		return 0;
	rest = cut_after(&first, (size_t)(slash - name->text));
	if (!memchr(first.text, '.', first.size) && !memchr(first.text, ':', first.size) &&
		!part_is(first, "localhost") && !has_upper_case(first))
		return 0;
	*name = rest;
	if (part_is(first, "docker.io") || part_is(first, "index.docker.io"))
		return 0;
	if (!is_registry(first))
		return set_invalid(text, err,
			"what stands before the first \"/\" is not a registry (host or host:port)");
	memcpy(out->registry, first.text, first.size);
	out->registry[first.size] = '\0';
	return 0;
}

static int set_repository(
	const char *text, struct part name, struct reference *out, struct error *err)
{
	const char *prefix = "";

	if (has_upper_case(name))
		return set_invalid(text, err, "a repository name has no upper-case letters");
	if (!is_repository(name))
		return set_invalid(text, err,
			"a repository is components of a-z and 0-9, joined inside by \".\", \"_\", "
			"\"__\" or \"-\", separated by \"/\"");
	if (strcmp(out->registry, "docker.io") == 0 && !memchr(name.text, '/', name.size))
		prefix = "library/";
	if (strlen(prefix) + name.size > MAX_REPOSITORY_SIZE)
		return set_invalid(text, err, "a repository name has at most 255 characters");
	(void)snprintf(out->repository, sizeof(out->repository), "%s%.*s", prefix, (int)name.size,
		name.text);
	return 0;
}

int reference_parse(const char *text, struct reference *out, struct error *err)
{
	struct reference reference = {0};
	struct part name = {text, strnlen(text, REFERENCE_TEXT_SIZE)};
	const char *at;

	if (name.size == 0)
		return set_invalid(text, err, "it is empty");
	if (name.size == REFERENCE_TEXT_SIZE)
		return set_invalid(text, err, "it is too long");
	if (strstr(text, "://"))
		return set_invalid(
			text, err, "write it without \"...://\" (registry/repository:tag)");
	if (is_image_id(text))
		return set_invalid(
			text, err, "it looks like an image id; write repository@sha256:<digest>");

	at = memchr(text, '@', name.size);
	if (at) {
		struct error cause;

		if (digest_parse(at + 1, &reference.digest, &cause) < 0)
			return set_invalid(text, err, cause.message);
		reference.has_digest = true;
		name.size = (size_t)(at - text);
	}
	if (take_tag(text, &name, &reference, err) < 0 ||
		take_registry(text, &name, &reference, err) < 0 ||
		set_repository(text, name, &reference, err) < 0)
		return -1;
	*out = reference;
	return 0;
}

const char *reference_format(const struct reference *reference, char text[REFERENCE_TEXT_SIZE])
{
	char digest[DIGEST_TEXT_SIZE] = "";

	if (reference->has_digest)
		(void)digest_format(&reference->digest, digest);
	(void)snprintf(text, REFERENCE_TEXT_SIZE, "%s/%s%s%s%s%s", reference->registry,
		reference->repository, reference->tag[0] ? ":" : "", reference->tag,
		reference->has_digest ? "@" : "", digest);
	return text;
}
