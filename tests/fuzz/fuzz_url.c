/* SPDX-License-Identifier: Apache-2.0 */
/* Any text as a URL and as a Location header: what is accepted can be formatted, parsed again and
 * stays the same, and cannot break out of a request line. */
#include "http/url.h"
#include "text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_accepted(const struct url *url)
{
	CLEANUP(url_free) struct url again = {0};
	CLEANUP(buffer_free) struct buffer text = {0};
	CLEANUP(buffer_free) struct buffer text_again = {0};

	if (url->path[0] != '/' || url->port == 0 || strpbrk(url->host, "/?#@ \r\n"))
		__builtin_trap();
	if (url_format(url, &text, NULL) < 0)
		return;
	/* Encoding may have made it longer than what is accepted. */
	if (text.size > URL_MAX_SIZE)
		return;
	for (size_t i = 0; i < text.size; i++)
		if (text.data[i] <= ' ' || text.data[i] == 0x7f)
			__builtin_trap();
	if (url_parse((const char *)text.data, &again, NULL) < 0)
		__builtin_trap();
	if (!url_origin_equal(url, &again) || url_format(&again, &text_again, NULL) < 0 ||
		strcmp((const char *)text.data, (const char *)text_again.data) != 0)
		__builtin_trap();
}

static void check_parse(const char *text)
{
	CLEANUP(url_free) struct url url = {0};
	struct error err = {0};

	if (url_parse(text, &url, &err) == 0)
		check_accepted(&url);
}

static void check_resolve(const char *text)
{
	CLEANUP(url_free) struct url base = {0};
	CLEANUP(url_free) struct url url = {0};

	if (url_parse("https://registry.example:5000/v2/app/blobs/x?ns=docker.io", &base, NULL) < 0)
		__builtin_trap();
	if (url_resolve(&base, text, &url, NULL) == 0)
		check_accepted(&url);
}

static void check_redact(const char *text)
{
	char shown[64];

	url_redact(text, shown, sizeof(shown));
	if (strlen(shown) >= sizeof(shown))
		__builtin_trap();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	with_text(data, size, check_parse);
	with_text(data, size, check_resolve);
	with_text(data, size, check_redact);
	return 0;
}
