/* SPDX-License-Identifier: Apache-2.0 */
/* One file of credentials: containers' auth.json or Docker's config.json, which are alike. */
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/json.h"
#include "credentials_internal.h"

/* How well a key fits; a key of part of the registry scores above these by its length. */
enum { FITS_NOT, FITS_HOST_OF_URL, FITS_HOST, FITS_PREFIX };

/* Looks for the entry of a registry; the best key wins. */
struct search {
	const char *registry;
	const char *repository; /* or NULL */
	bool (*is_filled)(const struct json *value);
	size_t best_fit;
	const char *key; /* borrowed from the document; NULL until one fits */
	const struct json *value;
};

static bool host_is(const char *host, size_t size, const char *name)
{
	return size == strlen(name) && strncasecmp(host, name, size) == 0;
}

bool credentials_is_docker_hub(const char *host, size_t size)
{
	return host_is(host, size, "docker.io") || host_is(host, size, "index.docker.io") ||
	       host_is(host, size, "registry-1.docker.io");
}

static bool is_same_host(const char *host, size_t size, const char *registry)
{
	return host_is(host, size, registry) ||
	       (credentials_is_docker_hub(host, size) &&
		       credentials_is_docker_hub(registry, strlen(registry)));
}

/* Docker's keys are URLs of any path or hosts; containers' may go on with a part of the
 * repository's path. */
static size_t fit_of_key(const char *key, const char *registry, const char *repository)
{
	const char *scheme_end = strstr(key, "://");
	const char *host = scheme_end ? scheme_end + 3 : key;
	size_t host_size = strcspn(host, "/");
	const char *path = host + host_size;
	size_t path_size;

	if (!is_same_host(host, host_size, registry))
		return FITS_NOT;
	if (scheme_end || strcmp(path, "/v1/") == 0 || strcmp(path, "/v1") == 0 ||
		strcmp(path, "/v2/") == 0 || strcmp(path, "/v2") == 0)
		return FITS_HOST_OF_URL;
	path_size = strlen(path);
	if (path_size <= 1)
		return path_size == 0 ? FITS_HOST : FITS_HOST_OF_URL;
	path++;
	path_size--;
	if (path[path_size - 1] == '/')
		path_size--;
	if (repository && strncmp(repository, path, path_size) == 0 &&
		(repository[path_size] == '\0' || repository[path_size] == '/'))
		return FITS_PREFIX + path_size;
	return FITS_NOT;
}

static int consider(const char *key, const struct json *value, void *arg)
{
	struct search *search = arg;
	size_t fit = fit_of_key(key, search->registry, search->repository);

	if (fit > search->best_fit && search->is_filled(value)) {
		search->best_fit = fit;
		search->key = key;
		search->value = value;
	}
	return 0;
}

/* Searches the object of this name in the document; absent and null are empty. */
static int search_in(
	const struct json *document, const char *name, struct search *search, struct error *err)
{
	const struct json *object = json_get(document, name);

	if (!object || json_is_null(object))
		return 0;
	if (!json_is_object(object))
		return error_set(err, ERROR_FORMAT, "\"%s\" is not an object", name);
	(void)json_each(object, consider, search);
	return 0;
}

static bool is_given(const struct json *value)
{
	const char *text = json_string(value);

	return value && !json_is_null(value) && !(text && text[0] == '\0');
}

static bool is_any(const struct json *value)
{
	(void)value;
	return true;
}

/* Docker leaves "host": {} behind where a helper keeps the secret. */
static bool has_secret(const struct json *entry)
{
	return !json_is_object(entry) || is_given(json_get(entry, "auth")) ||
	       is_given(json_get(entry, "identitytoken")) || is_given(json_get(entry, "username"));
}

static int set_string(const struct json *value, const char *name, char **out, struct error *err)
{
	const char *text = json_string(value);

	if (!text)
		return error_set(err, ERROR_FORMAT, "\"%s\" is missing or not a string", name);
	*out = strdup(text);
	if (!*out)
		return error_set(err, ERROR_NO_MEMORY, "no memory for a credential");
	return 0;
}

/* "auth": base64 of user:password. */
static int decode_auth(const struct json *value, struct credential *out, struct error *err)
{
	CLEANUP(secret_buffer_free) struct buffer decoded = {0};
	const char *text = json_string(value);
	const char *colon = NULL;
	int result = -EINVAL;

	/* All of it at once: a buffer that grows leaves copies behind. */
	if (text && buffer_reserve(&decoded, strlen(text) + 1) < 0)
		return error_set(err, ERROR_NO_MEMORY, "no memory for a credential");
	if (text)
		result = base64_decode(text, strlen(text), &decoded);
	if (result == -ENOMEM)
		return error_set(err, ERROR_NO_MEMORY, "no memory for a credential");
	if (result == 0 && decoded.size > 0 && !memchr(decoded.data, '\0', decoded.size))
		colon = memchr(decoded.data, ':', decoded.size);
	if (!colon)
		return error_set(err, ERROR_FORMAT, "\"auth\" is not base64 of user:password");
	out->username = strndup((char *)decoded.data, (size_t)(colon - (char *)decoded.data));
	out->secret = strdup(colon + 1);
	if (!out->username || !out->secret)
		return error_set(err, ERROR_NO_MEMORY, "no memory for a credential");
	return 0;
}

static int parse_identity_token(const struct json *entry, struct credential *out, struct error *err)
{
	if (set_string(json_get(entry, "identitytoken"), "identitytoken", &out->secret, err) < 0)
		return -1;
	out->is_identity_token = true;
	out->username = strdup("<token>");
	if (!out->username)
		return error_set(err, ERROR_NO_MEMORY, "no memory for a credential");
	return 0;
}

static int parse_auth(const struct json *entry, struct credential *out, struct error *err)
{
	if (!json_is_object(entry))
		return error_set(err, ERROR_FORMAT, "the entry is not an object");
	if (is_given(json_get(entry, "identitytoken")))
		return parse_identity_token(entry, out, err);
	if (is_given(json_get(entry, "auth")))
		return decode_auth(json_get(entry, "auth"), out, err);
	if (set_string(json_get(entry, "username"), "username", &out->username, err) < 0)
		return -1;
	return set_string(json_get(entry, "password"), "password", &out->secret, err);
}

/* The name becomes part of a program's: no path, nothing a shell or a terminal would mind. */
static int set_helper(
	const char *name, const char *member, struct credentials_entry *out, struct error *err)
{
	size_t size = name ? strlen(name) : 0;

	if (size == 0 || size > CREDENTIALS_HELPER_MAX_NAME ||
		strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
			     "._-") != size)
		return error_set(err, ERROR_FORMAT,
			"\"%s\" is not a name of a helper (letters, digits, \".\", \"_\", \"-\")",
			member);
	memcpy(out->helper, name, size + 1);
	return 0;
}

static int parse_helper(const struct json *document, struct search *search,
	struct credentials_entry *out, struct error *err)
{
	const struct json *store = json_get(document, "credsStore");

	search->is_filled = is_any;
	if (search_in(document, "credHelpers", search, err) < 0)
		return -1;
	if (search->value) {
		/* "" takes the default helper away from this registry. */
		if (!is_given(search->value))
			return 0;
		if (set_helper(json_string(search->value), search->key, out, err) < 0)
			return error_prefix(err, "\"credHelpers\"");
		return 0;
	}
	if (!is_given(store))
		return 0;
	out->helper_is_default = true;
	return set_helper(json_string(store), "credsStore", out, err);
}

static int parse_document(const struct json *document, const char *registry, const char *repository,
	struct credentials_entry *out, struct error *err)
{
	struct search helpers = {.registry = registry, .repository = repository};
	struct search auths = helpers;

	if (!json_is_object(document))
		return error_set(err, ERROR_FORMAT, "the document is not a JSON object");
	if (parse_helper(document, &helpers, out, err) < 0)
		return -1;
	auths.is_filled = has_secret;
	if (search_in(document, "auths", &auths, err) < 0)
		return -1;
	if (!auths.value)
		return 0;
	if (parse_auth(auths.value, &out->credential, err) < 0)
		return error_prefix(err, "\"auths\": \"%.100s\"", auths.key);
	out->has_credential = true;
	return 0;
}

int credentials_file_parse(const void *data, size_t size, const char *registry,
	const char *repository, struct credentials_entry *out, struct error *err)
{
	CLEANUP(json_freep) struct json *document = NULL;
	struct credentials_entry entry = {0};

	/* /dev/null is a common way to say "no credentials". */
	if (size > 0) {
		if (json_parse(data, size, &document, err) < 0)
			return -1;
		if (parse_document(document, registry, repository, &entry, err) < 0) {
			credentials_entry_clear(&entry);
			return -1;
		}
	}
	*out = entry;
	return 0;
}

void credentials_entry_clear(struct credentials_entry *entry)
{
	credential_clear(&entry->credential);
	*entry = (struct credentials_entry){0};
}
