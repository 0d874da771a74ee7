/* SPDX-License-Identifier: Apache-2.0 */
#include "registry/credentials.h"

#include "credentials_fixture.h"

#include <pwd.h>
#include <stdio.h>
#include <string.h>

#define ENTRY(host, user)                                                                          \
	"{\"auths\":{\"" host "\":{\"username\":\"" user "\",\"password\":\"p-" user "\"}}}"

struct lookup {
	int result;
	bool found;
	struct credential credential;
	struct buffer looked_at;
	struct error err;
};

static void lookup_clear(struct lookup *lookup)
{
	credential_clear(&lookup->credential);
	buffer_free(&lookup->looked_at);
}

static struct lookup find_with(
	const struct credentials_options *options, const char *registry, const char *repository)
{
	CLEANUP(credentials_freep) struct credentials *credentials = NULL;
	struct lookup lookup = {0};

	assert_int_equal(credentials_new(options, &credentials, NULL), 0);
	lookup.result = credentials_find(credentials, registry, repository, &lookup.credential,
		&lookup.found, &lookup.looked_at, &lookup.err);
	return lookup;
}

static struct lookup find(const char *registry)
{
	return find_with(&(struct credentials_options){0}, registry, "team/app");
}

static void assert_found(const struct lookup *lookup, const char *username, const char *source)
{
	if (lookup->result < 0)
		fail_msg("%s", lookup->err.message);
	assert_true(lookup->found);
	assert_string_equal(lookup->credential.username, username);
	if (!strstr(lookup->credential.source, source))
		fail_msg("%s", lookup->credential.source);
}

static void what_the_user_gives_comes_before_all_files(void **state)
{
	fixture_write(*state, "home/.docker/config.json", ENTRY("r.example.com", "docker"), 0600);
	const struct credentials_options any = {.username = "me", .password = "s"};
	const struct credentials_options one = {
		.username = "me", .password = "s", .registry = "other.example.com"};
	CLEANUP(lookup_clear) struct lookup first = find_with(&any, "r.example.com", NULL);
	CLEANUP(lookup_clear) struct lookup second = find_with(&one, "r.example.com", NULL);
	CLEANUP(lookup_clear) struct lookup third = find_with(&one, "Other.example.com", NULL);

	assert_found(&first, "me", "the user name given");
	assert_string_equal(first.credential.secret, "s");
	assert_found(&second, "docker", "home/.docker/config.json");
	assert_found(&third, "me", "the user name given");
}

static void a_user_name_without_a_password_is_refused(void **state)
{
	(void)state;
	const struct credentials_options options = {.username = "me"};
	struct credentials *credentials = NULL;
	struct error err = {0};

	assert_int_equal(credentials_new(&options, &credentials, &err), -1);
	assert_int_equal(err.kind, ERROR_INVALID);
	assert_null(credentials);
}

static void files_are_looked_at_in_their_order(void **state)
{
	static const char *const files[] = {"run/containers/auth.json",
		"home/.config/containers/auth.json", "home/.docker/config.json"};

	for (size_t i = 3; i > 0; i--) {
		char text[256];
		char username[16];

		(void)snprintf(username, sizeof(username), "user%zu", i);
		(void)snprintf(text, sizeof(text),
			"{\"auths\":{\"r.example.com\":{\"username\":\"%s\",\"password\":\"p\"}}}",
			username);
		fixture_write(*state, files[i - 1], text, 0644);
		CLEANUP(lookup_clear) struct lookup lookup = find("r.example.com");
		assert_found(&lookup, username, files[i - 1]);
	}
}

static void variables_take_the_place_of_the_usual_files(void **state)
{
	fixture_write(*state, "run/containers/auth.json", ENTRY("r.example.com", "runtime"), 0600);
	fixture_write(*state, "home/.docker/config.json", ENTRY("r.example.com", "docker"), 0600);
	fixture_write(*state, "xdg/containers/auth.json", ENTRY("x.example.com", "xdg"), 0600);
	fixture_write(*state, "elsewhere/config.json", ENTRY("r.example.com", "elsewhere"), 0600);
	fixture_write(*state, "auth", ENTRY("a.example.com", "authfile"), 0600);

	fixture_set_variable(*state, "XDG_CONFIG_HOME", "xdg");
	CLEANUP(lookup_clear) struct lookup xdg = find("x.example.com");
	assert_found(&xdg, "xdg", "xdg/containers/auth.json");

	fixture_set_variable(*state, "REGISTRY_AUTH_FILE", "auth");
	CLEANUP(lookup_clear) struct lookup docker = find("r.example.com");
	assert_found(&docker, "docker", "home/.docker/config.json");

	fixture_set_variable(*state, "DOCKER_CONFIG", "elsewhere");
	CLEANUP(lookup_clear) struct lookup elsewhere = find("r.example.com");
	assert_found(&elsewhere, "elsewhere", "elsewhere/config.json");
	CLEANUP(lookup_clear) struct lookup file = find("a.example.com");
	assert_found(&file, "authfile", "auth");
}

static void finding_none_lists_every_place(void **state)
{
	struct scratch *scratch = *state;
	char expected[2048];

	fixture_write(scratch, "home/.docker/config.json",
		"{\"credsStore\":\"missing\",\"auths\":{\"r.example.com\":{}}}", 0600);
	fixture_write(scratch, "run/containers/auth.json",
		"{\"credHelpers\":{\"r.example.com\":\"empty\"}}", 0600);
	fixture_install_helper(
		scratch, "empty", "echo 'credentials not found in native keychain'; exit 1");
	CLEANUP(lookup_clear) struct lookup lookup = find("r.example.com");

	if (lookup.result < 0)
		fail_msg("%s", lookup.err.message);
	assert_false(lookup.found);
	(void)snprintf(expected, sizeof(expected),
		"docker-credential-empty of %1$s/run/containers/auth.json (none), "
		"%1$s/run/containers/auth.json (none), "
		"%1$s/home/.config/containers/auth.json (does not exist), "
		"docker-credential-missing of %1$s/home/.docker/config.json (not installed), "
		"%1$s/home/.docker/config.json (none)",
		scratch->path);
	assert_string_equal((char *)lookup.looked_at.data, expected);
}

static void a_helper_comes_before_the_secrets_beside_it(void **state)
{
	fixture_write(*state, "home/.docker/config.json",
		"{\"credsStore\":\"test\",\"auths\":{\"r.example.com\":{\"username\":\"stale\","
		"\"password\":\"p\"},\"s.example.com\":{\"username\":\"kept\",\"password\":\"p\"}}"
		"}",
		0600);
	fixture_install_helper(*state, "test",
		"read -r server; case $server in r.*) "
		"echo '{\"Username\":\"helped\",\"Secret\":\"s\"}';; "
		"*) echo 'credentials not found in native keychain'; exit 1;; esac");
	CLEANUP(lookup_clear) struct lookup helped = find("r.example.com");
	CLEANUP(lookup_clear) struct lookup kept = find("s.example.com");

	assert_found(&helped, "helped", "docker-credential-test, which ");
	assert_string_equal(helped.credential.secret, "s");
	assert_found(&kept, "kept", "home/.docker/config.json");
}

static void assert_refused(
	const struct lookup *lookup, enum error_kind kind, const char *file, const char *why)
{
	assert_int_equal(lookup->result, -1);
	assert_false(lookup->found);
	if (lookup->err.kind != kind || !strstr(lookup->err.message, why) ||
		!strstr(lookup->err.message, file))
		fail_msg("%s", lookup->err.message);
}

static void a_broken_file_is_an_error_and_not_passed_over(void **state)
{
	CLEANUP(cleanup_free) char *large = malloc((1 << 20) + 2);

	fixture_write(*state, "home/.docker/config.json", ENTRY("r.example.com", "docker"), 0600);
	fixture_write(*state, "run/containers/auth.json", "{\"auths\":\n  {oops}}", 0600);
	CLEANUP(lookup_clear) struct lookup syntax = find("r.example.com");
	assert_refused(&syntax, ERROR_INVALID, "run/containers/auth.json", "line 2");

	assert_non_null(large);
	memset(large, ' ', (1 << 20) + 1);
	large[(1 << 20) + 1] = '\0';
	fixture_write(*state, "run/containers/auth.json", large, 0600);
	CLEANUP(lookup_clear) struct lookup size = find("r.example.com");
	assert_refused(&size, ERROR_INVALID, "run/containers/auth.json", "1048576");

	fixture_write(*state, "run/containers/auth.json",
		"{\"credHelpers\":{\"r.example.com\":\"absent\"}}", 0600);
	CLEANUP(lookup_clear) struct lookup helper = find("r.example.com");
	assert_refused(&helper, ERROR_INVALID, "run/containers/auth.json",
		"docker-credential-absent for r.example.com, which is no program in PATH");

	fixture_install_helper(*state, "absent", "echo locked; exit 1");
	CLEANUP(lookup_clear) struct lookup failing = find("r.example.com");
	assert_refused(&failing, ERROR_UNAUTHORIZED, "run/containers/auth.json",
		"docker-credential-absent get for r.example.com: it failed with status 1: locked");
}

static void a_login_is_seen_without_a_restart(void **state)
{
	CLEANUP(credentials_freep) struct credentials *credentials = NULL;
	struct credential credential = {0};
	bool found = true;

	assert_int_equal(credentials_new(&(struct credentials_options){0}, &credentials, NULL), 0);
	assert_int_equal(credentials_find(credentials, "r.example.com", NULL, &credential, &found,
				 NULL, NULL),
		0);
	assert_false(found);
	fixture_write(*state, "home/.docker/config.json", ENTRY("r.example.com", "new"), 0600);
	assert_int_equal(credentials_find(credentials, "r.example.com", NULL, &credential, &found,
				 NULL, NULL),
		0);
	assert_true(found);
	assert_string_equal(credential.username, "new");
	credential_clear(&credential);
	assert_null(credential.secret);
}

static void root_by_way_of_sudo_looks_at_the_callers_files_last(void **state)
{
	const struct passwd *caller = NULL;
	char expected[512];
	const char *own;
	const char *theirs;

	if (geteuid() != 0) {
		print_message("skipped: only root looks at SUDO_USER\n");
		skip();
	}
	/* Any user who is not root will do. */
	setpwent();
	while ((caller = getpwent()) && caller->pw_uid == 0)
		;
	assert_non_null(caller);
	(void)snprintf(expected, sizeof(expected), "%s/.docker/config.json (", caller->pw_dir);
	assert_int_equal(setenv("SUDO_USER", caller->pw_name, 1), 0);
	endpwent();

	CLEANUP(lookup_clear) struct lookup lookup = find("r.example.com");
	assert_int_equal(lookup.result, 0);
	own = strstr((char *)lookup.looked_at.data, "home/.docker/config.json (");
	theirs = strstr((char *)lookup.looked_at.data, expected);
	assert_non_null(own);
	assert_non_null(theirs);
	assert_true(own < theirs);

	fixture_set_variable(*state, "DOCKER_CONFIG", "elsewhere");
	CLEANUP(lookup_clear) struct lookup chosen = find("r.example.com");
	assert_null(strstr((char *)chosen.looked_at.data, expected));

	assert_int_equal(setenv("SUDO_USER", "no-such-user-here", 1), 0);
	CLEANUP(lookup_clear) struct lookup unknown = find("r.example.com");
	assert_int_equal(unknown.result, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, scratch_teardown)
	const struct CMUnitTest tests[] = {
		TEST(what_the_user_gives_comes_before_all_files),
		TEST(a_user_name_without_a_password_is_refused),
		TEST(files_are_looked_at_in_their_order),
		TEST(variables_take_the_place_of_the_usual_files),
		TEST(finding_none_lists_every_place),
		TEST(a_helper_comes_before_the_secrets_beside_it),
		TEST(a_broken_file_is_an_error_and_not_passed_over),
		TEST(a_login_is_seen_without_a_restart),
		TEST(root_by_way_of_sudo_looks_at_the_callers_files_last),
	};
	return cmocka_run_group_tests_name("registry/credentials", tests, NULL, NULL);
}
