/* SPDX-License-Identifier: Apache-2.0 */
/* Blobs that a descriptor says are elsewhere, as a source of bytes. */
#include "registry/url_source.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/url.h"

#include "range_internal.h"
#include "url_internal.h"

static void source_free(struct source *base)
{
	struct url_source *source = container_of(base, struct url_source, base);

	for (size_t i = 0; i < source->n_places; i++) {
		free(source->places[i].url);
		free(source->places[i].origin);
	}
	free(source);
}

static const struct source_ops ops = {
	.start = url_fetch_start,
	.cancel = url_fetch_cancel,
	.free = source_free,
};

/* NULL: no memory. */
static char *origin_of(const char *text)
{
	CLEANUP(url_free) struct url url = {0};
	CLEANUP(buffer_free) struct buffer origin = {0};
	char redacted[128];

	if (url_parse(text, &url, NULL) < 0) {
		url_redact(text, redacted, sizeof(redacted));
		return strdup(redacted);
	}
	/* The URL without path and query. */
	free(url.path);
	free(TAKE_PTR(url.query));
	url.path = strdup("");
	if (!url.path || url_format(&url, &origin, NULL) < 0)
		return NULL;
	return strdup((const char *)origin.data);
}

int url_source_new(struct registry_client *client, const struct descriptor *descriptor,
	struct source **out, struct error *err)
{
	struct url_source *source = calloc(1, sizeof(*source));

	if (!source)
		return error_set(err, ERROR_NO_MEMORY, "no memory for the urls of a blob");
	source->base.ops = &ops;
	source->base.kind = "url";
	source->client = client;
	source->size = descriptor->size;
	while (source->n_places < descriptor->n_urls && source->n_places < URL_SOURCE_MAX_URLS) {
		struct url_place *place = &source->places[source->n_places];

		place->url = strdup(descriptor->urls[source->n_places]);
		place->origin = origin_of(descriptor->urls[source->n_places]);
		source->n_places++;
		if (!place->url || !place->origin) {
			source_free(&source->base);
			return error_set(err, ERROR_NO_MEMORY, "no memory for the urls of a blob");
		}
	}
	*out = &source->base;
	return 0;
}

int url_get_range_unverified(struct registry_client *client, const struct descriptor *descriptor,
	uint64_t off, uint64_t size, struct buffer *out, struct error *err)
{
	struct source *source;

	if (range_check(off, size, descriptor->size, err) < 0 ||
		url_source_new(client, descriptor, &source, err) < 0)
		return -1;
	return range_read(client, source, off, size, out, err);
}
