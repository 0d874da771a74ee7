/* SPDX-License-Identifier: Apache-2.0 */
/* What the status of a registry's answer means. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"

#include "exchange_internal.h"

/* As long as nine digits can say: decades, and in nanoseconds no overflow. */
#define RETRY_AFTER_LONGEST_S INT64_C(999999999)

static enum error_kind kind_of(int status)
{
	switch (status) {
	case 401:
	case 403:
	case 407:
		return ERROR_UNAUTHORIZED;
	case 404:
	case 410:
		return ERROR_NOT_FOUND;
	case 408:
		return ERROR_TIMEOUT;
	case 416:
		return ERROR_FORMAT;
	case 429:
		return ERROR_RATE_LIMITED;
	case 501:
		return ERROR_UNSUPPORTED;
	default:
		return status >= 500 ? ERROR_UNAVAILABLE : ERROR_UNSUPPORTED;
	}
}

void exchange_set_status_error(
	struct error *err, const char *what, int status, const struct buffer *body)
{
	char text[200];

	registry_error_text(body->data, body->size, text, sizeof(text));
	(void)error_set(
		err, kind_of(status), "%s: status %d%s%s", what, status, *text ? " " : "", text);
}

uint64_t exchange_retry_after(const struct http_headers *headers, int64_t wall_s)
{
	const char *text = http_headers_get(headers, "Retry-After");
	struct tm date = {0};
	const char *end;
	int64_t seconds = 0;

	if (!text || !*text)
		return 0;
	if (strspn(text, "0123456789") == strlen(text)) {
		seconds = strlen(text) > 9 ? RETRY_AFTER_LONGEST_S : strtoll(text, NULL, 10);
	} else {
		/* RFC 9110 section 5.6.7, the only form that servers may still send. */
		end = strptime(text, "%a, %d %b %Y %H:%M:%S GMT", &date);
		if (!end || *end)
			return 0;
		seconds = (int64_t)timegm(&date) - wall_s;
	}
	if (seconds > RETRY_AFTER_LONGEST_S)
		seconds = RETRY_AFTER_LONGEST_S;
	return seconds > 0 ? (uint64_t)seconds * NS_PER_SECOND : 0;
}
