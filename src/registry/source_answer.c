/* SPDX-License-Identifier: Apache-2.0 */
/* Takes the wanted bytes out of whatever a server answers to a request for a range. */
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/bytes.h"

#include "answer_internal.h"

/* More than this is not worth receiving for the sake of the connection. */
enum { SURPLUS_MAX = 64 << 10 };

static int parse_number(const char **text, uint64_t *out)
{
	const char *p = *text;
	uint64_t value = 0;

	for (; *p >= '0' && *p <= '9'; p++) {
		if (!u64_mul(value, 10, &value) || !u64_add(value, (uint64_t)(*p - '0'), &value))
			return -EINVAL;
	}
	if (p == *text)
		return -EINVAL;
	*text = p;
	*out = value;
	return 0;
}

int content_range_parse(const char *text, uint64_t *first, uint64_t *last, uint64_t *total)
{
	static const char unit[] = "bytes ";

	if (strncasecmp(text, unit, sizeof(unit) - 1) != 0)
		return -EINVAL;
	text += sizeof(unit) - 1;
	if (parse_number(&text, first) < 0 || *text++ != '-' || parse_number(&text, last) < 0 ||
		*text++ != '/')
		return -EINVAL;
	*total = UINT64_MAX;
	if (strcmp(text, "*") != 0 && (parse_number(&text, total) < 0 || *text))
		return -EINVAL;
	return *last < *first || *last >= *total ? -EINVAL : 0;
}

/* The server sent a part: it must be the right one of the right blob. */
static int take_part(
	struct source_answer *answer, const char *text, const struct answer_range *range)
{
	uint64_t first;
	uint64_t last;
	uint64_t total;

	if (!text || content_range_parse(text, &first, &last, &total) < 0)
		return error_set(&answer->err, ERROR_FORMAT,
			"part of a blob with an unusable Content-Range: %.60s",
			text ? text : "none");
	if (first != range->off)
		return error_set(&answer->err, ERROR_FORMAT,
			"asked for bytes from %ju, it sends them from %ju", (uintmax_t)range->off,
			(uintmax_t)first);
	if (total != UINT64_MAX && total != range->blob_size)
		return error_set(&answer->err, ERROR_FORMAT,
			"it says that the blob has %ju bytes, the manifest says %ju",
			(uintmax_t)total, (uintmax_t)range->blob_size);
	answer->left = last - first + 1;
	if (answer->left > range->size)
		answer->left = range->size;
	return 0;
}

/* The server sent everything. */
static int take_whole(struct source_answer *answer, const struct http_response *response,
	const struct answer_range *range)
{
	if (response->has_length && response->length != range->blob_size)
		return error_set(&answer->err, ERROR_FORMAT,
			"it sends %ju bytes, the manifest says that the blob has %ju",
			(uintmax_t)response->length, (uintmax_t)range->blob_size);
	answer->skip = range->off;
	answer->left = range->size;
	return 0;
}

int source_answer_begin(struct source_answer *answer, const struct http_response *response,
	const struct answer_range *range)
{
	const char *encoding = http_headers_get(&response->headers, "Content-Encoding");
	const char *text = http_headers_get(&response->headers, "Content-Range");

	*answer = (struct source_answer){
		.is_part = response->status == 206 || (response->status == 200 && text),
		.knows_rest = response->has_length,
		.rest = response->length,
	};
	if (encoding && strcasecmp(encoding, "identity") != 0)
		return error_set(&answer->err, ERROR_FORMAT,
			"it encodes the blob as %.40s without being asked to", encoding);
	if (answer->is_part)
		return take_part(answer, text, range);
	if (response->status == 200)
		return take_whole(answer, response, range);
	return error_set(
		&answer->err, ERROR_FORMAT, "status %d instead of the blob", response->status);
}

size_t source_answer_take(struct source_answer *answer, size_t size, size_t *off)
{
	size_t skipped = answer->skip < size ? (size_t)answer->skip : size;
	size_t wanted = size - skipped;

	answer->skip -= skipped;
	answer->rest -= size < answer->rest ? size : answer->rest;
	if (wanted > answer->left)
		wanted = (size_t)answer->left;
	answer->left -= wanted;
	answer->surplus += size - skipped - wanted;
	*off = skipped;
	return wanted;
}

bool source_answer_goes_on(const struct source_answer *answer)
{
	if (answer->left > 0)
		return true;
	return answer->knows_rest ? answer->rest <= SURPLUS_MAX : answer->surplus <= SURPLUS_MAX;
}
