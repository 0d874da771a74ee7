/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "http/http_client.h"

#include "registry_internal.h"

/* One question to one host, until there is an answer: authentication, redirects and the fallback
 * to http are done in here; trying again and asking another host are the caller's. Net loop only.
 *
 * Credentials, the host's headers and its certificates go to the host's own origin only. */
struct exchange;

struct exchange_options {
	struct host_entry *entry; /* its set is kept alive by the exchange */
	enum http_method method;
	const char *repository;
	const char *path;         /* below the repository: "manifests/latest" */
	const char *accept;       /* or NULL */
	const char *target;       /* where an earlier redirect of this question led, or NULL */
	bool is_push;             /* asks for tokens that allow it */
	const char *content_type; /* of what is sent, or NULL */
	const void *content;      /* stays until the end */
	size_t content_size;
	bool range;
	uint64_t range_off;
	uint64_t range_size;
	uint64_t max_body; /* 0: unlimited */
	uint64_t
		connect_timeout_ns; /* where the configuration says none; 0: the client's default */
	uint64_t stall_timeout_ns;
	uint64_t deadline_ns; /* of each request; waiting for a token is bounded by who waits */
	enum priority priority;
};

struct exchange_result {
	/* ERROR_NONE: status 2xx, and the whole body went to on_data. */
	struct error err;
	enum http_failure failure;
	int status;              /* 0: nobody answered */
	uint64_t retry_after_ns; /* 0: it did not say */
	uint64_t n_received;     /* bytes of all bodies, also of those that were not wanted */
	uint64_t wait_ns;        /* from request to answer, of the last request */
	uint64_t total_ns;       /* of the last request */
	const char *target;      /* where redirects led, or NULL; valid until on_done returns */
	const char *url;         /* what was asked last; valid until on_done returns */
};

struct exchange_callbacks {
	/* For status 2xx only; as in struct http_callbacks, but for HTTP_PAUSE. */
	enum http_flow (*on_response)(void *arg, const struct http_response *response);
	enum http_flow (*on_data)(void *arg, const void *data, size_t size);
	/* Once and last, never inside exchange_start(). */
	void (*on_done)(void *arg, const struct exchange_result *result);
};

/* Strings of @options are copied; @callbacks stays where it is. */
MUST_CHECK int exchange_start(const struct exchange_options *options,
	const struct exchange_callbacks *callbacks, void *arg, struct exchange **out,
	struct error *err);

/* No callback from now on. */
void exchange_cancel(struct exchange *exchange);

/**
 * exchange_resolve() - where an answer of a host leads.
 * @url:       what was asked.
 * @reference: of a Location or Link header; hostile.
 * @out:       an absolute URL, owned by the caller; never plain http from https.
 */
MUST_CHECK int exchange_resolve(const struct host_entry *entry, const char *url,
	const char *reference, char **out, struct error *err);

/* host_state.c: adds the result to what is known about the host. */
void host_entry_count(struct host_entry *entry, const struct exchange_result *result);

/* It answered a request for a part with the whole, or with the part. */
void host_entry_set_ignores_range(struct host_entry *entry, bool ignores);

/* Private to exchange*.c from here on. */

struct exchange {
	struct host_set *set; /* a reference */
	struct host_entry *entry;
	enum http_method method;
	char *repository; /* owned */
	char *path;       /* owned: of the URL, with its query */
	char *accept;     /* owned, or NULL */
	bool is_push;
	char *content_type;  /* owned, or NULL */
	const void *content; /* borrowed */
	size_t content_size;
	bool range;
	uint64_t range_off;
	uint64_t range_size;
	uint64_t max_body;
	uint64_t connect_timeout_ns;
	uint64_t stall_timeout_ns;
	uint64_t deadline_ns;
	enum priority priority;
	const struct exchange_callbacks *callbacks;
	void *arg;

	uint64_t started_ns;
	char *url;           /* owned: asked now */
	bool redirected;     /* url is not the host's own answer to path */
	bool is_foreign;     /* url is on another host */
	bool as_plain_http;  /* asked with http although the configuration says https */
	char *authorization; /* owned: sent with the request under way, or NULL */
	uint64_t authorized_ns;
	unsigned n_redirects;
	unsigned n_challenges;
	uint64_t n_received;
	struct http_request *request; /* under way, or NULL */
	struct auth_wait auth_wait;

	/* Of the answer to the request under way. */
	int status;
	bool delivering; /* 2xx: the body is the caller's */
	char *location;  /* owned, or NULL */
	struct challenge_list challenges;
	struct buffer error_body;
	uint64_t error_body_size;
	uint64_t retry_after_ns;
};

/* exchange_request.c: the paths of URLs, and what is sent to them. */

/* "/v2/library/app/manifests/latest?ns=docker.io", owned by the caller; NULL: no memory. */
char *exchange_build_path(const struct exchange_options *options);

/* Whether the host is asked with http although the configuration says https first. */
bool exchange_is_plain(const struct exchange *exchange);

/* Makes exchange->url that of the host itself. */
MUST_CHECK int exchange_set_own_url(struct exchange *exchange, struct error *err);

/* Makes exchange->url where an earlier answer led. */
MUST_CHECK int exchange_set_target(
	struct exchange *exchange, const char *target, struct error *err);

/* Starts the HTTP request with what may go to exchange->url. */
MUST_CHECK int exchange_send(
	struct exchange *exchange, const struct http_callbacks *callbacks, struct error *err);

/* exchange_status.c: "@what: status 404 MANIFEST_UNKNOWN: manifest unknown" and its kind. */
void exchange_set_status_error(
	struct error *err, const char *what, int status, const struct buffer *body);

/* The delay that a Retry-After header asks for; 0 when it says nothing understandable. */
uint64_t exchange_retry_after(const struct http_headers *headers, int64_t wall_s);
