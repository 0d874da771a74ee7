/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <curl/curl.h>
#include <sys/queue.h>

#include "http/http_client.h"

struct tls_handshake;

TAILQ_HEAD(http_request_list, http_request);

/* Everything below belongs to the loop thread, except what http_client_new() sets once. */
struct http_client {
	struct loop *loop;        /* borrowed */
	struct tls_settings *tls; /* a reference, or NULL */
	char *user_agent;         /* owned */
	unsigned max_connections;
	unsigned max_streams;
	uint64_t idle_timeout_ns;
	char *http_proxy;        /* owned: what curl does not take from the environment, or NULL */
	struct http_pool *pools; /* owned */
	bool closing;            /* http_client_free() runs */
};

/* The connections made with one tls_settings. libcurl keeps connections per multi handle and
 * compares no SSL_CTX when it picks one, so each settings object has a multi handle of its own. */
struct http_pool {
	struct http_pool *next;
	struct http_client *client;     /* borrowed */
	struct tls_settings *tls;       /* a reference, or NULL */
	CURLM *multi;                   /* owned */
	struct loop_timer *curl_timer;  /* owned: when curl wants to be called next */
	struct loop_timer *later_timer; /* owned: runs what could not be done inside curl */
	struct loop_timer *idle_timer;  /* owned: ends a pool without requests */
	struct http_origin *origins;    /* owned */
	size_t n_origins;
	struct http_request_list active;   /* inside the multi handle */
	struct http_request_list resuming; /* to be unpaused by later_timer */
	unsigned n_requests;               /* waiting and active */
	unsigned n_cancelled;              /* active ones that wait for curl to return */
	unsigned depth;     /* > 0: inside curl, where handles can be neither added nor removed */
	bool slots_changed; /* waiting requests may become active */
	CURLMcode failed;   /* the first failure of the multi handle */
};

/* Requests to one host that share a limit on connections. */
struct http_origin {
	struct http_origin *next;
	char *key; /* owned: scheme, host and port, or the unix socket */
	unsigned n_active;
	bool multiplexed; /* its last answer came over HTTP/2 */
	struct http_request_list waiting[N_PRIORITIES];
};

enum http_request_state {
	HTTP_REQUEST_WAITING, /* in origin->waiting */
	HTTP_REQUEST_ACTIVE,  /* in pool->active */
	HTTP_REQUEST_ENDED,   /* in no list; on_done is running */
};

struct http_request {
	TAILQ_ENTRY(http_request) link;          /* in the list that state names */
	TAILQ_ENTRY(http_request) resuming_link; /* in pool->resuming, when resuming */
	struct http_pool *pool;                  /* borrowed */
	struct http_origin *origin;              /* borrowed from the pool */
	enum http_request_state state;
	enum priority priority;
	struct http_callbacks callbacks;
	void *arg;
	char *host;        /* owned: host of the URL, for messages and to tell it from a proxy */
	char *unix_socket; /* owned, or NULL */
	CURL *easy;        /* owned */
	struct curl_slist *header_lines; /* owned */
	struct loop_timer *timer;        /* owned: the earliest of the limits below */
	struct tls_handshake *handshake; /* a reference: of the connection in use, or NULL */
	uint64_t connect_timeout_ns;
	uint64_t stall_timeout_ns;
	uint64_t deadline_ns; /* 0: none */
	uint64_t max_body;    /* 0: none */
	uint64_t started_ns;  /* became active */
	uint64_t sent_ns;     /* connected, request about to be sent; 0 before */
	uint64_t first_ns;    /* headers complete; 0 before */
	uint64_t progress_ns; /* last sign of life of the server */
	curl_off_t n_sent;    /* bytes of the body that went out */
	struct http_response response;
	uint64_t n_received;
	size_t header_size; /* bytes of header lines so far */
	bool is_head;
	bool responded; /* on_response has run */
	bool paused;
	bool resuming;
	bool cancelled;         /* inside curl: to be freed when it returns */
	bool detached;          /* no callback of it may run any more */
	struct error own_error; /* why we made curl stop, when own_failure is set */
	enum http_failure own_failure;
	char curl_message[CURL_ERROR_SIZE];
	char what[320]; /* "GET https://host/path range 0-4095", for messages */
};

/* http_pool.c */
MUST_CHECK int http_pool_get(struct http_client *client, struct tls_settings *tls,
	struct http_pool **out, struct error *err);
void http_pool_free(struct http_pool *pool);
/* Brackets every call into curl that may run callbacks. Leaving does what had to wait; the pool
 * still exists afterwards. */
void http_pool_enter(struct http_pool *pool);
void http_pool_leave(struct http_pool *pool);
/* Has later_timer resume and dispatch what waits. */
void http_pool_do_later(struct http_pool *pool);
/* Count the requests that keep the pool alive. */
void http_pool_add_request(struct http_pool *pool);
void http_pool_remove_request(struct http_pool *pool);

/* http_queue.c */
MUST_CHECK int http_origin_get(
	struct http_pool *pool, const char *key, struct http_origin **out, struct error *err);
void http_origin_enqueue(struct http_request *request);
void http_origin_dequeue(struct http_request *request);
/* Makes waiting requests active while there are slots. Not inside curl. */
void http_origin_dispatch(struct http_pool *pool, struct http_origin *origin);
/* Forgets hosts that nothing is asked of, where there are many. Not from a callback. */
void http_origins_drop_idle(struct http_pool *pool);
void http_origins_free(struct http_pool *pool);

/* http_request.c */
MUST_CHECK int http_request_new(struct http_client *client,
	const struct http_request_options *options, struct http_request **out, struct error *err);
void http_request_free(struct http_request *request);
void http_request_freep(struct http_request **request);
/* From waiting to active; a failure ends the request. Not inside curl. */
void http_request_activate(struct http_request *request);
/* Takes it out of its list and out of curl. Not inside curl when active. */
void http_request_detach(struct http_request *request);
/* Detaches, reports through on_done and frees. Not inside curl when active. */
void http_request_finish(struct http_request *request, struct http_result *result);
/* Arms the timer for the limit that passes first. */
void http_request_watch_time(struct http_request *request);

/* http_configure.c */
MUST_CHECK int http_request_configure(struct http_client *client,
	const struct http_request_options *options, struct http_request *request,
	struct error *err);

/* http_transfer.c */
MUST_CHECK bool http_transfer_set_callbacks(struct http_request *request);
/* Bytes of the body that go out are a sign of life of the server, which takes them. */
MUST_CHECK bool http_transfer_watch_sending(struct http_request *request);

/* Not inside curl. Runs on_data, and on_done if that fails. */
void http_request_unpause(struct http_request *request);

/* http_failure.c */
void http_result_from_curl(struct http_request *request, CURLcode code, struct http_result *result);
/* http_failure_tls.c: false when the handshake does not explain the failure. */
MUST_CHECK bool http_result_from_handshake(
	struct http_request *request, CURLcode code, struct http_result *result);
/* A failure that we found ourselves. */
void http_result_set(struct http_request *request, struct http_result *result,
	enum http_failure failure, enum error_kind kind, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));
