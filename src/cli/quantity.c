/* SPDX-License-Identifier: Apache-2.0 */
/* Sizes, rates and durations, from and to text. */
#include "quantity_internal.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"

struct quantity_suffix {
	const char *text;
	uint64_t factor;
};

static const struct quantity_suffix size_suffixes[] = {
	{"", 1},
	{"B", 1},
	{"K", UINT64_C(1) << 10},
	{"KiB", UINT64_C(1) << 10},
	{"M", UINT64_C(1) << 20},
	{"MiB", UINT64_C(1) << 20},
	{"G", UINT64_C(1) << 30},
	{"GiB", UINT64_C(1) << 30},
	{"T", UINT64_C(1) << 40},
	{"TiB", UINT64_C(1) << 40},
	{"KB", UINT64_C(1000)},
	{"MB", UINT64_C(1000000)},
	{"GB", UINT64_C(1000000000)},
	{"TB", UINT64_C(1000000000000)},
	{NULL, 0},
};

static const struct quantity_suffix duration_suffixes[] = {
	{"", NS_PER_SECOND},
	{"ms", NS_PER_MS},
	{"s", NS_PER_SECOND},
	{"m", 60 * NS_PER_SECOND},
	{"min", 60 * NS_PER_SECOND},
	{"h", 3600 * NS_PER_SECOND},
	{NULL, 0},
};

static const struct quantity_suffix *find_suffix(
	const struct quantity_suffix *suffixes, const char *text, size_t size)
{
	for (; suffixes->text; suffixes++) {
		if (strlen(suffixes->text) == size && strncasecmp(suffixes->text, text, size) == 0)
			return suffixes;
	}
	return NULL;
}

/* Digits, at most one point, a suffix of the list that ends text. No sign, no exponent. */
static int parse_scaled(
	const char *text, size_t size, const struct quantity_suffix *suffixes, uint64_t *out)
{
	const struct quantity_suffix *suffix;
	double value = 0, scale = 1;
	bool fraction = false;
	size_t n_digits = 0;
	size_t i;

	for (i = 0; i < size; i++) {
		if (text[i] == '.' && !fraction) {
			fraction = true;
			continue;
		}
		if (text[i] < '0' || text[i] > '9')
			break;
		value = value * 10 + (text[i] - '0');
		scale *= fraction ? 10 : 1;
		n_digits++;
	}
	suffix = find_suffix(suffixes, text + i, size - i);
	if (n_digits == 0 || !suffix)
		return -EINVAL;
	value = floor(value / scale * (double)suffix->factor);
	/* 2^63 is far above anything meant, and exact as a double. */
	if (!(value < 9223372036854775808.0))
		return -ERANGE;
	*out = (uint64_t)value;
	return 0;
}

int size_parse(const char *text, uint64_t *out)
{
	return parse_scaled(text, strlen(text), size_suffixes, out);
}

int rate_parse(const char *text, uint64_t *bytes_per_s)
{
	size_t size = strlen(text);

	if (size > 2 && strcmp(text + size - 2, "/s") == 0)
		size -= 2;
	return parse_scaled(text, size, size_suffixes, bytes_per_s);
}

int duration_parse(const char *text, uint64_t *out_ns)
{
	uint64_t ns;
	int result = parse_scaled(text, strlen(text), duration_suffixes, &ns);

	if (result < 0)
		return result;
	if (ns == 0)
		return -EINVAL;
	*out_ns = ns;
	return 0;
}

int quota_parse(const char *text, uint64_t *bytes, unsigned *percent)
{
	static const struct quantity_suffix percents[] = {{"%", 1}, {NULL, 0}};
	size_t size = strlen(text);
	uint64_t value;
	int result;

	if (size == 0 || text[size - 1] != '%') {
		result = size_parse(text, &value);
		if (result == 0) {
			*bytes = value;
			*percent = 0;
		}
		return result;
	}
	result = parse_scaled(text, size, percents, &value);
	if (result == 0 && (value < 1 || value > 100))
		result = -ERANGE;
	if (result == 0) {
		*bytes = 0;
		*percent = (unsigned)value;
	}
	return result;
}

const char *size_format(uint64_t bytes, char text[QUANTITY_TEXT_SIZE])
{
	static const char units[] = "KMGTPE";
	double value = (double)bytes;
	size_t i = 0;

	if (bytes < 1000) {
		(void)snprintf(text, QUANTITY_TEXT_SIZE, "%u B", (unsigned)bytes);
		return text;
	}
	/* What would be printed as 1000.0 is the next unit's 1.0. */
	for (value /= 1000; value >= 999.95 && units[i + 1]; value /= 1000)
		i++;
	(void)snprintf(text, QUANTITY_TEXT_SIZE, "%.1f %cB", value, units[i]);
	return text;
}

const char *duration_format(int64_t seconds, char text[QUANTITY_TEXT_SIZE])
{
	if (seconds < 0)
		seconds = 0;
	if (seconds < 120)
		(void)snprintf(text, QUANTITY_TEXT_SIZE, "%d s", (int)seconds);
	else if (seconds < 120 * 60)
		(void)snprintf(text, QUANTITY_TEXT_SIZE, "%d min", (int)(seconds / 60));
	else if (seconds < 48 * 3600)
		(void)snprintf(text, QUANTITY_TEXT_SIZE, "%d h", (int)(seconds / 3600));
	else
		(void)snprintf(text, QUANTITY_TEXT_SIZE, "%jd days", (intmax_t)(seconds / 86400));
	return text;
}

const char *plural(uint64_t n)
{
	return n == 1 ? "" : "s";
}

unsigned percent_of(uint64_t part, uint64_t whole)
{
	unsigned percent;

	if (part >= whole)
		return 100;
	if (part == 0)
		return 0;
	percent = (unsigned)((double)part * 100 / (double)whole);
	return percent < 1 ? 1 : percent > 99 ? 99 : percent;
}
