/* SPDX-License-Identifier: Apache-2.0 */
#include "registry/hosts.h"

#include "support/test.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fdio.h"
#include "hosts_internal.h"

/* Each test works in a directory of its own: relative names are inside it. */
static int enter_directory(void **state)
{
	char *path = strdup("/tmp/varve-test-hosts-XXXXXX");

	*state = path;
	return path && mkdtemp(path) && chdir(path) == 0 ? 0 : -1;
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *walk)
{
	(void)status;
	(void)type;
	(void)walk;
	return remove(path);
}

static int leave_directory(void **state)
{
	int result = chdir("/") < 0 || nftw(*state, remove_entry, 8, FTW_DEPTH | FTW_PHYS) < 0;

	free(*state);
	return result ? -1 : 0;
}

static void write_file(const char *path, const char *text)
{
	struct error err = {0};
	char directory[256];
	char *slash;

	(void)snprintf(directory, sizeof(directory), "%s", path);
	slash = strrchr(directory, '/');
	if (slash) {
		*slash = 0;
		assert_int_equal(directory_make(directory, 0755, &err), 0);
	}
	if (file_replace(AT_FDCWD, path, text, strlen(text), 0644, &err) < 0)
		fail_msg("%s", err.message);
}

static const char *const one_root[] = {"certs.d"};
static const char *const two_roots[] = {"first", "second"};
static const struct hosts_options one = {.roots = one_root, .n_roots = 1};
static const struct hosts_options two = {.roots = two_roots, .n_roots = 2};

static struct hosts *load(const struct hosts_options *options, const char *name)
{
	struct hosts *hosts = NULL;
	struct error err = {0};

	if (hosts_load(options, name, &hosts, &err) < 0)
		fail_msg("%s", err.message);
	return hosts;
}

static void assert_first_host(
	const struct hosts_options *options, const char *name, const char *authority)
{
	CLEANUP(hosts_unrefp) struct hosts *hosts = load(options, name);

	assert_true(hosts->n_hosts > 0);
	assert_string_equal(hosts->hosts[0].authority, authority);
}

static void no_directory_means_the_default_host(void **state)
{
	(void)state;
	CLEANUP(hosts_unrefp) struct hosts *hosts = load(&one, "registry.example:5000");

	assert_null(hosts->directory);
	assert_int_equal(hosts->n_hosts, 1);
	assert_string_equal(hosts->hosts[0].origin, "https://registry.example:5000");
	assert_null(hosts->hosts[0].tls);
}

static void directories_are_tried_in_order_and_never_merged(void **state)
{
	(void)state;

	write_file("certs.d/_default/hosts.toml", "[host.\"https://default\"]\n");
	assert_first_host(&one, "r.example:5000", "default");
	assert_first_host(&one, "r.example", "default");
	write_file("certs.d/r.example:5000/hosts.toml", "[host.\"https://colon\"]\n");
	assert_first_host(&one, "r.example:5000", "colon");
	write_file("certs.d/r.example_5000_/hosts.toml", "");
	assert_first_host(&one, "r.example:5000", "r.example:5000");
	write_file("certs.d/r.example_5000_/hosts.toml", "[host.\"https://underscore\"]\n");
	assert_first_host(&one, "r.example:5000", "underscore");
	assert_first_host(&one, "R.example:5000", "default");
	write_file("certs.d/[::1]_5000_/hosts.toml", "[host.\"https://six\"]\n");
	assert_first_host(&one, "[::1]:5000", "six");
}

static void the_first_root_with_a_hit_decides(void **state)
{
	(void)state;

	write_file("second/r.example/hosts.toml", "[host.\"https://second\"]\n");
	assert_first_host(&two, "r.example", "second");
	write_file("first/_default/hosts.toml", "[host.\"https://first-default\"]\n");
	assert_first_host(&two, "r.example", "first-default");
}

static void a_directory_that_cannot_be_looked_at_is_an_error(void **state)
{
	(void)state;
	struct hosts *hosts;
	struct error err = {0};

	write_file("certs.d", "a file where a directory should be");
	assert_int_equal(hosts_load(&one, "r.example", &hosts, &err), -1);
	assert_non_null(strstr(err.message, "certs.d/r.example: Not a directory"));
}

static void names_that_leave_the_root_are_refused(void **state)
{
	(void)state;
	static const char *const names[] = {"", ".", "..", "../x", "a/b"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct hosts *hosts;
		struct error err = {0};

		assert_int_equal(hosts_load(&one, names[i], &hosts, &err), -1);
		assert_int_equal(err.kind, ERROR_INVALID);
	}
}

static void list_cleanup(struct host_list *list)
{
	host_list_clear(list);
}

/* Rows 14 to 17 and 33. */
static void certificate_files_alone_are_read_as_docker_does(void **state)
{
	(void)state;
	CLEANUP(list_cleanup) struct host_list list = {0};
	struct error err = {0};
	struct host *host;

	write_file("d/b.crt", "");
	write_file("d/a.crt", "");
	write_file("d/client.cert", "");
	write_file("d/client.key", "");
	write_file("d/alone.cert", "");
	write_file("d/orphan.key", "");
	write_file("d/notes.txt", "");
	write_file("d/directory.crt/x", "");
	assert_int_equal(hosts_directory_certificates("d", &list, &err), 0);
	assert_int_equal(list.n_hosts, 1);
	host = &list.hosts[0];
	assert_null(host->authority);
	assert_true(host->has_tls);
	assert_int_equal(host->n_ca_paths, 2);
	assert_string_equal(host->ca_paths[0], "d/a.crt");
	assert_string_equal(host->ca_paths[1], "d/b.crt");
	assert_int_equal(host->n_pairs, 2);
	assert_string_equal(host->pairs[0].cert_path, "d/alone.cert");
	assert_string_equal(host->pairs[0].key_path, "");
	assert_string_equal(host->pairs[1].cert_path, "d/client.cert");
	assert_string_equal(host->pairs[1].key_path, "d/client.key");
}

static void a_certificate_that_cannot_be_used_refuses_the_registry(void **state)
{
	(void)state;
	struct hosts *hosts;
	struct error err = {0};

	write_file("certs.d/r.example/hosts.toml",
		"\n[host.\"https://good\"]\n[host.\"https://mirror\"]\nca = \"missing.crt\"\n");
	assert_int_equal(hosts_load(&one, "r.example", &hosts, &err), -1);
	assert_int_equal(err.kind, ERROR_INVALID);
	assert_non_null(strstr(err.message, "registry r.example: certs.d/r.example/hosts.toml: "
					    "line 3: host mirror: "));
	assert_non_null(strstr(err.message, "certs.d/r.example/missing.crt"));

	write_file("certs.d/r.example/hosts.toml", "");
	write_file("certs.d/r.example/ca.crt", "not a certificate");
	assert_int_equal(hosts_load(&one, "r.example", &hosts, &err), -1);
	assert_non_null(strstr(err.message, "certs.d/r.example/ca.crt"));
}

static void assert_change_is_seen(struct hosts **hosts, const char *name)
{
	assert_true(hosts_changed(*hosts));
	hosts_unref(*hosts);
	*hosts = load(&two, name);
	assert_false(hosts_changed(*hosts));
}

static void changes_on_disk_are_seen(void **state)
{
	(void)state;
	CLEANUP(hosts_unrefp) struct hosts *hosts = load(&two, "r.example:5000");

	assert_false(hosts_changed(hosts));
	write_file("second/r.example:5000/notes", "");
	assert_change_is_seen(&hosts, "r.example:5000");
	write_file("second/r.example:5000/hosts.toml", "[host.\"https://a\"]\n");
	assert_change_is_seen(&hosts, "r.example:5000");
	write_file("second/r.example:5000/hosts.toml", "[host.\"https://b\"]\n");
	assert_change_is_seen(&hosts, "r.example:5000");
	assert_string_equal(hosts->hosts[0].authority, "b");
	write_file("first/_default/hosts.toml", "[host.\"https://c\"]\n");
	assert_change_is_seen(&hosts, "r.example:5000");
	assert_string_equal(hosts->hosts[0].authority, "c");
	write_file("first/r.example_5000_/hosts.toml", "[host.\"https://d\"]\n");
	assert_change_is_seen(&hosts, "r.example:5000");
	assert_int_equal(unlink("first/r.example_5000_/hosts.toml"), 0);
	assert_change_is_seen(&hosts, "r.example:5000");
	assert_int_equal(rmdir("first/r.example_5000_"), 0);
	assert_change_is_seen(&hosts, "r.example:5000");
	assert_string_equal(hosts->hosts[0].authority, "c");
}

static void a_reference_keeps_the_hosts_alive(void **state)
{
	(void)state;
	struct hosts *hosts = load(&one, "r.example");
	struct hosts *again = hosts_ref(hosts);

	hosts_unref(hosts);
	assert_string_equal(again->name, "r.example");
	hosts_unref(again);
}

static void roots_are_separated_by_colons(void **state)
{
	(void)state;
	CLEANUP(cleanup_free) char **roots = NULL;
	struct error err = {0};
	size_t n_roots;

	assert_int_equal(hosts_split_roots(":a/b::c:", &roots, &n_roots, &err), 0);
	assert_int_equal(n_roots, 2);
	assert_string_equal(roots[0], "a/b");
	assert_string_equal(roots[1], "c");
}

#define IN_DIRECTORY(test) cmocka_unit_test_setup_teardown(test, enter_directory, leave_directory)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_DIRECTORY(no_directory_means_the_default_host),
		IN_DIRECTORY(directories_are_tried_in_order_and_never_merged),
		IN_DIRECTORY(the_first_root_with_a_hit_decides),
		IN_DIRECTORY(a_directory_that_cannot_be_looked_at_is_an_error),
		IN_DIRECTORY(names_that_leave_the_root_are_refused),
		IN_DIRECTORY(certificate_files_alone_are_read_as_docker_does),
		IN_DIRECTORY(a_certificate_that_cannot_be_used_refuses_the_registry),
		IN_DIRECTORY(changes_on_disk_are_seen),
		IN_DIRECTORY(a_reference_keeps_the_hosts_alive),
		IN_DIRECTORY(roots_are_separated_by_colons),
	};
	return cmocka_run_group_tests_name("registry/hosts_load", tests, NULL, NULL);
}
