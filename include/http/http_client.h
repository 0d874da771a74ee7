/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/loop.h"
#include "base/workers.h"
#include "http/http_headers.h"
#include "http/tls.h"

/* HTTP requests on one loop (libcurl multi). It never follows a redirect, keeps no cookie and
 * reads no netrc: who calls it decides what goes to which host. HTTP_PROXY, HTTPS_PROXY, ALL_PROXY
 * and NO_PROXY of the environment are honoured as curl does. Connections are kept and used again,
 * but never by a request with another `struct tls_settings` than the one they were made with. */
struct http_client;

/* Zero is a useful default for every field but tls. */
struct http_client_options {
	struct tls_settings *tls; /* for https requests that name none; NULL makes those fail */
	const char *user_agent;   /* NULL: "varve/" and the version */
	unsigned max_connections; /* per host and TLS settings; 0: 8 */
	unsigned max_streams;     /* HTTP/2 requests that share one connection; 0: 4 */
	/* How long connections are kept when no request uses settings they were made with; 0: 118
	 * s. */
	uint64_t idle_timeout_ns;
};

enum http_method { HTTP_GET, HTTP_HEAD, HTTP_POST, HTTP_PUT, HTTP_DELETE };

/* "GET" and so on, as messages begin. */
const char *http_method_name(enum http_method method);

/* A header field to send. Both are texts without control characters. */
struct http_header {
	const char *name;
	const char *value;
};

/* What to ask and how long to wait. Borrowed by the calls that take it. */
struct http_request_options {
	enum http_method method;
	const char *url;                   /* absolute */
	const struct http_header *headers; /* never logged */
	size_t n_headers;
	const void *body; /* HTTP_POST and HTTP_PUT only */
	size_t body_size;
	struct tls_settings *tls;    /* NULL: the client's */
	const char *unix_socket;     /* connect to this path instead of the URL's host; or NULL */
	uint64_t connect_timeout_ns; /* name, TCP, proxy and TLS together; 0: 30 s */
	uint64_t stall_timeout_ns;   /* longest time without a byte either way; 0: 30 s */
	uint64_t deadline_ns;        /* CLOCK_MONOTONIC, waiting for a slot included; 0: none */
	bool range;                  /* ask for part of the resource only */
	uint64_t range_off;
	uint64_t range_size;    /* 0: to the end */
	uint64_t max_body;      /* a longer body is ERROR_FORMAT; 0: unlimited */
	enum priority priority; /* who gets a free connection first */
};

/* Why a request failed, for those who act on it; people read result.err.message. */
enum http_failure {
	HTTP_FAILURE_NONE,
	HTTP_FAILURE_RESOLVE, /* the name of the host or proxy is unknown */
	HTTP_FAILURE_CONNECT, /* refused, unreachable, no such socket */
	HTTP_FAILURE_CONNECT_TIMEOUT,
	HTTP_FAILURE_PROXY,   /* a proxy on the way refuses to connect us */
	HTTP_FAILURE_STALLED, /* connected, then no byte for stall_timeout_ns */
	HTTP_FAILURE_DEADLINE,
	HTTP_FAILURE_CLOSED,     /* the connection ended before or inside the answer */
	HTTP_FAILURE_PROTOCOL,   /* not HTTP as specified, or a header or body beyond its limit */
	HTTP_FAILURE_PLAIN_HTTP, /* https was asked, the server speaks plain HTTP */
	HTTP_FAILURE_SERVER_UNTRUSTED,     /* no configured authority vouches for its certificate */
	HTTP_FAILURE_SERVER_NAME,          /* its certificate is for another name */
	HTTP_FAILURE_SERVER_EXPIRED,       /* its certificate is expired or not yet valid */
	HTTP_FAILURE_CLIENT_CERT_REQUIRED, /* it wants a client certificate and was sent none */
	HTTP_FAILURE_CLIENT_CERT_REFUSED,  /* it was sent one and does not accept it */
	HTTP_FAILURE_TLS,                  /* any other failed handshake */
	HTTP_FAILURE_CANCELLED, /* a callback returned HTTP_ABORT, or the client was freed */
	HTTP_FAILURE_INTERNAL,
};

/* The head of an answer. */
struct http_response {
	int status;
	bool has_length;
	uint64_t length; /* Content-Length, when has_length */
	int version;     /* 10, 11 or 20 */
	struct http_headers headers;
};

/* How a request ended. */
struct http_result {
	struct error err; /* ERROR_NONE when a whole response arrived, whatever its status */
	enum http_failure failure;
	int status;          /* 0 when no response began */
	uint64_t n_received; /* bytes of the body */
	bool reused;         /* the connection had served another request before */
	uint64_t wait_ns;    /* time from sending the request to the first byte of the answer */
	uint64_t total_ns;   /* time from having a slot to the end */
};

enum http_flow {
	HTTP_CONTINUE,
	HTTP_PAUSE, /* on_data only: these bytes come again after http_request_resume() */
	HTTP_ABORT,
};

/* All run on the loop thread, never inside http_request_start(). Any of them may start, resume or
 * cancel requests, this one included. */
struct http_callbacks {
	/* Once, when all headers are there. The response is borrowed until on_done returns. NULL
	 * means HTTP_CONTINUE. */
	enum http_flow (*on_response)(void *arg, const struct http_response *response);
	/* Any number of times, with at least one byte. NULL drops the body. */
	enum http_flow (*on_data)(void *arg, const void *data, size_t size);
	/* Once, and last: the handle ends when it returns. Never after http_request_cancel(). */
	void (*on_done)(void *arg, const struct http_result *result);
};

struct http_request;

/* Any thread. The loop is borrowed and outlives the client; options are copied. */
MUST_CHECK int http_client_new(struct loop *loop, const struct http_client_options *options,
	struct http_client **out, struct error *err);

/* Loop thread, or any once the loop has stopped. Requests still active end with ERROR_CANCELLED
 * through their on_done. NULL is allowed. */
void http_client_free(struct http_client *client);
void http_client_freep(struct http_client **client);

/* The loop that the client's requests run on. */
struct loop *http_client_loop(const struct http_client *client);

/**
 * http_request_start() - queue a request.
 * @options:   copied, what it points to included; a reference to tls is taken.
 * @callbacks: copied; on_done is needed.
 * @out:       handle for resume and cancel, valid until on_done returns; may be NULL.
 * @err:       ERROR_INVALID for a URL or header that cannot be sent, ERROR_NO_MEMORY; then no
 *             callback runs.
 *
 * Threads: loop thread only. Messages of every failure name method, URL (redacted) and range.
 */
MUST_CHECK int http_request_start(struct http_client *client,
	const struct http_request_options *options, const struct http_callbacks *callbacks,
	void *arg, struct http_request **out, struct error *err);

/* Ends the request; no callback of it runs from here on. Loop thread only. */
void http_request_cancel(struct http_request *request);

/* Goes on after HTTP_PAUSE, later on the loop; without effect when not paused. Loop thread only. */
void http_request_resume(struct http_request *request);

/* Changes who is served first, while the request waits for a connection. Loop thread only. */
void http_request_set_priority(struct http_request *request, enum priority priority);
