/* SPDX-License-Identifier: Apache-2.0 */
/* Collects why hosts failed. */
#include "failure_internal.h"

#include <stdio.h>
#include <string.h>

#include "http/http_client.h"

/* More would leave too little room for each. */
enum { MAX_SHOWN = 4 };

void failure_list_add(struct failure_list *list, size_t host, const char *origin,
	const struct error *err, bool answered)
{
	struct host_failure *items;
	size_t i = 0;

	while (i < list->n_items && list->items[i].host != host)
		i++;
	if (i == list->n_items) {
		items = reallocarray(list->items, list->n_items + 1, sizeof(*items));
		if (!items)
			return;
		list->items = items;
		list->n_items++;
	}
	memmove(&list->items[i], &list->items[i + 1],
		(list->n_items - i - 1) * sizeof(list->items[0]));
	list->items[list->n_items - 1] = (struct host_failure){host, origin, *err, answered};
}

/* How much a person can do about it, and how much it says about the others. */
static int rank(enum error_kind kind)
{
	switch (kind) {
	case ERROR_NO_MEMORY:
	case ERROR_INTERNAL:
		return 8;
	case ERROR_INVALID:
	case ERROR_UNAUTHORIZED:
		return 7;
	case ERROR_RATE_LIMITED:
		return 6;
	case ERROR_DIGEST_MISMATCH:
	case ERROR_FORMAT:
		return 5;
	case ERROR_UNSUPPORTED:
		return 4;
	case ERROR_TIMEOUT:
		return 3;
	case ERROR_NOT_FOUND:
		return 1;
	default:
		return 2;
	}
}

static enum error_kind kind_of(const struct failure_list *list)
{
	const struct host_failure *last = &list->items[list->n_items - 1];
	enum error_kind kind = last->err.kind;

	if (last->answered)
		return kind;
	for (size_t i = 0; i < list->n_items; i++) {
		if (rank(list->items[i].err.kind) > rank(kind))
			kind = list->items[i].err.kind;
	}
	return kind;
}

static bool begins_with_url(const struct error *err)
{
	static const enum http_method methods[] = {HTTP_GET, HTTP_HEAD, HTTP_POST, HTTP_PUT};

	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		const char *name = http_method_name(methods[i]);
		size_t size = strlen(name);

		if (strncmp(err->message, name, size) == 0 && err->message[size] == ' ')
			return true;
	}
	return false;
}

/* Method, URL and range are superfluous where the origin is told. */
static const char *cause_of(const struct error *err)
{
	const char *cause = strstr(err->message, ": ");

	return begins_with_url(err) && cause ? cause + 2 : err->message;
}

void failure_list_compose(const struct failure_list *list, struct error *out)
{
	/* What is put before the message later needs room, too. */
	const size_t room = sizeof(out->message) - 80;
	size_t first = list->n_items > MAX_SHOWN ? list->n_items - MAX_SHOWN : 0;
	size_t size = 0;
	size_t share;

	if (list->n_items == 0) {
		(void)error_set(out, ERROR_UNAVAILABLE, "no host could be asked");
		return;
	}
	if (list->n_items == 1) {
		*out = list->items[0].err;
		if (!begins_with_url(out))
			(void)error_prefix(out, "%s", list->items[0].origin);
		return;
	}
	share = room / (list->n_items - first);
	out->kind = kind_of(list);
	for (size_t i = first; i < list->n_items; i++) {
		const struct host_failure *item = &list->items[i];
		int limit = (int)share - (int)strlen(item->origin) - 4;
		int n = snprintf(out->message + size, sizeof(out->message) - size, "%s%s: %.*s",
			i > first ? "; " : "", item->origin, limit > 40 ? limit : 40,
			cause_of(&item->err));

		size += (size_t)n;
		if (size >= sizeof(out->message))
			return;
	}
}

void failure_list_clear(struct failure_list *list)
{
	free(list->items);
	*list = (struct failure_list){0};
}
