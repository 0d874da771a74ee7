/* SPDX-License-Identifier: Apache-2.0 */
#include "http/http_client.h"

#include "support/test.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fdio.h"

#include "soak.h"
#include "tls_fixture.h"

/* HTTP/2 needs a real server: nginx on a unix socket, with certificates of the test. */

enum { LARGE_SIZE = 8 * 1024 * 1024 };

struct nginx {
	struct tls_fixture *tls;
	struct tls_settings *settings;
	pid_t pid; /* 0: nginx is not installed */
	char socket[160];
	uint8_t *large; /* owned: what /large serves */
};

static const char *find_nginx(void)
{
	static const char *const paths[] = {"/usr/sbin/nginx", "/usr/local/sbin/nginx"};

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		if (access(paths[i], X_OK) == 0)
			return paths[i];
	return NULL;
}

static void write_config(struct nginx *nginx)
{
	struct scratch *scratch = &nginx->tls->scratch;
	const char *directory = scratch->directory;
	char text[4096];
	int size = snprintf(text, sizeof(text),
		"daemon off; master_process off; pid %s/pid; error_log %s/log warn;\n"
		"events { worker_connections 64; }\n"
		"http { access_log off; client_body_temp_path %s; proxy_temp_path %s;\n"
		"fastcgi_temp_path %s; uwsgi_temp_path %s; scgi_temp_path %s;\n"
		"server { listen unix:%s ssl http2; root %s;\n"
		"ssl_certificate %s/server.pem; ssl_certificate_key %s/server.pem;\n"
		"ssl_client_certificate %s/ca.pem; ssl_verify_client optional;\n"
		"add_header X-Connection $connection; add_header X-Client $ssl_client_s_dn; } }\n",
		directory, directory, directory, directory, directory, directory, directory,
		nginx->socket, directory, directory, directory, directory);

	assert_in_range(size, 1, sizeof(text) - 1);
	(void)write_text(scratch, "nginx.conf", text);
}

static void write_files(struct nginx *nginx)
{
	char path[192];

	nginx->large = malloc(LARGE_SIZE);
	assert_non_null(nginx->large);
	for (size_t i = 0; i < LARGE_SIZE; i++)
		nginx->large[i] = (uint8_t)(i * 7 + i / 253);
	(void)snprintf(path, sizeof(path), "%s/large", nginx->tls->scratch.directory);
	assert_int_equal(file_replace(AT_FDCWD, path, nginx->large, LARGE_SIZE, 0644, NULL), 0);
	(void)write_text(&nginx->tls->scratch, "small", "small");
	tls_fixture_write_pair(nginx->tls, "server.pem", &nginx->tls->identity, path);
}

/* The socket's file is there before it can be connected to. */
static bool is_served(const char *path)
{
	CLEANUP(cleanup_fd) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	assert_in_range(strlen(path), 1, sizeof(address.sun_path) - 1);
	memcpy(address.sun_path, path, strlen(path));
	return connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0;
}

static void start_nginx(struct nginx *nginx, const char *program)
{
	char config[192];
	char *const argv[] = {(char *)"nginx", (char *)"-c", config, NULL};

	(void)snprintf(config, sizeof(config), "%s/nginx.conf", nginx->tls->scratch.directory);
	assert_int_equal(posix_spawn(&nginx->pid, program, NULL, NULL, argv, environ), 0);
	for (int i = 0; i < 5000 && !is_served(nginx->socket); i++)
		(void)usleep(1000);
}

static int open_nginx(void **state)
{
	struct nginx *nginx = calloc(1, sizeof(*nginx));
	const char *program = find_nginx();
	const char *pair;
	void *tls;

	assert_non_null(nginx);
	(void)tls_fixture_open(&tls);
	nginx->tls = tls;
	(void)snprintf(nginx->socket, sizeof(nginx->socket), "%s/nginx.sock",
		nginx->tls->scratch.directory);
	*state = nginx;
	pair = nginx->tls->client_path;
	nginx->settings = tls_fixture_load(nginx->tls, &pair, 1);
	if (!program)
		return 0;
	write_files(nginx);
	write_config(nginx);
	start_nginx(nginx, program);
	return 0;
}

static int close_nginx(void **state)
{
	struct nginx *nginx = *state;
	void *tls = nginx->tls;

	if (nginx->pid) {
		(void)kill(nginx->pid, SIGTERM);
		(void)waitpid(nginx->pid, NULL, 0);
	}
	tls_settings_unref(nginx->settings);
	(void)tls_fixture_close(&tls);
	free(nginx->large);
	free(nginx);
	return 0;
}

static void need_nginx(const struct nginx *nginx)
{
	if (!nginx->pid) {
		print_message("nginx is not installed (package nginx-light)\n");
		skip();
	}
}

static void init(const struct nginx *nginx, struct probe *probe, const char *url)
{
	probe_init(probe, &nginx->tls->fixture, url);
	probe->options.tls = nginx->settings;
	probe->options.unix_socket = nginx->socket;
}

static void assert_succeeds(struct probe *probe)
{
	if (probe_wait_done(probe)->err.kind != ERROR_NONE)
		fail_msg("%s", probe->result.err.message);
}

/* How many different connections served these requests. */
static int count_connections(const struct probe *probes, size_t n_probes)
{
	int n = 0;

	for (size_t i = 0; i < n_probes; i++) {
		bool seen = false;

		for (size_t before = 0; before < i; before++)
			seen |= strcmp(probes[i].x_connection, probes[before].x_connection) == 0;
		n += !seen;
	}
	return n;
}

static void requests_share_a_few_connections(void **state)
{
	struct nginx *nginx = *state;
	CLEANUP(http_answer_free) struct http_answer first = {0};
	struct probe probes[100];
	const struct http_request_options options = {.url = "https://localhost/small",
		.tls = nginx->settings,
		.unix_socket = nginx->socket};

	need_nginx(nginx);
	assert_int_equal(http_perform(nginx->tls->fixture.client, &options, &first, NULL), 0);
	assert_string_equal(http_headers_get(&first.headers, "x-client"), "CN=client");
	for (size_t i = 0; i < 100; i++) {
		init(nginx, &probes[i], "https://localhost/small");
		probe_start(&probes[i]);
	}
	for (size_t i = 0; i < 100; i++) {
		assert_succeeds(&probes[i]);
		assert_int_equal(probes[i].version, 20);
		assert_string_not_equal(probes[i].x_connection, "");
	}
	assert_in_range(count_connections(probes, 100), 1, 8);
	for (size_t i = 0; i < 100; i++)
		probe_free(&probes[i]);
}

static void ranges_of_a_large_file_come_in_parallel(void **state)
{
	struct nginx *nginx = *state;
	enum { N = 16 };
	struct probe probes[N];

	need_nginx(nginx);
	for (size_t i = 0; i < N; i++) {
		init(nginx, &probes[i], "https://localhost/large");
		probes[i].options.range = true;
		probes[i].options.range_size = LARGE_SIZE / N;
		probes[i].options.range_off = i * (LARGE_SIZE / N);
		probe_start(&probes[i]);
	}
	for (size_t i = 0; i < N; i++) {
		assert_succeeds(&probes[i]);
		assert_int_equal(probes[i].result.status, 206);
		assert_int_equal(probes[i].body.size, LARGE_SIZE / N);
		assert_memory_equal(
			probes[i].body.data, nginx->large + i * (LARGE_SIZE / N), LARGE_SIZE / N);
		probe_free(&probes[i]);
	}
}

static void a_paused_stream_holds_up_no_other(void **state)
{
	struct nginx *nginx = *state;
	struct probe paused;
	struct probe other;

	need_nginx(nginx);
	init(nginx, &paused, "https://localhost/large");
	paused.data_flow = HTTP_PAUSE;
	probe_start(&paused);
	probe_wait_data(&paused, 1);
	for (int i = 0; i < 3; i++) {
		init(nginx, &other, "https://localhost/large");
		probe_start(&other);
		assert_succeeds(&other);
		assert_memory_equal(other.body.data, nginx->large, LARGE_SIZE);
		probe_free(&other);
	}
	probe_resume(&paused, HTTP_CONTINUE);
	assert_succeeds(&paused);
	assert_int_equal(paused.body.size, LARGE_SIZE);
	assert_memory_equal(paused.body.data, nginx->large, LARGE_SIZE);
	probe_free(&paused);
}

static void a_cancelled_stream_harms_no_other(void **state)
{
	struct nginx *nginx = *state;
	struct probe victims[3];
	struct probe other;

	need_nginx(nginx);
	init(nginx, &other, "https://localhost/large");
	probe_start(&other);
	for (size_t i = 0; i < 3; i++) {
		init(nginx, &victims[i], "https://localhost/large");
		probe_start(&victims[i]);
	}
	for (size_t i = 0; i < 3; i++) {
		probe_wait_data(&victims[i], 1);
		probe_cancel(&victims[i]);
	}
	assert_succeeds(&other);
	assert_memory_equal(other.body.data, nginx->large, LARGE_SIZE);
	for (size_t i = 0; i < 3; i++)
		probe_free(&victims[i]);
	probe_free(&other);
}

static void random_histories_end_every_request_once(void **state)
{
	struct nginx *nginx = *state;
	static const char *const urls[] = {
		"https://localhost/large", "https://localhost/small", "https://localhost/none"};
	const struct soak soak = {.urls = urls,
		.n_urls = 3,
		.tls = nginx->settings,
		.unix_socket = nginx->socket,
		.n_requests = 300,
		.seed = 2};

	need_nginx(nginx);
	soak_run(&nginx->tls->fixture, &soak);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_nginx, close_nginx)
	const struct CMUnitTest tests[] = {
		TEST(requests_share_a_few_connections),
		TEST(ranges_of_a_large_file_come_in_parallel),
		TEST(a_paused_stream_holds_up_no_other),
		TEST(a_cancelled_stream_harms_no_other),
		TEST(random_histories_end_every_request_once),
	};
	return cmocka_run_group_tests_name("http/http2", tests, NULL, NULL);
}
