/* SPDX-License-Identifier: Apache-2.0 */
/* Pushing to registries that take it, that refuse it, and that break in the middle. */
#include "registry/registry_push.h"

#include "support/test.h"

#include <stdio.h>
#include <string.h>

#include "client_fixture.h"
#include "oci/manifest.h"

/* Stands for the scheme and host of the registry. */
#define ABSOLUTE "absolute:"
#define ARTIFACT "application/vnd.example.index"
#define LIST(entries)                                                                              \
	"{\"schemaVersion\":2,\"mediaType\":\"" MEDIA_TYPE_OCI_INDEX "\",\"manifests\":[" entries  \
	"]}"
#define OTHERS_ENTRY                                                                               \
	"{\"mediaType\":\"" MEDIA_TYPE_OCI_MANIFEST "\",\"digest\":\"sha256:"                      \
	"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\",\"size\":7}"

static const char content[] = "what is pushed";
enum { CONTENT_SIZE = sizeof(content) - 1 };

/* A registry that takes pushes; what goes wrong is set before it is started. */
struct taking {
	int head_status;        /* of the blob, before it was pushed; 0: 404 */
	int post_status;        /* 0: 202 */
	int put_status;         /* 0: 201 */
	unsigned n_puts_failed; /* so many times put_status, then success; 0: always */
	const char *location;   /* of uploads */
	const char *headers;    /* of a manifest that was put */
	unsigned n_overwritten; /* so often somebody else's list replaces what was put */
	struct buffer asked;    /* a line for each request */
	char blob[64];          /* as pushed */
	char tag[4096];         /* what the tag has */
	unsigned n_puts;
	struct fake_registry *registry;
};

static void put_manifest(struct taking *taking, struct fake_request *request)
{
	if (taking->put_status) {
		fake_reply(request, taking->put_status, "", "{}", 2);
		return;
	}
	if (strstr(request->path, "manifests/sha256-"))
		(void)snprintf(taking->tag, sizeof(taking->tag), "%s",
			taking->n_overwritten ? LIST(OTHERS_ENTRY) : request->body);
	taking->n_overwritten -= taking->n_overwritten > 0;
	fake_reply(request, 201, taking->headers ? taking->headers : "", "", 0);
}

static void put_blob(struct taking *taking, struct fake_request *request)
{
	taking->n_puts++;
	if (taking->put_status &&
		(!taking->n_puts_failed || taking->n_puts <= taking->n_puts_failed)) {
		fake_reply(request, taking->put_status, "", "{}", 2);
		return;
	}
	(void)snprintf(taking->blob, sizeof(taking->blob), "%.60s", request->body);
	fake_reply(request, 201, "", "", 0);
}

static void begin_upload(struct taking *taking, struct fake_request *request)
{
	const char *location = taking->location ? taking->location : "/up?state=1";
	bool is_absolute = strncmp(location, ABSOLUTE, strlen(ABSOLUTE)) == 0;
	char headers[300];

	(void)snprintf(headers, sizeof(headers), "Location: %s%s%s\r\n",
		is_absolute ? "http://" : "",
		is_absolute ? fake_registry_host(taking->registry) : "",
		is_absolute ? location + strlen(ABSOLUTE) : location);
	fake_reply(request, taking->post_status ? taking->post_status : 202,
		taking->post_status ? "" : headers, "{}", 2);
}

static void answer(struct fake_request *request, void *arg)
{
	struct taking *taking = arg;
	char type[100] = "";

	(void)fake_header(request, "Content-Type", type, sizeof(type));
	assert_int_equal(
		buffer_printf(&taking->asked, "%s %s %s\n", request->method, request->path, type),
		0);
	if (strcmp(request->method, "HEAD") == 0)
		fake_reply(request,
			taking->blob[0]       ? 200
			: taking->head_status ? taking->head_status
					      : 404,
			"", "", 0);
	else if (strcmp(request->method, "POST") == 0)
		begin_upload(taking, request);
	else if (strcmp(request->method, "PUT") == 0 && strstr(request->path, "/manifests/"))
		put_manifest(taking, request);
	else if (strcmp(request->method, "PUT") == 0)
		put_blob(taking, request);
	else
		fake_reply(request, taking->tag[0] ? 200 : 404,
			"Content-Type: " MEDIA_TYPE_OCI_INDEX "\r\n", taking->tag,
			strlen(taking->tag));
}

static void taking_start(struct taking *taking, struct fixture *fixture)
{
	taking->registry = fake_registry_start(answer, taking);
	fixture_configure(fixture, &taking->registry, 1);
}

static void taking_stop(struct taking *taking)
{
	fake_registry_stop(taking->registry);
	buffer_free(&taking->asked);
}

static int push_blob(struct fixture *fixture, bool *existed, struct error *err)
{
	struct digest digest;

	assert_int_equal(digest_compute(DIGEST_SHA256, content, CONTENT_SIZE, &digest, err), 0);
	return registry_push_blob(
		fixture->client, &fixture->reference, &digest, content, CONTENT_SIZE, existed, err);
}

static void check_pushed(struct fixture *fixture, struct taking *taking, bool expect_existed)
{
	struct error err = {0};
	bool existed;

	if (push_blob(fixture, &existed, &err) < 0)
		fail_msg("%s", err.message);
	assert_int_equal(existed, expect_existed);
	assert_string_equal(taking->blob, content);
}

static void a_blob_goes_where_the_upload_leads(void **state)
{
	static const char *const locations[] = {"/up?state=1", ABSOLUTE "/up?state=1", "up",
		ABSOLUTE "/v2/library/app/blobs/uploads/x?a=b"};
	static const char *const puts[] = {"PUT /up?state=1&digest=sha256:",
		"PUT /up?state=1&digest=", "PUT /v2/library/app/blobs/uploads/up?digest=sha256:",
		"PUT /v2/library/app/blobs/uploads/x?a=b&digest=sha256:"};

	for (size_t i = 0; i < 4; i++) {
		struct taking taking = {.location = locations[i]};

		taking_start(&taking, *state);
		check_pushed(*state, &taking, false);
		check_pushed(*state, &taking, true);
		fake_registry_stop(TAKE_PTR(taking.registry));
		if (!strstr((char *)taking.asked.data, puts[i]) ||
			!strstr((char *)taking.asked.data,
				"POST /v2/library/app/blobs/uploads/?ns="))
			fail_msg("%s", (char *)taking.asked.data);
		taking_stop(&taking);
	}
}

static void an_upload_that_breaks_is_begun_again(void **state)
{
	struct taking taking = {.put_status = 404, .n_puts_failed = 2};

	taking_start(&taking, *state);
	check_pushed(*state, &taking, false);
	assert_int_equal(taking.n_puts, 3);
	taking_stop(&taking);
}

static void an_upload_that_always_breaks_ends(void **state)
{
	struct taking taking = {.put_status = 404};
	struct error err = {0};
	bool existed;

	taking_start(&taking, *state);
	assert_int_equal(push_blob(*state, &existed, &err), -1);
	assert_int_equal(err.kind, ERROR_NOT_FOUND);
	assert_int_equal(taking.n_puts, 3);
	assert_non_null(strstr(err.message, "push blob sha256:"));
	taking_stop(&taking);
}

static void a_refusal_says_what_to_do(void **state)
{
	static const struct {
		int status;
		enum error_kind kind;
		const char *says;
	} cases[] = {
		{403, ERROR_UNAUTHORIZED, "an account that may write"},
		{405, ERROR_UNSUPPORTED, "read-only, or a cache"},
		{413, ERROR_UNSUPPORTED, "limits the size"},
	};

	for (size_t i = 0; i < 3; i++) {
		struct taking taking = {.post_status = cases[i].status};
		struct error err = {0};
		bool existed;

		taking_start(&taking, *state);
		assert_int_equal(push_blob(*state, &existed, &err), -1);
		if (err.kind != cases[i].kind || !strstr(err.message, cases[i].says) ||
			!strstr(err.message, "POST http://"))
			fail_msg("kind %d: %s", (int)err.kind, err.message);
		taking_stop(&taking);
	}
}

static void a_host_that_answers_no_head_gets_the_blob(void **state)
{
	struct taking taking = {.head_status = 405};

	taking_start(&taking, *state);
	check_pushed(*state, &taking, false);
	taking_stop(&taking);
}

static void only_the_first_host_with_the_capability_is_pushed_to(void **state)
{
	struct taking mirror = {0}, server = {0};
	struct fixture *fixture = *state;
	struct error err = {0};
	char text[400];
	bool existed;

	taking_start(&mirror, fixture);
	taking_start(&server, fixture);
	(void)snprintf(text, sizeof(text),
		"server = \"http://%s\"\n[host.\"http://%s\"]\ncapabilities = [\"pull\", "
		"\"resolve\"]\n",
		fake_registry_host(server.registry), fake_registry_host(mirror.registry));
	fixture_write_hosts(fixture, text);
	check_pushed(fixture, &server, false);
	assert_int_equal(fake_registry_n_requests(mirror.registry), 0);

	fixture_configure(fixture, &mirror.registry, 1);
	(void)snprintf(text, sizeof(text), "server = \"http://%s\"\ncapabilities = [\"pull\"]\n",
		fake_registry_host(mirror.registry));
	fixture_write_hosts(fixture, text);
	assert_int_equal(push_blob(fixture, &existed, &err), -1);
	assert_int_equal(err.kind, ERROR_INVALID);
	assert_non_null(strstr(err.message, "the capability to push"));
	taking_stop(&mirror);
	taking_stop(&server);
}

static struct descriptor describe(const void *data, size_t size)
{
	struct descriptor descriptor = {
		.media_type = (char *)MEDIA_TYPE_OCI_MANIFEST, .size = size};

	assert_int_equal(digest_compute(DIGEST_SHA256, data, size, &descriptor.digest, NULL), 0);
	return descriptor;
}

static void a_manifest_is_put_under_its_digest_or_a_tag(void **state)
{
	struct taking taking = {.headers = "OCI-Subject: sha256:0\r\n"};
	struct descriptor descriptor = describe(content, CONTENT_SIZE);
	struct fixture *fixture = *state;
	struct error err = {0};
	bool has_subject = false;
	char line[200], digest[DIGEST_TEXT_SIZE];

	taking_start(&taking, fixture);
	assert_int_equal(registry_push_manifest(fixture->client, &fixture->reference, &descriptor,
				 content, NULL, &has_subject, &err),
		0);
	assert_true(has_subject);
	assert_int_equal(registry_push_manifest(fixture->client, &fixture->reference, &descriptor,
				 content, "v2", NULL, &err),
		0);
	fake_registry_stop(TAKE_PTR(taking.registry));
	(void)snprintf(line, sizeof(line), "PUT /v2/library/app/manifests/%s?",
		digest_format(&descriptor.digest, digest));
	assert_non_null(strstr((char *)taking.asked.data, line));
	assert_non_null(strstr((char *)taking.asked.data, "PUT /v2/library/app/manifests/v2?"));
	assert_non_null(strstr((char *)taking.asked.data, MEDIA_TYPE_OCI_MANIFEST));
	taking_stop(&taking);
}

static void assert_without_subject(struct fixture *fixture, struct taking *taking)
{
	struct descriptor descriptor = describe(content, CONTENT_SIZE);
	struct error err = {0};
	bool has_subject = true;

	taking_start(taking, fixture);
	assert_int_equal(registry_push_manifest(fixture->client, &fixture->reference, &descriptor,
				 content, NULL, &has_subject, &err),
		0);
	assert_false(has_subject);
	taking_stop(taking);
}

static void a_host_without_the_api_does_not_mention_the_subject(void **state)
{
	struct taking taking = {0};

	assert_without_subject(*state, &taking);
}

static int push_referrer(struct fixture *fixture, struct error *err)
{
	struct descriptor descriptor = describe(content, CONTENT_SIZE);
	struct digest subject;

	digest_from_sha256((const uint8_t[32]){1}, &subject);
	return registry_push_referrer(
		fixture->client, &fixture->reference, &subject, &descriptor, ARTIFACT, err);
}

static void assert_listed(const struct taking *taking, size_t n)
{
	struct descriptor descriptor = describe(content, CONTENT_SIZE);
	CLEANUP(referrers_freep) struct referrers *referrers = NULL;
	struct error err = {0};

	if (referrers_parse(taking->tag, strlen(taking->tag), NULL, &referrers, &err) < 0)
		fail_msg("%s", err.message);
	assert_int_equal(referrers->n, n);
	assert_true(digest_equal(&referrers->list[n - 1].descriptor.digest, &descriptor.digest));
	assert_string_equal(referrers->list[n - 1].artifact_type, ARTIFACT);
}

static void a_referrer_is_added_to_the_list_once(void **state)
{
	struct taking taking = {.tag = LIST(OTHERS_ENTRY)};
	struct error err = {0};
	unsigned n_requests;

	taking_start(&taking, *state);
	assert_int_equal(push_referrer(*state, &err), 0);
	assert_listed(&taking, 2);
	n_requests = fake_registry_n_requests(taking.registry);
	assert_int_equal(n_requests, 3);
	assert_int_equal(push_referrer(*state, &err), 0);
	assert_listed(&taking, 2);
	assert_int_equal(fake_registry_n_requests(taking.registry), n_requests + 1);
	taking_stop(&taking);
}

static void who_was_overwritten_by_somebody_else_tries_again(void **state)
{
	struct taking taking = {.n_overwritten = 2};
	struct error err = {0};

	taking_start(&taking, *state);
	if (push_referrer(*state, &err) < 0)
		fail_msg("%s", err.message);
	assert_listed(&taking, 2);
	taking_stop(&taking);
}

static void who_is_always_overwritten_says_so(void **state)
{
	struct taking taking = {.n_overwritten = 100};
	struct error err = {0};

	taking_start(&taking, *state);
	assert_int_equal(push_referrer(*state, &err), -1);
	assert_int_equal(err.kind, ERROR_BUSY);
	assert_non_null(strstr(err.message, "list of referrers sha256-01"));
	taking_stop(&taking);
}

static void what_is_no_list_is_not_overwritten(void **state)
{
	struct taking taking = {.tag = "{\"schemaVersion\":2,\"layers\":[]}"};
	struct error err = {0};

	taking_start(&taking, *state);
	assert_int_equal(push_referrer(*state, &err), -1);
	assert_int_equal(err.kind, ERROR_FORMAT);
	assert_int_equal(fake_registry_n_requests(taking.registry), 1);
	taking_stop(&taking);
}

/* Tokens: one that may only read is replaced by one that may write. */
struct tokens {
	struct fake_registry *registry;
	struct buffer asked;
	bool has_blob;
};

static void answer_with_tokens(struct fake_request *request, void *arg)
{
	struct tokens *tokens = arg;
	bool writes = strcmp(request->method, "POST") == 0 || strcmp(request->method, "PUT") == 0;
	char value[64] = "", headers[300];

	if (strncmp(request->path, "/token", 6) == 0) {
		const char *scopes =
			strcmp(request->method, "POST") == 0 ? request->body : request->path;
		bool may_write = strstr(scopes, "push") != NULL;
		const char *body = may_write ? "{\"token\":\"writes\"}" : "{\"token\":\"reads\"}";

		assert_int_equal(buffer_printf(&tokens->asked, "%s\n", scopes), 0);
		fake_reply(request, 200, "", body, strlen(body));
		return;
	}
	(void)fake_header(request, "Authorization", value, sizeof(value));
	(void)snprintf(headers, sizeof(headers),
		"WWW-Authenticate: Bearer realm=\"http://%s/token\",service=\"s\",scope=\""
		"repository:library/app:pull%s\"\r\n",
		fake_registry_host(tokens->registry), writes ? ",push" : "");
	if (!value[0] || (writes && !strstr(value, "writes")))
		fake_reply(request, 401, headers, "{}", 2);
	else if (strcmp(request->method, "HEAD") == 0)
		fake_reply(request, 404, "", "", 0);
	else if (strcmp(request->method, "POST") == 0)
		fake_reply(request, 202, "Location: /up\r\n", "", 0);
	else
		fake_reply(request, writes ? 201 : 404, "", "{}", 2);
}

static void a_token_that_may_only_read_is_replaced(void **state)
{
	struct fixture *fixture = *state;
	struct tokens tokens = {0};
	char media_type[128];
	struct digest digest;
	struct error err = {0};
	bool existed;

	tokens.registry = fake_registry_start(answer_with_tokens, &tokens);
	fixture_configure(fixture, &tokens.registry, 1);
	assert_int_equal(
		registry_resolve(fixture->client, &fixture->reference, &digest, media_type, &err),
		-1);
	assert_int_equal(err.kind, ERROR_NOT_FOUND);
	if (push_blob(fixture, &existed, &err) < 0)
		fail_msg("%s", err.message);
	fake_registry_stop(tokens.registry);
	assert_non_null(strstr((char *)tokens.asked.data, "push"));
	buffer_free(&tokens.asked);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_blob_goes_where_the_upload_leads),
		cmocka_unit_test(an_upload_that_breaks_is_begun_again),
		cmocka_unit_test(an_upload_that_always_breaks_ends),
		cmocka_unit_test(a_refusal_says_what_to_do),
		cmocka_unit_test(a_host_that_answers_no_head_gets_the_blob),
		cmocka_unit_test(only_the_first_host_with_the_capability_is_pushed_to),
		cmocka_unit_test(a_manifest_is_put_under_its_digest_or_a_tag),
		cmocka_unit_test(a_host_without_the_api_does_not_mention_the_subject),
		cmocka_unit_test(a_referrer_is_added_to_the_list_once),
		cmocka_unit_test(who_was_overwritten_by_somebody_else_tries_again),
		cmocka_unit_test(who_is_always_overwritten_says_so),
		cmocka_unit_test(what_is_no_list_is_not_overwritten),
		cmocka_unit_test(a_token_that_may_only_read_is_replaced),
	};

	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
