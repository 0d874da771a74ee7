/* SPDX-License-Identifier: Apache-2.0 */
/* Any text as the value of Content-Range and of Retry-After: a range that is accepted is one, and
 * is what the text says; a pause is never so long that adding it to a time overflows. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"

#include "source_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void skip_zeros(const char **text)
{
	while (**text == '0' && (*text)[1] >= '0' && (*text)[1] <= '9')
		(*text)++;
}

/* The same text but for leading zeros and the case of the unit. */
static bool is_same(const char *text, const char *expected)
{
	bool in_number = false;

	for (; *expected; text++, expected++) {
		if (!in_number && *expected >= '0' && *expected <= '9')
			skip_zeros(&text);
		in_number = *expected >= '0' && *expected <= '9';
		if (*text != *expected && strncasecmp(text, expected, 1) != 0)
			return false;
	}
	return *text == '\0';
}

static void check_range(const char *text)
{
	char expected[128];
	uint64_t first;
	uint64_t last;
	uint64_t total;
	int n;

	if (content_range_parse(text, &first, &last, &total) < 0)
		return;
	if (first > last || last >= total)
		abort();
	n = snprintf(
		expected, sizeof(expected), "bytes %ju-%ju/", (uintmax_t)first, (uintmax_t)last);
	if (strchr(text, '*'))
		(void)strcpy(expected + n, "*");
	else
		(void)snprintf(expected + n, sizeof(expected) - (size_t)n, "%ju", (uintmax_t)total);
	if (!is_same(text, expected))
		abort();
}

static void check_pause(const char *text)
{
	static const int64_t now_s[] = {0, 784111777, INT64_C(4102444800)};
	CLEANUP(http_headers_free) struct http_headers headers = {0};

	if (http_headers_add(&headers, "Retry-After", text) < 0)
		return;
	for (size_t i = 0; i < sizeof(now_s) / sizeof(now_s[0]); i++) {
		uint64_t pause_ns = exchange_retry_after(&headers, now_s[i]);

		if (pause_ns % NS_PER_SECOND != 0 || pause_ns > UINT64_MAX / 4)
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(cleanup_free) char *text = strndup((const char *)data, size);

	if (!text)
		abort();
	check_range(text);
	check_pause(text);
	return 0;
}
