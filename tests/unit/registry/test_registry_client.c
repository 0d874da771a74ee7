/* SPDX-License-Identifier: Apache-2.0 */
#include "registry/registry_client.h"

#include "support/test.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "client_fixture.h"
#include "oci/manifest.h"

static const char manifest[] = "{\"schemaVersion\":2}";
#define MANIFEST_SIZE (sizeof(manifest) - 1)
#define CONTENT_TYPE "Content-Type: " MEDIA_TYPE_OCI_MANIFEST "; charset=utf-8\r\n"

/* What a registry does with requests for manifests; all it was asked is kept, a line each. */
struct manifests {
	struct fixture *fixture;
	struct digest digest; /* of manifest */
	char headers[512];    /* of a right answer */
	int head_status;      /* instead of an answer to HEAD; 0: answer */
	int status;           /* instead of any answer; 0: answer */
	const char *refusal_headers;
	unsigned n_refusals; /* so many times only; 0: always */
	bool blobs_only;
	bool hang;
	const char *body; /* instead of manifest */
	struct buffer asked;
	struct fake_registry *registry;
};

static void keep(struct manifests *manifests, const struct fake_request *request)
{
	assert_int_equal(
		buffer_printf(&manifests->asked, "%s %s\n", request->method, request->path), 0);
}

static void answer_manifest(struct fake_request *request, void *arg)
{
	struct manifests *manifests = arg;
	const char *body = manifests->body ? manifests->body : manifest;

	keep(manifests, request);
	if (manifests->hang) {
		fake_hang(request);
	} else if (manifests->status &&
		   (!manifests->n_refusals || request->number < manifests->n_refusals)) {
		fake_reply(request, manifests->status,
			manifests->refusal_headers ? manifests->refusal_headers : "", "{}", 2);
	} else if (manifests->blobs_only && !strstr(request->path, "/blobs/")) {
		fake_reply(request, 404, "", "{}", 2);
	} else if (manifests->head_status && strcmp(request->method, "HEAD") == 0) {
		fake_reply(request, manifests->head_status, "", "", 0);
	} else {
		fake_reply(request, 200, manifests->headers, body, strlen(body));
	}
}

/* Fields of *manifests may be set before. */
static void manifests_start(struct manifests *manifests, struct fixture *fixture)
{
	char text[DIGEST_TEXT_SIZE];
	struct error err = {0};

	manifests->fixture = fixture;
	assert_int_equal(
		digest_compute(DIGEST_SHA256, manifest, MANIFEST_SIZE, &manifests->digest, &err),
		0);
	if (!manifests->headers[0])
		(void)snprintf(manifests->headers, sizeof(manifests->headers),
			CONTENT_TYPE "Docker-Content-Digest: %s\r\n",
			digest_format(&manifests->digest, text));
	manifests->registry = fake_registry_start(answer_manifest, manifests);
}

static void manifests_stop(struct manifests *manifests)
{
	fake_registry_stop(manifests->registry);
	buffer_free(&manifests->asked);
}

static void start_all(struct manifests *manifests, size_t n, struct fixture *fixture)
{
	struct fake_registry *hosts[4];

	for (size_t i = 0; i < n; i++) {
		manifests_start(&manifests[i], fixture);
		hosts[i] = manifests[i].registry;
	}
	fixture_configure(fixture, hosts, n);
}

/* Resolves the tag; the registry must have been asked exactly this. */
static void check_resolve(struct fixture *fixture, struct manifests *manifests, const char *asked)
{
	struct digest digest;
	char media_type[128];
	struct error err = {0};

	start_all(manifests, 1, fixture);
	if (registry_resolve(fixture->client, &fixture->reference, &digest, media_type, &err) < 0)
		fail_msg("%s", err.message);
	assert_true(digest_equal(&digest, &manifests->digest));
	assert_string_equal(media_type, MEDIA_TYPE_OCI_MANIFEST);
	fake_registry_stop(TAKE_PTR(manifests->registry));
	if (strncmp((char *)manifests->asked.data, asked, strlen(asked)) != 0)
		fail_msg("%s\ninstead of\n%s", (char *)manifests->asked.data, asked);
	manifests_stop(manifests);
}

static void head_is_enough_to_resolve_a_tag(void **state)
{
	struct manifests manifests = {0};

	check_resolve(*state, &manifests, "HEAD /v2/library/app/manifests/v1?ns=r1.example.com\n");
}

static void head_refused_becomes_get(void **state)
{
	static const int refusals[] = {403, 405, 501};

	for (size_t i = 0; i < 3; i++) {
		struct manifests manifests = {.head_status = refusals[i]};
		char asked[200];

		(void)snprintf(asked, sizeof(asked),
			"HEAD /v2/library/app/manifests/v1?ns=r%zu.example.com\n"
			"GET /v2/library/app/manifests/v1?ns=r%zu.example.com\n",
			i + 1, i + 1);
		check_resolve(*state, &manifests, asked);
	}
}

static void without_a_digest_in_the_headers_the_body_decides(void **state)
{
	static const char *const headers[] = {
		CONTENT_TYPE, CONTENT_TYPE "Docker-Content-Digest: nonsense\r\n"};

	for (size_t i = 0; i < 2; i++) {
		struct manifests manifests = {0};
		char asked[200];

		(void)snprintf(manifests.headers, sizeof(manifests.headers), "%s", headers[i]);
		(void)snprintf(asked, sizeof(asked),
			"HEAD /v2/library/app/manifests/v1?ns=r%zu.example.com\n"
			"GET /v2/library/app/manifests/v1?ns=r%zu.example.com\n",
			i + 1, i + 1);
		check_resolve(*state, &manifests, asked);
	}
}

static int get_manifest(struct fixture *fixture, const struct digest *digest, struct error *err)
{
	CLEANUP(buffer_free) struct buffer body = {0};
	char media_type[128];

	if (registry_get_manifest(
		    fixture->client, &fixture->reference, digest, media_type, &body, err) < 0)
		return -1;
	assert_int_equal(body.size, MANIFEST_SIZE);
	assert_memory_equal(body.data, manifest, MANIFEST_SIZE);
	return 0;
}

static void wrong_bytes_of_a_mirror_are_replaced_by_the_upstreams(void **state)
{
	struct manifests manifests[2] = {{.body = "{\"schemaVersion\":3}"}};
	struct error err = {0};

	start_all(manifests, 2, *state);
	assert_int_equal(get_manifest(*state, &manifests[1].digest, &err), 0);
	assert_int_equal(fake_registry_n_requests(manifests[0].registry), 1);
	manifests_stop(&manifests[1]);

	assert_int_equal(get_manifest(*state, &manifests[0].digest, &err), -1);
	assert_non_null(strstr(err.message, "sha256:"));
	manifests_stop(&manifests[0]);
}

/* Row 30. */
static void a_manifest_that_is_kept_among_the_blobs_is_found(void **state)
{
	struct manifests manifests[2] = {{.status = 404}, {.blobs_only = true}};
	struct error err = {0};

	start_all(manifests, 2, *state);
	if (get_manifest(*state, &manifests[1].digest, &err) < 0)
		fail_msg("%s", err.message);
	assert_int_equal(fake_registry_n_requests(manifests[0].registry), 2);
	assert_int_equal(fake_registry_n_requests(manifests[1].registry), 2);
	manifests_stop(&manifests[0]);
	manifests_stop(&manifests[1]);
}

static void blobs_are_not_asked_when_a_host_had_another_reason(void **state)
{
	struct manifests manifests[2] = {{.status = 400}, {.blobs_only = true}};
	struct error err = {0};

	start_all(manifests, 2, *state);
	assert_int_equal(get_manifest(*state, &manifests[1].digest, &err), -1);
	assert_int_equal(err.kind, ERROR_NOT_FOUND);
	assert_non_null(strstr(err.message, "status 400"));
	assert_int_equal(fake_registry_n_requests(manifests[0].registry), 1);
	assert_int_equal(fake_registry_n_requests(manifests[1].registry), 1);
	manifests_stop(&manifests[0]);
	manifests_stop(&manifests[1]);
}

struct attempts_case {
	int status;
	unsigned n_refusals;
	int result;
	unsigned n_asked;
};

/* Row 29, through and through. */
static void statuses_that_may_pass_are_tried_again(void **state)
{
	static const struct attempts_case cases[] = {
		{500, 1, 0, 2}, {503, 0, -1, 2}, {429, 2, 0, 3}, {404, 1, -1, 2}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct manifests manifests = {
			.status = cases[i].status, .n_refusals = cases[i].n_refusals};
		struct error err = {0};

		/* 404 is not: the blobs are asked instead, and do not have it either. */
		if (cases[i].status == 404)
			manifests.n_refusals = 0;
		start_all(&manifests, 1, *state);
		assert_int_equal(get_manifest(*state, &manifests.digest, &err), cases[i].result);
		assert_int_equal(fake_registry_n_requests(manifests.registry), cases[i].n_asked);
		manifests_stop(&manifests);
	}
}

/* Row 26. */
static void a_host_that_hangs_gives_way_to_the_next(void **state)
{
	struct manifests manifests[2] = {{.hang = true}};
	uint64_t start_ns = clock_now_ns();
	struct error err = {0};

	start_all(manifests, 2, *state);
	if (get_manifest(*state, &manifests[1].digest, &err) < 0)
		fail_msg("%s", err.message);
	assert_true(clock_now_ns() - start_ns < 12 * NS_PER_SECOND);
	manifests_stop(&manifests[0]);
	manifests_stop(&manifests[1]);
}

static void redirects_without_end_are_given_up(void **state)
{
	struct manifests manifests = {.status = 307, .refusal_headers = "Location: /again\r\n"};
	struct error err = {0};

	start_all(&manifests, 1, *state);
	assert_int_equal(get_manifest(*state, &manifests.digest, &err), -1);
	assert_non_null(strstr(err.message, "more than 10 redirects"));
	assert_int_equal(fake_registry_n_requests(manifests.registry), 11);
	manifests_stop(&manifests);
}

static void answers_beyond_the_limit_are_refused(void **state)
{
	struct fixture *fixture = *state;
	struct manifests manifests = {0};
	struct descriptor descriptor = {.size = 10};
	struct buffer body = {0};
	struct error err = {0};

	start_all(&manifests, 1, fixture);
	descriptor.digest = manifests.digest;
	assert_int_equal(registry_get_blob(fixture->client, &fixture->reference, &descriptor, 100,
				 &body, &err),
		-1);
	assert_int_equal(err.kind, ERROR_FORMAT);
	assert_int_equal(registry_get_blob(
				 fixture->client, &fixture->reference, &descriptor, 9, &body, &err),
		-1);
	assert_non_null(strstr(err.message, "larger than the limit of 9"));
	assert_int_equal(fake_registry_n_requests(manifests.registry), 1);
	manifests_stop(&manifests);
}

static void hosts_without_the_capability_are_not_asked(void **state)
{
	struct fixture *fixture = *state;
	struct manifests manifests = {0};
	char text[256];
	char media_type[128];
	struct digest digest;
	struct error err = {0};

	start_all(&manifests, 1, fixture);
	(void)snprintf(text, sizeof(text), "server = \"http://%s\"\ncapabilities = [\"push\"]\n",
		fake_registry_host(manifests.registry));
	fixture_write_hosts(fixture, text);
	assert_int_equal(
		registry_resolve(fixture->client, &fixture->reference, &digest, media_type, &err),
		-1);
	assert_int_equal(err.kind, ERROR_INVALID);
	assert_non_null(strstr(err.message, "the capability to pull"));
	assert_int_equal(fake_registry_n_requests(manifests.registry), 0);
	manifests_stop(&manifests);
}

/* A registry that wants a password or a token, and is its own token server. */
struct guarded {
	unsigned n_tokens;   /* handed out */
	unsigned n_refused;  /* requests with a token that is not valid any more */
	unsigned valid_from; /* tokens before are refused */
	bool is_basic;
	const char *guarded_only; /* beginning of paths; NULL: all */
	char seen[128];           /* the last Authorization */
	struct fixture *fixture;
	struct fake_registry *registry;
};

static void give_token(struct fake_request *request, struct guarded *guarded)
{
	char body[64];
	int size = snprintf(body, sizeof(body), "{\"token\":\"t%u\"}", guarded->n_tokens++);

	fake_reply(request, 200, "", body, (size_t)size);
}

static void challenge(struct fake_request *request, const struct guarded *guarded)
{
	char headers[256];

	if (guarded->is_basic)
		(void)snprintf(
			headers, sizeof(headers), "WWW-Authenticate: Basic realm=\"here\"\r\n");
	else
		(void)snprintf(headers, sizeof(headers),
			"WWW-Authenticate: Bearer realm=\"http://%s/token\",service=\"s\"\r\n",
			fake_registry_host(request->registry));
	fake_reply(request, 401, headers, "", 0);
}

static void answer_guarded(struct fake_request *request, void *arg)
{
	struct guarded *guarded = arg;
	unsigned token;

	if (strncmp(request->path, "/token", 6) == 0) {
		give_token(request, guarded);
		return;
	}
	guarded->seen[0] = 0;
	if (guarded->guarded_only &&
		strncmp(request->path, guarded->guarded_only, strlen(guarded->guarded_only)) != 0) {
		fake_reply_blob(request, guarded->fixture->blob, BLOB_SIZE);
	} else if (!fake_header(request, "Authorization", guarded->seen, sizeof(guarded->seen))) {
		challenge(request, guarded);
	} else if (!guarded->is_basic && (sscanf(guarded->seen, "Bearer t%u", &token) != 1 ||
						 token < guarded->valid_from)) {
		guarded->n_refused++;
		challenge(request, guarded);
	} else {
		fake_reply_blob(request, guarded->fixture->blob, BLOB_SIZE);
	}
}

static void guarded_start(struct guarded *guarded, struct fixture *fixture)
{
	guarded->fixture = fixture;
	guarded->registry = fake_registry_start(answer_guarded, guarded);
	fixture_configure(fixture, &guarded->registry, 1);
}

static void readers_share_one_token(void **state)
{
	enum { N = 24 };
	static struct reading readings[N];
	struct guarded guarded = {0};

	memset(readings, 0, sizeof(readings));
	guarded_start(&guarded, *state);
	for (size_t i = 0; i < N; i++)
		reading_start(&readings[i], *state, i * 1000, 1000);
	for (size_t i = 0; i < N; i++) {
		reading_wait(&readings[i]);
		assert_read(&readings[i]);
		reading_free(&readings[i]);
	}
	fake_registry_stop(guarded.registry);
	assert_int_equal(guarded.n_tokens, 1);
	assert_int_equal(guarded.n_refused, 0);
}

static void read_some(struct fixture *fixture, uint64_t off, enum error_kind kind)
{
	struct reading reading = {0};

	reading_perform(&reading, fixture, off, 100);
	if (kind == ERROR_NONE)
		assert_read(&reading);
	assert_int_equal(reading.err.kind, kind);
	reading_free(&reading);
}

static void a_token_that_is_refused_is_replaced_once(void **state)
{
	struct guarded guarded = {0};

	guarded_start(&guarded, *state);
	read_some(*state, 0, ERROR_NONE);
	guarded.valid_from = 1;
	read_some(*state, 100, ERROR_NONE);
	read_some(*state, 200, ERROR_NONE);
	guarded.valid_from = 1000;
	read_some(*state, 300, ERROR_UNAUTHORIZED);
	fake_registry_stop(guarded.registry);
	assert_int_equal(guarded.n_tokens, 3);
	assert_int_equal(guarded.n_refused, 3);
}

static void a_password_is_read_again_when_it_is_refused(void **state)
{
	struct fixture *fixture = *state;
	struct guarded guarded = {.is_basic = true};
	char path[300];
	char text[200];
	FILE *file;

	guarded_start(&guarded, fixture);
	read_some(fixture, 0, ERROR_UNAUTHORIZED);
	(void)snprintf(path, sizeof(path), "%s/config.json", fixture->scratch->path);
	(void)snprintf(text, sizeof(text), "{\"auths\":{\"%s\":{\"auth\":\"dTpw\"}}}",
		fake_registry_host(guarded.registry));
	file = fopen(path, "w");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
	read_some(fixture, 0, ERROR_NONE);
	fake_registry_stop(guarded.registry);
	assert_string_equal(guarded.seen, "Basic dTpw");
}

static void set_repository(struct fixture *fixture, const char *name)
{
	(void)snprintf(
		fixture->reference.repository, sizeof(fixture->reference.repository), "%s", name);
}

static void a_public_repository_needs_no_password_of_its_neighbour(void **state)
{
	struct fixture *fixture = *state;
	struct guarded guarded = {.is_basic = true, .guarded_only = "/v2/private/"};

	guarded_start(&guarded, fixture);
	set_repository(fixture, "private/app");
	read_some(fixture, 0, ERROR_UNAUTHORIZED);
	set_repository(fixture, "public/app");
	read_some(fixture, 0, ERROR_NONE);
	guarded.guarded_only = "/nothing";
	set_repository(fixture, "private/app");
	read_some(fixture, 0, ERROR_NONE);
	fake_registry_stop(guarded.registry);
}

#define WITH_CLIENT(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_CLIENT(head_is_enough_to_resolve_a_tag),
		WITH_CLIENT(head_refused_becomes_get),
		WITH_CLIENT(without_a_digest_in_the_headers_the_body_decides),
		WITH_CLIENT(wrong_bytes_of_a_mirror_are_replaced_by_the_upstreams),
		WITH_CLIENT(a_manifest_that_is_kept_among_the_blobs_is_found),
		WITH_CLIENT(blobs_are_not_asked_when_a_host_had_another_reason),
		WITH_CLIENT(statuses_that_may_pass_are_tried_again),
		WITH_CLIENT(a_host_that_hangs_gives_way_to_the_next),
		WITH_CLIENT(redirects_without_end_are_given_up),
		WITH_CLIENT(answers_beyond_the_limit_are_refused),
		WITH_CLIENT(hosts_without_the_capability_are_not_asked),
		WITH_CLIENT(readers_share_one_token),
		WITH_CLIENT(a_token_that_is_refused_is_replaced_once),
		WITH_CLIENT(a_public_repository_needs_no_password_of_its_neighbour),
		WITH_CLIENT(a_password_is_read_again_when_it_is_refused),
	};
	return cmocka_run_group_tests_name("registry/registry_client", tests, NULL, NULL);
}
