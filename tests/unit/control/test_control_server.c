/* SPDX-License-Identifier: Apache-2.0 */
#include "control/control_server.h"

#include "support/fs_fixture.h"

#include <limits.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "control/control_client.h"

/* A server for the store of a tree, on a loop of its own. */
struct server_fixture {
	struct fs_fixture fs;
	struct loop *loop;
	struct control_server *server;
	char dir[PATH_MAX];
	char socket[PATH_MAX];
	struct image image;
	struct report_mount mount;
};

static void fixture_open(struct server_fixture *fixture, const char *dir)
{
	const struct fs_fixture_options no_mount = {.no_mount = true};
	struct control_server_options options;
	struct error err = {0};

	fs_fixture_open(&fixture->fs, &no_mount);
	(void)snprintf(fixture->dir, PATH_MAX, "%s/%s", fixture->fs.scratch->path, dir);
	(void)snprintf(fixture->socket, PATH_MAX, "%.4000s/control.sock", fixture->dir);
	assert_int_equal(loop_new(&fixture->loop, NULL), 0);
	assert_int_equal(loop_thread_start(fixture->loop, "control", NULL), 0);
	options = (struct control_server_options){
		.loop = fixture->loop,
		.workers = fixture->fs.workers,
		.store = fixture->fs.store,
		.dir = fixture->dir,
	};
	if (control_server_new(&options, &fixture->server, &err) < 0)
		fail_msg("%s", err.message);
	fixture->image = (struct image){
		.tree = fixture->fs.tree,
		.reference = "registry.example.com/team/app:1.2",
		.platform = {.os = "linux", .architecture = "amd64"},
	};
	digest_from_sha256((const uint8_t[32]){0xab}, &fixture->image.manifest);
	fixture->mount = (struct report_mount){
		.dir = "/mnt/a b",
		.face = "erofs",
		.face_why = "",
		.upper = "",
		.log = "",
		.image = &fixture->image,
	};
}

static void fixture_close(struct server_fixture *fixture)
{
	control_server_free(fixture->server);
	loop_thread_stop(fixture->loop);
	loop_free(fixture->loop);
	fs_fixture_close(&fixture->fs);
}

static int ask(struct server_fixture *fixture, const char *method, const char *target,
	struct json **out, struct error *err)
{
	bool served = false;
	int result;

	*err = (struct error){0};
	result = control_request(
		fixture->socket, method, target, 20 * NS_PER_SECOND, &served, out, err);
	assert_true(served);
	return result;
}

static struct json *get(struct server_fixture *fixture, const char *target)
{
	struct json *json;
	struct error err;

	if (ask(fixture, "GET", target, &json, &err) < 0)
		fail_msg("%s: %s", target, err.message);
	return json;
}

static void shows_what_goes_on_and_then_the_mount(void **state)
{
	struct server_fixture fixture;
	struct json *json;

	(void)state;
	fixture_open(&fixture, "store");
	control_server_set_phase(fixture.server, "resolving");
	json = get(&fixture, "/v1/status");
	assert_string_equal(json_string(json_get(json, "phase")), "resolving");
	assert_int_equal(json_length(json_get(json, "mounts")), 0);
	json_free(json);

	control_server_set_phase(fixture.server, "");
	assert_int_equal(control_server_show(fixture.server, &fixture.mount, NULL), 0);
	fixture.mount.detached = true;
	assert_int_equal(control_server_show(fixture.server, &fixture.mount, NULL), 0);
	json = get(&fixture, "/v1/status");
	assert_int_equal(json_length(json_get(json, "mounts")), 1);
	assert_string_equal(json_string(json_get(json, "phase")), "");
	json_free(json);
	fixture_close(&fixture);
}

static void the_socket_is_for_its_user_alone(void **state)
{
	struct server_fixture fixture;
	struct stat status;

	(void)state;
	fixture_open(&fixture, "store");
	assert_int_equal(stat(fixture.socket, &status), 0);
	assert_true(S_ISSOCK(status.st_mode));
	assert_int_equal(status.st_mode & 077, 0);
	fixture_close(&fixture);
}

static void works_in_directories_with_long_names(void **state)
{
	char dir[256] = "store/";
	struct server_fixture fixture;
	struct control_server_options options = {0};
	struct json *json;

	(void)state;
	memset(dir + 6, 'x', 200);
	fixture_open(&fixture, "store");
	assert_int_equal(mkdir(dir, 0700), 0);
	control_server_free(fixture.server);
	options = (struct control_server_options){
		.loop = fixture.loop,
		.workers = fixture.fs.workers,
		.store = fixture.fs.store,
		.dir = dir,
	};
	assert_int_equal(control_server_new(&options, &fixture.server, NULL), 0);
	(void)snprintf(
		fixture.socket, PATH_MAX, "%.100s/%s/control.sock", fixture.fs.scratch->path, dir);
	json = get(&fixture, "/v1/status");
	json_free(json);
	fixture_close(&fixture);
}

static void answers_about_files_with_any_name(void **state)
{
	struct server_fixture fixture;
	struct buffer target = {0};
	struct json *json;

	(void)state;
	fixture_open(&fixture, "store");
	assert_int_equal(control_server_show(fixture.server, &fixture.mount, NULL), 0);
	assert_int_equal(buffer_append(&target, "/v1/why", 7), 0);
	assert_int_equal(control_target_add(&target, "dir", "/mnt/a b"), 0);
	assert_int_equal(control_target_add(&target, "path", "many/entry with number 00042"), 0);
	json = get(&fixture, (const char *)target.data);
	assert_string_equal(json_string(json_get(json_get(json, "file"), "path")),
		"/many/entry with number 00042");
	buffer_free(&target);
	json_free(json);
	fixture_close(&fixture);
}

static void mistakes_come_back_as_errors_of_their_kind(void **state)
{
	static const struct {
		const char *method;
		const char *target;
		enum error_kind kind;
	} rows[] = {
		{"GET", "/v1/nothing", ERROR_NOT_FOUND},
		{"POST", "/v1/nothing", ERROR_NOT_FOUND},
		{"GET", "/v1/why", ERROR_INVALID},
		{"GET", "/v1/why?dir=/mnt", ERROR_INVALID},
		{"GET", "/v1/why?dir=/mnt&ino=x", ERROR_INVALID},
		{"GET", "/v1/why?dir=/mnt&ino=-1", ERROR_INVALID},
		{"GET", "/v1/why?dir=/mnt&ino=99999999999999999999", ERROR_INVALID},
		{"GET", "/v1/why?dir=/mnt&path=x", ERROR_NOT_FOUND},
		{"GET", "/v1/why?dir=/mnt/a%20b&path=absent", ERROR_NOT_FOUND},
		{"GET", "/v1/cache/verify", ERROR_NOT_FOUND},
		{"DELETE", "/v1/cache/verify", ERROR_NOT_FOUND},
		{"POST", "/v1/cache/verify?repair=yes", ERROR_INVALID},
	};
	struct server_fixture fixture;

	(void)state;
	fixture_open(&fixture, "store");
	assert_int_equal(control_server_show(fixture.server, &fixture.mount, NULL), 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct json *json = NULL;
		struct error err;

		assert_int_equal(ask(&fixture, rows[i].method, rows[i].target, &json, &err), -1);
		if (err.kind != rows[i].kind)
			fail_msg("%s: kind %d: %s", rows[i].target, err.kind, err.message);
	}
	fixture_close(&fixture);
}

static bool verification_ended(struct server_fixture *fixture, char state[16])
{
	struct json *json = get(fixture, "/v1/cache/verify");

	(void)snprintf(state, 16, "%s", json_string(json_get(json, "state")));
	json_free(json);
	return strcmp(state, "running") != 0;
}

static void a_verification_is_started_followed_and_started_again(void **state)
{
	struct server_fixture fixture;
	char name[16];

	(void)state;
	fixture_open(&fixture, "store");
	for (unsigned i = 0; i < 2; i++) {
		struct json *json;
		struct error err;

		if (ask(&fixture, "POST", "/v1/cache/verify", &json, &err) < 0)
			fail_msg("%s", err.message);
		json_free(json);
		wait_until(verification_ended(&fixture, name));
		assert_string_equal(name, "done");
	}
	fixture_close(&fixture);
}

static void lists_images_and_cache(void **state)
{
	struct server_fixture fixture;
	struct json *json;

	(void)state;
	fixture_open(&fixture, "store");
	json = get(&fixture, "/v1/images");
	assert_true(json_is_array(json_get(json, "images")));
	json_free(json);
	json = get(&fixture, "/v1/cache");
	assert_true(json_is_array(json_get(json, "layers")));
	json_free(json);
	fixture_close(&fixture);
}

struct asker {
	struct server_fixture *fixture;
	pthread_t thread;
	atomic_uint n_answers;
};

static void *ask_often(void *arg)
{
	struct asker *asker = arg;

	for (unsigned i = 0; i < 20; i++) {
		struct json *json = NULL;
		bool served;

		if (control_request(asker->fixture->socket, "GET", "/v1/status", 20 * NS_PER_SECOND,
			    &served, &json, NULL) < 0 ||
			!served)
			break;
		json_free(json);
		atomic_fetch_add(&asker->n_answers, 1);
	}
	return NULL;
}

static void ends_while_it_is_asked(void **state)
{
	struct server_fixture fixture;
	struct asker askers[3];

	(void)state;
	fixture_open(&fixture, "store");
	assert_int_equal(control_server_show(fixture.server, &fixture.mount, NULL), 0);
	for (size_t i = 0; i < 3; i++) {
		askers[i].fixture = &fixture;
		atomic_init(&askers[i].n_answers, 0);
		assert_int_equal(pthread_create(&askers[i].thread, NULL, ask_often, &askers[i]), 0);
	}
	wait_until(atomic_load(&askers[0].n_answers) > 1);
	control_server_free(fixture.server);
	fixture.server = NULL;
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(pthread_join(askers[i].thread, NULL), 0);
	fixture_close(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shows_what_goes_on_and_then_the_mount),
		cmocka_unit_test(the_socket_is_for_its_user_alone),
		cmocka_unit_test(works_in_directories_with_long_names),
		cmocka_unit_test(answers_about_files_with_any_name),
		cmocka_unit_test(mistakes_come_back_as_errors_of_their_kind),
		cmocka_unit_test(a_verification_is_started_followed_and_started_again),
		cmocka_unit_test(lists_images_and_cache),
		cmocka_unit_test(ends_while_it_is_asked),
	};

	return cmocka_run_group_tests_name("control_server", tests, NULL, NULL);
}
