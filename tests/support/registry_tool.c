/* SPDX-License-Identifier: Apache-2.0 */
/* Asks real registries through registry/registry_client.h, for tests in other languages.
 *
 * usage: registry_tool [--hosts-dir DIRS] [--plain-http] [--username U --password P]
 *                      [--deadline SECONDS] [--debug]
 *
 * Reads one command a line and answers it with one line of words:
 *   resolve REFERENCE                          ok DIGEST MEDIA-TYPE
 *   manifest REFERENCE DIGEST                  ok DIGEST-OF-BYTES MEDIA-TYPE
 *   blob REFERENCE DIGEST SIZE                 ok DIGEST-OF-BYTES
 *   range REFERENCE DIGEST SIZE OFF N [TIMES]  ok DIGEST-OF-BYTES, TIMES at once
 *   hosts                                      ok ORIGIN:REQUESTS:ERRORS:BYTES...
 * or with "error KIND MESSAGE". */
#include <getopt.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/error_map.h"
#include "base/log.h"
#include "http/http_client.h"
#include "oci/reference.h"
#include "registry/registry_client.h"

enum { MAX_TIMES = 64 };

struct tool {
	struct loop *loop;
	struct workers *workers;
	struct tls_settings *tls;
	struct http_client *http;
	struct registry_client *client;
};

static int usage(void)
{
	fprintf(stderr, "usage: registry_tool [--hosts-dir DIRS] [--plain-http] [--username U "
			"--password P] [--deadline SECONDS] [--debug]\n");
	return 2;
}

static int say_digest(const struct buffer *bytes, const char *more, struct error *err)
{
	struct digest digest;
	char text[DIGEST_TEXT_SIZE];

	if (digest_compute(DIGEST_SHA256, bytes->data, bytes->size, &digest, err) < 0)
		return -1;
	printf("ok %s%s%s\n", digest_format(&digest, text), *more ? " " : "", more);
	return 0;
}

static int do_resolve(struct tool *tool, const struct reference *reference, struct error *err)
{
	struct digest digest;
	char media_type[128];
	char text[DIGEST_TEXT_SIZE];

	if (registry_resolve(tool->client, reference, &digest, media_type, err) < 0)
		return -1;
	printf("ok %s %s\n", digest_format(&digest, text), media_type);
	return 0;
}

static int do_manifest(struct tool *tool, const struct reference *reference,
	const struct digest *digest, struct error *err)
{
	CLEANUP(buffer_free) struct buffer bytes = {0};
	char media_type[128];

	if (registry_get_manifest(tool->client, reference, digest, media_type, &bytes, err) < 0)
		return -1;
	return say_digest(&bytes, media_type, err);
}

static int do_blob(struct tool *tool, const struct reference *reference,
	const struct descriptor *descriptor, struct error *err)
{
	CLEANUP(buffer_free) struct buffer bytes = {0};

	if (registry_get_blob(tool->client, reference, descriptor, UINT64_MAX, &bytes, err) < 0)
		return -1;
	return say_digest(&bytes, "", err);
}

struct range_thread {
	pthread_t thread;
	struct tool *tool;
	const struct reference *reference;
	const struct descriptor *descriptor;
	uint64_t off;
	uint64_t size;
	struct buffer bytes;
	struct error err;
	int result;
};

static void *range_run(void *arg)
{
	struct range_thread *range = arg;

	range->result = registry_get_range_unverified(range->tool->client, range->reference,
		range->descriptor, range->off, range->size, &range->bytes, &range->err);
	return NULL;
}

static int do_range(struct tool *tool, const struct reference *reference,
	const struct descriptor *descriptor, uint64_t off, uint64_t size, unsigned times,
	struct error *err)
{
	struct range_thread ranges[MAX_TIMES] = {0};
	int result = 0;

	for (unsigned i = 0; i < times; i++) {
		ranges[i] = (struct range_thread){.tool = tool,
			.reference = reference,
			.descriptor = descriptor,
			.off = off,
			.size = size};
		if (pthread_create(&ranges[i].thread, NULL, range_run, &ranges[i]) != 0)
			abort();
	}
	for (unsigned i = 0; i < times; i++) {
		pthread_join(ranges[i].thread, NULL);
		if (ranges[i].result < 0) {
			*err = ranges[i].err;
			result = -1;
		} else if (i > 0 && result == 0 &&
			   (ranges[i].bytes.size != ranges[0].bytes.size ||
				   memcmp(ranges[i].bytes.data, ranges[0].bytes.data,
					   ranges[0].bytes.size) != 0)) {
			result = error_set(err, ERROR_INTERNAL, "two answers differ");
		}
	}
	if (result == 0)
		result = say_digest(&ranges[0].bytes, "", err);
	for (unsigned i = 0; i < times; i++)
		buffer_free(&ranges[i].bytes);
	return result;
}

static int say_host(void *arg, const struct registry_host_stats *stats)
{
	(void)arg;
	printf(" %s:%" PRIu64 ":%" PRIu64 ":%" PRIu64, stats->origin, stats->n_requests,
		stats->n_errors, stats->received_bytes);
	return 0;
}

static int do_hosts(struct tool *tool)
{
	printf("ok");
	(void)registry_each_host(tool->client, say_host, NULL);
	printf("\n");
	return 0;
}

static int run_command(struct tool *tool, char *line, struct error *err)
{
	struct descriptor descriptor = {0};
	struct reference reference;
	char *words[8] = {0};
	uint64_t numbers[4] = {0};
	size_t n = 0;

	for (char *word; n < 8 && (word = strsep(&line, " "));)
		words[n++] = word;
	if (n == 1 && strcmp(words[0], "hosts") == 0)
		return do_hosts(tool);
	if (n < 2 || reference_parse(words[1], &reference, err) < 0)
		return n < 2 ? error_set(err, ERROR_INVALID, "what is meant?") : -1;
	if (n > 2 && digest_parse(words[2], &descriptor.digest, err) < 0)
		return -1;
	for (size_t i = 3; i < n && i < 7; i++)
		numbers[i - 3] = strtoull(words[i], NULL, 10);
	descriptor.size = numbers[0];
	if (strcmp(words[0], "resolve") == 0)
		return do_resolve(tool, &reference, err);
	if (strcmp(words[0], "manifest") == 0 && n == 3)
		return do_manifest(tool, &reference, &descriptor.digest, err);
	if (strcmp(words[0], "blob") == 0 && n == 4)
		return do_blob(tool, &reference, &descriptor, err);
	if (strcmp(words[0], "range") == 0 && n >= 6 && numbers[3] <= MAX_TIMES)
		return do_range(tool, &reference, &descriptor, numbers[1], numbers[2],
			n > 6 ? (unsigned)numbers[3] : 1, err);
	return error_set(err, ERROR_INVALID, "what is meant?");
}

static int open_tool(struct registry_client_options *options, struct tool *tool, struct error *err)
{
	const struct tls_settings_options tls = {0};
	struct http_client_options http = {0};

	if (loop_new(&tool->loop, err) < 0 || loop_thread_start(tool->loop, "net", err) < 0 ||
		workers_new(2, "worker", &tool->workers, err) < 0 ||
		tls_settings_load(&tls, &tool->tls, err) < 0)
		return -1;
	http.tls = tool->tls;
	if (http_client_new(tool->loop, &http, &tool->http, err) < 0)
		return -1;
	options->http = tool->http;
	options->loop = tool->loop;
	options->workers = tool->workers;
	options->tls = tool->tls;
	return registry_client_new(options, &tool->client, err);
}

static void close_tool(struct tool *tool)
{
	registry_client_free(tool->client);
	loop_thread_stop(tool->loop);
	http_client_free(tool->http);
	workers_free(tool->workers);
	loop_free(tool->loop);
	tls_settings_unref(tool->tls);
}

static bool parse_options(int argc, char **argv, struct registry_client_options *options)
{
	static const struct option known[] = {{"hosts-dir", required_argument, NULL, 'h'},
		{"plain-http", no_argument, NULL, 'p'}, {"username", required_argument, NULL, 'u'},
		{"password", required_argument, NULL, 'w'},
		{"deadline", required_argument, NULL, 'd'}, {"debug", no_argument, NULL, 'v'},
		{NULL, 0, NULL, 0}};
	int option;

	while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
		switch (option) {
		case 'h':
			options->hosts_dirs = optarg;
			break;
		case 'p':
			options->plain_http = true;
			break;
		case 'u':
			options->username = optarg;
			break;
		case 'w':
			options->password = optarg;
			break;
		case 'd':
			options->deadline_ns = (uint64_t)(strtod(optarg, NULL) * 1e9);
			break;
		case 'v':
			log_setup(LOG_LEVEL_DEBUG, 2, true);
			break;
		default:
			return false;
		}
	}
	return optind == argc;
}

int main(int argc, char **argv)
{
	struct registry_client_options options = {.hosts_dirs = ""};
	struct tool tool = {0};
	struct error err = {0};
	char line[4096];

	if (!parse_options(argc, argv, &options))
		return usage();
	if (open_tool(&options, &tool, &err) < 0) {
		fprintf(stderr, "%s\n", err.message);
		return 1;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	while (fgets(line, sizeof(line), stdin)) {
		line[strcspn(line, "\n")] = 0;
		err = (struct error){0};
		if (run_command(&tool, line, &err) < 0)
			printf("error %s %s\n", error_kind_name(err.kind), err.message);
	}
	close_tool(&tool);
	return 0;
}
