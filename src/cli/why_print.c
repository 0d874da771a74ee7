/* SPDX-License-Identifier: Apache-2.0 */
/* The report about a file for people. */
#include <stdio.h>
#include <string.h>

#include "cli_internal.h"
#include "quantity_internal.h"
#include "status_internal.h"
#include "why_internal.h"

static void print_heading(const struct screen *screen, const char *text)
{
	screen_put(screen, STYLE_BOLD, "%s", text);
	screen_end(screen);
}

static void print_file(const struct screen *screen, const struct json *report)
{
	const struct json *file = json_get(report, "file");
	const char *target = text_in(file, "target");
	char size[QUANTITY_TEXT_SIZE];

	print_heading(screen, text_in(file, "path"));
	screen_put(
		screen, STYLE_PLAIN, "  %s, mode %s", text_in(file, "type"), text_in(file, "mode"));
	if (strcmp(text_in(file, "type"), "file") == 0)
		screen_put(screen, STYLE_PLAIN, ", %s", size_format(number_in(file, "size"), size));
	if (target[0])
		screen_put(screen, STYLE_PLAIN, " to %s", target);
	screen_end(screen);
	screen_line(screen, "  of %s on %s, %s face", text_in(report, "reference"),
		text_in(report, "mount"), text_in(report, "face"));
}

static void print_unit(const struct screen *screen, const struct json *unit)
{
	char size[QUANTITY_TEXT_SIZE], digest[16], range[64];
	bool present = flag_in(unit, "present");
	const char *checked = text_in(unit, "digest");
	const char *unchecked = flag_in(unit, "in_span") ? "with its span" : "UNVERIFIED";

	if (flag_in(unit, "zeros"))
		(void)snprintf(range, sizeof(range), "zeros");
	else
		(void)snprintf(range, sizeof(range), "%ju+%ju",
			(uintmax_t)number_in(unit, "blob_off"),
			(uintmax_t)number_in(unit, "blob_size"));
	screen_put(screen, STYLE_PLAIN, "  %8ju %12ju %9s  ", (uintmax_t)number_in(unit, "unit"),
		(uintmax_t)number_in(unit, "file_off"), size_format(number_in(unit, "size"), size));
	screen_put(
		screen, present ? STYLE_GOOD : STYLE_WARNING, "%-7s", present ? "here" : "missing");
	screen_put(screen, STYLE_PLAIN, "  %-22s %s", range,
		checked[0] ? digest_short(checked, digest) : unchecked);
	screen_end(screen);
}

static void print_units(const struct screen *screen, const struct json *report)
{
	const struct json *layer = json_get(report, "layer");
	const struct json *units = json_get(report, "units");
	const struct json *list = json_get(units, "list");
	char present[QUANTITY_TEXT_SIZE], size[QUANTITY_TEXT_SIZE], digest[16];
	char access[ACCESS_TEXT_SIZE];
	char trust[TRUST_TEXT_SIZE];

	screen_line(screen, "  layer %ju of %ju, %s; %ju of %ju units are here, %s of %s",
		(uintmax_t)number_in(layer, "number"), (uintmax_t)number_in(layer, "of"),
		digest_short(text_in(layer, "digest"), digest),
		(uintmax_t)number_in(units, "present"), (uintmax_t)number_in(units, "total"),
		size_format(number_in(units, "present_size"), present),
		size_format(number_in(units, "size"), size));
	screen_line(screen, "  %s", access_format(layer, access));
	screen_put(screen, STYLE_PLAIN, "  ");
	screen_wrap(screen, 2, STYLE_PLAIN, trust_format(layer, trust));
	screen_put(screen, STYLE_DIM, "  %8s %12s %9s  %-7s  %-22s %s", "UNIT", "FILE OFFSET",
		"SIZE", "", "RANGE OF THE BLOB", "SHA-256");
	screen_end(screen);
	for (size_t i = 0; i < json_length(list); i++)
		print_unit(screen, json_at(list, i));
	if (number_in(units, "omitted"))
		screen_line(screen, "  and %ju more units (--all lists them)",
			(uintmax_t)number_in(units, "omitted"));
}

/* What it comes down to. */
static void print_conclusion(const struct screen *screen, const struct json *report)
{
	const struct json *units = json_get(report, "units");
	const struct json *failures = json_get(report, "failures");
	uint64_t missing = number_in(units, "total") - number_in(units, "present");
	uint64_t waiting = number_in(json_get(report, "layer"), "waiting");
	enum style style = STYLE_WARNING;
	const char *what;

	if (!units) {
		style = STYLE_GOOD;
		what = "All there is to it is in the index, which is here.";
	} else if (strcmp(text_in(json_get(report, "layer"), "trust"), "contradicted") == 0) {
		style = STYLE_BAD;
		what = "Nothing of its layer is read any more, as the index did not tell the "
		       "truth. "
		       "Mount the image again: the index is not used a second time.";
	} else if (missing == 0) {
		style = STYLE_GOOD;
		what = "All of it is here and verified: reading it needs no network.";
	} else if (json_length(failures) > 0) {
		style = STYLE_BAD;
		what = "Missing units could not be fetched; see the last failure above. The next "
		       "read tries again.";
	} else if (waiting > 0) {
		what = "Missing units are fetched when they are read; readers of this layer wait "
		       "for some now.";
	} else {
		what = "Missing units are fetched when they are read.";
	}
	screen_wrap(screen, 0, style, what);
}

void why_print(const struct screen *screen, const struct json *report)
{
	const struct json *failures = json_get(report, "failures");

	if (text_in(report, "upper")[0]) {
		print_heading(screen, text_in(report, "upper"));
		screen_wrap(screen, 0, STYLE_PLAIN,
			"This file was written to the mount: it is read from the upper directory, "
			"not from the image.");
		return;
	}
	print_file(screen, report);
	if (json_get(report, "units"))
		print_units(screen, report);
	put_hosts(screen, json_get(report, "hosts"), "asked so far for this image");
	if (json_length(failures) > 0) {
		print_heading(screen, "last failures");
		put_failures(screen, failures);
	}
	print_conclusion(screen, report);
}
