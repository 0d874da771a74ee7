/* SPDX-License-Identifier: Apache-2.0 */
/* Lists that a host hands out in pages. Spec: OCI distribution-spec, "Listing Referrers". */
#include <string.h>

#include "format/referrers.h"
#include "oci/manifest.h"

#include "call_internal.h"

/* A list that needs more is refused: each page is a request that somebody waits for. */
enum { MAX_PAGES = 64 };

void call_drop_pages(struct registry_call *call)
{
	free(TAKE_PTR(call->link));
	free(TAKE_PTR(call->next));
	buffer_free(&call->pages);
	call->n_pages = 0;
}

int call_take_link(struct registry_call *call, const char *url, struct error *err)
{
	free(TAKE_PTR(call->next));
	if (strcmp(call->media_type, MEDIA_TYPE_OCI_INDEX) != 0)
		return error_set(err, ERROR_UNSUPPORTED,
			"asked for referrers it answers with \"%.80s\": it has no such API",
			call->media_type);
	call->n_pages++;
	if (!call->link)
		return 0;
	if (call->n_pages >= MAX_PAGES)
		return error_set(err, ERROR_UNSUPPORTED,
			"the list of referrers has more than %d "
			"pages",
			(int)MAX_PAGES);
	if (exchange_resolve(&call->set->entries[call->i_host], url, call->link, &call->next, err) <
		0)
		return error_prefix(err, "the next page of referrers");
	return 0;
}

int call_join_pages(struct registry_call *call, struct error *err)
{
	struct buffer joined = {0};

	if (referrers_join(call->pages.data, call->pages.size, call->body.data, call->body.size,
		    &joined, err) < 0)
		return -1;
	if (joined.size > REFERRERS_MAX_SIZE) {
		buffer_free(&joined);
		return error_set(err, ERROR_UNSUPPORTED,
			"the list of referrers is longer than %d "
			"bytes",
			(int)REFERRERS_MAX_SIZE);
	}
	buffer_free(&call->pages);
	call->pages = joined;
	return 0;
}
