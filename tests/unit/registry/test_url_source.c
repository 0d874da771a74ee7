/* SPDX-License-Identifier: Apache-2.0 */
#include "registry/url_source.h"

#include "support/test.h"

#include "base/clock.h"
#include "client_fixture.h"

enum { MAX_PLACES = 10 };

/* A server of files: its paths say what it does. */
struct files {
	struct fixture *fixture;
	struct fake_registry *server;
	char urls[MAX_PLACES][256];
	char *list[MAX_PLACES]; /* of urls: what the descriptor has */
	char target[300];       /* where /moved leads */
	unsigned n_breaks;      /* /breaks does so, so many times */
	bool saw_credentials;
	bool saw_headers;
};

static void note_headers(struct files *files, const struct fake_request *request)
{
	char value[100];

	files->saw_credentials |= fake_header(request, "Authorization", value, sizeof(value)) ||
				  fake_header(request, "Cookie", value, sizeof(value));
	files->saw_headers |= fake_header(request, "X-Registry", value, sizeof(value));
}

static void answer(struct fake_request *request, void *arg)
{
	struct files *files = arg;
	const uint8_t *blob = files->fixture->blob;
	char headers[400];

	note_headers(files, request);
	if (strncmp(request->path, "/file", 5) == 0) {
		fake_reply_blob(request, blob, BLOB_SIZE);
	} else if (strcmp(request->path, "/whole") == 0) {
		fake_reply(request, 200, "", blob, BLOB_SIZE);
	} else if (strcmp(request->path, "/shorter") == 0) {
		fake_reply(request, 200, "", blob, BLOB_SIZE - 1);
	} else if (strcmp(request->path, "/moved") == 0) {
		(void)snprintf(headers, sizeof(headers), "Location: %s\r\n", files->target);
		fake_reply(request, 302, headers, "", 0);
	} else if (strcmp(request->path, "/breaks") == 0 && files->n_breaks > 0) {
		files->n_breaks--;
		request->close = true;
		(void)snprintf(headers, sizeof(headers), "Content-Range: bytes %ju-%ju/%d\r\n",
			(uintmax_t)request->first, (uintmax_t)request->last, BLOB_SIZE);
		fake_reply_head(request, 206, headers, request->last - request->first + 1);
		fake_send(request, blob + request->first, 1000);
	} else if (strcmp(request->path, "/breaks") == 0) {
		fake_reply_blob(request, blob, BLOB_SIZE);
	} else if (strcmp(request->path, "/forbidden") == 0) {
		fake_reply(request, 401, "WWW-Authenticate: Basic realm=\"files\"\r\n", "", 0);
	} else if (strcmp(request->path, "/hangs") == 0) {
		fake_hang(request);
	} else {
		fake_reply(request, 404, "", "", 0);
	}
}

/* Paths of the server, or whole URLs; ends with NULL. */
static void files_start(struct files *files, struct fixture *fixture, const char *const *places)
{
	size_t n = 0;

	files->fixture = fixture;
	files->server = fake_registry_start(answer, files);
	for (; places[n]; n++) {
		assert_true(n < MAX_PLACES);
		(void)snprintf(files->urls[n], sizeof(files->urls[n]), "%s%s%s",
			places[n][0] == '/' ? "http://" : "",
			places[n][0] == '/' ? fake_registry_host(files->server) : "", places[n]);
		files->list[n] = files->urls[n];
	}
	fixture->descriptor.urls = files->list;
	fixture->descriptor.n_urls = n;
}

static void files_stop(struct files *files)
{
	fake_registry_stop(files->server);
	files->fixture->descriptor.urls = NULL;
	files->fixture->descriptor.n_urls = 0;
}

static void read_from(struct fixture *fixture, const char *const *places, struct files *files,
	struct reading *reading)
{
	files_start(files, fixture, places);
	reading->from_urls = true;
	reading_perform(reading, fixture, 1000, 200000);
	files_stop(files);
}

static void a_range_comes_from_the_first_url_that_has_it(void **state)
{
	static const char *const lists[][4] = {
		{"/file", "/absent", NULL},
		{"/absent", "/file", NULL},
		{"/forbidden", "/file?with=query", NULL},
		{"/shorter", "/whole", NULL},
		{"ftp://files.example.com/layer", "/file", NULL},
		{"http://user:secret@127.0.0.1/layer", "/file", NULL},
		{"http://127.0.0.1:1/closed", "/file", NULL},
	};

	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		struct files files = {0};
		struct reading reading = {0};

		read_from(*state, lists[i], &files, &reading);
		assert_read(&reading);
		assert_int_equal(strncmp(reading.origin, "http://127.0.0.1:", 17), 0);
		assert_null(strchr(reading.origin + 7, '/'));
		assert_string_equal(reading.data_origin, reading.origin);
		reading_free(&reading);
	}
}

static void when_none_has_it_each_says_why(void **state)
{
	static const char *const places[] = {
		"/absent", "ftp://files.example.com/layer", "/forbidden", NULL};
	struct files files = {0};
	struct reading reading = {0};

	read_from(*state, places, &files, &reading);
	assert_int_equal(reading.n_done, 1);
	assert_int_equal(reading.body.size, 0);
	assert_non_null(strstr(reading.err.message, "status 404"));
	assert_non_null(strstr(reading.err.message, "status 401"));
	assert_non_null(strstr(reading.err.message, "ftp"));
	reading_free(&reading);
}

static void only_a_404_is_not_found(void **state)
{
	static const char *const places[] = {"/absent", NULL};
	struct files files = {0};
	struct reading reading = {0};

	read_from(*state, places, &files, &reading);
	assert_int_equal(reading.err.kind, ERROR_NOT_FOUND);
	reading_free(&reading);
}

static void a_body_that_breaks_off_is_resumed(void **state)
{
	static const char *const places[] = {"/breaks", NULL};
	struct files files = {.n_breaks = 3};
	struct reading reading = {0};

	read_from(*state, places, &files, &reading);
	assert_read(&reading);
	reading_free(&reading);
}

static void a_body_that_always_breaks_off_is_left(void **state)
{
	static const char *const places[] = {"/breaks", "/file", NULL};
	struct files files = {.n_breaks = 100};
	struct reading reading = {0};

	read_from(*state, places, &files, &reading);
	assert_read(&reading);
	assert_int_equal(files.n_breaks, 94);
	reading_free(&reading);
}

static void redirects_are_followed_but_not_round_in_circles(void **state)
{
	static const char *const places[] = {"/moved", NULL};
	struct files files = {.target = "/file"};
	struct files circle = {.target = "/moved"};
	struct files odd = {.target = "file:///etc/passwd"};
	struct reading reading = {0}, again = {0}, third = {0};

	read_from(*state, places, &files, &reading);
	assert_read(&reading);
	reading_free(&reading);
	read_from(*state, places, &circle, &again);
	assert_int_equal(again.err.kind, ERROR_FORMAT);
	assert_non_null(strstr(again.err.message, "more than 10 redirects"));
	reading_free(&again);
	read_from(*state, places, &odd, &third);
	assert_int_equal(third.err.kind, ERROR_INVALID);
	assert_int_equal(third.body.size, 0);
	reading_free(&third);
}

static void nothing_of_the_registry_is_sent(void **state)
{
	static const char *const places[] = {"/file", NULL};
	struct fixture *fixture = *state;
	struct files files = {0};
	struct reading reading = {.from_urls = true};
	CLEANUP(buffer_free) struct buffer text = {0};

	/* The very host that the registry's settings are for. */
	files_start(&files, fixture, places);
	assert_int_equal(
		buffer_printf(&text,
			"server = \"http://%s\"\n[host.\"http://%s\".header]\n"
			"X-Registry = \"secret\"\nAuthorization = \"Basic c2VjcmV0\"\n",
			fake_registry_host(files.server), fake_registry_host(files.server)),
		0);
	fixture_write_hosts(fixture, (const char *)text.data);
	reading_perform(&reading, fixture, 0, 1000);
	assert_read(&reading);
	assert_false(files.saw_credentials);
	assert_false(files.saw_headers);
	reading_free(&reading);
	files_stop(&files);
}

static void an_origin_that_sent_wrong_bytes_is_not_asked_again(void **state)
{
	static const char *const places[] = {"/file", NULL};
	struct fixture *fixture = *state;
	struct files files = {0};
	struct reading reading = {.from_urls = true};
	char origin[100];

	files_start(&files, fixture, places);
	(void)snprintf(origin, sizeof(origin), "http://%s", fake_registry_host(files.server));
	reading.avoid[0] = origin;
	reading_perform(&reading, fixture, 0, 1000);
	assert_int_equal(reading.err.kind, ERROR_DIGEST_MISMATCH);
	assert_int_equal(fake_registry_n_requests(files.server), 0);
	reading_free(&reading);
	files_stop(&files);
}

static void a_reader_may_stop_or_leave_at_any_time(void **state)
{
	static const char *const places[] = {"/file", NULL};
	static const char *const silent[] = {"/hangs", NULL};
	struct fixture *fixture = *state;
	struct files files = {0}, hanging = {0};
	struct reading stops = {.abort_at = 1}, leaves = {.cancel_at = 1};
	struct reading waits = {.from_urls = true};

	read_from(fixture, places, &files, &stops);
	assert_int_equal(stops.err.kind, ERROR_CANCELLED);
	assert_int_equal(stops.n_done, 1);
	reading_free(&stops);
	read_from(fixture, places, &files, &leaves);
	assert_int_equal(leaves.n_done, 0);
	reading_free(&leaves);
	files_start(&hanging, fixture, silent);
	reading_start(&waits, fixture, 0, 1000);
	reading_cancel(&waits);
	reading_wait(&waits);
	assert_int_equal(waits.n_done, 0);
	reading_free(&waits);
	files_stop(&hanging);
}

static void a_deadline_ends_it(void **state)
{
	static const char *const places[] = {"/hangs", "/hangs", NULL};
	struct files files = {0};
	struct reading reading = {.request.deadline_ns = clock_now_ns() + NS_PER_SECOND / 4};

	read_from(*state, places, &files, &reading);
	assert_int_equal(reading.n_done, 1);
	assert_int_equal(reading.err.kind, ERROR_TIMEOUT);
	reading_free(&reading);
}

static void a_range_can_be_waited_for(void **state)
{
	static const char *const places[] = {"/absent", "/file", NULL};
	struct fixture *fixture = *state;
	CLEANUP(buffer_free) struct buffer bytes = {0};
	struct buffer none = {0};
	struct files files = {0};
	struct error err = {0};

	files_start(&files, fixture, places);
	assert_int_equal(url_get_range_unverified(
				 fixture->client, &fixture->descriptor, 7, 1000, &bytes, &err),
		0);
	assert_int_equal(bytes.size, 1000);
	assert_memory_equal(bytes.data, fixture->blob + 7, 1000);
	assert_int_equal(url_get_range_unverified(fixture->client, &fixture->descriptor,
				 BLOB_SIZE - 1, 2, &none, &err),
		-1);
	assert_int_equal(err.kind, ERROR_FORMAT);
	files_stop(&files);
}

static void no_more_urls_than_the_limit_are_asked(void **state)
{
	static const char *const places[] = {
		"/1", "/2", "/3", "/4", "/5", "/6", "/7", "/8", "/file", NULL};
	struct files files = {0};
	struct reading reading = {0};

	assert_int_equal(URL_SOURCE_MAX_URLS, 8);
	read_from(*state, places, &files, &reading);
	assert_int_equal(reading.err.kind, ERROR_NOT_FOUND);
	reading_free(&reading);
}

/* The registry does not have it either; its answer is remembered for a blob that has urls. */
static void a_registry_is_not_asked_for_every_range_of_a_blob_it_has_not(void **state)
{
	static const char *const places[] = {"/file", NULL};
	struct fixture *fixture = *state;
	struct files files = {0}, registry = {.fixture = fixture};
	struct source *source;
	struct reading reading = {0};
	struct error err = {0};

	registry.server = fake_registry_start(answer, &registry);
	fixture_configure(fixture, &registry.server, 1);
	files_start(&files, fixture, places);
	assert_int_equal(registry_source_new(fixture->client, &fixture->reference,
				 &fixture->descriptor, &source, &err),
		0);
	for (unsigned i = 0; i < 3; i++) {
		reading = (struct reading){.given = source};
		reading_perform(&reading, fixture, i * 10, 10);
		assert_int_equal(reading.err.kind, ERROR_NOT_FOUND);
		assert_int_equal(fake_registry_n_requests(registry.server), 1);
		reading_free(&reading);
	}
	reading_free_source(fixture, source);
	fake_registry_stop(registry.server);
	files_stop(&files);
}

#define URL_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		URL_TEST(a_range_comes_from_the_first_url_that_has_it),
		URL_TEST(when_none_has_it_each_says_why),
		URL_TEST(only_a_404_is_not_found),
		URL_TEST(a_body_that_breaks_off_is_resumed),
		URL_TEST(a_body_that_always_breaks_off_is_left),
		URL_TEST(redirects_are_followed_but_not_round_in_circles),
		URL_TEST(nothing_of_the_registry_is_sent),
		URL_TEST(an_origin_that_sent_wrong_bytes_is_not_asked_again),
		URL_TEST(a_reader_may_stop_or_leave_at_any_time),
		URL_TEST(a_deadline_ends_it),
		URL_TEST(a_range_can_be_waited_for),
		URL_TEST(no_more_urls_than_the_limit_are_asked),
		URL_TEST(a_registry_is_not_asked_for_every_range_of_a_blob_it_has_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
