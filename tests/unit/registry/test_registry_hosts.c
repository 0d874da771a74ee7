/* SPDX-License-Identifier: Apache-2.0 */
/* Which hosts the client asks, and what it tells each of them. */
#include "registry/registry_client.h"

#include "support/test.h"

#include <stdio.h>
#include <string.h>

#include "client_fixture.h"

/* A host that has the blob or not, and keeps the headers of its last request. */
struct witness {
	struct fixture *fixture;
	int status;          /* instead of the blob; 0: the blob */
	unsigned n_refusals; /* so many times only; 0: always */
	const char *headers;
	char seen[4096];
	struct fake_registry *registry;
};

static void answer(struct fake_request *request, void *arg)
{
	struct witness *witness = arg;

	(void)snprintf(witness->seen, sizeof(witness->seen), "%s", request->headers);
	if (witness->status && (!witness->n_refusals || request->number < witness->n_refusals))
		fake_reply(
			request, witness->status, witness->headers ? witness->headers : "", "", 0);
	else
		fake_reply_blob(request, witness->fixture->blob, BLOB_SIZE);
}

static void witness_start(struct witness *witness, struct fixture *fixture)
{
	witness->fixture = fixture;
	witness->registry = fake_registry_start(answer, witness);
}

static void read_some(struct fixture *fixture, struct reading *reading)
{
	*reading = (struct reading){0};
	reading_perform(reading, fixture, 10, 100);
}

static void read_well(struct fixture *fixture)
{
	struct reading reading;

	read_some(fixture, &reading);
	assert_read(&reading);
	reading_free(&reading);
}

/* The mirror has headers and the server has others, each a secret from the other. */
static void write_both(struct fixture *fixture, const struct witness hosts[2])
{
	char text[512];

	(void)snprintf(text, sizeof(text),
		"server = \"http://%s\"\n[header]\nX-Server = \"only\"\n"
		"[host.\"http://%s\".header]\nX-Mirror = [\"first\", \"second\"]\n",
		fake_registry_host(hosts[1].registry), fake_registry_host(hosts[0].registry));
	fixture_write_hosts(fixture, text);
}

/* Rows 18 and 19. */
static void each_host_gets_its_own_headers_only(void **state)
{
	struct fixture *fixture = *state;
	struct witness hosts[2] = {{0}, {0}};

	witness_start(&hosts[0], fixture);
	witness_start(&hosts[1], fixture);
	write_both(fixture, hosts);
	read_well(fixture);
	assert_int_equal(fake_registry_n_requests(hosts[1].registry), 0);
	fake_registry_stop(hosts[0].registry);
	assert_non_null(strstr(hosts[0].seen, "X-Mirror: first\r\nX-Mirror: second\r\n"));
	assert_null(strstr(hosts[0].seen, "X-Server"));

	read_well(fixture);
	fake_registry_stop(hosts[1].registry);
	assert_non_null(strstr(hosts[1].seen, "X-Server: only\r\n"));
	assert_null(strstr(hosts[1].seen, "X-Mirror"));
	assert_null(strstr(hosts[1].seen, "Accept-Encoding"));
}

static void write_server(struct fixture *fixture, const struct witness *witness)
{
	char text[128];

	(void)snprintf(text, sizeof(text), "server = \"http://%s\"\n",
		fake_registry_host(witness->registry));
	fixture_write_hosts(fixture, text);
}

static void many_ranges_at_once_are_all_right(void **state)
{
	enum { N = 40 };
	static struct reading readings[N];
	struct witness host = {0};

	memset(readings, 0, sizeof(readings));
	witness_start(&host, *state);
	write_server(*state, &host);
	for (size_t i = 0; i < N; i++)
		reading_start(&readings[i], *state, i * 7000, 9000);
	for (size_t i = 0; i < N; i++) {
		reading_wait(&readings[i]);
		assert_read(&readings[i]);
		reading_free(&readings[i]);
	}
	fake_registry_stop(host.registry);
}

/* No second passes between the change and the read, so nothing has looked at the disk since. */
static void a_read_that_would_fail_looks_for_changed_hosts_first(void **state)
{
	struct fixture *fixture = *state;
	struct witness hosts[2] = {{0}, {0}};
	struct reading reading;

	witness_start(&hosts[0], fixture);
	witness_start(&hosts[1], fixture);
	write_server(fixture, &hosts[0]);
	read_well(fixture);
	hosts[0].status = 404;
	write_server(fixture, &hosts[1]);
	read_well(fixture);
	assert_int_equal(fake_registry_n_requests(hosts[0].registry), 2);

	hosts[1].status = 404;
	read_some(fixture, &reading);
	assert_int_equal(reading.err.kind, ERROR_NOT_FOUND);
	assert_int_equal(fake_registry_n_requests(hosts[1].registry), 2);
	reading_free(&reading);
	fake_registry_stop(hosts[0].registry);
	fake_registry_stop(hosts[1].registry);
}

/* The hosts found by looking again have their rounds, too. */
static void hosts_found_late_may_be_busy(void **state)
{
	struct fixture *fixture = *state;
	struct witness hosts[2] = {{0}, {.status = 503, .n_refusals = 2}};

	witness_start(&hosts[0], fixture);
	witness_start(&hosts[1], fixture);
	write_server(fixture, &hosts[0]);
	read_well(fixture);
	hosts[0].status = 404;
	write_server(fixture, &hosts[1]);
	read_well(fixture);
	assert_int_equal(fake_registry_n_requests(hosts[1].registry), 3);
	fake_registry_stop(hosts[0].registry);
	fake_registry_stop(hosts[1].registry);
}

static void a_configuration_that_broke_does_not_end_what_is_mounted(void **state)
{
	struct fixture *fixture = *state;
	struct witness host = {0};
	struct digest digest;
	char media_type[128];
	struct error err = {0};

	witness_start(&host, fixture);
	write_server(fixture, &host);
	read_well(fixture);
	fixture_write_hosts(fixture, "server = 5\n");
	assert_int_equal(
		registry_resolve(fixture->client, &fixture->reference, &digest, media_type, &err),
		-1);
	assert_int_equal(err.kind, ERROR_INVALID);
	assert_non_null(strstr(err.message, "hosts.toml: line 1: server: must be a string"));
	read_well(fixture);
	fake_registry_stop(host.registry);
}

static void a_first_read_with_a_broken_configuration_says_so(void **state)
{
	struct fixture *fixture = *state;
	struct reading reading;

	fixture_write_hosts(fixture, "server = 5\n");
	read_some(fixture, &reading);
	assert_int_equal(reading.err.kind, ERROR_INVALID);
	assert_non_null(strstr(reading.err.message, "hosts.toml: line 1: server"));
	reading_free(&reading);
}

static void redirects_are_remembered_until_their_target_refuses(void **state)
{
	struct fixture *fixture = *state;
	struct witness front = {.status = 307};
	struct witness target = {0};
	char location[128];

	witness_start(&front, fixture);
	witness_start(&target, fixture);
	(void)snprintf(location, sizeof(location), "Location: http://%s/store?ticket=1\r\n",
		fake_registry_host(target.registry));
	front.headers = location;
	write_server(fixture, &front);
	read_well(fixture);
	read_well(fixture);
	assert_int_equal(fake_registry_n_requests(front.registry), 1);
	assert_int_equal(fake_registry_n_requests(target.registry), 2);

	/* Now the front serves the blob itself, and the target forgot the ticket. */
	target.status = 403;
	front.status = 0;
	read_well(fixture);
	read_well(fixture);
	assert_int_equal(fake_registry_n_requests(target.registry), 3);
	assert_int_equal(fake_registry_n_requests(front.registry), 3);
	fake_registry_stop(front.registry);
	fake_registry_stop(target.registry);
}

/* A host that only redirects to itself may see what is meant for it. */
static void a_redirect_within_a_host_keeps_its_headers(void **state)
{
	struct fixture *fixture = *state;
	struct witness host = {.status = 307, .headers = "Location: /elsewhere\r\n"};
	struct reading reading;
	char text[128];

	witness_start(&host, fixture);
	(void)snprintf(text, sizeof(text), "server = \"http://%s\"\n[header]\nX-Own = \"1\"\n",
		fake_registry_host(host.registry));
	fixture_write_hosts(fixture, text);
	read_some(fixture, &reading);
	assert_non_null(strstr(reading.err.message, "more than 10 redirects"));
	reading_free(&reading);
	fake_registry_stop(host.registry);
	assert_non_null(strstr(host.seen, "X-Own: 1\r\n"));
}

#define WITH_CLIENT(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_CLIENT(each_host_gets_its_own_headers_only),
		WITH_CLIENT(many_ranges_at_once_are_all_right),
		WITH_CLIENT(a_read_that_would_fail_looks_for_changed_hosts_first),
		WITH_CLIENT(hosts_found_late_may_be_busy),
		WITH_CLIENT(a_configuration_that_broke_does_not_end_what_is_mounted),
		WITH_CLIENT(a_first_read_with_a_broken_configuration_says_so),
		WITH_CLIENT(redirects_are_remembered_until_their_target_refuses),
		WITH_CLIENT(a_redirect_within_a_host_keeps_its_headers),
	};
	return cmocka_run_group_tests_name("registry/registry_hosts", tests, NULL, NULL);
}
