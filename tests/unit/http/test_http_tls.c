/* SPDX-License-Identifier: Apache-2.0 */
#include "http/tls.h"

#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#include "tls_fixture.h"

static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

static void assert_answer(struct tls_fixture *context, const char *url, struct tls_settings *tls,
	const char *expected)
{
	const struct http_request_options options = {.url = url, .tls = tls};
	CLEANUP(http_answer_free) struct http_answer answer = {0};
	struct error err = {0};

	if (http_perform(context->fixture.client, &options, &answer, &err) < 0)
		fail_msg("%s", err.message);
	assert_string_equal((const char *)answer.body.data, expected);
}

static void assert_fails(struct tls_fixture *context, const char *url, struct tls_settings *tls,
	enum http_failure failure, const char *const *parts)
{
	const struct http_request_options options = {
		.url = url, .tls = tls, .connect_timeout_ns = NS_PER_SECOND};
	CLEANUP(http_answer_free) struct http_answer answer = {0};
	struct error err = {0};

	if (http_perform(context->fixture.client, &options, &answer, &err) == 0)
		fail_msg("answered %d", answer.status);
	if (answer.result.failure != failure)
		fail_msg("failure %d: %s", answer.result.failure, err.message);
	for (; *parts; parts++)
		if (!strstr(err.message, *parts))
			fail_msg("\"%s\" does not mention \"%s\"", err.message, *parts);
}

#define PARTS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void a_configured_authority_is_trusted_beside_the_systems(void **state)
{
	struct tls_fixture *context = *state;
	CLEANUP(tls_settings_unrefp)
	struct tls_settings *settings = tls_fixture_load(context, NULL, 0);

	for (size_t i = 0; i < 2; i++) {
		struct tls_server ours;
		struct tls_server systems;
		struct certificate identity =
			certificate_make(&(struct certificate_spec){.name = "server",
				.alternative = "DNS:localhost",
				.issuer = &context->other_authority});

		tls_server_open(&ours, &(struct server_tls){.identity = &context->identity,
					       .version = versions[i]});
		tls_server_open(&systems,
			&(struct server_tls){.identity = &identity, .version = versions[i]});
		assert_answer(context, ours.url, settings, "nobody");
		assert_answer(context, ours.url, settings, "nobody");
		assert_int_equal(fake_server_n_connections(ours.fake), 1);
		assert_answer(context, systems.url, settings, "nobody");
		assert_answer(context, systems.url, context->system, "nobody");
		tls_server_close(&ours);
		tls_server_close(&systems);
		certificate_free(&identity);
	}
}

static void an_unknown_issuer_is_named_with_the_cure(void **state)
{
	struct tls_fixture *context = *state;
	struct certificate own = certificate_make(
		&(struct certificate_spec){.name = "own", .alternative = "DNS:localhost"});

	for (size_t i = 0; i < 2; i++) {
		struct tls_server server;
		struct tls_server self_signed;

		tls_server_open(&server, &(struct server_tls){.identity = &context->identity,
						 .version = versions[i]});
		tls_server_open(&self_signed,
			&(struct server_tls){.identity = &own, .version = versions[i]});
		assert_fails(context, server.url, context->system, HTTP_FAILURE_SERVER_UNTRUSTED,
			PARTS("GET https://localhost:", "CN=first authority", "`ca`"));
		assert_fails(context, self_signed.url, context->system,
			HTTP_FAILURE_SERVER_UNTRUSTED, PARTS("self-signed", "CN=own", "`ca`"));
		tls_server_close(&server);
		tls_server_close(&self_signed);
	}
	certificate_free(&own);
}

static void a_certificate_for_another_name_is_told_with_its_names(void **state)
{
	struct tls_fixture *context = *state;
	CLEANUP(tls_settings_unrefp)
	struct tls_settings *settings = tls_fixture_load(context, NULL, 0);
	struct certificate identity = certificate_make(&(struct certificate_spec){.name = "server",
		.alternative = "DNS:registry.example,DNS:*.mirror.example,IP:10.0.0.1",
		.issuer = &context->authority});
	struct tls_server server;

	tls_server_open(&server, &(struct server_tls){.identity = &identity});
	assert_fails(context, server.url, settings, HTTP_FAILURE_SERVER_NAME,
		PARTS("not for localhost", "registry.example, *.mirror.example, 10.0.0.1"));
	tls_server_close(&server);
	certificate_free(&identity);
}

static void an_expired_or_early_certificate_is_told_with_its_date(void **state)
{
	struct tls_fixture *context = *state;
	CLEANUP(tls_settings_unrefp)
	struct tls_settings *settings = tls_fixture_load(context, NULL, 0);
	struct certificate old = certificate_make(&(struct certificate_spec){.name = "server",
		.alternative = "DNS:localhost",
		.issuer = &context->authority,
		.begins_s = -7200,
		.ends_s = -3600});
	struct certificate early = certificate_make(&(struct certificate_spec){.name = "server",
		.alternative = "DNS:localhost",
		.issuer = &context->authority,
		.begins_s = 3600,
		.ends_s = 7200});
	struct tls_server server;

	tls_server_open(&server, &(struct server_tls){.identity = &old});
	assert_fails(
		context, server.url, settings, HTTP_FAILURE_SERVER_EXPIRED, PARTS("expired on 20"));
	tls_server_close(&server);
	tls_server_open(&server, &(struct server_tls){.identity = &early});
	assert_fails(context, server.url, settings, HTTP_FAILURE_SERVER_EXPIRED,
		PARTS("not valid before 20", "clock"));
	tls_server_close(&server);
	certificate_free(&old);
	certificate_free(&early);
}

static void skipping_verification_accepts_any_server(void **state)
{
	struct tls_fixture *context = *state;
	const struct tls_settings_options options = {.verify = TLS_VERIFY_SKIP};
	CLEANUP(tls_settings_unrefp) struct tls_settings *settings = NULL;
	struct certificate own = certificate_make(&(struct certificate_spec){
		.name = "own", .alternative = "DNS:elsewhere", .begins_s = -7200, .ends_s = -3600});
	struct tls_server server;

	assert_int_equal(tls_settings_load(&options, &settings, NULL), 0);
	tls_server_open(&server, &(struct server_tls){.identity = &own});
	assert_answer(context, server.url, settings, "nobody");
	tls_server_close(&server);
	certificate_free(&own);
}

static void a_client_certificate_is_presented_when_asked_for(void **state)
{
	struct tls_fixture *context = *state;
	const char *path = context->client_path;
	CLEANUP(tls_settings_unrefp)
	struct tls_settings *settings = tls_fixture_load(context, &path, 1);

	for (size_t i = 0; i < 4; i++) {
		struct tls_server server;

		tls_server_open(&server, &(struct server_tls){.identity = &context->identity,
						 .client_authority = &context->authority,
						 .require = true,
						 .send_authorities = i >= 2,
						 .version = versions[i % 2]});
		assert_answer(context, server.url, settings, "client");
		tls_server_close(&server);
	}
}

static void a_missing_client_certificate_is_said_to_be_missing(void **state)
{
	struct tls_fixture *context = *state;
	CLEANUP(tls_settings_unrefp)
	struct tls_settings *settings = tls_fixture_load(context, NULL, 0);

	for (size_t i = 0; i < 4; i++) {
		struct tls_server server;

		tls_server_open(&server, &(struct server_tls){.identity = &context->identity,
						 .client_authority = &context->authority,
						 .require = true,
						 .send_authorities = i >= 2,
						 .version = versions[i % 2]});
		assert_fails(context, server.url, settings, HTTP_FAILURE_CLIENT_CERT_REQUIRED,
			PARTS("wants a client certificate", "`client` configures none",
				i >= 2 ? "issued by \"CN=first authority\"" : ""));
		tls_server_close(&server);
	}
}

static void a_refused_client_certificate_is_named(void **state)
{
	struct tls_fixture *context = *state;
	const char *path = context->stranger_path;
	CLEANUP(tls_settings_unrefp)
	struct tls_settings *settings = tls_fixture_load(context, &path, 1);

	for (size_t i = 0; i < 2; i++) {
		struct tls_server server;

		tls_server_open(&server, &(struct server_tls){.identity = &context->identity,
						 .client_authority = &context->authority,
						 .require = true,
						 .version = versions[i]});
		assert_fails(context, server.url, settings, HTTP_FAILURE_CLIENT_CERT_REFUSED,
			PARTS("refuses the client certificate", path, "unknown authority"));
		tls_server_close(&server);
	}
}

static void the_first_pair_that_the_server_accepts_is_presented(void **state)
{
	struct tls_fixture *context = *state;
	const char *both[] = {context->stranger_path, context->client_path};
	CLEANUP(tls_settings_unrefp) struct tls_settings *two = tls_fixture_load(context, both, 2);
	CLEANUP(tls_settings_unrefp)
	struct tls_settings *wrong = tls_fixture_load(context, both, 1);

	for (size_t i = 0; i < 2; i++) {
		struct tls_server server;

		tls_server_open(&server, &(struct server_tls){.identity = &context->identity,
						 .client_authority = &context->authority,
						 .require = true,
						 .send_authorities = true,
						 .version = versions[i]});
		assert_answer(context, server.url, two, "client");
		assert_fails(context, server.url, wrong, HTTP_FAILURE_CLIENT_CERT_REQUIRED,
			PARTS("issued by \"CN=first authority\"", "none was sent", both[0]));
		tls_server_close(&server);
	}
}

static void connections_are_never_shared_between_settings(void **state)
{
	struct tls_fixture *context = *state;
	struct certificate second = certificate_make(
		&(struct certificate_spec){.name = "second", .issuer = &context->authority});
	char second_path[192];
	const char *path = context->client_path;
	const char *other_path = second_path;
	CLEANUP(tls_settings_unrefp) struct tls_settings *a = tls_fixture_load(context, &path, 1);
	CLEANUP(tls_settings_unrefp) struct tls_settings *b = NULL;
	CLEANUP(tls_settings_unrefp) struct tls_settings *none = tls_fixture_load(context, NULL, 0);

	tls_fixture_write_pair(context, "second.pem", &second, second_path);
	b = tls_fixture_load(context, &other_path, 1);
	for (size_t i = 0; i < 2; i++) {
		struct tls_server server;

		tls_server_open(&server, &(struct server_tls){.identity = &context->identity,
						 .client_authority = &context->authority,
						 .version = versions[i]});
		for (int round = 0; round < 3; round++) {
			assert_answer(context, server.url, a, "client");
			assert_answer(context, server.url, b, "second");
			assert_answer(context, server.url, none, "nobody");
			assert_fails(context, server.url, context->system,
				HTTP_FAILURE_SERVER_UNTRUSTED, PARTS("`ca`"));
		}
		/* One for each of the three that work; the others fail each time. */
		assert_int_equal(fake_server_n_connections(server.fake), 3 + 3);
		tls_server_close(&server);
	}
	certificate_free(&second);
}

static void serve_plain(struct fake_connection *connection, void *arg)
{
	char bytes[16];

	(void)arg;
	/* The beginning of a TLS hello. */
	(void)fake_read(connection, bytes, 5);
	fake_print(connection, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
	fake_wait_for_close(connection);
}

static void serve_silence(struct fake_connection *connection, void *arg)
{
	(void)arg;
	fake_wait_for_close(connection);
}

static void a_plain_server_behind_https_is_recognised(void **state)
{
	struct tls_fixture *context = *state;
	struct fake_server *server = fake_server_start(NULL, serve_plain, NULL);
	char url[64];

	(void)snprintf(url, sizeof(url), "https://127.0.0.1:%d/v2/", fake_server_port(server));
	assert_fails(context, url, context->system, HTTP_FAILURE_PLAIN_HTTP, PARTS("plain HTTP"));
	fake_server_stop(server);
}

static void a_server_that_never_shakes_hands_times_out(void **state)
{
	struct tls_fixture *context = *state;
	struct fake_server *server = fake_server_start(NULL, serve_silence, NULL);
	char url[64];

	(void)snprintf(url, sizeof(url), "https://127.0.0.1:%d/v2/", fake_server_port(server));
	assert_fails(context, url, context->system, HTTP_FAILURE_CONNECT_TIMEOUT,
		PARTS("no connection after 1 s"));
	fake_server_stop(server);
}

static void serve_nothing(struct fake_connection *connection, void *arg)
{
	(void)connection;
	(void)arg;
}

static void a_close_after_asking_for_a_certificate_in_vain_is_explained(void **state)
{
	struct tls_fixture *context = *state;
	const char *path = context->client_path;
	CLEANUP(tls_settings_unrefp) struct tls_settings *none = tls_fixture_load(context, NULL, 0);
	CLEANUP(tls_settings_unrefp) struct tls_settings *one = tls_fixture_load(context, &path, 1);
	SSL_CTX *tls = server_context(&(struct server_tls){
		.identity = &context->identity, .client_authority = &context->authority});
	struct fake_server *server = fake_server_start(tls, serve_nothing, NULL);

	assert_fails(context, fake_server_url(server, "/"), none, HTTP_FAILURE_CLIENT_CERT_REQUIRED,
		PARTS("closed the connection right after"));
	assert_fails(context, fake_server_url(server, "/"), one, HTTP_FAILURE_CLOSED,
		PARTS("before an answer"));
	fake_server_stop(server);
	SSL_CTX_free(tls);
}

static void an_address_is_verified_as_one(void **state)
{
	struct tls_fixture *context = *state;
	const char *path = context->client_path;
	CLEANUP(tls_settings_unrefp)
	struct tls_settings *settings = tls_fixture_load(context, &path, 1);
	struct tls_server server;
	char url[64];

	tls_server_open(&server, &(struct server_tls){.identity = &context->identity,
					 .client_authority = &context->authority});
	(void)snprintf(url, sizeof(url), "https://127.0.0.1:%d/", fake_server_port(server.fake));
	assert_answer(context, url, settings, "client");
	tls_server_close(&server);
}

static void many_requests_at_once_all_succeed(void **state)
{
	struct tls_fixture *context = *state;
	const char *path = context->client_path;
	CLEANUP(tls_settings_unrefp)
	struct tls_settings *settings = tls_fixture_load(context, &path, 1);
	struct probe probes[40];
	struct tls_server server;

	tls_server_open(&server, &(struct server_tls){.identity = &context->identity,
					 .client_authority = &context->authority,
					 .require = true});
	for (size_t i = 0; i < 40; i++) {
		probe_init(&probes[i], &context->fixture, server.url);
		probes[i].options.tls = settings;
		probe_start(&probes[i]);
	}
	for (size_t i = 0; i < 40; i++) {
		if (probe_wait_done(&probes[i])->err.kind != ERROR_NONE)
			fail_msg("%s", probes[i].result.err.message);
		assert_memory_equal(probes[i].body.data, "client", 6);
		probe_free(&probes[i]);
	}
	assert_in_range(fake_server_n_connections(server.fake), 1, 8);
	tls_server_close(&server);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, tls_fixture_open, tls_fixture_close)
	const struct CMUnitTest tests[] = {
		TEST(a_configured_authority_is_trusted_beside_the_systems),
		TEST(an_unknown_issuer_is_named_with_the_cure),
		TEST(a_certificate_for_another_name_is_told_with_its_names),
		TEST(an_expired_or_early_certificate_is_told_with_its_date),
		TEST(skipping_verification_accepts_any_server),
		TEST(a_client_certificate_is_presented_when_asked_for),
		TEST(a_missing_client_certificate_is_said_to_be_missing),
		TEST(a_refused_client_certificate_is_named),
		TEST(the_first_pair_that_the_server_accepts_is_presented),
		TEST(connections_are_never_shared_between_settings),
		TEST(a_plain_server_behind_https_is_recognised),
		TEST(a_server_that_never_shakes_hands_times_out),
		TEST(a_close_after_asking_for_a_certificate_in_vain_is_explained),
		TEST(an_address_is_verified_as_one),
		TEST(many_requests_at_once_all_succeed),
	};
	return cmocka_run_group_tests_name("http/http_tls", tests, NULL, NULL);
}
