/* SPDX-License-Identifier: Apache-2.0 */
/* A status report for people. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "cli_internal.h"
#include "quantity_internal.h"
#include "status_internal.h"

enum { MAX_LAYER_LINES = 16, ACTIVITY_SIZE = 40 };

static bool is_whole(const struct json *layer)
{
	return strcmp(text_in(layer, "access"), "whole") == 0;
}

static bool is_zstd(const struct json *layer)
{
	return strcmp(text_in(layer, "codec"), "zstd") == 0;
}

const char *access_format(const struct json *layer, char text[ACCESS_TEXT_SIZE])
{
	const char *part = is_zstd(layer) ? "frame" : "span";
	uint64_t n = number_in(layer, "spans");

	if (is_whole(layer))
		(void)snprintf(text, ACCESS_TEXT_SIZE,
			"one %s: any byte that is missing brings back all of it",
			is_zstd(layer) ? "zstd frame" : "span");
	else if (n > 0)
		(void)snprintf(
			text, ACCESS_TEXT_SIZE, "lazy by %s (%ju of them)", part, (uintmax_t)n);
	else
		(void)snprintf(text, ACCESS_TEXT_SIZE, "lazy by unit");
	return text;
}

/* What is going on with a layer, in one word or two. */
static const char *layer_activity(const struct json *layer, char text[ACTIVITY_SIZE])
{
	char rate[QUANTITY_TEXT_SIZE];
	uint64_t waiting = number_in(layer, "waiting");

	if (waiting) {
		(void)snprintf(text, ACTIVITY_SIZE, "%ju waiting", (uintmax_t)waiting);
		return text;
	}
	if (strcmp(text_in(layer, "trust"), "contradicted") == 0)
		return "CONTRADICTED";
	if (flag_in(layer, "complete"))
		return "complete";
	if (number_in(layer, "bytes_per_s")) {
		(void)snprintf(text, ACTIVITY_SIZE, "%s/s",
			size_format(number_in(layer, "bytes_per_s"), rate));
		return text;
	}
	if (flag_in(layer, "background"))
		return "completing";
	return is_whole(layer) ? "as a whole" : "on demand";
}

/* Authentic indexes need no word. */
static void print_trust(const struct screen *screen, const struct json *layer)
{
	char text[TRUST_TEXT_SIZE];

	if (strcmp(text_in(layer, "trust"), "authentic") == 0 || !text_in(layer, "trust")[0])
		return;
	screen_put(screen, STYLE_WARNING, "    %s", trust_format(layer, text));
	screen_end(screen);
}

static void print_layer(const struct screen *screen, const struct json *layer)
{
	char digest[16], blob[QUANTITY_TEXT_SIZE], present[QUANTITY_TEXT_SIZE];
	char fetched[QUANTITY_TEXT_SIZE], units[48], activity[ACTIVITY_SIZE];
	bool complete = flag_in(layer, "complete");
	enum style style = number_in(layer, "failed_reads") ? STYLE_BAD
			   : complete                       ? STYLE_GOOD
							    : STYLE_PLAIN;

	(void)snprintf(units, sizeof(units), "%ju/%ju",
		(uintmax_t)number_in(layer, "units_present"), (uintmax_t)number_in(layer, "units"));
	screen_put(screen, STYLE_PLAIN, "  %-12s %9s ",
		digest_short(text_in(layer, "digest"), digest),
		size_format(number_in(layer, "blob_size"), blob));
	screen_put(screen, style, "%4u%% %9s",
		percent_of(number_in(layer, "present"), number_in(layer, "size")),
		size_format(number_in(layer, "present"), present));
	screen_put(screen, STYLE_PLAIN, " %13s %9s  %s", units,
		size_format(number_in(layer, "fetched_bytes"), fetched),
		layer_activity(layer, activity));
	screen_end(screen);
	print_trust(screen, layer);
}

/* Complete layers are left out first where there are many. */
static void print_layers(const struct screen *screen, const struct json *layers)
{
	size_t n = json_length(layers);
	size_t n_lines = 0, n_complete_left = 0;

	screen_put(screen, STYLE_DIM, "  %-12s %9s %5s %9s %13s %9s", "LAYER", "BLOB", "HERE", "",
		"UNITS", "FETCHED");
	screen_end(screen);
	for (size_t i = 0; i < n; i++) {
		const struct json *layer = json_at(layers, i);
		bool complete = flag_in(layer, "complete");

		if (n > MAX_LAYER_LINES && (complete || n_lines == MAX_LAYER_LINES)) {
			n_complete_left += complete;
			continue;
		}
		print_layer(screen, layer);
		n_lines++;
	}
	if (n_lines < n)
		screen_line(screen, "  and %zu more layers, %zu of them complete", n - n_lines,
			n_complete_left);
}

/* Of other codecs a single span is a small layer, and of no interest. */
static void print_single_frames(const struct screen *screen, const struct json *layers)
{
	char digest[16];
	size_t n = 0;

	for (size_t i = 0; i < json_length(layers); i++) {
		const struct json *layer = json_at(layers, i);

		if (!is_whole(layer) || !is_zstd(layer))
			continue;
		(void)digest_short(text_in(layer, "digest"), digest);
		n++;
	}
	if (n == 0)
		return;
	if (n == 1)
		screen_put(screen, STYLE_PLAIN, "  %s is one zstd frame: ", digest);
	else
		screen_put(screen, STYLE_PLAIN, "  %zu layers are one zstd frame each: ", n);
	screen_line(screen, "once evicted, any read brings back all");
}

static void print_total(const struct screen *screen, const struct json *layers)
{
	uint64_t size = 0, present = 0, fetched = 0, copied = 0, failed = 0, wrong = 0;
	char texts[4][QUANTITY_TEXT_SIZE];

	for (size_t i = 0; i < json_length(layers); i++) {
		const struct json *layer = json_at(layers, i);

		size += number_in(layer, "size");
		present += number_in(layer, "present");
		fetched += number_in(layer, "fetched_bytes");
		copied += number_in(layer, "copied_bytes");
		failed += number_in(layer, "failed_reads");
		wrong += number_in(layer, "wrong_units");
	}
	screen_line(screen, "  here: %u%%, %s of %s; fetched %s, from other layers %s",
		percent_of(present, size), size_format(present, texts[0]),
		size_format(size, texts[1]), size_format(fetched, texts[2]),
		size_format(copied, texts[3]));
	if (failed || wrong) {
		screen_put(screen, STYLE_BAD,
			"  %ju read%s failed, %ju unit%s came with wrong bytes", (uintmax_t)failed,
			plural(failed), (uintmax_t)wrong, plural(wrong));
		screen_end(screen);
	}
}

static void print_notes(const struct screen *screen, const struct json *mount)
{
	const char *why = text_in(mount, "face_why");
	uint64_t resolved_s = number_in(mount, "tag_resolved_s");
	char ago[40];

	if (why[0]) {
		screen_put(screen, STYLE_PLAIN, "  not the erofs face: ");
		screen_wrap(screen, 23, STYLE_PLAIN, why);
	}
	if (text_in(mount, "layer")[0])
		screen_line(screen, "  only layer %s", text_in(mount, "layer"));
	if (text_in(mount, "upper")[0])
		screen_line(screen, "  writable, changes in %s", text_in(mount, "upper"));
	if (text_in(mount, "log")[0])
		screen_line(screen, "  log %s", text_in(mount, "log"));
	if (resolved_s)
		screen_line(screen, "  tag as it was resolved %s",
			ago_format((int64_t)resolved_s, ago));
	if (flag_in(mount, "unverified")) {
		screen_put(screen, STYLE_BAD, "  some layers are NOT VERIFIED");
		screen_end(screen);
	}
	if (flag_in(mount, "detached")) {
		screen_put(screen, STYLE_WARNING,
			"  unmounted while in use: served until its last user is gone");
		screen_end(screen);
	}
}

static void print_mount(
	const struct screen *screen, const struct json *report, const struct json *mount)
{
	const struct json *layers = json_get(mount, "layers");
	char digest[16], age[QUANTITY_TEXT_SIZE];

	screen_put(
		screen, STYLE_BOLD, "%s on %s", text_in(mount, "reference"), text_in(mount, "dir"));
	screen_end(screen);
	screen_line(screen, "  %s face, process %ju for %s", text_in(mount, "face"),
		(uintmax_t)number_in(report, "pid"),
		duration_format(clock_wall_s() - (int64_t)number_in(mount, "started_s"), age));
	screen_line(screen, "  %s, manifest %s, %zu layer%s", text_in(mount, "platform"),
		digest_short(text_in(mount, "manifest"), digest), json_length(layers),
		plural(json_length(layers)));
	print_notes(screen, mount);
	print_layers(screen, layers);
	print_single_frames(screen, layers);
	print_total(screen, layers);
}

/* Under which registry's name a mirror was asked; nothing for the registry itself. */
static void put_registry(const struct screen *screen, const struct json *host)
{
	const char *address = strstr(text_in(host, "origin"), "://");

	if (!address || strcmp(address + 3, text_in(host, "registry")) != 0)
		screen_put(screen, STYLE_PLAIN, " for %s", text_in(host, "registry"));
}

static void print_host(const struct screen *screen, const struct json *host)
{
	uint64_t n_requests = number_in(host, "requests");
	uint64_t n_errors = number_in(host, "errors");
	char received[QUANTITY_TEXT_SIZE];
	char ago[40];

	screen_put(screen, STYLE_PLAIN, "  %s", text_in(host, "origin"));
	put_registry(screen, host);
	screen_put(screen, STYLE_PLAIN, ": %s in %ju request%s",
		size_format(number_in(host, "received_bytes"), received), (uintmax_t)n_requests,
		plural(n_requests));
	if (n_errors)
		screen_put(screen, STYLE_WARNING, ", %ju error%s", (uintmax_t)n_errors,
			plural(n_errors));
	screen_end(screen);
	if (!number_in(host, "last_error_s"))
		return;
	screen_put(screen, STYLE_PLAIN,
		"    %s: ", ago_format((int64_t)number_in(host, "last_error_s"), ago));
	screen_wrap(screen, 6 + (unsigned)strlen(ago), STYLE_PLAIN, text_in(host, "last_error"));
}

void put_hosts(const struct screen *screen, const struct json *hosts, const char *heading)
{
	if (json_length(hosts) == 0)
		return;
	screen_put(screen, STYLE_BOLD, "%s", heading);
	screen_end(screen);
	for (size_t i = 0; i < json_length(hosts); i++)
		print_host(screen, json_at(hosts, i));
}

void status_print(const struct screen *screen, const struct json *report, const char *dir)
{
	const struct json *mounts = json_get(report, "mounts");
	const struct json *failures = json_get(report, "failures");

	for (size_t i = 0; i < json_length(mounts); i++) {
		const struct json *mount = json_at(mounts, i);

		if (!dir[0] || strcmp(dir, text_in(mount, "dir")) == 0)
			print_mount(screen, report, mount);
	}
	put_store(screen, json_get(report, "store"));
	put_hosts(screen, json_get(report, "hosts"), "hosts");
	if (json_length(failures) == 0)
		return;
	screen_put(screen, STYLE_BOLD, "last failures");
	screen_end(screen);
	put_failures(screen, failures);
}
