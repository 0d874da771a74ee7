/* SPDX-License-Identifier: Apache-2.0 */
#include "registry/registry_client.h"

#include "support/test.h"

#include "base/clock.h"
#include "client_fixture.h"

/* A registry with a script: what it does with its first answers; afterwards it is faultless. */
enum fault {
	RIGHT,
	HANG,          /* no answer at all */
	STALL,         /* a beginning, then nothing */
	BREAK,         /* 100000 bytes, then the connection ends */
	BREAK_AT_ONCE, /* right headers, then the connection ends */
	IGNORE_RANGE,
	WRONG_OFFSET,
	WRONG_TOTAL,
	WRONG_LENGTH, /* all of a blob of another size */
	NO_CONTENT_RANGE,
	SHORT_RANGE, /* the first 1000 bytes of it, correctly labelled */
	ENCODED,
	NOT_FOUND,
	BUSY,
	BUSY_FOR_A_SECOND,
	BROKEN_INSIDE,
	FORBIDDEN,
};

struct script {
	struct fixture *fixture;
	const enum fault *faults;
	unsigned n_faults;
	struct fake_registry *registry;
	unsigned n_asked;
	uint64_t first_ns; /* when the first request came */
	uint64_t last_ns;
};

static void reply_part(struct fake_request *request, const uint8_t *blob, uint64_t first,
	uint64_t last, uint64_t total)
{
	char headers[128];

	(void)snprintf(headers, sizeof(headers), "Content-Range: bytes %ju-%ju/%ju\r\n",
		(uintmax_t)first, (uintmax_t)last, (uintmax_t)total);
	fake_reply(request, 206, headers, blob + first, last - first + 1);
}

static void reply_beginning(struct fake_request *request, const uint8_t *blob, uint64_t size)
{
	char headers[128];

	(void)snprintf(headers, sizeof(headers), "Content-Range: bytes %ju-%ju/%d\r\n",
		(uintmax_t)request->first, (uintmax_t)request->last, BLOB_SIZE);
	fake_reply_head(request, 206, headers, request->last - request->first + 1);
	fake_send(request, blob + request->first, size);
}

static void fail_transfer(struct fake_request *request, const uint8_t *blob, enum fault fault)
{
	switch (fault) {
	case HANG:
		fake_hang(request);
		break;
	case STALL:
		reply_beginning(request, blob, 1000);
		fake_hang(request);
		break;
	case BREAK:
		request->close = true;
		reply_beginning(request, blob, 100000);
		break;
	default:
		request->close = true;
		reply_beginning(request, blob, 0);
	}
}

static void fail_answer(struct fake_request *request, const uint8_t *blob, enum fault fault)
{
	uint64_t first = request->first;
	uint64_t last = request->last;

	switch (fault) {
	case IGNORE_RANGE:
		fake_reply(request, 200, "", blob, BLOB_SIZE);
		break;
	case WRONG_OFFSET:
		reply_part(request, blob, first + 1, last, BLOB_SIZE);
		break;
	case WRONG_TOTAL:
		reply_part(request, blob, first, last, BLOB_SIZE + 1);
		break;
	case WRONG_LENGTH:
		fake_reply(request, 200, "", blob, BLOB_SIZE - 1);
		break;
	case NO_CONTENT_RANGE:
		fake_reply(request, 206, "", blob + first, last - first + 1);
		break;
	case SHORT_RANGE:
		reply_part(request, blob, first, first + 999, BLOB_SIZE);
		break;
	case ENCODED:
		fake_reply(request, 200, "Content-Encoding: gzip\r\n", blob, BLOB_SIZE);
		break;
	case NOT_FOUND:
		fake_reply(request, 404, "", "{\"errors\":[{\"code\":\"BLOB_UNKNOWN\"}]}", 36);
		break;
	case BUSY:
		fake_reply(request, 429, "", "", 0);
		break;
	case BUSY_FOR_A_SECOND:
		fake_reply(request, 429, "Retry-After: 1\r\n", "", 0);
		break;
	case BROKEN_INSIDE:
		fake_reply(request, 503, "", "", 0);
		break;
	case FORBIDDEN:
		fake_reply(request, 403, "", "", 0);
		break;
	default:
		fail_transfer(request, blob, fault);
	}
}

static void follow_script(struct fake_request *request, void *arg)
{
	struct script *script = arg;
	enum fault fault =
		script->n_asked < script->n_faults ? script->faults[script->n_asked] : RIGHT;

	script->last_ns = clock_now_ns();
	if (script->n_asked++ == 0)
		script->first_ns = script->last_ns;
	if (fault == RIGHT)
		fake_reply_blob(request, script->fixture->blob, BLOB_SIZE);
	else
		fail_answer(request, script->fixture->blob, fault);
}

static void script_start(struct script *script, struct fixture *fixture)
{
	script->fixture = fixture;
	script->registry = fake_registry_start(follow_script, script);
}

/* Reads through one registry that follows this script, and stops it. */
static void read_through(struct fixture *fixture, const enum fault *faults, unsigned n_faults,
	uint64_t off, uint64_t size, struct reading *reading, struct script *script)
{
	*script = (struct script){.faults = faults, .n_faults = n_faults};
	script_start(script, fixture);
	fixture_configure(fixture, &script->registry, 1);
	reading_perform(reading, fixture, off, size);
	fake_registry_stop(script->registry);
}

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void a_range_arrives_in_order_and_done_comes_once(void **state)
{
	struct reading reading = {0};
	struct script script;

	read_through(*state, NULL, 0, 1000, 150000, &reading, &script);
	assert_read(&reading);
	assert_int_equal(script.n_asked, 1);
	assert_int_equal(strncmp(reading.origin, "http://127.0.0.1:", 17), 0);
	reading_free(&reading);
}

static void bytes_come_with_the_name_of_who_sent_them(void **state)
{
	struct reading reading = {.abort_at = 1};
	struct fixture *fixture = *state;
	struct script script = {0};

	script_start(&script, fixture);
	fixture_configure(fixture, &script.registry, 1);
	reading_perform(&reading, fixture, 1000, 1000);
	assert_true(reading.body.size > 0);
	assert_non_null(strstr(reading.data_origin, fake_registry_host(script.registry)));
	fake_registry_stop(script.registry);
	reading_free(&reading);
}

static void a_whole_blob_is_asked_for_without_a_range(void **state)
{
	struct reading reading = {0};
	struct script script;

	read_through(*state, NULL, 0, 0, BLOB_SIZE, &reading, &script);
	assert_read(&reading);
	reading_free(&reading);
}

static void faults_of_a_registry_do_not_reach_the_reader(void **state)
{
	static const enum fault scripts[][4] = {
		{IGNORE_RANGE, IGNORE_RANGE, IGNORE_RANGE, IGNORE_RANGE},
		{BREAK, BREAK, RIGHT, RIGHT},
		{BREAK_AT_ONCE, BREAK, RIGHT, RIGHT},
		{SHORT_RANGE, SHORT_RANGE, RIGHT, RIGHT},
		{STALL, RIGHT, RIGHT, RIGHT},
		{HANG, RIGHT, RIGHT, RIGHT},
		{BROKEN_INSIDE, BROKEN_INSIDE, RIGHT, RIGHT},
		{BUSY, RIGHT, RIGHT, RIGHT},
		{SHORT_RANGE, IGNORE_RANGE, RIGHT, RIGHT},
		{BREAK, IGNORE_RANGE, BREAK, RIGHT},
	};

	for (size_t i = 0; i < COUNT(scripts); i++) {
		struct reading reading = {0};
		struct script script;

		read_through(*state, scripts[i], 4, 5, 290000, &reading, &script);
		assert_read(&reading);
		reading_free(&reading);
	}
}

struct refusal {
	enum fault fault;
	enum error_kind kind;
	const char *message;
};

static void an_answer_that_is_wrong_is_refused_with_the_reason(void **state)
{
	static const struct refusal refusals[] = {
		{WRONG_OFFSET, ERROR_FORMAT, "asked for bytes from 5, it sends them from 6"},
		{WRONG_TOTAL, ERROR_FORMAT, "the blob has 300001 bytes, the manifest says 300000"},
		{WRONG_LENGTH, ERROR_FORMAT, "it sends 299999 bytes"},
		{NO_CONTENT_RANGE, ERROR_FORMAT, "unusable Content-Range: none"},
		{ENCODED, ERROR_FORMAT, "encodes the blob as gzip"},
		{NOT_FOUND, ERROR_NOT_FOUND, "status 404 BLOB_UNKNOWN"},
		{FORBIDDEN, ERROR_UNAUTHORIZED, "status 403"},
	};

	for (size_t i = 0; i < COUNT(refusals); i++) {
		const enum fault faults[] = {refusals[i].fault, refusals[i].fault};
		struct reading reading = {0};
		struct script script;

		read_through(*state, faults, 2, 5, 1000, &reading, &script);
		assert_int_equal(reading.n_done, 1);
		assert_int_equal(reading.body.size, 0);
		assert_int_equal(reading.err.kind, refusals[i].kind);
		if (!strstr(reading.err.message, refusals[i].message))
			fail_msg("%s\nwithout\n%s", reading.err.message, refusals[i].message);
		assert_int_equal(script.n_asked, 1);
		reading_free(&reading);
	}
}

static void a_pause_that_is_asked_for_is_kept(void **state)
{
	static const enum fault faults[] = {BUSY_FOR_A_SECOND};
	struct reading reading = {0};
	struct script script;

	read_through(*state, faults, 1, 0, 10, &reading, &script);
	assert_read(&reading);
	assert_int_equal(script.n_asked, 2);
	assert_true(script.last_ns - script.first_ns >= NS_PER_SECOND);
	reading_free(&reading);
}

/* Reads through a mirror with this fault and a faultless upstream. */
static void read_with_mirror(struct fixture *fixture, const enum fault *faults, unsigned n_faults,
	struct reading *reading, struct script *mirror, struct script *upstream)
{
	struct fake_registry *hosts[2];

	*mirror = (struct script){.faults = faults, .n_faults = n_faults};
	*upstream = (struct script){0};
	script_start(mirror, fixture);
	script_start(upstream, fixture);
	hosts[0] = mirror->registry;
	hosts[1] = upstream->registry;
	fixture_configure(fixture, hosts, 2);
	reading_perform(reading, fixture, 100, 200000);
}

static void stop_both(struct script *mirror, struct script *upstream)
{
	fake_registry_stop(mirror->registry);
	fake_registry_stop(upstream->registry);
}

static void what_a_mirror_cannot_give_comes_from_the_upstream(void **state)
{
	static const enum fault faults[] = {
		HANG, STALL, NOT_FOUND, WRONG_OFFSET, BROKEN_INSIDE, BUSY, FORBIDDEN, ENCODED};

	for (size_t i = 0; i < COUNT(faults); i++) {
		struct reading reading = {0};
		struct script mirror;
		struct script upstream;

		read_with_mirror(*state, &faults[i], 1, &reading, &mirror, &upstream);
		assert_read(&reading);
		assert_int_equal(fake_registry_n_requests(mirror.registry), 1);
		assert_int_equal(fake_registry_n_requests(upstream.registry), 1);
		assert_non_null(strstr(reading.origin, fake_registry_host(upstream.registry)));
		stop_both(&mirror, &upstream);
		reading_free(&reading);
	}
}

static void a_mirror_that_breaks_off_is_resumed_not_left(void **state)
{
	static const enum fault faults[] = {BREAK};
	struct reading reading = {0};
	struct script mirror;
	struct script upstream;

	read_with_mirror(*state, faults, 1, &reading, &mirror, &upstream);
	assert_read(&reading);
	assert_int_equal(fake_registry_n_requests(mirror.registry), 2);
	assert_int_equal(fake_registry_n_requests(upstream.registry), 0);
	stop_both(&mirror, &upstream);
	reading_free(&reading);
}

static void a_mirror_that_is_down_is_asked_last_for_a_while(void **state)
{
	static const enum fault faults[] = {HANG};
	struct reading reading = {0};
	struct reading again = {0};
	struct script mirror;
	struct script upstream;

	read_with_mirror(*state, faults, 1, &reading, &mirror, &upstream);
	reading_perform(&again, *state, 5, 10);
	assert_read(&again);
	assert_int_equal(fake_registry_n_requests(mirror.registry), 1);
	assert_int_equal(fake_registry_n_requests(upstream.registry), 2);
	stop_both(&mirror, &upstream);
	reading_free(&reading);
	reading_free(&again);
}

static void an_origin_to_avoid_is_not_asked(void **state)
{
	struct reading reading = {0};
	struct script scripts[2] = {0};
	struct fake_registry *hosts[2];
	char origin[64];

	for (size_t i = 0; i < 2; i++) {
		script_start(&scripts[i], *state);
		hosts[i] = scripts[i].registry;
	}
	fixture_configure(*state, hosts, 2);
	(void)snprintf(origin, sizeof(origin), "http://%s", fake_registry_host(hosts[0]));
	reading.avoid[0] = origin;
	reading_perform(&reading, *state, 0, 10);
	assert_read(&reading);
	assert_int_equal(fake_registry_n_requests(scripts[0].registry), 0);
	reading_free(&reading);

	reading = (struct reading){.avoid = {origin, reading.origin}};
	(void)snprintf(
		reading.origin, sizeof(reading.origin), "http://%s", fake_registry_host(hosts[1]));
	reading_perform(&reading, *state, 0, 10);
	assert_int_equal(reading.err.kind, ERROR_DIGEST_MISMATCH);
	assert_int_equal(fake_registry_n_requests(scripts[1].registry), 1);
	stop_both(&scripts[0], &scripts[1]);
	reading_free(&reading);
}

static void the_deadline_ends_it_with_the_causes(void **state)
{
	static const enum fault faults[] = {HANG, HANG, HANG, HANG, HANG};
	struct reading reading = {.request.deadline_ns = clock_now_ns() + 2 * NS_PER_SECOND};
	struct script script;
	uint64_t start_ns = clock_now_ns();

	read_through(*state, faults, COUNT(faults), 0, 10, &reading, &script);
	assert_int_equal(reading.err.kind, ERROR_TIMEOUT);
	assert_non_null(strstr(reading.err.message, "0 of 10 bytes when the time was over"));
	assert_non_null(strstr(reading.err.message, "no answer for 1 s"));
	assert_true(clock_now_ns() - start_ns < 12 * NS_PER_SECOND);
	reading_free(&reading);
}

static void a_reader_may_stop_it(void **state)
{
	struct reading reading = {.abort_at = 1};
	struct script script;

	read_through(*state, NULL, 0, 0, 200000, &reading, &script);
	assert_int_equal(reading.n_done, 1);
	assert_int_equal(reading.err.kind, ERROR_CANCELLED);
	assert_true(reading.body.size < 200000);
	reading_free(&reading);
}

static void nothing_is_called_after_cancel_inside_data(void **state)
{
	struct reading reading = {.cancel_at = 1};
	struct script script;

	read_through(*state, NULL, 0, 0, 200000, &reading, &script);
	assert_int_equal(reading.n_done, 0);
	assert_true(reading.cancelled);
	reading_free(&reading);
}

static void cancel_ends_a_fetch_at_any_moment(void **state)
{
	static const enum fault faults[] = {HANG, HANG, HANG, HANG, HANG, HANG, HANG, HANG};
	struct fixture *fixture = *state;
	struct script script = {.faults = faults, .n_faults = COUNT(faults)};

	script_start(&script, fixture);
	fixture_configure(fixture, &script.registry, 1);
	for (uint64_t delay_us = 0; delay_us < 5000; delay_us = delay_us * 4 + 1) {
		struct reading reading = {0};

		reading_start(&reading, fixture, 0, 1000);
		usleep((useconds_t)delay_us);
		reading_cancel(&reading);
		reading_wait(&reading);
		assert_int_equal(reading.n_done, 0);
		reading_free(&reading);
	}
	fake_registry_stop(script.registry);
}

static int find_stats(void *arg, const struct registry_host_stats *stats)
{
	struct registry_host_stats *out = arg;

	if (strcmp(stats->origin, out->origin) == 0) {
		*out = *stats;
		return 1;
	}
	return 0;
}

static void statistics_say_what_each_host_did(void **state)
{
	static const enum fault faults[] = {IGNORE_RANGE, NOT_FOUND};
	struct fixture *fixture = *state;
	struct script script = {.faults = faults, .n_faults = COUNT(faults)};
	struct registry_host_stats stats = {0};

	script_start(&script, fixture);
	fixture_configure(fixture, &script.registry, 1);
	(void)snprintf(stats.origin, sizeof(stats.origin), "http://%s",
		fake_registry_host(script.registry));
	for (size_t i = 0; i < 3; i++) {
		struct reading reading = {0};

		reading_perform(&reading, fixture, 0, 1000);
		assert_int_equal(registry_each_host(fixture->client, find_stats, &stats), 1);
		assert_int_equal(stats.n_requests, i + 1);
		assert_int_equal(stats.n_errors, i < 1 ? 0 : 1);
		assert_int_equal(stats.ignores_range, i < 2);
		reading_free(&reading);
	}
	assert_string_equal(stats.namespace, fixture->reference.registry);
	assert_non_null(strstr(stats.last_error, "status 404 BLOB_UNKNOWN"));
	assert_true(stats.received_bytes >= 2000 && stats.round_trip_ns > 0);
	fake_registry_stop(script.registry);
}

#define WITH_CLIENT(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_CLIENT(a_range_arrives_in_order_and_done_comes_once),
		WITH_CLIENT(bytes_come_with_the_name_of_who_sent_them),
		WITH_CLIENT(a_whole_blob_is_asked_for_without_a_range),
		WITH_CLIENT(faults_of_a_registry_do_not_reach_the_reader),
		WITH_CLIENT(an_answer_that_is_wrong_is_refused_with_the_reason),
		WITH_CLIENT(a_pause_that_is_asked_for_is_kept),
		WITH_CLIENT(what_a_mirror_cannot_give_comes_from_the_upstream),
		WITH_CLIENT(a_mirror_that_breaks_off_is_resumed_not_left),
		WITH_CLIENT(a_mirror_that_is_down_is_asked_last_for_a_while),
		WITH_CLIENT(an_origin_to_avoid_is_not_asked),
		WITH_CLIENT(the_deadline_ends_it_with_the_causes),
		WITH_CLIENT(a_reader_may_stop_it),
		WITH_CLIENT(nothing_is_called_after_cancel_inside_data),
		WITH_CLIENT(cancel_ends_a_fetch_at_any_moment),
		WITH_CLIENT(statistics_say_what_each_host_did),
	};
	return cmocka_run_group_tests_name("registry/registry_source", tests, NULL, NULL);
}
