/* SPDX-License-Identifier: Apache-2.0 */
/* Takes the wanted bytes out of whatever a host answers to a request for a range. */
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "source_internal.h"

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

static uint64_t wanted_off(const struct source_fetch *fetch)
{
	return fetch->request->off + fetch->delivered;
}

static uint64_t wanted_size(const struct source_fetch *fetch)
{
	return fetch->request->size - fetch->delivered;
}

/* The host sent a part: it must be the right one of the right blob. */
static int take_part(struct source_fetch *fetch, const char *range)
{
	struct source_answer *answer = &fetch->answer;
	uint64_t first;
	uint64_t last;
	uint64_t total;

	if (!range || content_range_parse(range, &first, &last, &total) < 0)
		return error_set(&answer->err, ERROR_FORMAT,
			"part of a blob with an unusable Content-Range: %.60s",
			range ? range : "none");
	if (first != wanted_off(fetch))
		return error_set(&answer->err, ERROR_FORMAT,
			"asked for bytes from %ju, it sends them from %ju",
			(uintmax_t)wanted_off(fetch), (uintmax_t)first);
	if (total != UINT64_MAX && total != fetch->source->size)
		return error_set(&answer->err, ERROR_FORMAT,
			"it says that the blob has %ju bytes, the manifest says %ju",
			(uintmax_t)total, (uintmax_t)fetch->source->size);
	answer->left = last - first + 1;
	if (answer->left > wanted_size(fetch))
		answer->left = wanted_size(fetch);
	return 0;
}

/* The host sent everything. */
static int take_whole(struct source_fetch *fetch, const struct http_response *response)
{
	struct source_answer *answer = &fetch->answer;

	if (response->has_length && response->length != fetch->source->size)
		return error_set(&answer->err, ERROR_FORMAT,
			"it sends %ju bytes, the manifest says that the blob has %ju",
			(uintmax_t)response->length, (uintmax_t)fetch->source->size);
	answer->skip = wanted_off(fetch);
	answer->left = wanted_size(fetch);
	return 0;
}

static int take_response(struct source_fetch *fetch, const struct http_response *response)
{
	struct host_entry *entry = &fetch->set->entries[fetch->order[fetch->i_order]];
	const char *encoding = http_headers_get(&response->headers, "Content-Encoding");
	const char *range = http_headers_get(&response->headers, "Content-Range");
	bool is_part = response->status == 206 || (response->status == 200 && range);
	bool is_ranged = wanted_size(fetch) != fetch->source->size;

	if (encoding && strcasecmp(encoding, "identity") != 0)
		return error_set(&fetch->answer.err, ERROR_FORMAT,
			"it encodes the blob as %.40s without being asked to", encoding);
	if (is_ranged && (is_part || response->status == 200))
		host_entry_set_ignores_range(entry, !is_part);
	if (is_part)
		return take_part(fetch, range);
	if (response->status == 200)
		return take_whole(fetch, response);
	return error_set(&fetch->answer.err, ERROR_FORMAT, "status %d instead of the blob",
		response->status);
}

static enum http_flow on_response(void *arg, const struct http_response *response)
{
	struct source_fetch *fetch = arg;

	fetch->answer = (struct source_answer){
		.knows_rest = response->has_length, .rest = response->length};
	return take_response(fetch, response) < 0 ? HTTP_ABORT : HTTP_CONTINUE;
}

/* Hands on what is wanted of these bytes. */
static enum http_flow deliver(struct source_fetch *fetch, const uint8_t *data, size_t size)
{
	bool gone = false;
	int result;

	fetch->gone = &gone;
	fetch->request->origin = fetch->origin;
	result = fetch->request->data(fetch->request, data, size);
	if (gone)
		return HTTP_CONTINUE;
	fetch->gone = NULL;
	fetch->answer.left -= size;
	fetch->delivered += size;
	fetch->aborted = result < 0;
	return result < 0 ? HTTP_ABORT : HTTP_CONTINUE;
}

/* Once all is there, a short rest is received so that the connection can serve again. */
static bool is_worth_finishing(const struct source_answer *answer)
{
	return answer->knows_rest ? answer->rest <= SURPLUS_MAX : answer->surplus <= SURPLUS_MAX;
}

static enum http_flow on_data(void *arg, const void *data, size_t size)
{
	struct source_fetch *fetch = arg;
	struct source_answer *answer = &fetch->answer;
	const uint8_t *p = data;
	size_t skipped = answer->skip < size ? (size_t)answer->skip : size;
	size_t wanted = size - skipped;

	answer->skip -= skipped;
	answer->rest -= size < answer->rest ? size : answer->rest;
	if (wanted > answer->left)
		wanted = (size_t)answer->left;
	answer->surplus += size - skipped - wanted;
	if (wanted > 0) {
		uint64_t left = answer->left - wanted;
		bool finish = left > 0 || is_worth_finishing(answer);
		enum http_flow flow = deliver(fetch, p + skipped, wanted);

		/* The fetch may be gone. */
		return flow == HTTP_CONTINUE && finish ? HTTP_CONTINUE : HTTP_ABORT;
	}
	return answer->left > 0 || is_worth_finishing(answer) ? HTTP_CONTINUE : HTTP_ABORT;
}

static void on_done(void *arg, const struct exchange_result *result)
{
	source_fetch_answered(arg, result);
}

const struct exchange_callbacks source_callbacks = {on_response, on_data, on_done};
