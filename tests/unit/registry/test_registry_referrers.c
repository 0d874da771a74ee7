/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of referrers from registries with the API, without it, and with half of it. */
#include "support/test.h"

#include <stdio.h>
#include <string.h>

#include "client_fixture.h"
#include "format/referrers.h"
#include "oci/manifest.h"

#define TYPE "application/vnd.example.index"
#define INDEX_TYPE "Content-Type: " MEDIA_TYPE_OCI_INDEX "\r\n"
#define LIST(entries)                                                                              \
	"{\"schemaVersion\":2,\"mediaType\":\"" MEDIA_TYPE_OCI_INDEX "\",\"manifests\":[" entries  \
	"]}"
#define ENTRY(digit)                                                                               \
	"{\"mediaType\":\"" MEDIA_TYPE_OCI_MANIFEST                                                \
	"\",\"digest\":\"sha256:" digit digit digit digit digit digit digit digit                  \
	"\",\"size\":7,\"artifactType\":\"" TYPE "\"}"
#define A "aaaaaaaa"
#define B "bbbbbbbb"

/* What one of its lists is answered with. */
struct answer {
	int status; /* 0: 404 */
	const char *headers;
	const char *body;
};

/* A registry that knows lists only. */
struct lists {
	struct answer api;
	struct answer second_page; /* asked with last= */
	struct answer tag;
	struct buffer asked;
	struct fake_registry *registry;
};

static void answer_lists(struct fake_request *request, void *arg)
{
	struct lists *lists = arg;
	const struct answer *answer =
		strstr(request->path, "/referrers/") ? &lists->api : &lists->tag;

	if (strstr(request->path, "last="))
		answer = &lists->second_page;
	assert_int_equal(
		buffer_printf(&lists->asked, "%s %s\n", request->method, request->path), 0);
	fake_reply(request, answer->status ? answer->status : 404,
		answer->headers ? answer->headers : "", answer->body ? answer->body : "{}",
		answer->body ? strlen(answer->body) : 2);
}

static void lists_start(struct lists *lists, struct fixture *fixture)
{
	lists->registry = fake_registry_start(answer_lists, lists);
	fixture_configure(fixture, &lists->registry, 1);
}

static void lists_stop(struct lists *lists)
{
	fake_registry_stop(lists->registry);
	buffer_free(&lists->asked);
}

static int get(struct fixture *fixture, struct buffer *out, struct error *err)
{
	struct digest subject;

	digest_from_sha256((const uint8_t[32]){1, 2, 3}, &subject);
	return registry_get_referrers(
		fixture->client, &fixture->reference, &subject, TYPE, out, err);
}

/* The list has so many entries, the first of digest @first. */
static void assert_list(struct fixture *fixture, size_t n, uint8_t first)
{
	CLEANUP(referrers_freep) struct referrers *referrers = NULL;
	CLEANUP(buffer_free) struct buffer list = {0};
	struct error err = {0};

	if (get(fixture, &list, &err) < 0)
		fail_msg("%s", err.message);
	if (n == 0) {
		assert_int_equal(list.size, 0);
		return;
	}
	if (referrers_parse(list.data, list.size, TYPE, &referrers, &err) < 0)
		fail_msg("%s", err.message);
	assert_int_equal(referrers->n, n);
	assert_int_equal(referrers->list[0].descriptor.digest.bytes[0], first);
}

static void assert_asked(struct lists *lists, const char *text, bool expected)
{
	fake_registry_stop(TAKE_PTR(lists->registry));
	if (!!strstr((const char *)lists->asked.data, text) != expected)
		fail_msg("%s in:\n%s", expected ? text : "unexpected",
			(const char *)lists->asked.data);
}

static void the_api_is_asked_with_the_type_and_nothing_else_is(void **state)
{
	struct lists lists = {
		.api = {200, INDEX_TYPE "OCI-Filters-Applied: artifactType\r\n", LIST(ENTRY(A))}};

	lists_start(&lists, *state);
	assert_list(*state, 1, 0xaa);
	assert_asked(&lists, "?artifactType=application%2Fvnd.example.index&ns=", true);
	if (strstr((const char *)lists.asked.data, "manifests"))
		fail_msg("%s", (const char *)lists.asked.data);
	lists_stop(&lists);
}

static void pages_are_one_list_in_their_order(void **state)
{
	static const char *const links[] = {
		"Link: </v2/library/app/referrers/x?last=1>; rel=\"next\"\r\n",
		"Link: </elsewhere>; rel=first, <x?n=1&last=1>; foo=\"a,b\" ; rel=next\r\n",
		"Link: </other>; rel=\"prev\"\r\nLink: <?last=1>; rel=\"nothing next\"\r\n",
	};

	for (size_t i = 0; i < 3; i++) {
		char headers[300];
		struct lists lists = {.api = {200, headers, LIST(ENTRY(B))},
			.second_page = {200, INDEX_TYPE, LIST(ENTRY(A))}};

		(void)snprintf(headers, sizeof(headers), INDEX_TYPE "%s", links[i]);
		lists_start(&lists, *state);
		assert_list(*state, 2, 0xbb);
		lists_stop(&lists);
	}
}

static void links_that_are_none_end_the_list(void **state)
{
	static const char *const links[] = {"Link: <x?last=1\r\n", "Link: x?last=1; rel=next\r\n",
		"Link: <x?last=1>; rel=\"next\r\n", "Link: <x?last=1>; rel=nextpage\r\n",
		"Link: <x?last=1>; title=next\r\n", "Link: \r\n"};

	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
		char headers[300];
		struct lists lists = {.api = {200, headers, LIST(ENTRY(B))}};

		(void)snprintf(headers, sizeof(headers), INDEX_TYPE "%s", links[i]);
		lists_start(&lists, *state);
		assert_list(*state, 1, 0xbb);
		lists_stop(&lists);
	}
}

static void a_list_without_an_end_is_refused(void **state)
{
	static const char headers[] = INDEX_TYPE "Link: <x?last=1>; rel=\"next\"\r\n";
	struct lists lists = {
		.api = {200, headers, LIST(ENTRY(A))}, .second_page = {200, headers, LIST("")}};
	struct buffer list = {0};
	struct error err = {0};

	lists_start(&lists, *state);
	assert_int_equal(get(*state, &list, &err), 0);
	assert_int_equal(list.size, 0);
	assert_asked(&lists, "/manifests/sha256-0102030000", true);
	lists_stop(&lists);
}

static void without_the_api_the_tag_is_read(void **state)
{
	static const struct answer refusals[] = {{404, "", "404 page not found"}, {405, "", "{}"},
		{400, "", "{}"}, {501, "", "{}"}, {403, "", "{}"},
		{200, "Content-Type: text/html\r\n", "<html>"}};

	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		struct lists lists = {
			.api = refusals[i], .tag = {200, INDEX_TYPE, LIST(ENTRY(A) "," ENTRY(B))}};

		lists_start(&lists, *state);
		assert_list(*state, 2, 0xaa);
		assert_asked(&lists,
			"GET /v2/library/app/manifests/sha256-0102030000000000000000000000000000"
			"000000000000000000000000000000?ns=",
			true);
		lists_stop(&lists);
	}
}

static void nothing_refers_where_neither_is_there(void **state)
{
	struct lists lists = {0};

	lists_start(&lists, *state);
	assert_list(*state, 0, 0);
	lists_stop(&lists);
}

static void a_refusal_is_told_when_there_is_no_tag_either(void **state)
{
	struct lists lists = {.api = {.status = 403}};
	struct buffer list = {0};
	struct error err = {0};

	lists_start(&lists, *state);
	assert_int_equal(get(*state, &list, &err), -1);
	assert_int_equal(err.kind, ERROR_UNAUTHORIZED);
	assert_non_null(strstr(err.message, "status 403"));
	assert_non_null(strstr(err.message, "referrers of sha256:010203"));
	lists_stop(&lists);
}

static void a_registry_that_is_broken_is_not_one_without_referrers(void **state)
{
	struct lists lists = {.api = {.status = 500}, .tag = {200, INDEX_TYPE, LIST("")}};
	struct buffer list = {0};
	struct error err = {0};

	lists_start(&lists, *state);
	assert_int_equal(get(*state, &list, &err), -1);
	assert_int_equal(err.kind, ERROR_UNAVAILABLE);
	lists_stop(&lists);
}

static void hosts_without_the_capability_are_not_asked_by_the_api(void **state)
{
	struct lists lists = {
		.api = {200, INDEX_TYPE, LIST(ENTRY(B))}, .tag = {200, INDEX_TYPE, LIST(ENTRY(A))}};
	char text[200];

	lists_start(&lists, *state);
	(void)snprintf(text, sizeof(text),
		"server = \"http://%s\"\ncapabilities = [\"pull\", \"resolve\"]\n",
		fake_registry_host(lists.registry));
	fixture_write_hosts(*state, text);
	assert_list(*state, 1, 0xaa);
	assert_asked(&lists, "/referrers/", false);
	lists_stop(&lists);
}

/* What was asked of one host. */
struct count {
	const char *host;
	uint64_t n_errors;
	uint64_t n_requests;
};

static int count_host(void *arg, const struct registry_host_stats *stats)
{
	struct count *count = arg;

	if (strstr(stats->origin, count->host)) {
		count->n_errors += stats->n_errors;
		count->n_requests += stats->n_requests;
	}
	return 0;
}

static void that_nothing_refers_is_no_failure_of_the_host(void **state)
{
	struct fixture *fixture = *state;
	struct lists lists = {0};
	struct count count = {0};

	lists_start(&lists, fixture);
	assert_list(fixture, 0, 0);
	count.host = fake_registry_host(lists.registry);
	(void)registry_each_host(fixture->client, count_host, &count);
	assert_int_equal(count.n_requests, 2);
	assert_int_equal(count.n_errors, 0);
	lists_stop(&lists);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_api_is_asked_with_the_type_and_nothing_else_is),
		cmocka_unit_test(pages_are_one_list_in_their_order),
		cmocka_unit_test(links_that_are_none_end_the_list),
		cmocka_unit_test(a_list_without_an_end_is_refused),
		cmocka_unit_test(without_the_api_the_tag_is_read),
		cmocka_unit_test(nothing_refers_where_neither_is_there),
		cmocka_unit_test(a_refusal_is_told_when_there_is_no_tag_either),
		cmocka_unit_test(a_registry_that_is_broken_is_not_one_without_referrers),
		cmocka_unit_test(hosts_without_the_capability_are_not_asked_by_the_api),
		cmocka_unit_test(that_nothing_refers_is_no_failure_of_the_host),
	};

	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
