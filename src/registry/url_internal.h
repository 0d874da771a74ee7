/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "registry/url_source.h"

#include "answer_internal.h"
#include "failure_internal.h"
#include "registry_internal.h"

/* One of the places. */
struct url_place {
	char *url;    /* owned */
	char *origin; /* owned: "https://files.example.com"; the redacted text when it is no URL */
};

/* A blob by the urls of its descriptor. Immutable. */
struct url_source {
	struct source base;
	struct registry_client *client; /* borrowed */
	uint64_t size;                  /* of the blob */
	size_t n_places;
	struct url_place places[URL_SOURCE_MAX_URLS];
};

/* url_fetch.c */
struct source_fetch *url_fetch_start(struct source *source, struct source_request *request);
void url_fetch_cancel(struct source_fetch *fetch);
