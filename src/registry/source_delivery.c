/* SPDX-License-Identifier: Apache-2.0 */
/* Hands the bytes that a registry sends to whoever asked for them. */
#include "source_internal.h"

static enum http_flow on_response(void *arg, const struct http_response *response)
{
	struct source_fetch *fetch = arg;
	struct host_entry *entry = &fetch->set->entries[fetch->order[fetch->i_order]];
	const struct answer_range range = {
		.off = fetch->request->off + fetch->delivered,
		.size = fetch->request->size - fetch->delivered,
		.blob_size = fetch->source->size,
	};
	int result = source_answer_begin(&fetch->answer, response, &range);
	bool is_blob = fetch->answer.is_part || response->status == 200;

	if (range.size != range.blob_size && is_blob)
		host_entry_set_ignores_range(entry, !fetch->answer.is_part);
	return result < 0 ? HTTP_ABORT : HTTP_CONTINUE;
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
		return HTTP_ABORT;
	fetch->gone = NULL;
	fetch->delivered += size;
	fetch->aborted = result < 0;
	return result < 0 ? HTTP_ABORT : HTTP_CONTINUE;
}

static enum http_flow on_data(void *arg, const void *data, size_t size)
{
	struct source_fetch *fetch = arg;
	size_t off;
	size_t wanted = source_answer_take(&fetch->answer, size, &off);
	bool goes_on = source_answer_goes_on(&fetch->answer);

	/* The fetch may be gone when it returns. */
	if (wanted > 0 && deliver(fetch, (const uint8_t *)data + off, wanted) == HTTP_ABORT)
		return HTTP_ABORT;
	return goes_on ? HTTP_CONTINUE : HTTP_ABORT;
}

static void on_done(void *arg, const struct exchange_result *result)
{
	source_fetch_answered(arg, result);
}

const struct exchange_callbacks source_callbacks = {on_response, on_data, on_done};
