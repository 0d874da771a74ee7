/* SPDX-License-Identifier: Apache-2.0 */
/* Durations as Go writes and reads them, because hosts.toml has them. */
#include <errno.h>
#include <string.h>

#include "hosts_internal.h"

struct duration_unit {
	const char *name;
	uint64_t ns;
};

static const struct duration_unit units[] = {
	{"ns", 1},
	{"us", 1000},
	{"\xc2\xb5s", 1000}, /* U+00B5, micro sign */
	{"\xce\xbcs", 1000}, /* U+03BC, Greek mu */
	{"ms", 1000 * 1000},
	{"s", UINT64_C(1000000000)},
	{"m", UINT64_C(60000000000)},
	{"h", UINT64_C(3600000000000)},
};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static const struct duration_unit *unit_find(const char *text, size_t size)
{
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (strlen(units[i].name) == size && memcmp(units[i].name, text, size) == 0)
			return &units[i];
	}
	return NULL;
}

/* Reads "1.5h" at *text and adds it to *total. */
static int add_part(const char **text, uint64_t *total)
{
	const struct duration_unit *unit;
	const char *p = *text;
	uint64_t whole = 0;
	uint64_t fraction = 0;
	uint64_t scale = 1;
	uint64_t ns;
	size_t n_digits = 0;
	size_t size = 0;

	for (; is_digit(*p); p++, n_digits++) {
		if (!u64_mul(whole, 10, &whole) || !u64_add(whole, (uint64_t)(*p - '0'), &whole))
			return -ERANGE;
	}
	if (*p == '.') {
		/* Digits beyond a nanosecond of an hour change nothing. */
		for (p++; is_digit(*p); p++, n_digits++) {
			if (scale < UINT64_C(10000000000000)) {
				fraction = fraction * 10 + (uint64_t)(*p - '0');
				scale *= 10;
			}
		}
	}
	if (n_digits == 0)
		return -EINVAL;

	while (p[size] && p[size] != '.' && !is_digit(p[size]))
		size++;
	unit = unit_find(p, size);
	if (!unit)
		return -EINVAL;

	if (!u64_mul(whole, unit->ns, &ns) || !u64_add(ns, *total, &ns))
		return -ERANGE;
	if (!u64_add(ns, (uint64_t)((unsigned __int128)fraction * unit->ns / scale), &ns))
		return -ERANGE;
	*total = ns;
	*text = p + size;
	return 0;
}

int duration_parse(const char *text, int64_t *out_ns)
{
	bool negative = *text == '-';
	uint64_t total = 0;

	if (*text == '-' || *text == '+')
		text++;
	if (strcmp(text, "0") == 0) {
		*out_ns = 0;
		return 0;
	}
	if (!*text)
		return -EINVAL;
	while (*text) {
		int result = add_part(&text, &total);

		if (result < 0)
			return result;
	}
	if (total > INT64_MAX)
		return -ERANGE;
	*out_ns = negative ? -(int64_t)total : (int64_t)total;
	return 0;
}
