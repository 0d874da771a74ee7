/* SPDX-License-Identifier: Apache-2.0 */
/* URLs taken apart and put together by libcurl's own parser, so that what is checked here is what
 * is connected to later. */
#include "http/url.h"

#include <ctype.h>
#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

/* What a message shows of a URL: enough for a blob's, and room for the reason. */
#define SHOWN_SIZE 240

static void curlu_freep(CURLU **handle)
{
	curl_url_cleanup(*handle);
}

static void curl_stringp(char **text)
{
	curl_free(*text);
}

static int refuse(struct error *err, const char *text, const char *reason)
{
	char shown[SHOWN_SIZE];

	url_redact(text, shown, sizeof(shown));
	return error_set(err, ERROR_INVALID, "URL \"%s\": %s", shown, reason);
}

/* A copy of one part; *out stays NULL when the URL has no such part. */
static int part_get(CURLU *handle, CURLUPart part, char **out, struct error *err)
{
	CLEANUP(curl_stringp) char *text = NULL;
	CURLUcode code = curl_url_get(handle, part, &text, CURLU_DEFAULT_PORT);

	if (code == CURLUE_NO_QUERY)
		return 0;
	if (code != CURLUE_OK)
		return error_set(err, ERROR_INVALID, "URL: %s", curl_url_strerror(code));
	*out = strdup(text);
	if (!*out)
		return error_set(err, ERROR_NO_MEMORY, "no memory for a URL");
	return 0;
}

static int port_get(CURLU *handle, uint16_t *out, struct error *err)
{
	CLEANUP(cleanup_free) char *text = NULL;
	unsigned long port;

	if (part_get(handle, CURLUPART_PORT, &text, err) < 0)
		return -1;
	port = strtoul(text, NULL, 10);
	if (port == 0 || port > UINT16_MAX)
		return error_set(err, ERROR_INVALID, "URL: port %s is not in 1 to 65535", text);
	*out = (uint16_t)port;
	return 0;
}

static void lower(char *text)
{
	for (; *text; text++)
		*text = (char)tolower((unsigned char)*text);
}

static int url_from_handle(CURLU *handle, const char *text, struct url *out, struct error *err)
{
	CLEANUP(url_free) struct url url = {0};

	if (part_get(handle, CURLUPART_SCHEME, &url.scheme, err) < 0 ||
		part_get(handle, CURLUPART_HOST, &url.host, err) < 0 ||
		part_get(handle, CURLUPART_PATH, &url.path, err) < 0 ||
		part_get(handle, CURLUPART_QUERY, &url.query, err) < 0)
		return -1;
	lower(url.scheme);
	lower(url.host);
	if (strcmp(url.scheme, "http") != 0 && strcmp(url.scheme, "https") != 0)
		return refuse(err, text, "the scheme is neither http nor https");
	if (port_get(handle, &url.port, err) < 0)
		return -1;

	*out = url;
	url = (struct url){0};
	return 0;
}

/* What curl would take, and no specification allows: it would end up in a request line. */
static int check_text(const char *text, struct error *err)
{
	size_t size = strnlen(text, URL_MAX_SIZE + 1);

	if (size > URL_MAX_SIZE)
		return error_set(err, ERROR_INVALID, "URL is longer than %d bytes", URL_MAX_SIZE);
	for (size_t i = 0; i < size; i++)
		if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
			return refuse(err, text, "it has a control character");
	return 0;
}

/* curl reads "https:///x" as the host x. */
static bool has_empty_host(const char *text)
{
	const char *authority = strstr(text, "://");

	return authority && authority[3] == '/' && memchr(text, '/', authority - text) == NULL;
}

static int handle_set(CURLU *handle, const char *text, unsigned flags, struct error *err)
{
	CURLUcode code;

	if (has_empty_host(text))
		return refuse(err, text, "it names no host");
	code = curl_url_set(handle, CURLUPART_URL, text,
		flags | CURLU_DISALLOW_USER | CURLU_NON_SUPPORT_SCHEME);
	if (code == CURLUE_OUT_OF_MEMORY)
		return error_set(err, ERROR_NO_MEMORY, "no memory for a URL");
	if (code == CURLUE_USER_NOT_ALLOWED)
		return refuse(err, text, "a user name or password does not belong in a URL");
	if (code != CURLUE_OK)
		return refuse(err, text, curl_url_strerror(code));
	return 0;
}

int url_parse(const char *text, struct url *out, struct error *err)
{
	CLEANUP(curlu_freep) CURLU *handle = curl_url();

	if (!handle)
		return error_set(err, ERROR_NO_MEMORY, "no memory for a URL");
	if (check_text(text, err) < 0)
		return -1;
	if (handle_set(handle, text, 0, err) < 0)
		return -1;
	return url_from_handle(handle, text, out, err);
}

int url_resolve(const struct url *base, const char *reference, struct url *out, struct error *err)
{
	CLEANUP(curlu_freep) CURLU *handle = curl_url();
	CLEANUP(buffer_free) struct buffer text = {0};

	if (!handle)
		return error_set(err, ERROR_NO_MEMORY, "no memory for a URL");
	if (url_format(base, &text, err) < 0)
		return -1;
	if (check_text(reference, err) < 0)
		return -1;
	if (handle_set(handle, (const char *)text.data, 0, err) < 0)
		return -1;
	/* RFC 3986 section 5.2.2, the case that curl gets wrong: the base itself. */
	if (*reference == '\0' || *reference == '#')
		return url_from_handle(handle, reference, out, err);
	/* Servers send spaces and raw UTF-8 here; every client encodes them and goes on. */
	if (handle_set(handle, reference, CURLU_URLENCODE | CURLU_ALLOW_SPACE, err) < 0)
		return -1;
	return url_from_handle(handle, reference, out, err);
}

int url_format(const struct url *url, struct buffer *out, struct error *err)
{
	const uint16_t usual = strcmp(url->scheme, "https") == 0 ? 443 : 80;
	char port[8] = "";

	if (url->port != usual)
		(void)snprintf(port, sizeof(port), ":%u", url->port);
	if (buffer_printf(out, "%s://%s%s%s%s%s", url->scheme, url->host, port, url->path,
		    url->query ? "?" : "", url->query ? url->query : "") < 0)
		return error_set(err, ERROR_NO_MEMORY, "no memory for a URL");
	return 0;
}

bool url_origin_equal(const struct url *a, const struct url *b)
{
	return a->port == b->port && strcmp(a->scheme, b->scheme) == 0 &&
	       strcmp(a->host, b->host) == 0;
}

void url_free(struct url *url)
{
	free(url->scheme);
	free(url->host);
	free(url->path);
	free(url->query);
	*url = (struct url){0};
}

struct text_out {
	char *text;
	size_t size;
	size_t used;
	bool full;
};

static void put(struct text_out *out, const char *text, size_t size)
{
	if (out->full)
		return;
	if (size > out->size - 1 - out->used) {
		size = out->size - 1 - out->used;
		out->full = true;
	}
	memcpy(out->text + out->used, text, size);
	out->used += size;
}

static void put_query(struct text_out *out, const char *query)
{
	while (*query) {
		size_t size = strcspn(query, "&#");
		const char *equals = memchr(query, '=', size);

		if (!equals)
			/* Without a name it may be a bare token. */
			put(out, "***", size > 0 ? 3 : 0);
		else if (strncmp(query, "ns=", 3) == 0) {
			put(out, query, size);
		} else {
			put(out, query, (size_t)(equals - query) + 1);
			put(out, "***", 3);
		}
		query += size;
		if (*query)
			put(out, query++, 1);
	}
}

void url_redact(const char *text, char *out, size_t out_size)
{
	struct text_out to = {.text = out, .size = out_size};
	const char *authority = strstr(text, "://");
	size_t before_query = strcspn(text, "?#");

	if (out_size == 0)
		return;
	if (authority && (size_t)(authority - text) < before_query) {
		size_t scheme_size = (size_t)(authority - text) + 3;
		size_t authority_size = strcspn(text + scheme_size, "/?#");
		const char *at = memrchr(text + scheme_size, '@', authority_size);

		put(&to, text, scheme_size);
		if (at) {
			put(&to, "***", 3);
			text = at;
			before_query = strcspn(text, "?#");
		} else {
			text += scheme_size;
			before_query -= scheme_size;
		}
	}
	put(&to, text, before_query);
	if (text[before_query]) {
		put(&to, text + before_query, 1);
		put_query(&to, text + before_query + 1);
	}
	if (to.full && out_size > 3)
		memcpy(out + out_size - 4, "...", 3);
	out[to.used] = '\0';
}
