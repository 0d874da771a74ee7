/* SPDX-License-Identifier: Apache-2.0 */
/* hosts.toml, read as containerd reads it. */
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/log.h"
#include "config/toml.h"
#include "hosts_internal.h"

/* What is being read, for messages. */
struct place {
	const char *path;
	const char *directory;
	const char *table; /* the URL of [host."URL"], or NULL at the top of the file */
	unsigned line;     /* where the table begins */
	struct error *err;
};

/* Refuses a field, in the words @fmt. */
__attribute__((format(printf, 4, 5))) static int wrong(const struct place *place,
	const struct toml_value *value, const char *field, const char *fmt, ...)
{
	unsigned line = value ? toml_line(value) : place->line;
	char what[256];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	if (place->table)
		return error_set(place->err, ERROR_INVALID, "%s: line %u: [host.\"%s\"] %s: %s",
			place->path, line, place->table, field, what);
	return error_set(
		place->err, ERROR_INVALID, "%s: line %u: %s: %s", place->path, line, field, what);
}

static int wrong_type(const struct place *place, const struct toml_value *value, const char *field,
	const char *expected)
{
	return wrong(place, value, field, "must be %s (found: %s)", expected,
		toml_type_name(toml_type(value)));
}

static int no_memory(const struct place *place)
{
	return error_set(place->err, ERROR_NO_MEMORY, "%s: no memory for its hosts", place->path);
}

/* *out is NULL when the field is absent. */
static int read_string(const struct place *place, const struct toml_value *table, const char *field,
	const char **out)
{
	const struct toml_value *value = toml_get(table, field);

	if (value && toml_type(value) != TOML_TYPE_STRING)
		return wrong_type(place, value, field, "a string");
	*out = toml_string(value);
	return 0;
}

/* *given is false when the field is absent. */
static int read_bool(const struct place *place, const struct toml_value *table, const char *field,
	bool *given, bool *out)
{
	const struct toml_value *value = toml_get(table, field);

	*given = value != NULL;
	if (value && !toml_bool(value, out))
		return wrong_type(place, value, field, "true or false");
	return 0;
}

/* The path of a certificate file, as it will be opened. */
static char *file_path(const struct place *place, const char *text)
{
	char *path;

	if (*text == '/')
		return strdup(text);
	return asprintf(&path, "%s/%s", place->directory, text) < 0 ? NULL : path;
}

static int add_ca(const struct place *place, const char *text, struct host *host)
{
	CLEANUP(cleanup_free) char *path = file_path(place, text);

	if (!path || host_add_ca(host, path) < 0)
		return no_memory(place);
	return 0;
}

static int read_ca(const struct place *place, const struct toml_value *table, struct host *host)
{
	static const char expected[] = "a file name or an array of file names";
	const struct toml_value *value = toml_get(table, "ca");

	if (!value)
		return 0;
	host->has_tls = true;
	if (toml_type(value) == TOML_TYPE_STRING)
		return add_ca(place, toml_string(value), host);
	if (toml_type(value) != TOML_TYPE_ARRAY)
		return wrong_type(place, value, "ca", expected);
	for (size_t i = 0; i < toml_length(value); i++) {
		const struct toml_value *item = toml_at(value, i);

		if (toml_type(item) != TOML_TYPE_STRING)
			return wrong(place, item, "ca", "must be %s (element %zu: %s)", expected,
				i + 1, toml_type_name(toml_type(item)));
		if (add_ca(place, toml_string(item), host) < 0)
			return -1;
	}
	return 0;
}

static int add_pair(const struct place *place, const char *cert, const char *key, struct host *host)
{
	CLEANUP(cleanup_free) char *cert_path = file_path(place, cert);
	CLEANUP(cleanup_free) char *key_path = NULL;

	if (*key) {
		key_path = file_path(place, key);
		if (!key_path)
			return no_memory(place);
	}
	if (!cert_path || host_add_pair(host, cert_path, key_path) < 0)
		return no_memory(place);
	host->has_tls = true;
	return 0;
}

/* One element of `client`: "both.pem" or ["cert.pem", "key.pem"]. */
static int read_client_item(
	const struct place *place, const struct toml_value *item, struct host *host)
{
	const char *cert;
	const char *key;

	if (toml_type(item) == TOML_TYPE_STRING)
		return add_pair(place, toml_string(item), "", host);
	if (toml_type(item) != TOML_TYPE_ARRAY)
		return wrong_type(place, item, "client", "file names or [certificate, key] pairs");
	if (toml_length(item) != 2)
		return wrong(place, item, "client",
			"a pair is [\"certificate\", \"key\"]; this one has %zu elements",
			toml_length(item));
	cert = toml_string(toml_at(item, 0));
	key = toml_string(toml_at(item, 1));
	if (!cert || !key)
		return wrong(place, item, "client", "a pair must be of two file names");
	return add_pair(place, cert, key, host);
}

static int read_client(const struct place *place, const struct toml_value *table, struct host *host)
{
	const struct toml_value *value = toml_get(table, "client");

	if (!value)
		return 0;
	if (toml_type(value) == TOML_TYPE_STRING)
		return read_client_item(place, value, host);
	if (toml_type(value) != TOML_TYPE_ARRAY)
		return wrong_type(place, value, "client",
			"a file name, an array of file names or an array of [certificate, key] "
			"pairs");
	for (size_t i = 0; i < toml_length(value); i++) {
		if (read_client_item(place, toml_at(value, i), host) < 0)
			return -1;
	}
	return 0;
}

static int read_capabilities(
	const struct place *place, const struct toml_value *table, struct host *host)
{
	static const struct {
		const char *name;
		enum host_capability bit;
	} known[] = {{"pull", HOST_PULL}, {"resolve", HOST_RESOLVE}, {"push", HOST_PUSH},
		{"referrers", HOST_REFERRERS}};
	const struct toml_value *value = toml_get(table, "capabilities");
	unsigned capabilities = 0;

	if (value && toml_type(value) != TOML_TYPE_ARRAY)
		return wrong_type(place, value, "capabilities", "an array");
	for (size_t i = 0; i < toml_length(value); i++) {
		const char *name = toml_string(toml_at(value, i));
		unsigned bit = 0;

		for (size_t j = 0; name && j < sizeof(known) / sizeof(known[0]); j++) {
			if (strcasecmp(name, known[j].name) == 0)
				bit = known[j].bit;
		}
		if (!bit)
			return wrong(place, toml_at(value, i), "capabilities",
				"%s is none of pull, resolve, push, referrers",
				name ? name : "an element that is not a string");
		capabilities |= bit;
	}
	host->capabilities = capabilities ? capabilities : HOST_ALL_CAPABILITIES;
	return 0;
}

static int read_dial_timeout(
	const struct place *place, const struct toml_value *table, struct host *host)
{
	/* Long enough to mean what 0 means to containerd; every request has a deadline too. */
	const int64_t no_limit_ns = INT64_C(3600) * 1000000000;
	const struct toml_value *value = toml_get(table, "dial_timeout");
	const char *text = NULL;
	int64_t ns;

	if (read_string(place, table, "dial_timeout", &text) < 0)
		return -1;
	if (!text || !*text)
		return 0;
	if (duration_parse(text, &ns) < 0)
		return wrong(place, value, "dial_timeout",
			"\"%s\" is no duration such as \"200ms\", \"3s\" or \"1m30s\"", text);
	if (ns < 0)
		return wrong(place, value, "dial_timeout", "\"%s\" is negative", text);
	host->dial_timeout_ns = (uint64_t)(ns == 0 || ns > no_limit_ns ? no_limit_ns : ns);
	return 0;
}

/* RFC 9110 section 5.6.2 "token", and 5.5: a line break in a value would start another header. */
static bool is_header_name(const char *text)
{
	if (!*text)
		return false;
	for (; *text; text++) {
		if (!isalnum((unsigned char)*text) && !strchr("!#$%&'*+-.^_`|~", *text))
			return false;
	}
	return true;
}

static bool is_header_value(const char *text)
{
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return false;
	}
	return true;
}

struct header_reading {
	const struct place *place;
	struct host *host;
};

static int add_header(const struct header_reading *reading, const struct toml_value *item,
	const char *name, const struct toml_value *whole)
{
	const char *value = toml_string(item);

	if (!value)
		return wrong(reading->place, whole, "header",
			"%s must be a string or an array of strings", name);
	if (!is_header_value(value))
		return wrong(reading->place, whole, "header",
			"the value of %s has a control character", name);
	if (host_add_header(reading->host, name, value) < 0)
		return no_memory(reading->place);
	return 0;
}

static int read_header(const char *name, const struct toml_value *value, void *arg)
{
	static const char *const framing[] = {
		"Host", "Content-Length", "Transfer-Encoding", "Trailer"};
	const struct header_reading *reading = arg;

	if (!is_header_name(name))
		return wrong(reading->place, value, "header", "\"%s\" is no header name", name);
	for (size_t i = 0; i < sizeof(framing) / sizeof(framing[0]); i++) {
		/* Go's net/http never sends these from a header map, so containerd does not. */
		if (strcasecmp(name, framing[i]) == 0) {
			log_warning("%s: line %u: header %s is not sent, as containerd does not "
				    "send it either",
				reading->place->path, toml_line(value), name);
			return 0;
		}
	}
	if (toml_type(value) != TOML_TYPE_ARRAY)
		return add_header(reading, value, name, value);
	for (size_t i = 0; i < toml_length(value); i++) {
		if (add_header(reading, toml_at(value, i), name, value) < 0)
			return -1;
	}
	return 0;
}

static int read_headers(
	const struct place *place, const struct toml_value *table, struct host *host)
{
	struct header_reading reading = {place, host};
	const struct toml_value *value = toml_get(table, "header");

	if (value && toml_type(value) != TOML_TYPE_TABLE)
		return wrong_type(place, value, "header", "a table");
	return value ? toml_each(value, read_header, &reading) : 0;
}

static int read_url(const struct place *place, const struct toml_value *url_value, const char *url,
	bool override_path, struct host *host)
{
	struct error cause = {0};

	if (!url || !*url || host_set_url(host, url, override_path, &cause) == 0)
		return 0;
	if (cause.kind == ERROR_NO_MEMORY)
		return no_memory(place);
	return wrong(place, url_value, place->table ? "URL" : "server", "%s", cause.message);
}

/* The fields that the top of the file and each [host."URL"] share. */
static int read_fields(const struct place *place, const struct toml_value *table,
	const struct toml_value *url_value, const char *url, struct host *host)
{
	bool override_path = false;
	bool skip_verify = false;
	bool given;

	if (read_bool(place, table, "override_path", &given, &override_path) < 0 ||
		read_url(place, url_value, url, override_path, host) < 0)
		return -1;
	if (read_bool(place, table, "skip_verify", &given, &skip_verify) < 0)
		return -1;
	if (given) {
		host->has_tls = true;
		host->verify = skip_verify ? TLS_VERIFY_SKIP : TLS_VERIFY_ON;
	}
	if (read_capabilities(place, table, host) < 0 || read_ca(place, table, host) < 0 ||
		read_client(place, table, host) < 0 || read_headers(place, table, host) < 0)
		return -1;
	return read_dial_timeout(place, table, host);
}

/* Only what [host...] headers name counts, in their order; those that follow each other for the
 * same host ([host.X] and [host.X.header]) are one. */
static int read_hosts(
	struct place *place, const struct toml_document *document, struct host_list *out)
{
	size_t n_headers;
	const struct toml_header *headers = toml_headers(document, &n_headers);
	const struct toml_value *all = toml_get(toml_root(document), "host");
	const char *previous = "";

	for (size_t i = 0; i < n_headers; i++) {
		const struct toml_header *header = &headers[i];
		const struct toml_value *table;
		struct host *host;

		if (header->is_array || header->n_names < 2 ||
			strcmp(header->names[0], "host") != 0 ||
			strcmp(header->names[1], previous) == 0)
			continue;
		previous = place->table = header->names[1];
		place->line = header->line;
		table = toml_get(all, previous);
		if (toml_type(table) != TOML_TYPE_TABLE)
			return wrong_type(place, table, "host", "a table");
		if (out->n_hosts == HOSTS_MAX_ENTRIES)
			return wrong(place, NULL, "host", "more than %d hosts", HOSTS_MAX_ENTRIES);
		host = host_list_add(out, header->line);
		if (!host)
			return no_memory(place);
		if (read_fields(place, table, NULL, previous, host) < 0)
			return -1;
	}
	place->table = NULL;
	return 0;
}

static bool has_header(const struct toml_document *document, const char *url)
{
	size_t n_headers;
	const struct toml_header *headers = toml_headers(document, &n_headers);

	for (size_t i = 0; i < n_headers; i++) {
		if (!headers[i].is_array && headers[i].n_names >= 2 &&
			strcmp(headers[i].names[0], "host") == 0 &&
			strcmp(headers[i].names[1], url) == 0)
			return true;
	}
	return false;
}

struct host_check {
	const struct place *place;
	const struct toml_document *document;
};

static int check_host(const char *url, const struct toml_value *value, void *arg)
{
	const struct host_check *check = arg;

	if (toml_type(value) != TOML_TYPE_TABLE)
		return wrong_type(check->place, value, "host", "a table [host.\"URL\"]");
	if (!has_header(check->document, url))
		log_warning("%s: line %u: host \"%s\" is ignored, as containerd ignores hosts "
			    "without a [host.\"URL\"] line of their own",
			check->place->path, toml_line(value), url);
	return 0;
}

static int parse_document(
	struct place *place, const struct toml_document *document, struct host_list *out)
{
	const struct toml_value *root = toml_root(document);
	const struct toml_value *all = toml_get(root, "host");
	struct host_check check = {place, document};
	const char *server = NULL;
	struct host *upstream;

	place->line = 1;
	if (all && toml_type(all) != TOML_TYPE_TABLE)
		return wrong_type(place, all, "host", "tables [host.\"URL\"]");
	if (all && toml_each(all, check_host, &check) < 0)
		return -1;
	if (read_hosts(place, document, out) < 0)
		return -1;

	place->line = 1;
	if (read_string(place, root, "server", &server) < 0)
		return -1;
	upstream = host_list_add(out, server ? toml_line(toml_get(root, "server")) : 1);
	if (!upstream)
		return no_memory(place);
	return read_fields(place, root, toml_get(root, "server"), server, upstream);
}

int hosts_file_parse(const char *path, const char *directory, const void *data, size_t size,
	struct host_list *out, struct error *err)
{
	CLEANUP(toml_freep) struct toml_document *document = NULL;
	struct place place = {.path = path, .directory = directory, .err = err};

	if (toml_parse(data, size, &document, err) < 0)
		return error_prefix(err, "%s", path);
	if (parse_document(&place, document, out) < 0) {
		host_list_clear(out);
		return -1;
	}
	return 0;
}
