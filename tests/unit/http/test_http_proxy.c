/* SPDX-License-Identifier: Apache-2.0 */
#include "http/http_client.h"

#include "support/test.h"

#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"

#include "tls_fixture.h"

enum { REQUEST_SIZE = 8192 };

/* A proxy that notes what it is asked. */
struct proxy {
	struct fake_server *server;
	int origin_port; /* where every CONNECT leads; 0: refused with 407 */
	pthread_mutex_t lock;
	char asked[REQUEST_SIZE]; /* guarded by lock: head of the last request */
	char client[64];          /* guarded by lock: common name that was presented, or "nobody" */
};

static void note(struct proxy *proxy, struct fake_connection *connection, const char *head)
{
	X509 *peer = connection->ssl ? SSL_get1_peer_certificate(connection->ssl) : NULL;

	(void)pthread_mutex_lock(&proxy->lock);
	(void)snprintf(proxy->asked, sizeof(proxy->asked), "%s", head);
	(void)strcpy(proxy->client, "nobody");
	if (peer)
		(void)X509_NAME_get_text_by_NID(X509_get_subject_name(peer), NID_commonName,
			proxy->client, sizeof(proxy->client));
	(void)pthread_mutex_unlock(&proxy->lock);
	X509_free(peer);
}

static int connect_origin(int port)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons((uint16_t)port)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		abort();
	return fd;
}

/* Bytes both ways until either side ends. */
static void relay(struct fake_connection *connection, int origin)
{
	struct pollfd fds[2] = {
		{.fd = connection->fd, .events = POLLIN}, {.fd = origin, .events = POLLIN}};
	char bytes[16384];

	for (;;) {
		bool pending = connection->ssl && SSL_pending(connection->ssl) > 0;
		ssize_t n;

		if (poll(fds, 2, pending ? 0 : -1) < 0)
			return;
		if (pending || fds[0].revents) {
			n = connection->ssl ? SSL_read(connection->ssl, bytes, sizeof(bytes))
					    : read(connection->fd, bytes, sizeof(bytes));
			if (n <= 0 || send(origin, bytes, (size_t)n, MSG_NOSIGNAL) != n)
				return;
		}
		if (fds[1].revents) {
			n = read(origin, bytes, sizeof(bytes));
			if (n <= 0)
				return;
			fake_write(connection, bytes, (size_t)n);
		}
	}
}

static void serve_proxy(struct fake_connection *connection, void *arg)
{
	struct proxy *proxy = arg;
	char head[REQUEST_SIZE];
	int origin;

	if (!fake_read_request(connection, head, sizeof(head)))
		return;
	note(proxy, connection, head);
	if (strncmp(head, "CONNECT ", 8) != 0) {
		fake_print(connection, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nproxy");
	} else if (proxy->origin_port == 0) {
		fake_print(connection, "HTTP/1.1 407 Proxy Authentication Required\r\n"
				       "Content-Length: 0\r\n\r\n");
	} else {
		origin = connect_origin(proxy->origin_port);
		fake_print(connection, "HTTP/1.1 200 Connection established\r\n\r\n");
		relay(connection, origin);
		(void)close(origin);
	}
}

static const char *const variables[] = {"http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY",
	"all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY"};

static void clear_environment(void)
{
	for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++)
		(void)unsetenv(variables[i]);
}

static void proxy_open(struct proxy *proxy, SSL_CTX *tls, const char *variable)
{
	*proxy = (struct proxy){.lock = PTHREAD_MUTEX_INITIALIZER};
	proxy->server = fake_server_start(tls, serve_proxy, proxy);
	clear_environment();
	(void)setenv(variable, fake_server_url(proxy->server, "/"), 1);
}

static void proxy_close(struct proxy *proxy)
{
	fake_server_stop(proxy->server);
	clear_environment();
}

/* The failure, or HTTP_FAILURE_NONE and the body. */
static enum http_failure ask(struct fixture *fixture, const struct http_request_options *options,
	char *body, struct error *err)
{
	CLEANUP(http_answer_free) struct http_answer answer = {0};

	if (http_perform(fixture->client, options, &answer, err) < 0)
		return answer.result.failure;
	(void)snprintf(body, 64, "%s", answer.body.data ? (const char *)answer.body.data : "");
	return HTTP_FAILURE_NONE;
}

static void assert_proxied(const char *variable, const char *url, bool expected)
{
	static const struct http_client_options client_options = {0};
	const struct http_request_options options = {
		.url = url, .connect_timeout_ns = NS_PER_SECOND};
	struct fixture fixture;
	struct proxy proxy;
	char body[64] = "";

	proxy_open(&proxy, NULL, variable);
	(void)setenv("NO_PROXY", "direct.invalid,.corp.invalid", 1);
	fixture_open(&fixture, &client_options);
	if ((ask(&fixture, &options, body, NULL) == HTTP_FAILURE_NONE) != expected)
		fail_msg("%s with %s: \"%s\"", url, variable, body);
	if (expected)
		assert_non_null(strstr(proxy.asked, url));
	else
		assert_string_equal(proxy.asked, "");
	fixture_close(&fixture);
	proxy_close(&proxy);
}

static void plain_requests_go_through_the_proxy_of_the_environment(void **state)
{
	(void)state;
	assert_proxied("http_proxy", "http://registry.invalid/v2/", true);
	assert_proxied("HTTP_PROXY", "http://registry.invalid/v2/", true);
	assert_proxied("ALL_PROXY", "http://registry.invalid/v2/", true);
	assert_proxied("https_proxy", "http://registry.invalid/v2/", false);
}

static void exceptions_and_the_loopback_are_asked_directly(void **state)
{
	(void)state;
	assert_proxied("http_proxy", "http://direct.invalid/v2/", false);
	assert_proxied("HTTP_PROXY", "http://a.corp.invalid/v2/", false);
	assert_proxied("http_proxy", "http://127.0.0.1:1/v2/", false);
	assert_proxied("HTTP_PROXY", "http://localhost:1/v2/", false);
	assert_proxied("all_proxy", "http://[::1]:1/v2/", false);
}

static struct certificate make_registry_identity(const struct tls_fixture *tls)
{
	return certificate_make(&(struct certificate_spec){.name = "registry",
		.alternative = "DNS:registry.invalid",
		.issuer = &tls->authority});
}

static void https_goes_through_a_tunnel_with_the_client_certificate(void **state)
{
	struct tls_fixture *tls = *state;
	const char *path = tls->client_path;
	CLEANUP(tls_settings_unrefp)
	struct tls_settings *settings = tls_fixture_load(tls, &path, 1);
	struct certificate identity = make_registry_identity(tls);
	const struct http_header secret = {"Authorization", "Bearer secret"};
	const struct http_request_options options = {.url = "https://registry.invalid/v2/",
		.tls = settings,
		.headers = &secret,
		.n_headers = 1};
	struct tls_server origin;
	struct proxy proxy;
	struct error err = {0};
	char body[64] = "";

	tls_server_open(&origin, &(struct server_tls){.identity = &identity,
					 .client_authority = &tls->authority,
					 .require = true});
	proxy_open(&proxy, NULL, "HTTPS_PROXY");
	proxy.origin_port = fake_server_port(origin.fake);
	if (ask(&tls->fixture, &options, body, &err) != HTTP_FAILURE_NONE)
		fail_msg("%s", err.message);
	assert_string_equal(body, "client");
	assert_non_null(strstr(proxy.asked, "CONNECT registry.invalid:443 HTTP/1.1"));
	assert_null(strstr(proxy.asked, "secret"));
	proxy_close(&proxy);
	tls_server_close(&origin);
	certificate_free(&identity);
}

static void a_proxy_with_tls_does_not_get_the_client_certificate(void **state)
{
	struct tls_fixture *tls = *state;
	const char *path = tls->client_path;
	CLEANUP(tls_settings_unrefp)
	struct tls_settings *settings = tls_fixture_load(tls, &path, 1);
	struct certificate identity = make_registry_identity(tls);
	const struct http_request_options options = {
		.url = "https://registry.invalid/v2/", .tls = settings};
	SSL_CTX *proxy_tls = server_context(&(struct server_tls){
		.identity = &tls->identity, .client_authority = &tls->authority});
	struct tls_server origin;
	struct proxy proxy;
	struct error err = {0};
	char body[64] = "";

	tls_server_open(&origin, &(struct server_tls){.identity = &identity,
					 .client_authority = &tls->authority,
					 .require = true});
	proxy_open(&proxy, proxy_tls, "https_proxy");
	proxy.origin_port = fake_server_port(origin.fake);
	if (ask(&tls->fixture, &options, body, &err) != HTTP_FAILURE_NONE)
		fail_msg("%s", err.message);
	assert_string_equal(body, "client");
	assert_string_equal(proxy.client, "nobody");
	proxy_close(&proxy);
	tls_server_close(&origin);
	SSL_CTX_free(proxy_tls);
	certificate_free(&identity);
}

static void a_proxy_that_refuses_is_told_from_a_registry_that_does(void **state)
{
	struct tls_fixture *tls = *state;
	const struct http_request_options options = {
		.url = "https://registry.invalid/v2/", .tls = tls->system};
	struct proxy proxy;
	struct error err = {0};
	char body[64] = "";

	proxy_open(&proxy, NULL, "HTTPS_PROXY");
	assert_int_equal(ask(&tls->fixture, &options, body, &err), HTTP_FAILURE_PROXY);
	assert_int_equal(err.kind, ERROR_UNAUTHORIZED);
	if (!strstr(err.message, "the proxy refuses to connect to registry.invalid: status 407"))
		fail_msg("%s", err.message);
	proxy_close(&proxy);
}

static void a_proxy_that_is_not_trusted_is_told_from_a_registry_that_is_not(void **state)
{
	struct tls_fixture *tls = *state;
	/* Does not know the authority of the proxy's certificate. */
	const struct http_request_options options = {
		.url = "https://registry.invalid/v2/", .tls = tls->system};
	SSL_CTX *proxy_tls = server_context(&(struct server_tls){.identity = &tls->identity});
	struct proxy proxy;
	struct error err = {0};
	char body[64] = "";

	proxy_open(&proxy, proxy_tls, "https_proxy");
	assert_int_equal(ask(&tls->fixture, &options, body, &err), HTTP_FAILURE_PROXY);
	if (!strstr(err.message, "certificate of the https proxy"))
		fail_msg("%s", err.message);
	proxy_close(&proxy);
	SSL_CTX_free(proxy_tls);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_requests_go_through_the_proxy_of_the_environment),
		cmocka_unit_test(exceptions_and_the_loopback_are_asked_directly),
		cmocka_unit_test_setup_teardown(
			https_goes_through_a_tunnel_with_the_client_certificate, tls_fixture_open,
			tls_fixture_close),
		cmocka_unit_test_setup_teardown(
			a_proxy_with_tls_does_not_get_the_client_certificate, tls_fixture_open,
			tls_fixture_close),
		cmocka_unit_test_setup_teardown(
			a_proxy_that_refuses_is_told_from_a_registry_that_does, tls_fixture_open,
			tls_fixture_close),
		cmocka_unit_test_setup_teardown(
			a_proxy_that_is_not_trusted_is_told_from_a_registry_that_is_not,
			tls_fixture_open, tls_fixture_close),
	};
	return cmocka_run_group_tests_name("http/proxy", tests, NULL, NULL);
}
