/* SPDX-License-Identifier: Apache-2.0 */
#include "registry/hosts.h"

#include "support/test.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/fdio.h"
#include "hosts_internal.h"

static void append(struct buffer *out, const char *prefix, const char *text)
{
	assert_int_equal(buffer_printf(out, "%s%s", prefix, text), 0);
}

static void describe_capabilities(const struct host *host, struct buffer *out)
{
	static const char *const names[] = {"pull", "resolve", "push", "referrers"};
	const char *separator = " caps=";

	if (host->capabilities == HOST_ALL_CAPABILITIES)
		return;
	for (unsigned i = 0; i < 4; i++) {
		if (host->capabilities & 1u << i) {
			append(out, separator, names[i]);
			separator = ",";
		}
	}
}

/* One line for everything about a host that is not the plain case. */
static void describe(const struct host *host, struct buffer *out)
{
	append(out, "", host->scheme);
	append(out, " ", host->authority);
	append(out, " ", host->path[0] ? host->path : "''");
	describe_capabilities(host, out);
	for (size_t i = 0; i < host->n_ca_paths; i++)
		append(out, " ca=", host->ca_paths[i]);
	for (size_t i = 0; i < host->n_pairs; i++) {
		append(out, " client=", host->pairs[i].cert_path);
		append(out, "+", host->pairs[i].key_path);
	}
	if (host->verify != TLS_VERIFY_UNSET)
		append(out, " ", host->verify == TLS_VERIFY_SKIP ? "skip" : "verify");
	if (host->http_fallback)
		append(out, "", " fallback");
	for (size_t i = 0; i < host->n_headers; i++) {
		append(out, " ", host->headers[i].name);
		append(out, ":", host->headers[i].value);
	}
	if (host->dial_timeout_ns)
		assert_int_equal(buffer_printf(out, " dial=%jums",
					 (uintmax_t)host->dial_timeout_ns / 1000000),
			0);
	append(out, "", "\n");
}

static char *describe_all(const struct hosts *hosts)
{
	struct buffer out = {0};

	for (size_t i = 0; i < hosts->n_hosts; i++)
		describe(&hosts->hosts[i], &out);
	append(&out, "", "");
	return (char *)out.data;
}

struct file_case {
	const char *text;
	const char *expected;
};

#define UPSTREAM "https registry.example /v2\n"

static const struct file_case file_cases[] = {
	/* Rows 2 to 13 of the conformance table, then what its prose says. */
	{"[host.\"https://mirror.registry\"]\n"
	 "  capabilities = [\"pull\"]\n"
	 "  ca = \"/etc/certs/mirror.pem\"\n"
	 "  skip_verify = false\n"
	 "  [host.\"https://mirror.registry\".header]\n"
	 "    x-custom-2 = [\"value1\", \"value2\"]\n",
		"https mirror.registry /v2 caps=pull ca=/etc/certs/mirror.pem verify"
		" x-custom-2:value1 x-custom-2:value2\n" UPSTREAM},
	{"[host.\"https://mirror-bak.registry/us\"]\n"
	 "capabilities = [\"pull\"]\nskip_verify = true\n",
		"https mirror-bak.registry /us/v2 caps=pull skip\n" UPSTREAM},
	{"[host.\"https://mirror.registry\"]\n[host.\"http://mirror.registry\"]\n"
	 "capabilities = [\"pull\"]\n",
		"https mirror.registry /v2\nhttp mirror.registry /v2 caps=pull\n" UPSTREAM},
	{"[host.\"https://test-1.registry\"]\n"
	 "capabilities = [\"pull\", \"resolve\", \"push\", \"referrers\"]\n"
	 "ca = [\"/etc/certs/test-1-ca.pem\", \"/etc/certs/special.pem\"]\n"
	 "client = [[\"/etc/certs/c.cert\", \"/etc/certs/c.key\"], [\"/etc/certs/c.pem\", \"\"]]\n",
		"https test-1.registry /v2 ca=/etc/certs/test-1-ca.pem ca=/etc/certs/special.pem"
		" client=/etc/certs/c.cert+/etc/certs/c.key client=/etc/certs/c.pem+\n" UPSTREAM},
	{"[host.\"https://test-2.registry\"]\nclient = \"/etc/certs/client.pem\"\n",
		"https test-2.registry /v2 client=/etc/certs/client.pem+\n" UPSTREAM},
	{"[host.\"https://test-3.registry\"]\n"
	 "client = [\"/etc/certs/client-1.pem\", \"/etc/certs/client-2.pem\"]\n",
		"https test-3.registry /v2 client=/etc/certs/client-1.pem+"
		" client=/etc/certs/client-2.pem+\n" UPSTREAM},
	{"[host.\"https://a\"]\ncapabilities = [\"pull\", \"resolve\", \"push\"]\n",
		"https a /v2 caps=pull,resolve,push\n" UPSTREAM},
	{"[host.\"https://noncompliant.registry/v2/namespaceprefix\"]\noverride_path = true\n",
		"https noncompliant.registry /v2/namespaceprefix\n" UPSTREAM},
	{"[host.\"https://noprefixnoncompliant.registry\"]\noverride_path = true\n",
		"https noprefixnoncompliant.registry ''\n" UPSTREAM},
	{"[host.\"https://onlyheader.registry\".header]\nx-custom-1 = \"justaheader\"\n",
		"https onlyheader.registry /v2 x-custom-1:justaheader\n" UPSTREAM},
	{"[host.\"https://dial-timeout.registry\"]\ndial_timeout = \"3s\"\n",
		"https dial-timeout.registry /v2 dial=3000ms\n" UPSTREAM},
	{"server = \"https://test-default.registry\"\nca = \"/etc/path/default\"\n"
	 "[header]\nx-custom-1 = \"custom header\"\n"
	 "[host.\"https://b\"]\n[host.\"https://a\"]\n",
		"https b /v2\nhttps a /v2\n"
		"https test-default.registry /v2 ca=/etc/path/default x-custom-1:custom header\n"},

	/* Without a server the capabilities of the top are overwritten, the rest stays. */
	{"capabilities = [\"push\"]\nca = \"own.pem\"\nskip_verify = false\ndial_timeout = \"1m\"\n"
	 "[header]\nX = \"y\"\n",
		"https registry.example /v2 ca=/certs/own.pem verify X:y dial=60000ms\n"},
	{"server = \"upstream.example:5000/v2/\"\ncapabilities = [\"PULL\", \"Resolve\"]\n",
		"https upstream.example:5000 /v2 caps=pull,resolve\n"},
	{"server = \"httpd.example\"\n", "https httpd.example /v2\n"},
	{"server = \"HTTPS://Upper.example/Path\"\n", "https Upper.example /Path/v2\n"},
	{"server = \"\"\n", UPSTREAM},
	{"[host.\"https://m\"]\ncapabilities = []\n", "https m /v2\n" UPSTREAM},

	/* Order and repetition of headers. */
	{"[host.\"https://a\"]\n[host.\"https://a\".header]\nk = \"v\"\n[host.\"https://b\"]\n",
		"https a /v2 k:v\nhttps b /v2\n" UPSTREAM},
	{"[host.\"https://a\"]\n[host.\"https://b\"]\n[host.\"https://a\".header]\nk = \"v\"\n",
		"https a /v2 k:v\nhttps b /v2\nhttps a /v2 k:v\n" UPSTREAM},
	{"[host]\n\"https://inline\" = { capabilities = [\"pull\"] }\n", UPSTREAM},
	{"host.\"https://dotted\".capabilities = [\"pull\"]\n", UPSTREAM},

	/* Paths of URLs. */
	{"[host.\"https://a/x//y/../z/\"]\n[host.\"https://a/v2/\"]\n[host.\"https://a/\"]\n",
		"https a /x/z/v2\nhttps a /v2\nhttps a /v2\n" UPSTREAM},
	{"[host.\"https://[::1]:5000/a?b=c\"]\noverride_path = true\n",
		"https [::1]:5000 /a\n" UPSTREAM},

	/* http with TLS fields: https first unless the port says http. */
	{"[host.\"http://a:5000\"]\nca = \"c.pem\"\n[host.\"http://a:80\"]\nca = \"c.pem\"\n"
	 "[host.\"http://a:5001\"]\n[host.\"http://b\"]\nskip_verify = true\n",
		"https a:5000 /v2 ca=/certs/c.pem fallback\nhttp a:80 /v2 ca=/certs/c.pem\n"
		"http a:5001 /v2\nhttps b /v2 skip fallback\n" UPSTREAM},

	/* Relative names, unknown keys, names of headers kept, the default for localhost. */
	{"unknown = 1\n[host.\"https://a\"]\nca = [\"ca.crt\", \"sub/ca.crt\"]\n"
	 "client = [[\"c.crt\", \"../c.key\"]]\nmore = [1]\n"
	 "[host.\"https://a\".header]\nX-mIxEd = \"1\"\nHost = \"evil\"\n",
		"https a /v2 ca=/certs/ca.crt ca=/certs/sub/ca.crt"
		" client=/certs/c.crt+/certs/../c.key X-mIxEd:1\n" UPSTREAM},
	{"dial_timeout = \"0s\"\n", "https registry.example /v2 dial=3600000ms\n"},
};

static const struct file_case docker_cases[] = {
	{"# nothing but a comment\n", "https registry-1.docker.io /v2\n"},
	{"server = \"https://docker.io\"\n", "https docker.io /v2\n"},
};

static const struct file_case local_cases[] = {
	{"ca = \"c.pem\"\n", "https localhost:5000 /v2 ca=/certs/c.pem skip fallback\n"},
	{"skip_verify = false\n", "https localhost:5000 /v2 verify fallback\n"},
};

static void check_file_cases(const struct file_case *cases, size_t n_cases, const char *name)
{
	for (size_t i = 0; i < n_cases; i++) {
		const struct file_case *item = &cases[i];
		const struct hosts_options options = {0};
		CLEANUP(hosts_unrefp) struct hosts *hosts = NULL;
		CLEANUP(cleanup_free) char *actual = NULL;
		struct error err = {0};

		if (hosts_parse(&options, name, "/certs", item->text, strlen(item->text), &hosts,
			    &err) < 0)
			fail_msg("case %zu: %s", i, err.message);
		actual = describe_all(hosts);
		if (strcmp(actual, item->expected) != 0)
			fail_msg("case %zu:\n%sinstead of\n%s", i, actual, item->expected);
	}
}

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void hosts_toml_is_read_as_containerd_reads_it(void **state)
{
	(void)state;

	check_file_cases(file_cases, COUNT(file_cases), "registry.example");
	check_file_cases(docker_cases, COUNT(docker_cases), "docker.io");
	check_file_cases(local_cases, COUNT(local_cases), "localhost:5000");
}

struct wrong_case {
	const char *text;
	const char *message;
};

static const struct wrong_case wrong_cases[] = {
	/* Row 31. */
	{"ca = 5\n", "/certs/hosts.toml: line 1: ca: must be a file name or an array of file "
		     "names (found: integer)"},
	{"\n[host.\"https://a\"]\n\nclient = [[\"a\"]]\n",
		"/certs/hosts.toml: line 4: [host.\"https://a\"] client: a pair is "
		"[\"certificate\", \"key\"]; this one has 1 elements"},
	{"[host.\"https://a\"]\ncapabilities = [\"pull\", \"x\"]\n",
		"line 2: [host.\"https://a\"] capabilities: x is none of pull, resolve, push"},
	{"[host.\"https://a\"]\ndial_timeout = \"x\"\n",
		"line 2: [host.\"https://a\"] dial_timeout: \"x\" is no duration"},

	{"dial_timeout = 3\n", "line 1: dial_timeout: must be a string (found: integer)"},
	{"dial_timeout = \"-3s\"\n", "line 1: dial_timeout: \"-3s\" is negative"},
	{"capabilities = \"pull\"\n", "capabilities: must be an array (found: string)"},
	{"capabilities = [1]\n", "capabilities: an element that is not a string"},
	{"ca = [\"a\", 2]\n",
		"ca: must be a file name or an array of file names (element 2: integer)"},
	{"client = 1\n", "client: must be a file name, an array"},
	{"client = [1]\n", "client: must be file names or [certificate, key] pairs"},
	{"client = [[\"a\", 1]]\n", "client: a pair must be of two file names"},
	{"skip_verify = \"yes\"\n", "skip_verify: must be true or false (found: string)"},
	{"override_path = 1\n", "override_path: must be true or false"},
	{"header = \"x\"\n", "header: must be a table"},
	{"[header]\nx = 1\n", "line 2: header: x must be a string or an array of strings"},
	{"[header]\nx = [\"a\", 1]\n", "line 2: header: x must be a string"},
	{"[header]\n\"a b\" = \"x\"\n", "line 2: header: \"a b\" is no header name"},
	{"[header]\na = \"x\\r\\nEvil: 1\"\n", "header: the value of a has a control character"},
	{"server = 1\n", "line 1: server: must be a string"},
	{"server = \"ftp://a\"\n", "line 1: server: the scheme must be http or https"},
	{"server = \"https://user:secret@a\"\n", "line 1: server: "},
	{"[host.\"https://\"]\n", "line 1: [host.\"https://\"] URL: "},
	{"host = 1\n", "line 1: host: must be tables"},
	{"[host]\na = 1\n", "line 2: host: must be a table"},
	{"[host\n", "/certs/hosts.toml: line 1, column"},
};

static void a_wrong_field_is_refused_with_file_line_and_name(void **state)
{
	(void)state;

	for (size_t i = 0; i < sizeof(wrong_cases) / sizeof(wrong_cases[0]); i++) {
		const struct wrong_case *item = &wrong_cases[i];
		const struct hosts_options options = {0};
		struct hosts *hosts;
		struct error err = {0};

		if (hosts_parse(&options, "registry.example", "/certs", item->text,
			    strlen(item->text), &hosts, &err) == 0)
			fail_msg("case %zu was accepted", i);
		assert_int_equal(err.kind, ERROR_INVALID);
		if (!strstr(err.message, item->message))
			fail_msg("case %zu:\n%s\nwithout\n%s", i, err.message, item->message);
	}
}

static void too_many_hosts_are_refused(void **state)
{
	(void)state;
	const struct hosts_options options = {0};
	CLEANUP(buffer_free) struct buffer text = {0};
	struct hosts *hosts;
	struct error err = {0};

	for (int i = 0; i <= HOSTS_MAX_ENTRIES; i++)
		assert_int_equal(buffer_printf(&text, "[host.\"https://h%d\"]\n", i), 0);
	assert_int_equal(
		hosts_parse(&options, "registry.example", ".", text.data, text.size, &hosts, &err),
		-1);
	assert_int_equal(err.kind, ERROR_INVALID);
	assert_non_null(strstr(err.message, "more than 128 hosts"));
}

struct default_case {
	const char *name;
	bool plain_http;
	bool tls_configured;
	const char *expected;
};

static const struct default_case default_cases[] = {
	/* Row 1, then 20 to 24. */
	{"docker.io", false, false, "https registry-1.docker.io /v2\n"},
	{"docker.io", true, false, "https registry-1.docker.io /v2\n"},
	{"localhost:8080", false, false, "https localhost:8080 /v2 skip fallback\n"},
	{"localhost:5000", false, false, "https localhost:5000 /v2 skip fallback\n"},
	{"127.0.0.254:5000", false, false, "https 127.0.0.254:5000 /v2 skip fallback\n"},
	{"[::1]:5000", false, false, "https [::1]:5000 /v2 skip fallback\n"},
	{"localhost:80", false, false, "http localhost:80 /v2\n"},
	{"localhost", false, false, "https localhost /v2 skip\n"},
	{"localhost:443", false, false, "https localhost:443 /v2 skip\n"},
	{"127.0.0.254", false, false, "https 127.0.0.254 /v2 skip\n"},
	{"::1", false, false, "https ::1 /v2 skip\n"},
	{"example.com", false, false, "https example.com /v2\n"},
	{"example.com:5000", false, false, "https example.com:5000 /v2\n"},
	{"localhost:8080", true, true, "https localhost:8080 /v2 fallback\n"},
	{"localhost", true, true, "https localhost /v2 fallback\n"},
	{"example.com", true, true, "https example.com /v2 fallback\n"},
	{"example.com:5000", true, true, "https example.com:5000 /v2 fallback\n"},
	{"localhost:80", true, true, "http localhost:80 /v2\n"},
	{"example.com:5000", false, true, "https example.com:5000 /v2\n"},
	{"plain.example.com", true, false, "http plain.example.com /v2\n"},
	{"localhost:5000", true, false, "http localhost:5000 /v2\n"},
};

static void a_registry_without_configuration_has_one_default_host(void **state)
{
	(void)state;

	for (size_t i = 0; i < sizeof(default_cases) / sizeof(default_cases[0]); i++) {
		const struct default_case *item = &default_cases[i];
		const struct hosts_options options = {
			.plain_http = item->plain_http,
			.tls_configured = item->tls_configured,
		};
		CLEANUP(hosts_unrefp) struct hosts *hosts = NULL;
		CLEANUP(cleanup_free) char *actual = NULL;
		struct error err = {0};

		if (hosts_parse(&options, item->name, "/certs", "", 0, &hosts, &err) < 0)
			fail_msg("%s: %s", item->name, err.message);
		actual = describe_all(hosts);
		assert_string_equal(actual, item->expected);
	}
}

static void local_names_are_told_from_others(void **state)
{
	(void)state;
	static const char *const local[] = {"localhost", "localhost:5000", "127.0.0.1",
		"127.0.0.1:5000", "127.255.255.254", "127.1.2.3:80", "::1", "[::1]", "[::1]:5000"};
	static const char *const other[] = {"", "127.256.0.1", "126.example.com",
		"registry.example.com", "[127:0:0:1]", "[::1]:", "127.0.1.1:", "localhost.example",
		"128.0.0.1"};

	for (size_t i = 0; i < sizeof(local) / sizeof(local[0]); i++) {
		if (!host_is_local(local[i]))
			fail_msg("%s is local", local[i]);
	}
	for (size_t i = 0; i < sizeof(other) / sizeof(other[0]); i++) {
		if (host_is_local(other[i]))
			fail_msg("%s is not local", other[i]);
	}
}

static void only_a_host_of_another_name_is_a_proxy(void **state)
{
	(void)state;
	char mirror[] = "mirror.example:5000";
	char docker[] = "registry-1.docker.io";
	const struct host mirror_host = {.authority = mirror};
	const struct host docker_host = {.authority = docker};

	assert_true(host_is_proxy(&mirror_host, "registry.example"));
	assert_false(host_is_proxy(&mirror_host, "mirror.example:5000"));
	assert_false(host_is_proxy(&docker_host, "docker.io"));
	assert_true(host_is_proxy(&docker_host, "registry.example"));
}

static void durations_are_written_as_in_go(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int result;
		int64_t ns;
	} cases[] = {{"200ms", 0, 200000000}, {"3s", 0, 3000000000}, {"1h2m3.5s", 0, 3723500000000},
		{".5us", 0, 500}, {"1.s", 0, 1000000000}, {"-1.5h", 0, -5400000000000}, {"0", 0, 0},
		{"+7ns", 0, 7}, {"2\xc2\xb5s", 0, 2000}, {"2\xce\xbcs", 0, 2000},
		{"1.0000000000000000000000001s", 0, 1000000000}, {"", -EINVAL, 0},
		{"-", -EINVAL, 0}, {"3", -EINVAL, 0}, {"s", -EINVAL, 0}, {".s", -EINVAL, 0},
		{"3 s", -EINVAL, 0}, {"1d", -EINVAL, 0}, {"9223372036s", 0, 9223372036000000000},
		{"9223372037s", -ERANGE, 0}, {"99999999999999999999h", -ERANGE, 0}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int64_t ns = 0;

		if (duration_parse(cases[i].text, &ns) != cases[i].result || ns != cases[i].ns)
			fail_msg("\"%s\" gave %jd", cases[i].text, (intmax_t)ns);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hosts_toml_is_read_as_containerd_reads_it),
		cmocka_unit_test(a_wrong_field_is_refused_with_file_line_and_name),
		cmocka_unit_test(too_many_hosts_are_refused),
		cmocka_unit_test(a_registry_without_configuration_has_one_default_host),
		cmocka_unit_test(local_names_are_told_from_others),
		cmocka_unit_test(only_a_host_of_another_name_is_a_proxy),
		cmocka_unit_test(durations_are_written_as_in_go),
	};
	return cmocka_run_group_tests_name("registry/hosts", tests, NULL, NULL);
}
