/* SPDX-License-Identifier: Apache-2.0 */
#include "status_internal.h"
#include "why_internal.h"

#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct json *parse(const char *text)
{
	struct json *json;
	struct error err = {0};

	if (json_parse(text, strlen(text), &json, &err) < 0)
		fail_msg("%s", err.message);
	return json;
}

static void set_number(struct json *object, const char *name, int64_t value)
{
	json_set(object, name, json_new_i64(value));
}

/* A layer of about 1.2 TB, to have all columns as wide as they get. */
static struct json *wide_layer(unsigned i, bool complete)
{
	struct json *layer = json_new_object();
	char digest[80];

	(void)snprintf(digest, sizeof(digest), "sha256:%064x", i + 1);
	json_set(layer, "digest", json_new_string(digest));
	set_number(layer, "blob_size", INT64_C(999900000000));
	set_number(layer, "units", 999999);
	set_number(layer, "units_present", complete ? 999999 : 999998);
	set_number(layer, "size", INT64_C(1200000000000));
	set_number(layer, "present", complete ? INT64_C(1200000000000) : INT64_C(999900000000));
	set_number(layer, "fetched_bytes", INT64_C(999900000000));
	set_number(layer, "bytes_per_s", 999900000);
	json_set(layer, "complete", json_new_bool(complete));
	return layer;
}

/* @layers is owned by the report. */
static struct json *report_of(struct json *layers)
{
	struct json *report =
		parse("{\"pid\": 4194304, \"store\": {\"dir\": \"/var/lib/varve\", \"allocated\": "
		      "1200000000000, \"quota\": 1500000000000, \"file_system_free\": 99000000000, "
		      "\"caching\": true}, \"mounts\": [], \"hosts\": [], \"failures\": []}");
	struct json *mount = parse(
		"{\"dir\": \"/mnt/app\", \"reference\": \"registry.example.com/team/app:1.2\", "
		"\"manifest\": \"sha256:0123456789abcdef\", \"platform\": \"linux/arm64/v8\", "
		"\"face\": \"erofs\", \"started_s\": 1700000000}");
	struct json *mounts = json_new_array();

	json_set(mount, "layers", layers);
	json_append(mounts, mount);
	json_set(report, "mounts", mounts);
	return report;
}

static struct json *wide_report(unsigned n_layers, unsigned n_complete)
{
	struct json *layers = json_new_array();

	for (unsigned i = 0; i < n_layers; i++)
		json_append(layers, wide_layer(i, i < n_complete));
	return report_of(layers);
}

/* Owned by the caller. */
static char *print(void (*page)(const struct screen *, const struct json *), struct json *report)
{
	char *text = NULL;
	size_t size = 0;
	struct screen screen = {.out = open_memstream(&text, &size), .width = 80};

	assert_non_null(screen.out);
	page(&screen, report);
	assert_int_equal(fclose(screen.out), 0);
	json_free(report);
	return text;
}

static void status_page(const struct screen *screen, const struct json *report)
{
	status_print(screen, report, "");
}

static size_t check_lines(const char *text)
{
	size_t n = 0;

	while (*text) {
		size_t size = strcspn(text, "\n");

		if (size > 80)
			fail_msg("%zu columns: %.*s", size, (int)size, text);
		assert_true(text[size] == '\n');
		text += size + 1;
		n++;
	}
	return n;
}

static void status_fits_80_columns_with_the_widest_figures(void **state)
{
	char *text = print(status_page, wide_report(3, 1));

	(void)state;
	assert_int_equal(check_lines(text), 3 + 7);
	assert_non_null(strstr(text, "999998/999999"));
	assert_non_null(strstr(text, "complete"));
	free(text);
}

static void status_of_many_layers_fits_a_screen_and_shows_those_at_work(void **state)
{
	char *text = print(status_page, wide_report(127, 120));

	(void)state;
	assert_true(check_lines(text) <= 24);
	assert_non_null(strstr(text, "and 120 more layers, 120 of them complete"));
	free(text);

	text = print(status_page, wide_report(127, 7));
	assert_true(check_lines(text) <= 24);
	assert_non_null(strstr(text, "and 111 more layers, 7 of them complete"));
	free(text);
}

static void print_access(const char *layer, char text[ACCESS_TEXT_SIZE])
{
	struct json *json = parse(layer);

	(void)access_format(json, text);
	json_free(json);
}

static void access_is_told_in_words(void **state)
{
	static const struct {
		const char *layer;
		const char *text;
	} rows[] = {
		{"{\"access\": \"units\", \"codec\": \"gzip\", \"spans\": 0}", "lazy by unit"},
		{"{\"access\": \"spans\", \"codec\": \"gzip\", \"spans\": 75}",
			"lazy by span (75 of them)"},
		{"{\"access\": \"spans\", \"codec\": \"zstd\", \"spans\": 9223372036854775807}",
			"lazy by frame (9223372036854775807 of them)"},
		{"{\"access\": \"whole\", \"codec\": \"gzip\", \"spans\": 1}",
			"one span: any byte that is missing brings back all of it"},
		{"{\"access\": \"whole\", \"codec\": \"zstd\", \"spans\": 1}",
			"one zstd frame: any byte that is missing brings back all of it"},
	};
	char text[ACCESS_TEXT_SIZE];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		print_access(rows[i].layer, text);
		assert_string_equal(text, rows[i].text);
	}
}

static void status_tells_which_layers_are_one_frame(void **state)
{
	(void)state;
	for (unsigned n_frames = 0; n_frames < 3; n_frames++) {
		struct json *layers = json_new_array();
		char *text;

		for (unsigned i = 0; i < 3; i++) {
			struct json *layer = wide_layer(i, true);

			json_set(layer, "access", json_new_string("whole"));
			json_set(layer, "codec", json_new_string(i < n_frames ? "zstd" : "gzip"));
			json_append(layers, layer);
		}
		text = print(status_page, report_of(layers));
		assert_int_equal(check_lines(text), 3 + 7 + (n_frames > 0));
		assert_int_equal(strstr(text, "any read brings back all") != NULL, n_frames > 0);
		assert_int_equal(
			strstr(text, "000000000000 is one zstd frame: ") != NULL, n_frames == 1);
		assert_int_equal(
			strstr(text, "2 layers are one zstd frame each: ") != NULL, n_frames == 2);
		free(text);
	}
}

static void status_shows_one_mount_alone_when_asked(void **state)
{
	struct json *report = wide_report(1, 1);
	struct screen screen = {.width = 80};
	char *text = NULL;
	size_t size = 0;

	(void)state;
	screen.out = open_memstream(&text, &size);
	status_print(&screen, report, "/mnt/other");
	assert_int_equal(fclose(screen.out), 0);
	assert_null(strstr(text, "/mnt/app"));
	free(text);
	json_free(report);
}

static void status_survives_a_report_of_anything(void **state)
{
	static const char *const texts[] = {
		"{}",
		"[]",
		"{\"mounts\": [5], \"store\": [], \"hosts\": {}, \"failures\": [null]}",
		"{\"mounts\": [{\"layers\": [{\"size\": -5, \"units\": \"x\"}]}]}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		free(print(status_page, parse(texts[i])));
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		free(print(why_print, parse(texts[i])));
}

static void failures_are_told_with_file_number_and_advice(void **state)
{
	struct json *report = wide_report(1, 1);
	char *text;

	(void)state;
	json_set(report, "failures",
		parse("[{\"when_s\": 1700000000, \"times\": 3, \"layer\": "
		      "\"sha256:0123456789abcd\", "
		      "\"unit\": 17, \"path\": \"/evil\\u001b[2Jname\", \"origin\": "
		      "\"https://mirror.example.com\", \"message\": \"503\", \"advice\": "
		      "\"Wait.\"}]"));
	text = print(status_page, report);
	assert_non_null(strstr(text, "/evil\\x1b[2Jname"));
	assert_non_null(strstr(text, "layer 0123456789ab, unit 17"));
	assert_non_null(strstr(text, "(3 times)"));
	assert_non_null(strstr(text, "Wait."));
	(void)check_lines(text);
	free(text);
}

static void why_concludes(void **state)
{
	static const struct {
		const char *units;
		const char *failures;
		const char *conclusion;
	} rows[] = {
		{"{\"total\": 2, \"present\": 2, \"list\": []}", "[]", "All of it is here"},
		{"{\"total\": 2, \"present\": 1, \"list\": []}", "[]",
			"Missing units are fetched when they are read."},
		{"{\"total\": 2, \"present\": 1, \"list\": []}", "[{\"message\": \"x\"}]",
			"could not be fetched"},
		{"null", "[]", "is in the index"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct json *report = parse("{\"file\": {\"path\": \"/a\", \"type\": \"file\"}}");
		char *text;

		if (strcmp(rows[i].units, "null") != 0)
			json_set(report, "units", parse(rows[i].units));
		json_set(report, "failures", parse(rows[i].failures));
		text = print(why_print, report);
		if (!strstr(text, rows[i].conclusion))
			fail_msg("row %zu: %s", i, text);
		(void)check_lines(text);
		free(text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(status_fits_80_columns_with_the_widest_figures),
		cmocka_unit_test(status_of_many_layers_fits_a_screen_and_shows_those_at_work),
		cmocka_unit_test(access_is_told_in_words),
		cmocka_unit_test(status_tells_which_layers_are_one_frame),
		cmocka_unit_test(status_shows_one_mount_alone_when_asked),
		cmocka_unit_test(status_survives_a_report_of_anything),
		cmocka_unit_test(failures_are_told_with_file_number_and_advice),
		cmocka_unit_test(why_concludes),
	};

	return cmocka_run_group_tests_name("print", tests, NULL, NULL);
}
